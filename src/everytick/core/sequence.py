"""Where an event stands in its stream, and what a connection's first message proves about the time before it.

One `StreamState` per stream, kept by the caller. The functions here change it and return what they found; they
keep nothing else, read no clock, and give the same answers however the tape is cut into batches.

Times are venue times in nanoseconds. The venue's resolution is a millisecond, and a millisecond that a message
ends on may be cut (a replay stops inside a block), so it counts as observed only when a later one has been seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from everytick.model.event import Candle, CandleState, VaultPosition
from everytick.model.ledger import Cover, Gap, GapKind, GapState, Interval, Seam, Verdict
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_MS

CAUSE_RESTART = "restart"
CAUSE_RENEWED = "renewed"  # a connection took over from one that was still up


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where on the tape a message stands: the evidence for what it shows."""

    offset: int
    epoch: int
    ts_recv_ns: int


class StreamState(msgspec.Struct):
    """What must be remembered of a stream to judge its next message. Plain values: it is stored as JSON."""

    epoch: int = -1  # the connection that carries it now
    before: int = -1  # the connection that it takes over from while both are up, else -1
    is_live: bool = False  # that connection is up as far as the tape says
    awaits_first: bool = False  # asked for in this epoch, and no message yet
    cause: str = ""  # why the last connection ended
    newest_ns: int = -1  # newest event time held, -1 before the first
    newest_id: int = -1  # DENSE: the newest id seen, -1 before the first
    cover_from_ns: int = -1  # start of the observed interval that is growing
    cover_offset: int = -1  # the frame that began it
    candle: Candle | None = None  # BARS: the newest candle
    is_settled: bool = True  # BARS: that candle was seen in the present epoch
    parts: tuple[VaultPosition, ...] = ()  # vaults: the parts of the present cycle that have come
    zeros: dict[str, int] = {}  # vaults: how many times running each account has read zero


class Judgement(msgspec.Struct, gc=False):
    """What a message showed about its stream, apart from its own content."""

    seam: Seam | None = None
    gap: Gap | None = None
    intervals: tuple[Interval, ...] = ()


def asked(state: StreamState, epoch: int) -> None:
    """The stream was asked for on the connection `epoch`.

    While another connection is up and has delivered since its own beginning, this one takes over from it.
    """
    takes_over = state.is_live and not state.awaits_first and epoch != state.epoch
    state.before = state.epoch if takes_over else -1
    state.epoch = epoch
    state.is_live = True
    state.awaits_first = True
    state.is_settled = False


def ended(state: StreamState, cause: str) -> None:
    """The stream's connection is gone; the first cause stands until the stream is asked for again.

    A restart is the exception: it covers whatever the last connection died of, since we were not there.
    """
    if state.is_live or cause == CAUSE_RESTART:
        state.cause = cause
    state.is_live = False
    state.before = -1


def let_go(state: StreamState, epoch: int, cause: str) -> None:
    """The connection `epoch` is gone. One that was to be taken over from, before the new one had said anything,
    proves no longer that nothing was lost between."""
    if state.before == epoch and state.awaits_first:
        state.before = -1
        state.cause = cause


