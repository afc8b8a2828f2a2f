"""`ok` is impossible while data that is due is not arriving, not durable or not applied."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everytick.model.units import NS_PER_S
from everytick.supervise.health import Facts, HealthLimits, Status, health
from everytick.supervise.progress import ConnectionProgress, Progress

NOW = 1_757_000_000 * NS_PER_S
LIMITS = HealthLimits()
KEY = "hyperliquid/trades/BTC"
FACTS = Facts(due={KEY: 60 * NS_PER_S})


def well() -> Progress:
    """A process that has run for an hour, with everything a second old."""
    ago = NOW - NS_PER_S
    line = ConnectionProgress("hyperliquid", "ws", up=True, since_ns=NOW - 3_600 * NS_PER_S, last_message_ns=ago)
    return Progress(
        run="r",
        started_ns=NOW - 3_600 * NS_PER_S,
        connections={"hyperliquid/ws": line},
        offset_appended=1_000,
        offset_durable=1_000,
        last_commit_ns=ago,
        offset_applied=1_000,
        last_apply_ns=ago,
        newest={KEY: (ago, ago)},
    )


def line_of(progress: Progress) -> ConnectionProgress:
    return progress.connections["hyperliquid/ws"]


def put(target: Callable[[Progress], object], **values: object) -> Callable[[Progress], None]:
    def change(progress: Progress) -> None:
        for name, value in values.items():
            assert hasattr(target(progress), name)
            setattr(target(progress), name, value)

    return change


def whole(progress: Progress) -> Progress:
    return progress


def forget_newest(progress: Progress) -> None:
    progress.newest.clear()


def age_newest(progress: Progress) -> None:
    progress.newest[KEY] = (NOW, NOW - 61 * NS_PER_S)  # a venue's own time proves nothing about arrival


OLD = NOW - 100 * NS_PER_S

TABLE = [
    ("not_started", Status.DEGRADED, put(whole, started_ns=0)),
    ("clock", Status.DEGRADED, put(whole, last_commit_ns=NOW + 60 * NS_PER_S)),
    ("tape_trouble", Status.DEGRADED, put(whole, tape_trouble="the disk is full")),
    ("store_trouble", Status.DEGRADED, put(whole, store_trouble="the store is locked")),
    ("connection_down", Status.DEGRADED, put(line_of, up=False, last_cause="cut")),
    ("connection_down", Status.DEGRADED, put(line_of, up=False, since_ns=0)),
    ("connection_mute", Status.STALE, put(line_of, last_message_ns=OLD, since_ns=OLD)),
    ("connection_mute", Status.STALE, put(line_of, last_message_ns=0, since_ns=OLD)),
    ("unconfirmed", Status.STALE, put(line_of, unconfirmed=2)),
    ("watermark_old", Status.STALE, put(whole, offset_appended=1_001, last_commit_ns=OLD)),
    ("watermark_old", Status.STALE, put(whole, offset_appended=1_001, last_commit_ns=0)),
    # No frame waits, and yet nobody looks: a thread that died is not an idle one.
    ("watermark_old", Status.STALE, put(whole, last_commit_ns=OLD)),
    ("checkpoint_old", Status.STALE, put(whole, last_apply_ns=OLD)),
    ("checkpoint_old", Status.STALE, put(whole, offset_applied=999, last_apply_ns=OLD)),
    ("checkpoint_old", Status.STALE, put(whole, offset_applied=999, last_apply_ns=0)),
    ("checkpoint_old", Status.STALE, put(whole, offset_durable=100_000, offset_appended=100_000)),
    ("stream_mute", Status.STALE, age_newest),
    ("stream_mute", Status.STALE, forget_newest),
]


def test_all_is_well_when_all_is_well() -> None:
    found = health(well(), FACTS, NOW, LIMITS)
    assert (found.status, found.reasons) == (Status.OK, ())


@pytest.mark.parametrize(("code", "status", "change"), TABLE, ids=[f"{n}-{row[0]}" for n, row in enumerate(TABLE)])
def test_one_thing_wrong_is_told_with_its_age_and_what_to_do(
    code: str, status: Status, change: Callable[[Progress], None]
) -> None:
    progress = well()
    change(progress)
    found = health(progress, FACTS, NOW, LIMITS)
    assert found.status is status
    assert [reason.code for reason in found.reasons] == [code]
    (reason,) = found.reasons
    assert reason.message
    assert reason.action
    assert reason.subject
    assert reason.age_ms >= -1


@given(st.lists(st.sampled_from(TABLE), min_size=1, max_size=6))
def test_no_mixture_of_faults_is_ever_ok_and_the_worst_comes_first(
    faults: list[tuple[str, Status, Callable[[Progress], None]]],
) -> None:
    progress = well()
    for _, _, change in faults:
        change(progress)
    found = health(progress, FACTS, NOW, LIMITS)
    assert found.status is not Status.OK
    assert found.reasons[0].status is found.status
    assert [r.status for r in found.reasons] == sorted((r.status for r in found.reasons), key=lambda s: s.value)


def test_a_stream_that_is_not_due_may_be_silent_for_ever() -> None:
    progress = well()
    forget_newest(progress)
    assert health(progress, Facts(), NOW, LIMITS).status is Status.OK


def test_a_part_of_another_process_is_judged_by_the_streams_it_should_feed() -> None:
    progress = Progress(started_ns=OLD, newest={KEY: (NOW, NOW)})
    elsewhere = Facts(FACTS.due, records=False, projects=False)
    assert health(progress, elsewhere, NOW, LIMITS).status is Status.OK
    assert health(progress, FACTS, NOW, LIMITS).status is Status.STALE
    forget_newest(progress)
    assert health(progress, elsewhere, NOW, LIMITS).status is Status.STALE


def test_one_silent_stream_of_many_is_named() -> None:
    progress = well()
    due = {f"hyperliquid/trades/C{n}": 60 * NS_PER_S for n in range(200)}
    progress.newest = dict.fromkeys(due, (NOW, NOW))
    progress.newest["hyperliquid/trades/C77"] = (OLD, OLD)
    found = health(progress, Facts(due), NOW, LIMITS)
    assert [(r.subject, r.age_ms) for r in found.reasons] == [("hyperliquid/trades/C77", 100_000)]


@pytest.mark.parametrize("margin_ns", [0, 1])
def test_each_limit_is_the_last_age_that_is_well(margin_ns: int) -> None:
    progress = well()
    progress.newest[KEY] = (NOW, NOW - 60 * NS_PER_S - margin_ns)
    assert (health(progress, FACTS, NOW, LIMITS).status is Status.OK) is (margin_ns == 0)
    progress = well()
    progress.offset_applied, progress.last_apply_ns = 999, NOW - LIMITS.checkpoint_age_ns_max - margin_ns
    assert (health(progress, FACTS, NOW, LIMITS).status is Status.OK) is (margin_ns == 0)
    progress = well()
    progress.offset_appended, progress.last_commit_ns = 1_001, NOW - LIMITS.watermark_age_ns_max - margin_ns
    assert (health(progress, FACTS, NOW, LIMITS).status is Status.OK) is (margin_ns == 0)
