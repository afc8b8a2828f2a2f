"""Processes of a measurement: started with one JSON argument, answering in JSON lines, never outliving us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OURS = Path(sys.executable)


class Child:
    """One process. `ask` and `line` raise RuntimeError with its last words if it dies or is too slow."""

    def __init__(
        self, module: str, order: dict[str, Any], *, python: Path = OURS, cpus: Sequence[int] = (), seconds_max: float
    ) -> None:
        self.module = module
        self.errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 - closed with the process, in __exit__
        pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus and hasattr(os, "sched_setaffinity") else None
        self.process = subprocess.Popen(
            [str(python), "-m", module, json.dumps(order)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            preexec_fn=pin,
        )
        self.seconds_max = seconds_max
        # A measurement is bounded in time: past its limit the process is ended and its reader says so.
        self.limit = threading.Timer(seconds_max, self.process.kill)
        self.limit.daemon = True
        self.limit.start()

    def line(self) -> dict[str, Any]:
        """Its next JSON line."""
        assert self.process.stdout is not None
        while text := self.process.stdout.readline():
            if text.startswith("{"):
                answer: dict[str, Any] = json.loads(text)
                return answer
        code = self.process.wait()
        self.errors.seek(0)
        last_words = "\n".join(self.errors.read().splitlines()[-12:])
        raise RuntimeError(
            f"{self.module} ended with {code} within {self.seconds_max:.0f} s and no answer:\n{last_words}"
        )

    def ask(self, word: str) -> dict[str, Any]:
        """Its answer to one line on its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.line()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.limit.cancel()
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()  # each of our processes ends when nobody talks to it any more
            except BrokenPipeError:
                self.process.kill()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.errors.close()


def answer_of(
    module: str, order: dict[str, Any], *, python: Path = OURS, cpus: Sequence[int] = (), seconds_max: float
) -> dict[str, Any]:
    """The one answer of a process that measures something and ends."""
    with Child(module, order, python=python, cpus=cpus, seconds_max=seconds_max) as child:
        return child.line()
