"""/gaps, /seams, /coverage and /quarantine: what we know about our own record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from everytick.core.coverage import COMPLETE, clip
from everytick.model.ledger import Interval
from everytick.model.stream import Kind, Stream
from everytick.model.units import TS_NS_MAX, ms_from_ns, ns_from_ms
from everytick.serve.answers import Coverage, CoverRow, GapRow, Gaps, Quarantine, QuarantineRow, SeamRow, Seams
from everytick.serve.queries import LIMIT_MAX, CoverageQuery, GapsQuery, QuarantineQuery, SeamsQuery
from everytick.serve.refusal import RequestRefused
from everytick.serve.route import Reply, chosen
from everytick.serve.sources import Sources
from everytick.stores.protocol import Reader

UNOBSERVED = "unobserved"

# A sentence names this many pieces; `missing` has them all.
PIECES_NAMED_MAX = 3

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def gaps(sources: Sources, query: GapsQuery) -> Reply:
    """Gaps of the streams asked for."""
    found = sources.ask(
        lambda reader: reader.gaps(
            chosen(reader.streams(), venue=query.venue, coin=query.coin),
            open_only=query.open_only,
            limit=query.limit,
        )
    )
    rows = [
        GapRow(
            venue=g.stream.venue,
            coin=g.stream.instrument,
            stream=g.stream.key,
            from_ms=ms_from_ns(g.from_ns),
            to_ms=-ms_from_ns(-g.to_ns),  # rounded up: both ends belong to the gap
            kind=str(g.kind),
            state=str(g.state),
            cause=g.cause,
            estimated_missing=g.estimated_missing,
            first_id=g.first_id,
            last_id=g.last_id,
            offset=g.offset,
            seen_ms=ms_from_ns(g.ts_recv_ns),
        )
        for g in found
    ]
    return Reply(Gaps(rows, len(rows)))


def seams(sources: Sources, query: SeamsQuery) -> Reply:
    """Seams of the streams asked for."""
    found = sources.ask(
        lambda reader: reader.seams(chosen(reader.streams(), venue=query.venue, coin=query.coin), limit=query.limit)
    )
    rows = [
        SeamRow(
            venue=s.stream.venue,
            coin=s.stream.instrument,
            stream=s.stream.key,
            verdict=str(s.verdict),
            cause=s.cause,
            shared=s.shared,
            before_ms=ms_from_ns(s.ts_before_ns),
            after_ms=ms_from_ns(s.ts_after_ns),
            epoch=s.epoch,
            offset=s.offset,
            seen_ms=ms_from_ns(s.ts_recv_ns),
        )
        for s in found
    ]
    return Reply(Seams(rows, len(rows)))


def quarantine(sources: Sources, query: QuarantineQuery) -> Reply:
    """Refused items; the excerpt's bytes that are not UTF-8 are shown as \\x.. escapes."""
    found = sources.ask(lambda reader: reader.quarantined(limit=query.limit))
    rows = [
        QuarantineRow(
            offset=q.offset,
            index=q.index,
            venue=q.venue,
            channel=q.channel,
            reason=q.reason,
            path=q.path,
            value=q.value,
            received_ms=ms_from_ns(q.ts_recv_ns),
            excerpt=q.excerpt.decode("utf-8", "backslashreplace"),
        )
        for q in found
    ]
    return Reply(Quarantine(rows, len(rows)))


def coverage(sources: Sources, query: CoverageQuery) -> Reply:
    """Is this stretch of this stream complete?

    Every moment of the stretch is in exactly one of `intervals`; what nothing was recorded for, the tail
    that has not happened yet included, is `unobserved` and so not complete.
    """
    return Reply(sources.ask(lambda reader: _coverage(reader, query)))


