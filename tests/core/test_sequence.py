"""What a connection's first message proves about the time before it."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from everytick.core import sequence
from everytick.core.sequence import Place, StreamState
from everytick.model.event import Candle, CandleState
from everytick.model.ledger import Cover, GapKind, Interval, Verdict
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_MS, ns_from_ms

TRADES = Stream("hyperliquid", Kind.TRADES, "BTC")
CANDLES = Stream("hyperliquid", Kind.CANDLES, "BTC", "1m")
MINUTE_NS = 60_000 * NS_PER_MS


def place(offset: int, epoch: int = 1) -> Place:
    return Place(offset, epoch, 0)


def candle(minute: int, close: str = "1") -> Candle:
    price = Decimal(close)
    return Candle(CANDLES, minute * MINUTE_NS, (minute + 1) * MINUTE_NS, price, price, price, price, price, 1)


def recorded_until(newest_ms: int) -> StreamState:
    state = StreamState()
    sequence.asked(state, 1)
    sequence.judge_first(TRADES, state, ns_from_ms(100), ns_from_ms(100), 0, place(1))
    sequence.advance(state, ns_from_ms(newest_ms))
    return state


def test_the_first_subscribe_ever_is_neither_a_loss_nor_a_proof() -> None:
    state = StreamState()
    sequence.asked(state, 1)
    judgement = sequence.judge_first(TRADES, state, ns_from_ms(100), ns_from_ms(200), 0, place(1))
    assert judgement.gap is None
    assert judgement.seam is not None
    assert judgement.seam.verdict is Verdict.FIRST
    # The oldest millisecond of a replay may be cut: the record is whole only after it.
    assert sequence.observed(TRADES, state) == (Interval(TRADES, ns_from_ms(101), ns_from_ms(200), Cover.OBSERVED, 1),)


def test_one_shared_trade_proves_that_nothing_is_missing() -> None:
    state = recorded_until(500)
    sequence.ended(state, "cut")
    sequence.asked(state, 9)
    judgement = sequence.judge_first(TRADES, state, ns_from_ms(450), ns_from_ms(900), 1, place(9, 9))
    assert judgement.gap is None
    assert judgement.seam is not None
    assert (judgement.seam.verdict, judgement.seam.cause) == (Verdict.LOSSLESS, "cut")
    assert sequence.observed(TRADES, state)[0].to_ns == ns_from_ms(900)


def test_no_shared_trade_leaves_a_gap_with_both_ends_inside() -> None:
    state = recorded_until(500)
    sequence.ended(state, "cut")
    sequence.asked(state, 9)
    judgement = sequence.judge_first(TRADES, state, ns_from_ms(700), ns_from_ms(900), 0, place(9, 9))
    assert judgement.gap is not None
    assert (judgement.gap.from_ns, judgement.gap.to_ns) == (ns_from_ms(500), ns_from_ms(700))
    assert (judgement.gap.kind, judgement.gap.estimated_missing) == (GapKind.SUSPECTED, -1)
    assert [i.cover for i in judgement.intervals] == [Cover.OBSERVED, Cover.SUSPECTED]
    assert judgement.intervals[0].to_ns == judgement.intervals[1].from_ns == ns_from_ms(500)
    assert judgement.intervals[1].to_ns == ns_from_ms(701)
    assert sequence.observed(TRADES, state)[0].from_ns == ns_from_ms(701)


def test_a_gap_after_a_restart_says_so() -> None:
    state = recorded_until(500)
    sequence.ended(state, "cut")
    sequence.ended(state, sequence.CAUSE_RESTART)
    sequence.asked(state, 9)
    judgement = sequence.judge_first(TRADES, state, ns_from_ms(700), ns_from_ms(900), 0, place(9, 9))
    assert judgement.gap is not None
    assert (judgement.gap.kind, judgement.gap.cause) == (GapKind.RESTART, "restart")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(-1, 2)), min_size=1, max_size=12))
def test_intervals_never_overlap_however_the_connection_behaves(lives: list[tuple[int, int, int]]) -> None:
    state = StreamState()
    ledger: dict[int, Interval] = {}
    for number, (start, length, shared) in enumerate(lives):
        sequence.asked(state, number)
        first, last = ns_from_ms(1_000 + start), ns_from_ms(1_000 + start + length)
        known = shared if state.newest_ns >= 0 else 0
        judgement = sequence.judge_first(TRADES, state, first, last, known, place(number, number))
        for interval in (*judgement.intervals, *sequence.observed(TRADES, state)):
            assert interval.from_ns < interval.to_ns
            ledger[interval.from_ns] = interval
        sequence.ended(state, "cut")
    ordered = [ledger[from_ns] for from_ns in sorted(ledger)]
    for before, after in pairwise(ordered):
        assert before.to_ns <= after.from_ns


def test_a_candle_is_closed_by_the_next_one_and_never_before() -> None:
    state = StreamState()
    sequence.asked(state, 1)
    first, _ = sequence.judge_candle(CANDLES, state, candle(1), place(1))
    again, _ = sequence.judge_candle(CANDLES, state, candle(1, "2"), place(2))
    assert [c.state for c in first + again] == [CandleState.FORMING, CandleState.FORMING]
    closing, judgement = sequence.judge_candle(CANDLES, state, candle(2, "3"), place(3))
    assert [(c.state, c.close) for c in closing] == [
        (CandleState.CLOSED, Decimal(2)),
        (CandleState.FORMING, Decimal(3)),
    ]
    assert judgement.gap is None


def test_a_candle_seen_again_after_a_cut_lost_nothing() -> None:
    state = StreamState()
    sequence.asked(state, 1)
    sequence.judge_candle(CANDLES, state, candle(1), place(1))
    sequence.ended(state, "cut")
    sequence.asked(state, 5)
    _, judgement = sequence.judge_candle(CANDLES, state, candle(1, "2"), place(6, 5))
    assert judgement.seam is not None
    assert judgement.seam.verdict is Verdict.LOSSLESS
    closing, judgement = sequence.judge_candle(CANDLES, state, candle(2), place(7, 5))
    assert closing[0].state is CandleState.CLOSED
    assert judgement.gap is None


def test_a_candle_whose_end_was_missed_stays_unclosed_and_is_counted() -> None:
    state = StreamState()
    sequence.asked(state, 1)
    sequence.judge_candle(CANDLES, state, candle(1), place(1))
    sequence.judge_candle(CANDLES, state, candle(2), place(2))
    sequence.ended(state, "cut")
    sequence.asked(state, 5)
    stored, judgement = sequence.judge_candle(CANDLES, state, candle(5), place(6, 5))
    assert [c.ts_open_ns for c in stored] == [5 * MINUTE_NS]
    assert judgement.gap is not None
    assert (judgement.gap.kind, judgement.gap.estimated_missing) == (GapKind.PROVED, 3)
    assert [(i.from_ns, i.to_ns, i.cover) for i in judgement.intervals] == [
        (1 * MINUTE_NS, 2 * MINUTE_NS, Cover.OBSERVED),
        (2 * MINUTE_NS, 5 * MINUTE_NS, Cover.MISSING),
    ]