def judge_first(
    stream: Stream, state: StreamState, oldest_ns: int, newest_ns: int, shared: int, place: Place
) -> Judgement:
    """Judge how the first message of an epoch joins what we hold.

    `shared` counts what the message repeats of what we held before it: any proves that nothing is missing
    between, since the venue replays its newest events in order. `shared` of -1 says that the stream has no
    replay at all (books, quotes): then only unbroken connections are proof, or one that is still up when the next
    one begins to speak.
    """
    state.awaits_first = False
    before_ns = state.newest_ns
    if before_ns < 0:
        seam = _seam(stream, Verdict.FIRST, "", 0, 0, oldest_ns, place)
        _begin_cover(state, oldest_ns, shared, place)
        advance(state, newest_ns)
        return Judgement(seam)
    is_overlap = shared < 0 and state.before >= 0
    if shared > 0 or is_overlap:
        cause = CAUSE_RENEWED if is_overlap else state.cause
        seam = _seam(stream, Verdict.LOSSLESS, cause, max(shared, 0), before_ns, oldest_ns, place)
        advance(state, newest_ns)
        return Judgement(seam)
    # The oldest millisecond of a replay may be cut, so it belongs to the gap, and so does the newest that we
    # hold: both ends inclusive. A message older than what we hold leaves an empty doubt at that one moment.
    first_ns = max(oldest_ns, before_ns)
    closed = observed(stream, state)
    doubt = Interval(stream, max(before_ns, state.cover_from_ns), first_ns + NS_PER_MS, Cover.SUSPECTED, place.offset)
    gap = Gap(
        stream=stream,
        from_ns=before_ns,
        to_ns=first_ns,
        offset=place.offset,
        kind=GapKind.RESTART if state.cause == CAUSE_RESTART else GapKind.SUSPECTED,
        cause=state.cause,
        state=GapState.OPEN,
        estimated_missing=-1,
        first_id=-1,
        last_id=-1,
        ts_recv_ns=place.ts_recv_ns,
    )
    seam = _seam(stream, Verdict.GAP, state.cause, 0, before_ns, oldest_ns, place)
    state.cover_from_ns = first_ns + NS_PER_MS
    state.cover_offset = place.offset
    advance(state, newest_ns)
    return Judgement(seam, gap, (*closed, doubt) if doubt.from_ns < doubt.to_ns else closed)


def judge_dense(
    stream: Stream, state: StreamState, epoch: int, trades: Sequence[tuple[int, int]], place: Place
) -> list[Judgement]:
    """Judge one message of a stream whose ids have no holes: (id, event ns) in ascending order of id.

    Any connection's message counts, since the ids alone are the proof: that is what lets a new connection be up
    before the old one goes. An id beyond the next one shows exactly which are missing.
    """
    found = []
    is_first = state.awaits_first and epoch == state.epoch
    if is_first:
        state.awaits_first = False
    if state.newest_id < 0:
        first_id, first_ns = trades[0]
        found.append(Judgement(_seam(stream, Verdict.FIRST, "", 0, 0, first_ns, place)))
        _begin_cover(state, first_ns, 0, place)
        state.newest_id, state.newest_ns = first_id, first_ns
        is_first = False
    before_ns = state.newest_ns
    has_gap = False
    for trade_id, ts_ns in trades:
        if trade_id > state.newest_id + 1:
            has_gap = True
            cause = state.cause if is_first else "lost"
            found.append(_ids_missed(stream, state, cause, trade_id, ts_ns, place))
        if trade_id > state.newest_id:
            state.newest_id = trade_id
            advance(state, ts_ns)
    if is_first:
        verdict = Verdict.GAP if has_gap else Verdict.LOSSLESS
        shared = 0 if has_gap else 1
        found.append(Judgement(_seam(stream, verdict, state.cause, shared, before_ns, trades[0][1], place)))
    return found


def _ids_missed(stream: Stream, state: StreamState, cause: str, trade_id: int, ts_ns: int, place: Place) -> Judgement:
    before_ns = state.newest_ns
    closed = observed(stream, state)
    # Two gaps may lie in one millisecond: then one interval of a millisecond stands for both.
    doubt_from = max(before_ns, state.cover_from_ns)
    doubt_to = max(ts_ns, before_ns + NS_PER_MS)
    doubt = (Interval(stream, doubt_from, doubt_to, Cover.MISSING, place.offset),) if doubt_from < doubt_to else ()
    gap = Gap(
        stream=stream,
        from_ns=before_ns,
        to_ns=max(ts_ns, before_ns),
        offset=place.offset,
        kind=GapKind.RESTART if cause == CAUSE_RESTART else GapKind.PROVED,
        cause=cause,
        state=GapState.OPEN,
        estimated_missing=trade_id - state.newest_id - 1,
        first_id=state.newest_id + 1,
        last_id=trade_id - 1,
        ts_recv_ns=place.ts_recv_ns,
    )
    state.cover_from_ns = max(doubt_to, state.cover_from_ns)
    state.cover_offset = place.offset
    return Judgement(None, gap, (*closed, *doubt))


