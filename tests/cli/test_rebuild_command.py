"""`everytick rebuild` and `replay`: beside a writer, after one, over a store that is broken, and of nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from everytick.cli import main
from everytick.host.clock import HostClock
from everytick.host.disk import FolderDisk
from everytick.host.ids import HostIds
from everytick.model.control import Connected, control_payload
from everytick.model.frame import FrameKind
from everytick.stores.compare import difference_at_one_moment
from everytick.stores.open import open_store
from everytick.tape.settings import TapeSettings
from everytick.tape.writer import TapeWriter
from tests.recorder.wire import NOW_MS, trades_message

STORE = Path("data/store.sqlite")
REBUILT = Path("data/store.sqlite.rebuilt")


def record(ids: range) -> None:
    """One more connection's trades on the tape."""
    tape = TapeWriter(FolderDisk("data/tape"), HostClock(), HostIds(), TapeSettings(), "test")
    tape.open()
    source = tape.connect("hyperliquid", "ws", control_payload(Connected("ws://here")))
    prints = [(NOW_MS + i, i, "1.0", "1.0", "B") for i in ids]
    tape.append(source, FrameKind.MESSAGE, trades_message("BTC", prints))
    tape.close()


@pytest.fixture
def _kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tape and the store that was made of it."""
    monkeypatch.chdir(tmp_path)
    Path("everytick.toml").write_text('[data]\ndir = "data"\n')
    record(range(1, 5))
    assert main(["rebuild", "--swap"]) == 0


@pytest.fixture
def rebuild(_kept: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, object]]]:
    """Runs the command on the folder; returns its exit code and what it said."""

    def run(*words: str) -> tuple[int, dict[str, object]]:
        REBUILT.unlink(missing_ok=True)
        capsys.readouterr()
        code = main(["rebuild", "--json", *words])
        return code, json.loads(capsys.readouterr().out or "{}")

    return run


def test_a_store_that_is_behind_is_told_from_one_that_differs(
    rebuild: Callable[..., tuple[int, dict[str, object]]],
) -> None:
    assert rebuild()[0] == 0
    record(range(10, 12))
    code, told = rebuild()
    assert code == 1
    assert "present is behind" in str(told["difference"])
    assert rebuild("--swap")[0] == 1
    assert rebuild()[0] == 0


def test_a_store_that_went_on_meanwhile_is_compared_at_one_moment(
    rebuild: Callable[..., tuple[int, dict[str, object]]],
) -> None:
    old = Path("old.sqlite")
    assert rebuild("--to", str(old))[0] == 0
    record(range(10, 12))
    rebuild("--swap")
    offsets: list[int] = []

    def to_offset(offset: int) -> None:
        offsets.append(offset)
        old.unlink()
        main(["rebuild", "--to", str(old)])

    assert difference_at_one_moment(str(old), str(STORE), to_offset) is None
    assert len(offsets) == 1


def test_a_store_is_not_swapped_under_its_writer(
    rebuild: Callable[..., tuple[int, dict[str, object]]], capsys: pytest.CaptureFixture[str]
) -> None:
    writer = open_store(str(STORE), owner="test")
    before = STORE.stat().st_ino
    try:
        assert rebuild()[0] == 0
        REBUILT.unlink()
        assert main(["rebuild", "--swap"]) == 2
    finally:
        writer.close()
    assert "another process writes this store (stop it first" in capsys.readouterr().err
    assert STORE.stat().st_ino == before


def test_a_damaged_store_is_told_and_can_be_replaced(rebuild: Callable[..., tuple[int, dict[str, object]]]) -> None:
    STORE.write_bytes(b"this is no database" * 1000)
    code, told = rebuild("--swap")
    assert code == 1
    assert "damaged" in str(told["difference"])
    assert rebuild() == (0, {"store": str(REBUILT), "frames": 2, "same": True, "difference": None})


@pytest.mark.usefixtures("_kept")
def test_a_replay_of_nothing_says_so_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["replay", "--coin", "BTC"]) == 0
    told = capsys.readouterr()
    assert (len(told.out.splitlines()), told.err) == (4, "")
    assert main(["replay", "--coin", "DOGE"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "no event of DOGE between these offsets\n")
