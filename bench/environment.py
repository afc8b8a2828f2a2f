"""The peers' own environment: made from requirements/bench.lock on first use, and again when that changes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from bench.children import ROOT

_HOME = ROOT / "bench" / ".venv-peers"
_LOCK = ROOT / "requirements" / "bench.lock"


def peers_python() -> Path:
    """The peers' interpreter. Installs them first if need be (the only step that asks a package index)."""
    python = _HOME / "bin" / "python"
    mark = _HOME / "made-from"
    wanted = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return python
    print(f"installing the peers into {_HOME.relative_to(ROOT)} ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(_HOME)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-q"]
    done = subprocess.run(
        [*pip, "install", "--require-hashes", "-r", str(_LOCK)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError("the peers could not be installed:\n" + done.stderr[-2_000:])
    mark.write_text(wanted)
    return python


def peer_version(distribution: str) -> str:
    """The installed version of one of the peers' distributions."""
    code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return subprocess.run([str(peers_python()), "-c", code], check=True, capture_output=True, text=True).stdout.strip()
