"""A stream's habit is learnt from its own gaps; what is seen depends on no wall clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everytick.model.units import NS_PER_S
from everytick.supervise.expect import FLOOR_NS, UNKNOWN_NS, Expectation, learnt
from everytick.supervise.monitor import Monitor
from everytick.supervise.progress import ConnectionProgress, Progress

LINE = "v/ws"
BUSY, QUIET = "v/trades/BUSY", "v/trades/QUIET"
HALF = NS_PER_S // 2


def poisson(mean_s: float, count: int, seed: int = 1) -> list[int]:
    dice = random.Random(seed)
    return [max(int(dice.expovariate(1 / mean_s) * NS_PER_S), HALF) for _ in range(count)]


@pytest.mark.parametrize("mean_s", [0.01, 0.1, 0.5, 1.0])
def test_a_busy_stream_may_be_silent_for_less_than_fifteen_seconds(mean_s: float) -> None:
    for seed in range(20):
        assert FLOOR_NS <= learnt(poisson(mean_s, 2_000, seed)).bound_ns < 14.5 * NS_PER_S


@pytest.mark.parametrize("mean_s", [10.0, 60.0, 600.0])
def test_a_quiet_stream_may_be_silent_for_many_of_its_gaps(mean_s: float) -> None:
    for seed in range(20):
        assert 4 * mean_s <= learnt(poisson(mean_s, 500, seed)).bound_ns / NS_PER_S <= 30 * mean_s


def test_a_poll_may_miss_once_and_not_four_times() -> None:
    bound_s = learnt([300 * NS_PER_S] * 100).bound_ns / NS_PER_S
    assert 4 * 300 < bound_s < 6 * 300


def test_nothing_is_claimed_of_a_stream_that_is_not_known() -> None:
    assert Expectation().bound_ns == UNKNOWN_NS
    assert not learnt([NS_PER_S] * 11).is_known
    assert learnt([NS_PER_S] * 13).is_known


@given(st.lists(st.integers(1, 10**15), max_size=200))
def test_no_gaps_make_a_bound_out_of_range(gaps: list[int]) -> None:
    habit = learnt(gaps)
    assert habit.bound_ns >= FLOOR_NS
    before = habit.bound_ns
    habit.learn(10**18)  # an outage of thirty years
    assert habit.bound_ns <= 40 * max(before, UNKNOWN_NS)


def test_an_outage_hardly_changes_a_habit() -> None:
    habit = learnt(poisson(0.5, 2_000))
    habit.learn(3_600 * NS_PER_S)
    assert habit.bound_ns < 15 * NS_PER_S


class World:
    """Progress as the parts would fill it, and a monitor that looks twice a second."""

    def __init__(self) -> None:
        self.progress = Progress(started_ns=1)
        self.progress.connections[LINE] = ConnectionProgress("v", "ws", up=True, connects=1)
        self.monitor = Monitor({BUSY: LINE, QUIET: LINE})
        self.now_ns = 0
        self.events = 0

    def run(self, seconds: float, *keys: str) -> None:
        for _ in range(int(seconds * 2)):
            self.now_ns += HALF
            for key in keys:
                self.events += 1
                self.progress.newest[key] = (self.events, self.events)
            self.progress.last_commit_ns += 1
            self.progress.last_apply_ns += 1
            self.seen = self.monitor.look(self.progress, self.now_ns)

    def silence_s(self, key: str) -> float:
        return (self.now_ns - self.seen.streams[key].silent_mono_ns) / NS_PER_S


def test_silence_is_counted_from_the_last_event_whatever_the_wall_clock_does() -> None:
    world = World()
    world.run(60, BUSY)
    assert world.silence_s(BUSY) == 0
    world.run(7)
    assert world.silence_s(BUSY) == 7
    world.progress.last_commit_ns = -(10**18)  # the wall clock was set back by thirty years
    world.progress.last_apply_ns = -(10**18)
    world.run(3)
    assert world.silence_s(BUSY) == 10
    assert world.now_ns - world.seen.commit_mono_ns <= HALF


def test_the_gaps_of_an_outage_or_of_a_late_store_teach_nothing() -> None:
    world = World()
    world.run(60, BUSY)
    bound_ns = world.seen.streams[BUSY].bound_ns
    world.progress.offset_durable = 100  # nothing is applied for eight seconds
    world.run(8)
    world.progress.offset_applied = 100
    world.run(30, BUSY)
    assert world.seen.streams[BUSY].bound_ns == bound_ns


def test_a_lively_stream_gets_no_second_chance_by_a_reconnect() -> None:
    world = World()
    world.run(60, BUSY)
    world.run(5)
    world.progress.connections[LINE].connects += 1
    world.run(5)
    assert world.silence_s(BUSY) == 10


def test_a_quiet_stream_starts_afresh_after_a_reconnect_but_only_once() -> None:
    world = World()
    for _ in range(20):
        world.run(20)
        world.run(0.5, QUIET)
    world.run(30)
    world.progress.connections[LINE].connects += 1
    world.run(10)
    assert world.silence_s(QUIET) == 9.5
    world.progress.connections[LINE].connects += 1
    world.run(10)
    assert world.silence_s(QUIET) == 19.5  # a line that reconnects for ever looks no better for it


def test_a_stream_that_was_mute_before_its_line_went_is_not_well_because_the_line_is_back() -> None:
    world = World()
    for _ in range(20):
        world.run(20)
        world.run(0.5, QUIET)
    bound_s = world.seen.streams[QUIET].bound_ns / NS_PER_S
    world.run(bound_s + 60)
    world.progress.connections[LINE].connects += 1
    world.run(10)
    assert world.silence_s(QUIET) > bound_s + 60


def test_all_streams_of_a_connection_are_watched_as_one() -> None:
    world = World()
    for _ in range(60):
        world.run(0.5, BUSY)
        world.run(0.5, QUIET)
    assert world.seen.lines[LINE].bound_ns < world.seen.streams[QUIET].bound_ns + NS_PER_S
    world.run(20)
    assert world.now_ns - world.seen.lines[LINE].quiet_mono_ns == 20 * NS_PER_S


def test_lag_is_the_age_of_the_oldest_frame_that_waits() -> None:
    world = World()
    world.progress.offset_durable = world.progress.offset_applied = 10
    world.run(5)
    assert world.seen.lag_mono_ns == 0
    for step in range(20):  # it applies all the time, and is always ten seconds late
        world.progress.offset_durable = 30 + step
        world.progress.offset_applied = 10 + step
        world.run(1)
    assert world.now_ns - world.seen.lag_mono_ns >= 19 * NS_PER_S
    world.progress.offset_applied = world.progress.offset_durable
    world.run(1)
    assert world.seen.lag_mono_ns == 0


def test_what_a_store_remembers_is_used_until_something_better_is_known() -> None:
    world = World()
    world.run(1)
    world.monitor.know({QUIET: learnt([60 * NS_PER_S] * 20)})
    world.run(1)
    assert world.seen.streams[QUIET].mean_gap_ns == pytest.approx(60 * NS_PER_S)
    world.run(60, BUSY)
    world.monitor.know({BUSY: learnt([60 * NS_PER_S] * 20)})
    world.run(1, BUSY)
    assert world.seen.streams[BUSY].mean_gap_ns < NS_PER_S
