"""The fast way to read one event: typed, in one go. It gives the event only if everything in it is right.

Anything else raises, and `careful` reads the event again field by field. Whatever this module accepts, `careful`
accepts with the same answer: a test holds them together.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from everytick.core.validate import Invalid, check_candle, latest_ms
from everytick.model.event import BookSnapshot, Candle, CandleState, Event, Level, Quote, Side, Trade
from everytick.model.units import NS_PER_MS
from everytick.venues.binance import names, wire
from everytick.venues.binance.names import NON_NEGATIVE, POSITIVE
from everytick.venues.binance.rules import INTERVAL_MS, INTERVAL_OF_NO_FIXED_LENGTH

read_combined: Final = msgspec.json.Decoder(wire.Combined).decode
_trade: Final = msgspec.json.Decoder(wire.WireTrade).decode
_agg_trade: Final = msgspec.json.Decoder(wire.WireAggTrade).decode
_quote: Final = msgspec.json.Decoder(wire.WireQuote).decode
_book: Final = msgspec.json.Decoder(wire.WireBook).decode
_kline: Final = msgspec.json.Decoder(wire.WireKlineEvent).decode


def trade(raw: msgspec.Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One print. Raises Invalid, or what the reader of JSON raises."""
    item = _trade(raw)
    if latest_ms(ts_recv_ns) < item.T:
        raise Invalid("future", item.T)
    side = Side.SELL if item.m else Side.BUY
    return Trade(names.TRADES[item.s], item.T * NS_PER_MS, item.t, POSITIVE[item.p], POSITIVE[item.q], side)


def agg_trade(raw: msgspec.Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One taker's fills at one price. Raises as `trade` does."""
    item = _agg_trade(raw)
    if latest_ms(ts_recv_ns) < item.T:
        raise Invalid("future", item.T)
    side = Side.SELL if item.m else Side.BUY
    return Trade(names.AGG_TRADES[item.s], item.T * NS_PER_MS, item.a, POSITIVE[item.p], POSITIVE[item.q], side)


def quote(raw: msgspec.Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One best bid and offer; it has no time, so its receive time stands in. Raises as `trade` does."""
    item = _quote(raw)
    bid = side_of_quote(NON_NEGATIVE[item.b], NON_NEGATIVE[item.B])
    ask = side_of_quote(NON_NEGATIVE[item.a], NON_NEGATIVE[item.A])
    return Quote(names.QUOTES[item.s], ts_recv_ns, *bid, *ask)


def side_of_quote(price: Decimal, size: Decimal) -> tuple[Decimal, Decimal] | tuple[None, None]:
    """A side without orders is sent as a price of zero."""
    return (price, size) if price else (None, None)


def book(raw: msgspec.Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One partial book; neither its time nor its symbol is in it. Raises as `trade` does."""
    item = _book(raw)
    return BookSnapshot(
        names.BOOKS[symbol],
        ts_recv_ns,
        tuple([Level(POSITIVE[price], NON_NEGATIVE[size]) for price, size in item.bids]),
        tuple([Level(POSITIVE[price], NON_NEGATIVE[size]) for price, size in item.asks]),
    )


def candle(raw: msgspec.Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One candle as it stands. Raises as `trade` does."""
    item = _kline(raw).k
    if item.t > latest_ms(ts_recv_ns):
        raise Invalid("future", item.t)
    event = Candle(
        names.CANDLES[item.s, item.i],
        item.t * NS_PER_MS,
        (item.T + 1) * NS_PER_MS,
        POSITIVE[item.o],
        POSITIVE[item.h],
        POSITIVE[item.l],
        POSITIVE[item.c],
        NON_NEGATIVE[item.v],
        item.n,
        CandleState.CLOSED if item.x else CandleState.FORMING,
    )
    check(event)
    return event


def check(event: Candle) -> None:
    """Raises Invalid where a candle cannot be true."""
    interval = event.stream.interval
    check_candle(event, INTERVAL_MS[interval], is_fixed=interval != INTERVAL_OF_NO_FIXED_LENGTH)
