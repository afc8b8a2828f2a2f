"""`ok` is impossible while data that is due is not arriving, not durable or not applied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everytick.model.units import NS_PER_S
from everytick.supervise.health import Facts, Health, HealthLimits, Status, health
from everytick.supervise.monitor import LineSeen, Seen, StreamSeen
from everytick.supervise.progress import ConnectionProgress, Progress

NOW = 90_000 * NS_PER_S  # of the monotonic clock
WALL = 1_757_000_000 * NS_PER_S
LIMITS = HealthLimits()
LINE = "hyperliquid/ws"
KEY = "hyperliquid/trades/BTC"
BOUND = 60 * NS_PER_S
FACTS = Facts()
AGO = NOW - NS_PER_S
OLD = NOW - 100 * NS_PER_S


class Case:
    """A process that has run for an hour, with everything a second old."""

    def __init__(self) -> None:
        line = ConnectionProgress("hyperliquid", "ws", up=True, since_ns=WALL, last_message_ns=WALL)
        self.progress = Progress(
            run="r",
            started_ns=WALL,
            connections={LINE: line},
            offset_appended=1_000,
            offset_durable=1_000,
            last_commit_ns=WALL,
            offset_applied=1_000,
            last_apply_ns=WALL,
            newest={KEY: (WALL, WALL)},
        )
        self.seen = Seen(
            AGO, NOW - 3_600 * NS_PER_S, AGO, AGO, AGO, 0,
            {LINE: LineSeen(True, NOW - 3_600 * NS_PER_S, AGO, AGO, BOUND)},
            {KEY: StreamSeen(LINE, True, AGO, BOUND, NS_PER_S)},
        )  # fmt: skip

    def told(self, facts: Facts = FACTS) -> Health:
        return health(self.progress, self.seen, facts, NOW, LIMITS)


Change = Callable[[Case], None]


def put(**values: object) -> Change:
    def change(case: Case) -> None:
        for name, value in values.items():
            assert hasattr(case.progress, name)
            setattr(case.progress, name, value)

    return change


def on_line(**values: object) -> Change:
    def change(case: Case) -> None:
        for name, value in values.items():
            assert hasattr(case.progress.connections[LINE], name)
            setattr(case.progress.connections[LINE], name, value)

    return change


def saw(**values: Any) -> Change:
    def change(case: Case) -> None:
        case.seen = msgspec.structs.replace(case.seen, **values)

    return change


def saw_line(**values: Any) -> Change:
    def change(case: Case) -> None:
        case.seen = msgspec.structs.replace(
            case.seen, lines={LINE: msgspec.structs.replace(case.seen.lines[LINE], **values)}
        )

    return change


def saw_stream(**values: Any) -> Change:
    def change(case: Case) -> None:
        case.seen = msgspec.structs.replace(
            case.seen, streams={KEY: msgspec.structs.replace(case.seen.streams[KEY], **values)}
        )

    return change


def both(one: Change, other: Change) -> Change:
    def change(case: Case) -> None:
        one(case)
        other(case)

    return change


TABLE = [
    ("not_started", Status.DEGRADED, put(started_ns=0)),
    ("watchdog_dead", Status.DEGRADED, saw(mono_ns=NOW - 6 * NS_PER_S)),
    ("loop_wedged", Status.DEGRADED, saw(beat_mono_ns=NOW - 6 * NS_PER_S)),
    ("tape_trouble", Status.DEGRADED, put(tape_trouble="the disk is full")),
    ("store_trouble", Status.DEGRADED, put(store_trouble="the store is locked")),
    ("connection_down", Status.DEGRADED, on_line(up=False, last_cause="cut")),
    ("connection_down", Status.DEGRADED, on_line(up=False, since_ns=0)),
    ("connection_mute", Status.STALE, saw_line(spoke_mono_ns=OLD, changed_mono_ns=OLD)),
    ("streams_mute", Status.STALE, saw_line(quiet_mono_ns=OLD)),
    ("unconfirmed", Status.STALE, on_line(unconfirmed=2)),
    # Whether or not a frame waits: a thread that died is not an idle one.
    ("watermark_old", Status.STALE, saw(commit_mono_ns=OLD)),
    # All that is durable is applied, and the disk moves: what waits for it is late all the same.
    ("watermark_old", Status.STALE, saw(lag_mono_ns=NOW - 13 * NS_PER_S)),
    ("checkpoint_old", Status.STALE, saw(apply_mono_ns=OLD)),
    # It applies all the time and is late all the same.
    ("checkpoint_old", Status.STALE, both(saw(lag_mono_ns=NOW - 13 * NS_PER_S), put(offset_applied=999))),
    ("checkpoint_old", Status.STALE, put(offset_durable=100_000, offset_appended=100_000)),
    ("stream_mute", Status.STALE, saw_stream(silent_mono_ns=OLD)),
    ("stream_mute", Status.STALE, saw_stream(silent_mono_ns=OLD, is_heard=False)),
]


def test_all_is_well_when_all_is_well() -> None:
    found = Case().told()
    assert (found.status, found.reasons) == (Status.OK, ())


@pytest.mark.parametrize(("code", "status", "change"), TABLE, ids=[f"{n}-{row[0]}" for n, row in enumerate(TABLE)])
def test_one_thing_wrong_is_told_with_its_age_and_what_to_do(code: str, status: Status, change: Change) -> None:
    case = Case()
    change(case)
    found = case.told()
    assert found.status is status
    assert [reason.code for reason in found.reasons] == [code]
    (reason,) = found.reasons
    assert reason.message
    assert reason.action
    assert reason.subject
    assert reason.age_ms >= -1


@given(st.lists(st.sampled_from(TABLE), min_size=1, max_size=6))
def test_no_mixture_of_faults_is_ever_ok_and_the_worst_comes_first(faults: list[tuple[str, Status, Change]]) -> None:
    case = Case()
    for _, _, change in faults:
        change(case)
    found = case.told()
    assert found.status is not Status.OK
    assert found.reasons[0].status is found.status
    assert [r.status for r in found.reasons] == sorted((r.status for r in found.reasons), key=lambda s: s.value)


def test_a_stream_that_owes_nothing_now_may_be_silent_for_ever() -> None:
    case = Case()
    saw_stream(silent_mono_ns=OLD)(case)
    assert case.told(Facts(closed=frozenset({KEY}))).status is Status.OK
    assert case.told(Facts(due={KEY: 101 * NS_PER_S})).status is Status.OK
    assert case.told(Facts(due={KEY: 99 * NS_PER_S})).status is Status.STALE


def test_a_part_of_another_process_is_judged_by_the_streams_it_should_feed() -> None:
    case = Case()
    saw(commit_mono_ns=OLD, apply_mono_ns=OLD)(case)
    elsewhere = Facts(records=False, projects=False)
    assert case.told(elsewhere).status is Status.OK
    assert case.told().status is Status.STALE
    saw_stream(silent_mono_ns=OLD)(case)
    assert case.told(elsewhere).status is Status.STALE


def test_one_silent_stream_of_many_is_named() -> None:
    case = Case()
    stream = case.seen.streams[KEY]
    streams = {f"hyperliquid/trades/C{n}": stream for n in range(200)}
    streams["hyperliquid/trades/C77"] = msgspec.structs.replace(stream, silent_mono_ns=OLD)
    saw(streams=streams)(case)
    assert [(r.subject, r.age_ms) for r in case.told().reasons] == [("hyperliquid/trades/C77", 100_000)]


def test_a_mute_connection_is_told_once_and_not_for_each_of_its_streams() -> None:
    case = Case()
    silent = msgspec.structs.replace(case.seen.streams[KEY], silent_mono_ns=OLD)
    saw(streams={f"hyperliquid/trades/C{n}": silent for n in range(200)})(case)
    saw_line(quiet_mono_ns=OLD)(case)
    assert [(r.code, r.subject) for r in case.told().reasons] == [("streams_mute", LINE)]


def test_a_late_store_is_told_as_a_late_store_and_not_as_mute_streams() -> None:
    case = Case()
    saw(lag_mono_ns=NOW - 61 * NS_PER_S)(case)
    put(offset_durable=1_001, offset_appended=1_001)(case)
    saw_stream(silent_mono_ns=NOW - 62 * NS_PER_S)(case)
    saw_line(quiet_mono_ns=NOW - 62 * NS_PER_S)(case)
    assert [r.code for r in case.told().reasons] == ["checkpoint_old"]
    saw_stream(silent_mono_ns=NOW - 130 * NS_PER_S)(case)
    assert [r.code for r in case.told().reasons] == ["checkpoint_old", "stream_mute"]


@pytest.mark.parametrize("margin_ns", [0, 1])
@pytest.mark.parametrize(
    "change",
    [
        lambda margin: saw_stream(silent_mono_ns=NOW - BOUND - margin),
        lambda margin: saw(apply_mono_ns=NOW - LIMITS.checkpoint_age_ns_max - margin),
        lambda margin: saw(commit_mono_ns=NOW - LIMITS.watermark_age_ns_max - margin),
        lambda margin: saw(beat_mono_ns=NOW - LIMITS.beat_age_ns_max - margin),
        lambda margin: saw(mono_ns=NOW - LIMITS.look_age_ns_max - margin),
    ],
)
def test_each_limit_is_the_last_age_that_is_well(margin_ns: int, change: Callable[[int], Change]) -> None:
    case = Case()
    change(margin_ns)(case)
    assert (case.told().status is Status.OK) is (margin_ns == 0)