def _coverage(reader: Reader, query: CoverageQuery) -> Coverage:
    if query.to_ms and query.from_ms >= query.to_ms:
        raise _from_refused(query, f"from_ms must lie before to_ms ({query.to_ms})", f"less than {query.to_ms}")
    streams = chosen(
        reader.streams(), kind=Kind(query.kind), venue=query.venue, coin=query.coin, interval=query.interval
    )
    stream = _one(streams, query)
    from_ns = ns_from_ms(query.from_ms)
    to_ns = ns_from_ms(query.to_ms) if query.to_ms else TS_NS_MAX
    held = reader.coverage(stream, from_ns, to_ns)
    if len(held) > LIMIT_MAX:
        raise _from_refused(
            query,
            f"this stretch has {len(held)} intervals, too many for one answer: ask for a shorter one",
            f"a stretch of at most {LIMIT_MAX} intervals",
        )
    if not query.from_ms and held:
        from_ns = held[0].from_ns
    if not query.to_ms:
        to_ns = held[-1].to_ns if held else from_ns
    intervals = _pieces(held, from_ns, to_ns)
    missing = [piece for piece in intervals if not piece.complete]
    return Coverage(
        stream=stream.key,
        from_ms=ms_from_ns(from_ns),
        to_ms=ms_from_ns(to_ns),
        complete=bool(held) and not missing,
        sentence=_sentence(stream, from_ns, to_ns, missing, has_record=bool(held)),
        intervals=intervals,
        missing=missing,
    )


def _from_refused(query: CoverageQuery, message: str, expected: str) -> RequestRefused:
    return RequestRefused(400, message, parameter="from_ms", value=str(query.from_ms), expected=expected)


def _one(streams: Sequence[Stream], query: CoverageQuery) -> Stream:
    if len(streams) == 1:
        return streams[0]
    if not streams:
        raise RequestRefused(404, f"no {query.kind} have been recorded yet", parameter="coin", value=query.coin)
    what = "venue" if len({stream.venue for stream in streams}) > 1 else "interval"
    names = sorted({getattr(stream, what) for stream in streams})
    raise RequestRefused(
        400,
        f"{query.coin} has {len(streams)} streams of {query.kind}: say which {what}",
        parameter=what,
        expected="one of " + ", ".join(names),
    )


def _pieces(held: Sequence[Interval], from_ns: int, to_ns: int) -> list[CoverRow]:
    """Every moment of [from_ns, to_ns) in exactly one piece, in time order."""
    pieces: list[CoverRow] = []
    reached = from_ns
    for interval in clip(held, from_ns, to_ns):
        if interval.from_ns > reached:
            pieces.append(_piece(reached, interval.from_ns, UNOBSERVED, False, -1))
        is_complete = interval.cover in COMPLETE
        pieces.append(_piece(interval.from_ns, interval.to_ns, str(interval.cover), is_complete, interval.offset))
        reached = interval.to_ns
    if reached < to_ns:
        pieces.append(_piece(reached, to_ns, UNOBSERVED, False, -1))
    return pieces


def _piece(from_ns: int, to_ns: int, cover: str, is_complete: bool, offset: int) -> CoverRow:
    return CoverRow(ms_from_ns(from_ns), ms_from_ns(to_ns), cover, is_complete, offset)


def _sentence(stream: Stream, from_ns: int, to_ns: int, missing: Sequence[CoverRow], *, has_record: bool) -> str:
    stretch = f"{stream.key} from {_when(ms_from_ns(from_ns))} to {_when(ms_from_ns(to_ns))}"
    if not has_record:
        return f"no: nothing of {stream.key} was recorded in this stretch"
    if not missing:
        return f"yes: {stretch} is complete"
    named = "; ".join(
        f"{piece.cover} from {_when(piece.from_ms)} to {_when(piece.to_ms)}" for piece in missing[:PIECES_NAMED_MAX]
    )
    more = len(missing) - PIECES_NAMED_MAX
    rest = f"; and {more} more" if more > 0 else ""
    return f"no: {stretch} is not complete: {named}{rest}"


def _when(ts_ms: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=ts_ms)
    return moment.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
