"""Records to rows of a table, one function per table. Numbers of the market become exact text.

The order of the columns is the same in every dialect; a store adds what only its own tables have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from everytick.core.validate import decimal_text
from everytick.errors import Fatal
from everytick.model.event import AssetContext, BookSnapshot, PlacedTrade, Quote, VaultPositions
from everytick.model.ledger import Gap, Interval, Seam
from everytick.model.stream import Stream
from everytick.stores.protocol import Mid, Placed, PlacedCandle, Quarantined
from everytick.stores.spelling import levels_text, optional_text, positions_text

Numbers = Mapping[Stream, int]
Rows = list[tuple[object, ...]]


class StreamNumbers(dict[Stream, int]):
    """The number of each stream; one without a number is a broken invariant, not a missing key."""

    def __missing__(self, stream: Stream) -> int:
        raise Fatal(f"the batch speaks of {stream.key}, which no batch has introduced")


def stream_row(number: int, stream: Stream) -> tuple[object, ...]:
    """A stream under its number."""
    return number, stream.venue, stream.kind.value, stream.instrument, stream.interval


def trade_rows(trades: Iterable[PlacedTrade], numbers: Numbers) -> Rows:
    """Trades are as stored already, but for the number of their stream."""
    return [(numbers[placed[0]], *placed[1:]) for placed in trades]


def candle_rows(candles: Iterable[PlacedCandle], numbers: Numbers) -> Rows:
    """Candles, with their prices as text."""
    return [
        (
            numbers[(candle := placed.candle).stream],
            candle.ts_open_ns,
            candle.ts_close_ns,
            decimal_text(candle.open),
            decimal_text(candle.high),
            decimal_text(candle.low),
            decimal_text(candle.close),
            decimal_text(candle.volume),
            candle.trade_count,
            candle.state.value,
            placed.ts_recv_ns,
            placed.offset,
        )
        for placed in candles
    ]


def event_rows(events: Iterable[Placed], numbers: Numbers) -> tuple[Rows, Rows, Rows, Rows]:
    """Quotes, books, contexts and vaults, apart."""
    quotes: Rows = []
    books: Rows = []
    contexts: Rows = []
    vaults: Rows = []
    for placed in events:
        event = placed.event
        number = numbers[event.stream]
        if isinstance(event, Quote):
            bid = (optional_text(event.bid_price), optional_text(event.bid_size))
            ask = (optional_text(event.ask_price), optional_text(event.ask_size))
            quotes.append((number, event.ts_event_ns, placed.offset, *bid, *ask, placed.ts_recv_ns))
        elif isinstance(event, BookSnapshot):
            sides = (levels_text(event.bids), levels_text(event.asks))
            books.append((number, event.ts_event_ns, placed.offset, *sides, placed.ts_recv_ns))
        elif isinstance(event, VaultPositions):
            text = positions_text(event.positions)
            vaults.append((number, event.ts_event_ns, placed.offset, text, placed.ts_recv_ns))
        else:
            contexts.append((number, placed.ts_recv_ns, placed.offset, *_context(event)))
    return quotes, books, contexts, vaults


def _context(event: AssetContext) -> tuple[str | None, ...]:
    return (
        decimal_text(event.open_interest),
        decimal_text(event.funding_rate),
        decimal_text(event.mark_price),
        optional_text(event.oracle_price),
        optional_text(event.mid_price),
        optional_text(event.premium),
        optional_text(event.day_notional_volume),
        optional_text(event.previous_day_price),
    )


def mid_rows(mids: Iterable[Mid], numbers: Numbers) -> Rows:
    """Mid prices."""
    return [(numbers[mid.stream], mid.ts_recv_ns, mid.offset, decimal_text(mid.price)) for mid in mids]


def quarantine_rows(quarantined: Iterable[Quarantined]) -> Rows:
    """Refused items."""
    return [
        (q.offset, q.index, q.venue, q.channel, q.reason, q.path, q.value, q.ts_recv_ns, q.excerpt) for q in quarantined
    ]


def seam_rows(seams: Iterable[Seam], numbers: Numbers) -> Rows:
    """Verdicts on joins."""
    return [
        (
            numbers[seam.stream],
            seam.offset,
            seam.epoch,
            seam.verdict.value,
            seam.cause,
            seam.shared,
            seam.ts_before_ns,
            seam.ts_after_ns,
            seam.ts_recv_ns,
        )
        for seam in seams
    ]


def gap_rows(gaps: Iterable[Gap], numbers: Numbers) -> Rows:
    """Gaps as they stand now."""
    return [
        (
            numbers[gap.stream],
            gap.from_ns,
            gap.offset,
            gap.to_ns,
            gap.kind.value,
            gap.cause,
            gap.state.value,
            gap.estimated_missing,
            gap.first_id,
            gap.last_id,
            gap.ts_recv_ns,
        )
        for gap in gaps
    ]


def cover_keys(intervals: Iterable[Interval], numbers: Numbers) -> Rows:
    """Identities of intervals."""
    return [(numbers[interval.stream], interval.from_ns) for interval in intervals]


def cover_rows(intervals: Iterable[Interval], numbers: Numbers) -> Rows:
    """Intervals as they stand now."""
    return [(numbers[one.stream], one.from_ns, one.to_ns, one.cover.value, one.offset) for one in intervals]
