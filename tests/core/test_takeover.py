"""One connection takes over from another: what the overlap proves of streams that replace, and what it does not."""

from __future__ import annotations

from everytick.core import sequence
from everytick.core.sequence import Judgement, Place, StreamState
from everytick.model.ledger import Verdict
from everytick.model.stream import Kind, Stream

QUOTES = Stream("binance", Kind.QUOTES, "BTCUSDT")


def spoken(state: StreamState, ts_ns: int, epoch: int) -> Judgement:
    return sequence.judge_first(QUOTES, state, ts_ns, ts_ns, -1, Place(epoch + 1, epoch, ts_ns))


def recorded() -> StreamState:
    """A stream whose first connection, epoch 1, has delivered."""
    state = StreamState()
    sequence.asked(state, 1)
    spoken(state, 100, 1)
    sequence.advance(state, 200)
    return state


def test_a_connection_that_speaks_while_the_other_is_up_leaves_no_doubt() -> None:
    state = recorded()
    sequence.asked(state, 10)
    found = spoken(state, 300, 10)
    assert found.gap is None
    assert found.seam is not None
    assert (found.seam.verdict, found.seam.cause) == (Verdict.LOSSLESS, "renewed")
    sequence.let_go(state, 1, "renewed")
    (covered,) = sequence.observed(QUOTES, state)
    assert (covered.from_ns, covered.to_ns) == (100, 300)


def test_a_connection_that_speaks_after_the_other_is_gone_leaves_a_gap_with_its_cause() -> None:
    state = recorded()
    sequence.asked(state, 10)
    sequence.let_go(state, 1, "cut")
    found = spoken(state, 300, 10)
    assert found.gap is not None
    assert (found.gap.cause, found.gap.from_ns, found.gap.to_ns) == ("cut", 200, 300)


def test_a_connection_that_never_spoke_hands_nothing_over() -> None:
    state = recorded()
    sequence.ended(state, "damage")
    sequence.asked(state, 1)  # after damage nobody knows whether this connection lived on
    sequence.asked(state, 10)
    assert spoken(state, 300, 10).gap is not None


def test_an_ordinary_reconnect_leaves_a_gap_as_before() -> None:
    state = recorded()
    sequence.ended(state, "cut")
    sequence.asked(state, 10)
    assert spoken(state, 300, 10).gap is not None
