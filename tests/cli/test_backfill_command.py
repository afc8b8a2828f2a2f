"""`everytick backfill`: what it says and how it exits, beside a recorder, in vain, stopped, and done."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from everytick.cli import main
from everytick.cli.session import world
from everytick.host import loop
from everytick.host.clock import HostClock
from everytick.host.disk import FolderDisk
from everytick.host.ids import HostIds
from everytick.model.control import Connected, Disconnected, Subscribed, control_payload
from everytick.model.frame import FrameKind, Source
from everytick.recorder.looking import Wanted
from everytick.tape.settings import TapeSettings
from everytick.tape.writer import LOCK_NAME, TapeWriter
from everytick.wiring.repair_job import RepairJob
from tests.recorder.wire import NOW_MS, trades_message

KEY = "hyperliquid/trades/BTC"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose tape has one gap in BTC, and the settings that name it."""
    tape = TapeWriter(FolderDisk(tmp_path / "data" / "tape"), HostClock(), HostIds(), TapeSettings(), "test")
    tape.open()
    for first, last in ((1, 3), (50, 53)):
        source = tape.connect("hyperliquid", "ws", control_payload(Connected("ws://here")))
        tape.append(source, FrameKind.SUBSCRIBE, control_payload(Subscribed([KEY])))
        prints = [(NOW_MS + i, i, "1.0", "1.0", "B") for i in range(first, last)]
        tape.append(source, FrameKind.MESSAGE, trades_message("BTC", prints))
        tape.append(
            Source("hyperliquid", "ws", source.epoch), FrameKind.DISCONNECT, control_payload(Disconnected("cut"))
        )
    tape.close()
    (tmp_path / "everytick.toml").write_text('[data]\ndir = "data"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def test_a_gap_that_nobody_can_tell_of_is_left_open_with_its_reason(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [(one["stream"], one["reason"]) for one in told["left"]] == [(KEY, "the venue keeps no history of it")]
    assert (told["closed"], told["stopped"]) == (0, False)
    assert main(["backfill", "--coin", "ETH"]) == 0
    assert "no gap is open" in capsys.readouterr().out


def test_a_dry_run_names_source_and_files_and_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["backfill"])
    before = sorted((path.name, path.stat().st_size) for path in (folder / "tape").iterdir())
    capsys.readouterr()
    assert main(["backfill", "--dry-run", "--archive", "s3://somewhere", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    (plan,) = told["plans"]
    assert (plan["stream"], plan["gaps"], plan["requests"], plan["archive"]) == (KEY, 1, None, True)
    assert told["archive_hours"][0]["choices"] == [["node_fills_by_block/hourly/20250904/21.lz4"]]
    assert sorted((path.name, path.stat().st_size) for path in (folder / "tape").iterdir()) == before


def test_beside_a_recorder_it_is_refused_and_told_who_repairs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = FolderDisk(folder / "tape").lock(LOCK_NAME, "pid 4242")
    try:
        assert main(["backfill"]) == 2
    finally:
        lock.release()
    told = capsys.readouterr().err
    assert "4242" in told
    assert "closes gaps by itself" in told


def test_without_a_tape_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["backfill"]) == 2
    assert "there is no tape" in capsys.readouterr().err


def test_a_signal_stops_it_in_order_and_it_can_be_repeated(folder: Path) -> None:
    here = world(None, is_quiet=True)
    job = RepairJob(here.settings, here.ports, here.telemetry, Wanted(), "")
    assert loop.run(job.run(lambda _: os.kill(os.getpid(), signal.SIGINT))) is None
    again = RepairJob(here.settings, here.ports, here.telemetry, Wanted(), "")
    left = loop.run(again.run(lambda _: None))
    assert left is not None
    assert len(left) == 1