def advance(state: StreamState, newest_ns: int) -> None:
    """An event of the unbroken epoch was applied: everything before it has been observed."""
    if newest_ns > state.newest_ns:
        state.newest_ns = newest_ns


def observed(stream: Stream, state: StreamState) -> tuple[Interval, ...]:
    """The observed interval as it now stands; empty while it has no length."""
    if state.cover_from_ns < 0 or state.newest_ns <= state.cover_from_ns:
        return ()
    return (Interval(stream, state.cover_from_ns, state.newest_ns, Cover.OBSERVED, state.cover_offset),)


def judge_candle(stream: Stream, state: StreamState, candle: Candle, place: Place) -> tuple[list[Candle], Judgement]:
    """Judge one candle of an unbroken epoch: what to store, and what it shows.

    A candle is cumulative: the same interval seen again after a cut lost nothing. The candle before it is closed
    when the next one appears, but only if it was seen in this epoch: else its last changes were missed, and a
    gap counts it together with those that never appeared.
    """
    is_first = state.awaits_first
    state.awaits_first = False
    last = state.candle
    if last is None:
        state.candle, state.is_settled = candle, True
        state.cover_from_ns, state.cover_offset = candle.ts_open_ns, place.offset
        state.newest_ns = candle.ts_open_ns
        return [candle], Judgement(_seam(stream, Verdict.FIRST, "", 0, 0, candle.ts_open_ns, place))
    if candle.ts_open_ns < last.ts_open_ns:
        return [msgspec.structs.replace(candle, state=CandleState.CLOSED)], Judgement()
    if candle.ts_open_ns == last.ts_open_ns:
        state.candle, state.is_settled = candle, True
        seam = _seam(stream, Verdict.LOSSLESS, state.cause, 1, last.ts_open_ns, candle.ts_open_ns, place)
        return [candle], Judgement(seam if is_first else None)
    was_settled, state.is_settled = state.is_settled, True
    state.candle = candle
    if was_settled:
        state.newest_ns = candle.ts_open_ns
        return [msgspec.structs.replace(last, state=CandleState.CLOSED), candle], Judgement()
    return [candle], _bars_missed(stream, state, last, candle, place)


def _bars_missed(stream: Stream, state: StreamState, last: Candle, candle: Candle, place: Place) -> Judgement:
    span_ns = last.ts_close_ns - last.ts_open_ns
    closed = observed(stream, state)
    gap = Gap(
        stream=stream,
        from_ns=last.ts_open_ns,
        to_ns=candle.ts_open_ns - NS_PER_MS,
        offset=place.offset,
        kind=GapKind.RESTART if state.cause == CAUSE_RESTART else GapKind.PROVED,
        cause=state.cause,
        state=GapState.OPEN,
        estimated_missing=(candle.ts_open_ns - last.ts_open_ns) // span_ns,
        first_id=-1,
        last_id=-1,
        ts_recv_ns=place.ts_recv_ns,
    )
    missing = Interval(stream, last.ts_open_ns, candle.ts_open_ns, Cover.MISSING, place.offset)
    seam = _seam(stream, Verdict.GAP, state.cause, 0, last.ts_open_ns, candle.ts_open_ns, place)
    state.cover_from_ns, state.cover_offset = candle.ts_open_ns, place.offset
    state.newest_ns = candle.ts_open_ns
    return Judgement(seam, gap, (*closed, missing))


def _begin_cover(state: StreamState, oldest_ns: int, shared: int, place: Place) -> None:
    # A replay's oldest millisecond may be cut, so the record is whole only after it; a snapshot is whole.
    state.cover_from_ns = oldest_ns if shared < 0 else oldest_ns + NS_PER_MS
    state.cover_offset = place.offset


def _seam(
    stream: Stream, verdict: Verdict, cause: str, shared: int, before_ns: int, after_ns: int, place: Place
) -> Seam:
    return Seam(stream, place.offset, place.epoch, verdict, cause, shared, before_ns, after_ns, place.ts_recv_ns)
