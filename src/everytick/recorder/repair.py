"""The open gaps of the streams: what is still missing of each, and what closes it. Proof closes a gap, nothing else.

A gap of dense ids is closed by holding every id, or by the venue's own history not having them; a gap in time by
answers or other sources that cover it: what one of them covers is closed, and what is left of the gap stays open as
a gap of its own. The store's answers and this stretch of tape decide, never a clock, so a rebuilt store closes the
same gaps at the same offsets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from everytick.core.coverage import COMPLETE
from everytick.core.idranges import IdRanges
from everytick.core.sequence import Judgement, Place
from everytick.model.event import Answered, Trade
from everytick.model.ledger import Cover, Gap, GapKind, GapState, Interval
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_MS
from everytick.stores.protocol import Batch, Reader, RowQuery, Store

CAUSE_HOLE = "hole_at_venue"  # the venue's history has the neighbours of these ids and not the ids
CAUSE_NO_HISTORY = "no_history"  # given up: the venue keeps no history of it, and no other source was given in time
GAPS_MAX = 1_000_000
PAGE_ROWS = 5_000


@dataclass
class OpenGap:
    """One gap that is not settled; `missing` is None where the venue's ids are not dense."""

    gap: Gap
    missing: IdRanges | None


class Repairs:
    """The open gaps of one store. Belongs to the pipeline; what it finds goes into the batch it is given."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[Stream, list[OpenGap]] = {}
        self._touched: dict[int, OpenGap] = {}

    def is_open(self, stream: Stream) -> bool:
        """Whether the stream has any open gap."""
        return bool(self._of(stream))

    def found(self, gap: Gap) -> None:
        """A new gap was put into the batch."""
        self._of(gap.stream).append(OpenGap(gap, _ids(gap)))

    def exact(self, judgement: Judgement, batch: Batch) -> list[Judgement]:
        """What a message of dense ids showed, without the ids that came before their turn.

        The venue's history answers with as many trades as were asked for: past a hole of its own these are newer
        ones, which the stream has yet to reach.
        """
        gap = judgement.gap
        missing = _ids(gap) if gap is not None else None
        if gap is None or missing is None:
            return [judgement]
        count = len(missing)
        reader = self._store.reader()
        try:
            if gap.stream in reader.streams():
                _take_stored(reader, gap, missing)
        finally:
            reader.close()
        missing.remove_all(row[2] for row in batch.trades if row[0] == gap.stream)
        if len(missing) == count:
            return [judgement]
        gaps = [
            msgspec.structs.replace(gap, first_id=first_id, last_id=last_id, estimated_missing=last_id - first_id + 1)
            for first_id, last_id in missing.ranges
        ]
        if not gaps:
            return [Judgement(judgement.seam, None, tuple(map(_backfilled, judgement.intervals)))]
        return [Judgement(judgement.seam, gaps[0], judgement.intervals), *(Judgement(None, one) for one in gaps[1:])]

    def filled(self, stream: Stream, trades: Iterable[Trade]) -> None:
        """These trades, not held before, were accepted."""
        open_gaps = self._of(stream)
        if not open_gaps:
            return
        for trade in trades:
            for one in open_gaps:
                if one.missing is not None and one.missing.remove(trade.trade_id):
                    self._touched[id(one)] = one
                    break

    def answered(self, answer: Answered, place: Place, batch: Batch) -> None:
        """The venue's history is complete within the answer's bounds."""
        for one in list(self._of(answer.stream)):
            if one.missing is not None and answer.first_id >= 0:
                for first_id, last_id in one.missing.take(answer.first_id, answer.last_id):
                    batch.gaps.append(_hole(one.gap, first_id, last_id, place))
                    self._touched[id(one)] = one
            elif one.missing is None and answer.first_id < 0:
                self._answered_in_time(one, answer, batch)

    def _answered_in_time(self, one: OpenGap, answer: Answered, batch: Batch) -> None:
        """Close what the answer covers of a gap in time; what lies before and after it stays open."""
        gap = one.gap
        # The venue's resolution is a millisecond: one that the answer covers only in part is not covered.
        from_ns = max(gap.from_ns, -(-answer.from_ns // NS_PER_MS) * NS_PER_MS)
        to_ns = min(gap.to_ns, _end_ns(answer.to_ns) - 1)
        if from_ns > to_ns:
            return
        if gap.from_ns < from_ns:
            before = msgspec.structs.replace(gap, to_ns=from_ns - NS_PER_MS, estimated_missing=-1)
            self._open[gap.stream].append(OpenGap(before, None))
            batch.gaps.append(before)
        if to_ns < gap.to_ns:
            after = msgspec.structs.replace(gap, from_ns=to_ns + 1, estimated_missing=-1)
            self._open[gap.stream].append(OpenGap(after, None))
            batch.gaps.append(after)
        one.gap = msgspec.structs.replace(gap, from_ns=from_ns, to_ns=to_ns)
        one.missing = IdRanges(1, 0)
        self._touched[id(one)] = one

    def judged(self, stream: Stream, identity: tuple[int, int, int], state: GapState, cause: str, batch: Batch) -> bool:
        """A verdict from outside; whether there was such a gap, open, or permanent for want of a history."""
        for one in self._of(stream):
            if _identity(one.gap) == identity:
                one.gap = msgspec.structs.replace(one.gap, state=state, cause=cause)
                batch.gaps.append(one.gap)
                self._forget_settled(stream)
                return True
        given_up = self._given_up(stream, identity, batch) if state is GapState.OPEN else None
        if given_up is None:
            return False
        again = msgspec.structs.replace(given_up, state=state, cause=cause)
        self._open[stream].append(OpenGap(again, _ids(again)))
        batch.gaps.append(again)
        return True

    def _given_up(self, stream: Stream, identity: tuple[int, int, int], batch: Batch) -> Gap | None:
        """The gap of this identity that was given up because nobody kept its history, as it now stands."""
        held = {_identity(gap): gap for gap in self._gaps(stream, open_only=False)}
        held.update({_identity(gap): gap for gap in batch.gaps if gap.stream == stream})
        gap = held.get(identity)
        is_given_up = gap is not None and gap.state is GapState.PERMANENT and gap.cause == CAUSE_NO_HISTORY
        return gap if is_given_up else None

    def covered(self, stream: Stream, from_ns: int, to_ns: int, place: Place, batch: Batch) -> None:
        """Another source has given all it has over [from_ns, to_ns): gaps in time inside it are closed."""
        self.answered(Answered(stream, from_ns=from_ns, to_ns=to_ns - 1), place, batch)

    def settle(self, batch: Batch) -> None:
        """Put every gap that changed into the batch: closed when nothing of it is missing any more."""
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for one in touched.values():
            left = len(one.missing) if one.missing is not None else 0
            state = GapState.OPEN if left else GapState.CLOSED
            one.gap = msgspec.structs.replace(one.gap, state=state, estimated_missing=left)
            batch.gaps.append(one.gap)
        for stream in sorted({one.gap.stream for one in touched.values()}):
            closed = self._forget_settled(stream)
            self._cover(stream, closed, batch)

    def _forget_settled(self, stream: Stream) -> list[Gap]:
        open_gaps = self._open[stream]
        settled = [one.gap for one in open_gaps if one.gap.state not in (GapState.OPEN, GapState.BACKFILLING)]
        self._open[stream] = [one for one in open_gaps if one.gap.state in (GapState.OPEN, GapState.BACKFILLING)]
        # By place, not by when they were found: a restart must not change how their intervals are cut.
        return sorted(settled, key=_identity)

    def _cover(self, stream: Stream, closed: list[Gap], batch: Batch) -> None:
        """Doubtful time that closed gaps covered and no open gap touches becomes `backfilled`."""
        for gap in closed:
            for interval in self._intervals(stream, gap.from_ns, gap.to_ns + NS_PER_MS, batch):
                if interval.cover in COMPLETE:
                    continue
                open_gaps = [one.gap for one in self._open[stream] if _touches(one.gap, interval)]
                if _ids(gap) is None:
                    batch.cover_put.extend(_resolved(interval, gap, open_gaps))
                elif not open_gaps:
                    batch.cover_put.append(msgspec.structs.replace(interval, cover=Cover.BACKFILLED))

    def _intervals(self, stream: Stream, from_ns: int, to_ns: int, batch: Batch) -> list[Interval]:
        reader = self._store.reader()
        try:
            held = {interval.from_ns: interval for interval in reader.coverage(stream, from_ns, to_ns)}
        finally:
            reader.close()
        for interval in batch.cover_put:
            if interval.stream == stream:
                held[interval.from_ns] = interval
        return [held[key] for key in sorted(held) if held[key].from_ns < to_ns and held[key].to_ns > from_ns]

    def _gaps(self, stream: Stream, *, open_only: bool) -> list[Gap]:
        reader = self._store.reader()
        try:
            return reader.gaps([stream], open_only=open_only, limit=GAPS_MAX) if stream in reader.streams() else []
        finally:
            reader.close()

    def _of(self, stream: Stream) -> list[OpenGap]:
        known = self._open.get(stream)
        if known is None:
            known = self._open[stream] = self._load(stream)
        return known

    def _load(self, stream: Stream) -> list[OpenGap]:
        reader = self._store.reader()
        try:
            if stream not in reader.streams():
                return []
            loaded = []
            for gap in reader.gaps([stream], open_only=True, limit=GAPS_MAX):
                missing = _ids(gap)
                if missing is not None:
                    _take_stored(reader, gap, missing)
                loaded.append(OpenGap(gap, missing))
            return loaded
        finally:
            reader.close()


def _take_stored(reader: Reader, gap: Gap, missing: IdRanges) -> None:
    """Take what the store holds out of what is missing."""
    query = RowQuery((gap.stream,), since_ns=gap.from_ns, until_ns=gap.to_ns + 1, descending=False, limit=PAGE_ROWS)
    while rows := reader.trades(query):
        missing.remove_all(row.trade_id for row in rows)
        last = rows[-1]
        query = msgspec.structs.replace(query, after=(last.ts_event_ns, last.number, last.trade_id))


def _ids(gap: Gap) -> IdRanges | None:
    is_dense = gap.first_id >= 0 and gap.stream.kind is not Kind.CANDLES
    return IdRanges(gap.first_id, gap.last_id) if is_dense else None


def _backfilled(interval: Interval) -> Interval:
    return msgspec.structs.replace(interval, cover=Cover.BACKFILLED) if interval.cover is Cover.MISSING else interval


def _hole(gap: Gap, first_id: int, last_id: int, place: Place) -> Gap:
    return msgspec.structs.replace(
        gap,
        offset=place.offset,
        kind=GapKind.PROVED,
        cause=CAUSE_HOLE,
        state=GapState.PERMANENT,
        estimated_missing=last_id - first_id + 1,
        first_id=first_id,
        last_id=last_id,
        ts_recv_ns=place.ts_recv_ns,
    )


def _touches(gap: Gap, interval: Interval) -> bool:
    return gap.from_ns < interval.to_ns and gap.to_ns >= interval.from_ns


def _identity(gap: Gap) -> tuple[int, int, int]:
    return gap.from_ns, gap.offset, gap.first_id


def _end_ns(to_ns: int) -> int:
    """Where the millisecond of an inclusive end is over."""
    return to_ns - to_ns % NS_PER_MS + NS_PER_MS


def _resolved(interval: Interval, closed: Gap, open_gaps: list[Gap]) -> list[Interval]:
    """The interval cut where it is now resolved: within the closed gap, and outside all open ones."""
    pieces = [(closed.from_ns, _end_ns(closed.to_ns))]
    for gap in open_gaps:
        low, high = gap.from_ns, _end_ns(gap.to_ns)
        pieces = [piece for a, b in pieces for piece in ((a, min(b, low)), (max(a, high), b)) if piece[0] < piece[1]]
    cuts, reached = [], interval.from_ns
    for low, high in sorted((max(a, interval.from_ns), min(b, interval.to_ns)) for a, b in pieces):
        if low >= high:
            continue
        cuts += [(reached, low, interval.cover), (low, high, Cover.BACKFILLED)]
        reached = high
    cuts.append((reached, interval.to_ns, interval.cover))
    return [
        msgspec.structs.replace(interval, from_ns=low, to_ns=high, cover=cover)
        for low, high, cover in cuts
        if low < high
    ]
