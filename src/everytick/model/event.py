"""Decoded facts. Each says what the venue stated and when; where it stands on the tape is the pipeline's to add.

Prices and sizes are Decimal, exact as written by the venue (`105056.0` keeps its zero). `ts_event_ns` is the
venue's own time of the fact; the receive time stays with the frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal
from enum import StrEnum
from functools import reduce

import msgspec

from everytick.model.stream import Stream

# Wide enough for the sum of any numbers that the decoders accept (38 digits each): nothing is ever rounded.
_EXACT = Context(prec=60)


class Side(StrEnum):
    """The aggressor side: who crossed the spread."""

    BUY = "buy"
    SELL = "sell"
    UNKNOWN = "unknown"


class CandleState(StrEnum):
    """`forming` while its interval is open, `closed` after, `revised` when the venue changed a closed one."""

    FORMING = "forming"
    CLOSED = "closed"
    REVISED = "revised"


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A public print. Identity: (stream, ts_event_ns, trade_id)."""

    stream: Stream
    ts_event_ns: int
    trade_id: int
    price: Decimal
    size: Decimal
    side: Side


class Candle(msgspec.Struct, frozen=True, gc=False):
    """Open, high, low, close and volume over [ts_open_ns, ts_close_ns). Identity: (stream, ts_open_ns).

    A dialect says `closed` only where the venue itself does; else the order of candles in their stream tells.
    """

    stream: Stream
    ts_open_ns: int
    ts_close_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trade_count: int
    state: CandleState = CandleState.FORMING


class Quote(msgspec.Struct, frozen=True, gc=False):
    """Best bid and offer; a side without orders is None. Identity: (stream, ts_event_ns, offset)."""

    stream: Stream
    ts_event_ns: int
    bid_price: Decimal | None
    bid_size: Decimal | None
    ask_price: Decimal | None
    ask_size: Decimal | None


class Level(msgspec.Struct, frozen=True, gc=False):
    """One price of an order book: total size there, and how many orders (0 where the venue does not say)."""

    price: Decimal
    size: Decimal
    orders: int = 0


class BookSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A whole order book as sent, best first on both sides. Identity: (stream, ts_event_ns, offset)."""

    stream: Stream
    ts_event_ns: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class MidPrices(msgspec.Struct, frozen=True, gc=False):
    """Mid prices of many instruments in one message. The venue gives no time: receive time stands in.

    The pipeline keeps those instruments whose `mids` stream was asked for and counts the others.
    """

    venue: str
    mids: dict[str, Decimal]


class AssetContext(msgspec.Struct, frozen=True, gc=False):
    """Open interest, funding and reference prices of one instrument. The venue gives no time of its own."""

    stream: Stream
    open_interest: Decimal
    funding_rate: Decimal
    mark_price: Decimal
    oracle_price: Decimal | None
    mid_price: Decimal | None
    premium: Decimal | None
    day_notional_volume: Decimal | None
    previous_day_price: Decimal | None


class VaultPosition(msgspec.Struct, frozen=True, gc=False):
    """What one watched account held of one instrument at the venue's own time.

    `size` and `notional` (in the quote currency, at the mark price) are below zero for a short position and zero
    where there is none; `account_value` is the whole account's, whatever it holds.
    """

    vault: str
    ts_event_ns: int
    size: Decimal
    notional: Decimal
    account_value: Decimal


class VaultState(msgspec.Struct, frozen=True, gc=False):
    """One watched account as the venue described it: what it holds by instrument, (size, notional), both signed.

    Part `part` of the `parts` that one cycle of polls asks for: only all of them together are a snapshot.
    """

    venue: str
    vault: str
    ts_event_ns: int
    account_value: Decimal
    holdings: dict[str, tuple[Decimal, Decimal]]
    part: int = 1
    parts: int = 1

    def of(self, instrument: str) -> VaultPosition:
        """Its position in one instrument: zero where it holds none."""
        size, notional = self.holdings.get(instrument, (Decimal(0), Decimal(0)))
        return VaultPosition(self.vault, self.ts_event_ns, size, notional, self.account_value)


class VaultPositions(msgspec.Struct, frozen=True, gc=False):
    """What every watched account held of one instrument, all of them or no record at all.

    Each position has the venue's own time; `ts_event_ns` is the oldest of them. Identity: (stream, ts_event_ns,
    offset).
    """

    stream: Stream
    ts_event_ns: int
    positions: tuple[VaultPosition, ...]

    @property
    def size(self) -> Decimal:
        """The net position of all accounts."""
        return _sum(one.size for one in self.positions)

    @property
    def notional(self) -> Decimal:
        """The net position's worth at the mark price."""
        return _sum(one.notional for one in self.positions)

    @property
    def account_value(self) -> Decimal:
        """What all accounts are worth."""
        return _sum(one.account_value for one in self.positions)


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    return reduce(_EXACT.add, numbers, Decimal(0))


class RecentTrades(msgspec.Struct, frozen=True, gc=False):
    """The newest trades of a stream as the venue tells them when asked: to compare with the record, not for it.

    They prove nothing about the time between them and what is held, so they never count as a replay.
    """

    stream: Stream
    trades: tuple[Trade, ...]


class Notice(msgspec.Struct, frozen=True, gc=False):
    """The venue spoke about the connection, not the market: `kind` is ack, pong, greeting, error or meta."""

    kind: str
    text: str = ""


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The venue's history answered in full: of this stream it has nothing else within these bounds, both inclusive.

    By id where `first_id` is not -1, else by time. What we miss inside and do not find in the same frame is a hole
    of the venue's own.
    """

    stream: Stream
    first_id: int = -1
    last_id: int = -1
    from_ns: int = -1
    to_ns: int = -1


Event = Trade | Candle | Quote | BookSnapshot | MidPrices | AssetContext | VaultState | RecentTrades | Notice | Answered


# A trade with its place, as it will be stored: (stream, event ns, trade id, price, size, side, receive ns, offset).
# Price and size are exact text and side a Side's value. A plain tuple, since there are more of these than of all
# other records together.
PlacedTrade = tuple[Stream, int, int, str, str, str, int, int]


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """One item that could not be read or cannot be true. It goes to quarantine; its neighbours go on.

    `index` is the item's place in its frame (-1: the whole frame). `reason` is one of
    `everytick.core.validate.REASONS`; `path` and `value` name what was wrong (value cut to 120 characters).
    """

    index: int
    reason: str
    path: str = ""
    value: str = ""


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What one frame holds: events in the venue's order, and what was refused."""

    events: list[Event]
    refusals: list[Refusal]
