"""The kill switch fails closed, survives restarts and crashes, and keeps a record that shows when it was touched."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.errors import Refused, Retryable
from everytick.host.clock import HostClock
from everytick.supervise import switch
from everytick.supervise.keeper import SwitchKeeper
from everytick.supervise.switch import LATCH, RECORD, Trading
from everytick.supervise.threads import Stop
from everytick.telemetry import Telemetry

CLOCK = HostClock()


def change(folder: Path, to: Trading, reason: str = "a test", *, is_enabled: bool = True) -> switch.SwitchState:
    return switch.change(folder, CLOCK, to, reason, "tester", is_enabled=is_enabled)


def keeper(folder: Path, *, is_enabled: bool = True) -> SwitchKeeper:
    return SwitchKeeper(folder, CLOCK, Telemetry(CLOCK, out=io.BytesIO()), is_enabled=is_enabled)


def test_an_untouched_switch_is_as_the_setting_says(tmp_path: Path) -> None:
    assert switch.read(tmp_path, is_enabled=True).trading is Trading.ARMED
    assert switch.read(tmp_path, is_enabled=False).trading is Trading.HALTED
    assert switch.read(tmp_path / "nowhere", is_enabled=False).trading is Trading.HALTED


def test_a_halt_outlives_every_restart_whatever_the_setting_says(tmp_path: Path) -> None:
    change(tmp_path, Trading.HALTED, "odd prices")
    for _ in range(3):
        started = keeper(tmp_path, is_enabled=True).start()
        assert (started.trading, started.reason, started.who) == (Trading.HALTED, "odd prices", "tester")


def test_a_setting_that_is_off_halts_what_was_armed_and_stays_on_record(tmp_path: Path) -> None:
    change(tmp_path, Trading.ARMED)
    assert keeper(tmp_path, is_enabled=False).start().trading is Trading.HALTED
    assert keeper(tmp_path, is_enabled=True).start().trading is Trading.HALTED
    assert [s.trading for s in switch.history(tmp_path, 10)] == [Trading.HALTED, Trading.ARMED]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_to_the_latch_means_halted(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("switch")
    change(folder, Trading.ARMED)
    whole = (folder / LATCH).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 2))  # the line's end itself means nothing
    damaged = data.draw(
        st.sampled_from(
            [whole[:at], whole[:at] + bytes([whole[at] ^ (1 << data.draw(st.integers(0, 7)))]) + whole[at + 1 :]]
        )
    )
    (folder / LATCH).write_bytes(damaged)
    found = switch.read(folder, is_enabled=True)
    assert found.trading is Trading.HALTED
    assert found.number == -1
    # Only a person's own word brings it back.
    assert change(folder, Trading.ARMED).number == 2
    assert switch.read(folder, is_enabled=False).is_armed


def test_a_latch_that_was_taken_away_means_halted(tmp_path: Path) -> None:
    change(tmp_path, Trading.ARMED)
    (tmp_path / LATCH).unlink()
    assert not switch.read(tmp_path, is_enabled=True).is_armed


def test_a_latch_that_may_not_be_read_means_halted(tmp_path: Path) -> None:
    change(tmp_path, Trading.ARMED)
    (tmp_path / LATCH).unlink()
    (tmp_path / LATCH).symlink_to("/etc/hostname")
    assert not switch.read(tmp_path, is_enabled=True).is_armed
    (tmp_path / LATCH).unlink()
    (tmp_path / LATCH).mkdir()
    assert not switch.read(tmp_path, is_enabled=True).is_armed


def test_every_change_is_on_record_and_a_touched_record_shows(tmp_path: Path) -> None:
    for number in range(5):
        change(tmp_path, Trading.HALTED if number % 2 else Trading.ARMED, f"reason {number}")
    past = switch.history(tmp_path, 10)
    assert [(s.number, s.reason, s.who) for s in past] == [(n + 1, f"reason {n}", "tester") for n in range(4, -1, -1)]
    assert switch.is_record_whole(tmp_path)
    lines = (tmp_path / RECORD).read_bytes().splitlines(keepends=True)
    for broken in (lines[:1] + lines[2:], [lines[0].replace(b"reason 0", b"reason 9"), *lines[1:]], lines[1:]):
        (tmp_path / RECORD).write_bytes(b"".join(broken))
        assert not switch.is_record_whole(tmp_path)


def test_a_crash_between_record_and_latch_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    change(tmp_path, Trading.HALTED)
    latch = (tmp_path / LATCH).read_bytes()
    change(tmp_path, Trading.ARMED)
    (tmp_path / LATCH).write_bytes(latch)  # the record has the change, the latch does not
    assert not switch.read(tmp_path, is_enabled=True).is_armed
    assert change(tmp_path, Trading.ARMED).number == 3
    (tmp_path / RECORD).write_bytes((tmp_path / RECORD).read_bytes()[:-9])  # and a torn line
    assert change(tmp_path, Trading.HALTED).number == 4
    assert switch.history(tmp_path, 1)[0].number == 4


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 501])
def test_a_change_without_a_reason_is_refused(tmp_path: Path, reason: str) -> None:
    with pytest.raises(Refused, match="reason"):
        change(tmp_path, Trading.HALTED, reason)
    assert not (tmp_path / RECORD).exists()


def test_a_line_break_in_a_reason_cannot_forge_a_line(tmp_path: Path) -> None:
    assert change(tmp_path, Trading.HALTED, 'a\n{"state": 1}\r\nb').reason == 'a {"state": 1} b'
    assert len((tmp_path / RECORD).read_bytes().splitlines()) == 1


def test_changes_at_once_from_many_sides_all_count(tmp_path: Path) -> None:
    threads = [threading.Thread(target=change, args=(tmp_path, Trading.HALTED, f"r{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(s.number for s in switch.history(tmp_path, 20)) == list(range(1, 9))
    assert switch.is_record_whole(tmp_path)


class SlowClock(HostClock):
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = 1

    def mono_ns(self) -> int:
        return self.now_ns


def test_a_latch_not_read_lately_means_halted(tmp_path: Path) -> None:
    change(tmp_path, Trading.ARMED)
    clock = SlowClock()
    kept = SwitchKeeper(tmp_path, clock, Telemetry(clock, out=io.BytesIO()), is_enabled=True)
    assert not kept.current().is_armed  # not even read once
    assert kept.start().is_armed
    clock.now_ns += 5_000_000_001
    assert not kept.current().is_armed


def test_a_halt_holds_at_once_and_is_made_durable_later(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    change(folder, Trading.ARMED)
    kept = keeper(folder)
    assert kept.start().is_armed
    with pytest.raises(Retryable, match="halted in this process"):
        kept.ask(Trading.HALTED, "odd", "api", 0.0)  # nobody carries it out: a disk that hangs
    assert not kept.current().is_armed
    assert switch.read(folder, is_enabled=True).is_armed
    stop = Stop()
    worker = threading.Thread(target=kept.work, args=(stop,))
    worker.start()
    try:
        armed = kept.ask(Trading.ARMED, "well again", "api", 10)  # waits behind the halt
        assert (armed.number, armed.is_armed) == (3, True)
        assert kept.current().is_armed
        assert kept.ask(Trading.HALTED, "odd again", "api", 10).number == 4
    finally:
        stop.ask()
        worker.join(10)
    assert not switch.read(folder, is_enabled=True).is_armed
    assert [s.number for s in switch.history(folder, 10)] == [4, 3, 2, 1]


def test_a_change_by_the_command_line_is_heeded_by_a_running_process(tmp_path: Path) -> None:
    kept = keeper(tmp_path)
    assert kept.start().is_armed
    change(tmp_path, Trading.HALTED, "from outside")
    stop = Stop()
    worker = threading.Thread(target=kept.work, args=(stop,))
    worker.start()
    try:
        for _ in range(1_000):
            if not kept.current().is_armed:
                break
            stop_wait.wait(0.01)
    finally:
        stop.ask()
        worker.join(10)
    assert kept.current().reason == "from outside"


stop_wait = threading.Event()
