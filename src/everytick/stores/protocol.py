"""The contract of a store: apply batches, answer questions. One suite of tests runs over every implementation.

A store's content is a pure function of the tape up to its checkpoint: no clock, no dice, no insertion order of
its own. That is what makes `rebuild` byte-identical.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from everytick.core.validate import decimal_text
from everytick.errors import Fatal, Refused
from everytick.model.event import (
    AssetContext,
    BookSnapshot,
    Candle,
    PlacedTrade,
    Quote,
    Trade,
    VaultPosition,
    VaultPositions,
)
from everytick.model.ledger import Gap, Interval, Seam
from everytick.model.stream import Stream

# What names a row that came from a venue: its stream, its time in ns, and a trade's id, an event's or a mid's
# offset, or 0 for a candle.
RowIdentity = tuple[Stream, int, int]


class Unstorable(Fatal):
    """Some rows of a batch cannot be held. Nothing was applied; without them the batch would be.

    `rows` names each with the reason. Whoever made the batch puts them into quarantine and makes it again.
    `is_by_rule` says that every store would have refused them, which can be told from the rows alone.
    """

    def __init__(self, message: str, rows: Mapping[RowIdentity, str], *, is_by_rule: bool) -> None:
        super().__init__(message)
        self.rows = rows
        self.is_by_rule = is_by_rule


class Taken(Refused):
    """Another writer has the store. `value` says who; a standby asks again until that one is gone."""


class Placed(msgspec.Struct, frozen=True, gc=False):
    """An event with its place: the tape offset of its frame and the frame's wall receive time.

    Only kinds without an identity of their own need it in their key (quotes, books, contexts, mids).
    """

    event: Quote | BookSnapshot | AssetContext | VaultPositions
    offset: int
    ts_recv_ns: int


def placed_trade(trade: Trade, offset: int, ts_recv_ns: int) -> PlacedTrade:
    """The trade as it will be stored."""
    price, size = decimal_text(trade.price), decimal_text(trade.size)
    return (trade.stream, trade.ts_event_ns, trade.trade_id, price, size, trade.side.value, ts_recv_ns, offset)


class PlacedCandle(msgspec.Struct, frozen=True, gc=False):
    """A candle with its place; a newer one for the same interval replaces the older."""

    candle: Candle
    offset: int
    ts_recv_ns: int


class Mid(msgspec.Struct, frozen=True, gc=False):
    """One instrument's mid price at a receive time."""

    stream: Stream
    ts_recv_ns: int
    offset: int
    price: Decimal


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """One refused item. Identity: (offset, index). `excerpt` is at most 2,000 bytes of the frame."""

    offset: int
    index: int
    venue: str
    channel: str
    reason: str
    path: str
    value: str
    ts_recv_ns: int
    excerpt: bytes


class Batch(msgspec.Struct):
    """Everything that one stretch of tape changes; applied in one transaction or not at all.

    `offset_from` must equal the reader's checkpoint and `offset_to` becomes it (both are "next frame to
    read"). Trades are new by construction: the pipeline has removed duplicates by asking the store.
    `states` replaces the sequencing state of the streams it names (`""` keys the pipeline's own state).
    Counters in `counts` are added to the totals.
    """

    offset_from: int
    offset_to: int
    streams: list[Stream] = []  # first seen in this batch, in order; the store numbers them in this order
    trades: list[PlacedTrade] = []
    candles: list[PlacedCandle] = []
    events: list[Placed] = []
    mids: list[Mid] = []
    quarantined: list[Quarantined] = []
    seams: list[Seam] = []
    gaps: list[Gap] = []  # put: insert, or replace the row of the same identity
    cover_dropped: list[Interval] = []  # removed before `cover_put` is applied
    cover_put: list[Interval] = []  # put: insert, or replace the row of the same identity
    states: dict[str, bytes] = {}
    counts: dict[str, int] = {}


TradeKey = tuple[int, int]  # (ts_event_ns, trade_id), unique within a stream
TradeValues = tuple[str, str, str]  # price, size, side as stored text


class RowQuery(msgspec.Struct, frozen=True):
    """A page of time-ordered rows. Times in ns, `since_ns` inclusive, `until_ns` exclusive.

    No streams means no rows. `after` is the last key of the page before: rows strictly beyond it in the
    direction of travel, so pages neither repeat nor skip when many rows share a time.
    The full order is (time, stream number, id), both directions.
    """

    streams: tuple[Stream, ...]
    since_ns: int = 0
    until_ns: int = 2**63 - 1
    descending: bool = True
    limit: int = 1_000
    after: tuple[int, int, int] | None = None  # (time ns, stream number, id)


class Row(msgspec.Struct, frozen=True, gc=False):
    """A stored trade as read: prices as exact text. `number` is the stream's number in the store."""

    number: int
    stream: Stream
    ts_event_ns: int
    trade_id: int
    price: str
    size: str
    side: str
    ts_recv_ns: int
    offset: int


