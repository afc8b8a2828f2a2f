"""Decoded facts. Each says what the venue stated and when; where it stands on the tape is the pipeline's to add.

Prices and sizes are Decimal, exact as written by the venue (`105056.0` keeps its zero). `ts_event_ns` is the
venue's own time of the fact; the receive time stays with the frame.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from everytick.model.stream import Stream


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


Event = Trade | Candle | Quote | BookSnapshot | MidPrices | AssetContext | Notice | Answered


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
