"""Gaps in time: what a source covers is closed, what it does not stays open, and only the live record is a proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core.coverage import is_complete
from everytick.model.control import Asked, Covered, Judged, control_payload, reply_payload
from everytick.model.frame import Frame, FrameKind
from everytick.model.ledger import Gap, GapState
from everytick.model.stream import parse_stream
from everytick.model.units import NS_PER_MS, ns_from_ms
from everytick.recorder.pipeline import Pipeline
from everytick.stores.memory import MemoryStore
from everytick.venues.registry import VENUES
from tests.recorder.wire import NOW_MS, Print, Tape, cut_into, trades_message

KEY = "hyperliquid/trades/BTC"
STREAM = parse_stream(KEY)


def project(batches: Sequence[Sequence[Frame]], *, restart: bool = False) -> MemoryStore:
    store = MemoryStore()
    pipeline = Pipeline(VENUES, store)
    for batch in batches:
        if restart:
            pipeline = Pipeline(VENUES, store)
        store.apply(pipeline.apply(batch, batch[0].offset, batch[-1].offset + 1))
    return store


def gaps_of(store: MemoryStore) -> list[Gap]:
    return sorted(store.reader().gaps([STREAM], open_only=False, limit=1_000), key=lambda gap: gap.from_ns)


def spans(store: MemoryStore, state: GapState) -> list[tuple[int, int]]:
    """First and last ms of each gap in this state, from NOW_MS on."""
    return [
        (g.from_ns // NS_PER_MS - NOW_MS, g.to_ns // NS_PER_MS - NOW_MS) for g in gaps_of(store) if g.state is state
    ]


def prints(ids: Iterable[int]) -> list[Print]:
    return [(NOW_MS + i, i, "100.5", "0.25", "B") for i in ids]


def recent(tape: Tape, ids: Iterable[int]) -> None:
    body = trades_message("BTC", prints(ids)).partition(b'"data":')[2][:-1]
    tape.put(FrameKind.REPLY, reply_payload(Asked("recentTrades", "", 200), body))


def cover(tape: Tape, from_ms: int, to_ms: int) -> None:
    span = ns_from_ms(NOW_MS + from_ms), ns_from_ms(NOW_MS + to_ms)
    tape.put(FrameKind.COVERED, control_payload(Covered([KEY], *span, "archive")))


def a_cut(before: Iterable[int], after: Iterable[int]) -> Tape:
    tape = Tape()
    tape.start()
    tape.connect(KEY)
    tape.trades("BTC", prints(before))
    tape.disconnect()
    tape.connect(KEY)
    tape.trades("BTC", prints(after))
    return tape


def test_an_answer_that_holds_newer_trades_is_no_proof_that_the_next_connection_lost_nothing() -> None:
    tape = Tape()
    tape.start()
    tape.connect(KEY)
    tape.trades("BTC", prints([1, 2]))
    tape.disconnect()
    recent(tape, [8, 9])
    tape.connect(KEY)
    tape.trades("BTC", prints([8, 9, 10]))
    assert spans(project([tape.frames]), GapState.OPEN) == [(2, 8)]


def test_what_a_source_covers_is_closed_and_the_rest_of_the_gap_stays_open() -> None:
    tape = a_cut([1, 2], [90, 91])
    cover(tape, 20, 40)
    store = project([tape.frames])
    assert spans(store, GapState.CLOSED) == [(20, 39)]
    assert spans(store, GapState.OPEN) == [(2, 19), (40, 90)]
    cover_now = store.reader().coverage(STREAM, 0, 2**62)
    assert is_complete(cover_now, ns_from_ms(NOW_MS + 20), ns_from_ms(NOW_MS + 40))
    assert not is_complete(cover_now, ns_from_ms(NOW_MS + 19), ns_from_ms(NOW_MS + 40))
    assert not is_complete(cover_now, ns_from_ms(NOW_MS + 20), ns_from_ms(NOW_MS + 41))


def test_hour_after_hour_a_gap_is_closed_whole() -> None:
    tape = a_cut([1, 2], [90, 91])
    for from_ms in (60, 0, 30):
        cover(tape, from_ms, from_ms + 31)
    store = project([tape.frames])
    assert spans(store, GapState.OPEN) == []
    assert is_complete(store.reader().coverage(STREAM, 0, 2**62), ns_from_ms(NOW_MS + 2), ns_from_ms(NOW_MS + 91))


def test_a_millisecond_that_is_covered_in_part_is_not_covered() -> None:
    tape = a_cut([1, 2], [90, 91])
    half = NS_PER_MS // 2
    span = ns_from_ms(NOW_MS + 20) + half, ns_from_ms(NOW_MS + 40)
    tape.put(FrameKind.COVERED, control_payload(Covered([KEY], *span, "archive")))
    assert spans(project([tape.frames]), GapState.CLOSED) == [(21, 39)]


def test_a_gap_given_up_for_want_of_a_history_is_opened_again_when_one_is_found() -> None:
    tape = a_cut([1, 2], [90, 91])
    (gap,) = gaps_of(project([tape.frames]))
    for state, cause in (("permanent", "no_history"), ("open", "cut")):
        verdict = Judged(KEY, gap.from_ns, gap.offset, gap.first_id, state, cause)
        tape.put(FrameKind.JUDGED, control_payload(verdict))
    cover(tape, 0, 200)
    for store in (project([tape.frames]), project(cut_into(tape.frames, [1]), restart=True)):
        assert [gap.state for gap in gaps_of(store)] == [GapState.CLOSED]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 130), st.integers(1, 60)), max_size=6),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_gaps_left_open_are_exactly_what_no_source_covered(covers: list[tuple[int, int]], sizes: list[int]) -> None:
    tape = a_cut([1, 2], [50, 51])
    tape.disconnect()
    tape.connect(KEY)
    tape.trades("BTC", prints([120, 121]))
    for from_ms, length in covers:
        cover(tape, from_ms, from_ms + length)
    store = project([tape.frames])
    covered = {ms for from_ms, length in covers for ms in range(from_ms, from_ms + length)}
    for first, last in ((2, 50), (51, 120)):
        left = {ms for a, b in spans(store, GapState.OPEN) for ms in range(a, b + 1) if first <= ms <= last}
        assert left == set(range(first, last + 1)) - covered
    held = store.reader().coverage(STREAM, 0, 2**62)
    assert all(a.to_ns <= b.from_ns for a, b in pairwise(held))
    for ms in range(2, 121):
        # The newest millisecond before a cut and the oldest after it are in doubt until their gap is closed.
        in_doubt = ms in set(range(2, 51)) | set(range(51, 121))
        whole = is_complete(held, ns_from_ms(NOW_MS + ms), ns_from_ms(NOW_MS + ms + 1))
        assert whole == (not in_doubt or ms in covered), ms
    again = project(cut_into(tape.frames, sizes), restart=True)
    assert list(again.reader().dump()) == list(store.reader().dump())


def test_a_restart_does_not_change_how_intervals_are_cut() -> None:
    tape = a_cut([1, 2], [50])
    tape.disconnect()
    tape.connect(KEY)
    tape.trades("BTC", prints([120, 121]))
    cover(tape, 0, 130)
    dumps = [list(project(cut_into(tape.frames, [1]), restart=again).reader().dump()) for again in (False, True)]
    assert dumps[0] == dumps[1]