class CandleRow(msgspec.Struct, frozen=True, gc=False):
    """A stored candle as read."""

    number: int
    stream: Stream
    ts_open_ns: int
    ts_close_ns: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    trade_count: int
    state: str
    ts_recv_ns: int
    offset: int


class ContextRow(msgspec.Struct, frozen=True, gc=False):
    """A stored context as read: numbers as exact text, None where the venue gave none."""

    number: int
    stream: Stream
    ts_recv_ns: int
    offset: int
    open_interest: str
    funding_rate: str
    mark_price: str
    oracle_price: str | None
    mid_price: str | None
    premium: str | None
    day_notional_volume: str | None
    previous_day_price: str | None


class VaultsRow(msgspec.Struct, frozen=True, gc=False):
    """A stored snapshot of all watched accounts, in the order in which they were asked."""

    number: int
    stream: Stream
    ts_event_ns: int
    offset: int
    positions: tuple[VaultPosition, ...]
    ts_recv_ns: int


class MidRow(msgspec.Struct, frozen=True, gc=False):
    """A stored mid price as read."""

    number: int
    stream: Stream
    ts_recv_ns: int
    offset: int
    price: str


class Totals(msgspec.Struct, frozen=True):
    """Counts over the whole store."""

    trades: int
    candles: int
    quotes: int
    books: int
    mids: int
    contexts: int
    vaults: int
    quarantined: int
    gaps: int
    gaps_open: int
    counts: Mapping[str, int]


class Reader(Protocol):
    """Questions to a store. A reader belongs to one thread and sees whole batches only."""

    def checkpoint(self) -> int:
        """The next offset to be applied."""
        ...

    def streams(self) -> Mapping[Stream, int]:
        """Every stream and its number, in number order."""
        ...

    def trades(self, query: RowQuery) -> list[Row]: ...

    def trades_json(self, query: RowQuery) -> tuple[bytes, int, tuple[int, int, int] | None]:
        """The same rows as a JSON array's inside (rows joined by commas), their count and the last key.

        Field names: venue, coin, tid, side, px, sz, time (ms). Equal to encoding `trades(query)`.
        """
        ...

    def candles(self, query: RowQuery) -> list[CandleRow]: ...

    def contexts(self, query: RowQuery) -> list[ContextRow]:
        """By receive time, since a context has no other; the id in a cursor is the offset, as in the next two."""
        ...

    def vaults(self, query: RowQuery) -> list[VaultsRow]: ...

    def mids(self, query: RowQuery) -> list[MidRow]:
        """By receive time, since a mid price has no other."""
        ...

    def gaps(self, streams: Sequence[Stream], *, open_only: bool, limit: int) -> list[Gap]:
        """Newest first by (from_ns, offset, first_id)."""
        ...

    def seams(self, streams: Sequence[Stream], *, limit: int) -> list[Seam]:
        """Newest first by offset."""
        ...

    def coverage(self, stream: Stream, from_ns: int, to_ns: int) -> list[Interval]:
        """The intervals that touch [from_ns, to_ns), in time order, not clipped."""
        ...

    def quarantined(self, *, limit: int) -> list[Quarantined]:
        """Newest first by (offset, index)."""
        ...

    def latest(self) -> Mapping[Stream, tuple[int, int]]:
        """Per stream, the (event ns, receive ns) of its newest trade, candle, quote, book, mid or context."""
        ...

    def totals(self) -> Totals: ...

    def dump(self) -> Iterator[str]:
        """The whole content as lines of text, sorted, byte for byte the same for the same tape."""
        ...

    def close(self) -> None: ...


class Store(Protocol):
    """One writer's view of a store, plus readers."""

    def apply(self, batch: Batch) -> None:
        """All of the batch and its checkpoint in one durable transaction.

        Raises Fatal if `offset_from` is not the checkpoint, or a newer writer has taken over; Retryable if
        the store is busy, full or away (nothing was applied).
        """
        ...

    def known_trades(self, stream: Stream, keys: Iterable[TradeKey]) -> dict[TradeKey, TradeValues]:
        """Which of these trades the store holds, with their values."""
        ...

    def newest_trades(self, stream: Stream, limit: int) -> dict[TradeKey, TradeValues]:
        """The newest `limit` trades of the stream by (ts_event_ns, trade_id)."""
        ...

    def states(self) -> dict[str, bytes]:
        """The pipeline's state as last applied."""
        ...

    def open_cover(self, stream: Stream) -> Interval | None:
        """The stream's last interval by time, which the next batch may extend."""
        ...

    def reader(self) -> Reader:
        """A new reader, for the calling thread."""
        ...

    def close(self) -> None: ...
