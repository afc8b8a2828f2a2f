"""The doctor finds what would stop a recorder, says what to do, and leaves the machine as it was."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from everytick.cli import checks, main
from everytick.host.disk import FolderDisk
from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.tape.writer import LOCK_NAME


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("EVERYTICK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("EVERYTICK_SERVE__PORT", "0")
    monkeypatch.setattr(checks, "SYNC_ROUNDS", 5)
    monkeypatch.setattr(checks, "CLOCK_WATCH_S", 0.001)


def examined(capsys: pytest.CaptureFixture[str], code: int, words: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """The doctor's findings by name; its exit code must be `code`."""
    assert main(["doctor", "--json", *words]) == code
    document = msgspec.json.decode(capsys.readouterr().out)
    assert document["ok"] is (code == 0)
    return {finding["name"]: finding for finding in document["checks"]}


def test_a_fit_machine_passes_and_is_left_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    found = examined(capsys, 0)
    assert set(found) == {
        "python", "sqlite", "settings", "folder", "room", "sync", "clock", "port", "store", "tape"
    }  # fmt: skip
    assert list(Path().iterdir()) == []


def test_the_answer_for_people_names_every_check_and_a_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "10 checks, 0 failed" in out


def test_a_port_in_use_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("EVERYTICK_SERVE__PORT", str(port))
        found = examined(capsys, 1)
    assert found["port"]["verdict"] == "fail"
    assert str(port) in found["port"]["found"]
    assert "serve.port" in found["port"]["action"]


def test_every_fault_in_the_settings_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    Path("everytick.toml").write_text("[serve]\nhots = 1\n[log]\nlevel = 'loud'\n")
    assert main(["doctor", "--json"]) == 1
    document = msgspec.json.decode(capsys.readouterr().out)
    faults = [f["found"] for f in document["checks"] if f["name"] == "settings"]
    assert len(faults) == 2


def test_a_file_where_the_data_folder_should_be_fails(capsys: pytest.CaptureFixture[str]) -> None:
    Path("everytick-data").write_text("not a folder")
    assert examined(capsys, 1)["folder"]["verdict"] == "fail"


def test_a_store_that_is_no_database_fails_and_is_not_touched(capsys: pytest.CaptureFixture[str]) -> None:
    Path("everytick-data").mkdir()
    store = Path("everytick-data/store.sqlite")
    store.write_bytes(b"this is no database" * 100)
    found = examined(capsys, 1)
    assert found["store"]["verdict"] == "fail"
    assert "rebuild" in found["store"]["action"]
    assert store.read_bytes() == b"this is no database" * 100


def test_the_port_of_the_recorder_that_runs_here_is_no_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("EVERYTICK_SERVE__PORT", str(taken.getsockname()[1]))
        assert "in use" in examined(capsys, 1)["port"]["found"]
        lock = FolderDisk("everytick-data/tape").lock(LOCK_NAME, "pid 4242")
        try:
            assert "pid 4242" in examined(capsys, 0)["port"]["found"]
        finally:
            lock.release()
        assert "in use" in examined(capsys, 1)["port"]["found"]


def test_a_good_store_opens(capsys: pytest.CaptureFixture[str]) -> None:
    Path("everytick-data").mkdir()
    connection = apsw.Connection("everytick-data/store.sqlite")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert "1 tables" in examined(capsys, 0)["store"]["found"]


def test_a_damaged_tape_is_a_warning_that_points_to_verify(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("everytick-data/tape")
    folder.mkdir(parents=True)
    (folder / "00000000000000000000.tape").write_bytes(b"no header of ours" * 10)
    found = examined(capsys, 0)
    assert found["tape"]["verdict"] == "warn"
    assert "everytick verify" in found["tape"]["action"]


@pytest.mark.parametrize(
    ("free", "verdict"), [(checks.ROOM_FAIL_BYTES - 1, "fail"), (checks.ROOM_WARN_BYTES - 1, "warn"), (1 << 40, "ok")]
)
def test_little_room_is_told_before_it_is_gone(free: int, verdict: str) -> None:
    finding = checks._room(free)
    assert finding.verdict == verdict
    assert bool(finding.action) is (verdict != "ok")


@pytest.mark.parametrize(
    ("times", "verdict"),
    [([NS_PER_MS] * 100, "ok"), ([NS_PER_MS] * 98 + [80 * NS_PER_MS] * 2, "warn"), ([500] * 100, "warn")],
)
def test_a_disk_too_slow_or_too_fast_to_be_true_is_told(times: list[int], verdict: str) -> None:
    assert checks._sync(times).verdict == verdict


class JumpingClock:
    """A wall clock that is stepped while somebody looks."""

    def __init__(self, wall_ns: int, step_ns: int) -> None:
        self._wall_ns, self._mono_ns, self._step_ns = wall_ns, 0, step_ns

    def wall_ns(self) -> int:
        return self._wall_ns

    def mono_ns(self) -> int:
        return self._mono_ns

    async def sleep(self, seconds: float) -> None:
        passed_ns = int(seconds * NS_PER_S)
        self._wall_ns += passed_ns + self._step_ns
        self._mono_ns += passed_ns


@pytest.mark.parametrize(
    ("wall_ns", "step_ns", "verdict"),
    [
        (checks.WALL_MIN_NS, 0, "ok"),
        (checks.WALL_MIN_NS, -NS_PER_S, "warn"),
        (checks.WALL_MIN_NS, NS_PER_S, "warn"),
        (0, 0, "fail"),
    ],
)
def test_a_stepped_or_unset_clock_is_told(wall_ns: int, step_ns: int, verdict: str) -> None:
    look = checks.clocks(JumpingClock(wall_ns, step_ns))
    with pytest.raises(StopIteration) as done:
        look.send(None)  # this clock never waits, so one step is all of it
    assert done.value.value.verdict == verdict
