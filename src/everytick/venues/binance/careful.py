"""The careful way to read: field by field, so that a refusal names its reason, the path of the value and the value.

Slow and plain, it runs on events that `fast` could not take and on answers to requests, item by item.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from everytick.core import validate
from everytick.core.checked import Checked
from everytick.core.fields import LIST, Fields, Raw, each, object_reader, value, within
from everytick.core.validate import Invalid
from everytick.model.event import BookSnapshot, Candle, CandleState, Event, Level, Quote, Side, Trade
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_MS
from everytick.venues.binance import fast, names, wire

T = TypeVar("T")

_trade_fields: Final = object_reader(wire.WireTrade)
_agg_trade_fields: Final = object_reader(wire.WireAggTrade)
_quote_fields: Final = object_reader(wire.WireQuote)
_book_fields: Final = object_reader(wire.WireBook)
_kline_event_fields: Final = object_reader(wire.WireKlineEvent)
_kline_fields: Final = object_reader(wire.WireKline)
_past_trade_fields: Final = object_reader(wire.WirePastTrade)
_past_agg_trade_fields: Final = object_reader(wire.WirePastAggTrade)

# docs: rest-api, klines. Each is an array: open time, open, high, low, close, volume, close time, quote volume, count,
# two volumes of takers, and one to ignore.
KLINE_ITEMS_MIN: Final = 9


def trade(raw: Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One print. Raises Invalid."""
    fields = _trade_fields(raw)
    return Trade(
        fields.get("s", partial(_stream, names.TRADES)),
        fields.get("T", partial(validate.event_time_ns, ts_recv_ns=ts_recv_ns)),
        fields.get("t", validate.identity),
        fields.get("p", validate.positive),
        fields.get("q", validate.positive),
        fields.get("m", _side),
    )


def agg_trade(raw: Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One taker's fills at one price. Raises Invalid."""
    fields = _agg_trade_fields(raw)
    return _agg_trade(fields, fields.get("s", partial(_stream, names.AGG_TRADES)), ts_recv_ns)


def quote(raw: Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One best bid and offer. Raises Invalid."""
    fields = _quote_fields(raw)
    sizes = validate.non_negative
    bid = fast.side_of_quote(fields.get("b", sizes), fields.get("B", sizes))
    ask = fast.side_of_quote(fields.get("a", sizes), fields.get("A", sizes))
    return Quote(fields.get("s", partial(_stream, names.QUOTES)), ts_recv_ns, *bid, *ask)


def book(raw: Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One partial book: a single bad level refuses it, since a book with a hole is a false book. Raises Invalid."""
    fields = _book_fields(raw)
    bids, asks = fields.read("bids", _levels), fields.read("asks", _levels)
    return BookSnapshot(within("stream", lambda: names.BOOKS[symbol]), ts_recv_ns, bids, asks)


def candle(raw: Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One candle as it stands. Raises Invalid."""
    return _kline_event_fields(raw).read("k", partial(_candle, ts_recv_ns=ts_recv_ns))


def past_trade(raw: Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One trade of an answer. Raises Invalid."""
    fields = _past_trade_fields(raw)
    return Trade(
        names.TRADES[symbol],
        fields.get("time", partial(validate.event_time_ns, ts_recv_ns=ts_recv_ns)),
        fields.get("id", validate.identity),
        fields.get("price", validate.positive),
        fields.get("qty", validate.positive),
        fields.get("isBuyerMaker", _side),
    )


def past_agg_trade(raw: Raw, symbol: str, ts_recv_ns: int) -> Event:
    """One aggregate trade of an answer. Raises Invalid."""
    return _agg_trade(_past_agg_trade_fields(raw), names.AGG_TRADES[symbol], ts_recv_ns)


def past_candle(raw: Raw, symbol: str, interval: str, ts_recv_ns: int) -> Event:
    """One candle of an answer, said to be forming: only the answer's order tells a closed one. Raises Invalid."""
    items = LIST.read(raw)
    if len(items) < KLINE_ITEMS_MIN:
        raise Invalid("wrong_type", f"an array of {len(items)}, not of {KLINE_ITEMS_MIN} and more")

    def at(place: int, check: Callable[[object], T]) -> T:
        return within(f"[{place}]", lambda: check(value(items[place])))

    event = Candle(
        names.CANDLES[symbol, interval],
        at(0, partial(validate.event_time_ns, ts_recv_ns=ts_recv_ns)),
        at(6, validate.any_time_ns) + NS_PER_MS,
        at(1, validate.positive),
        at(2, validate.positive),
        at(3, validate.positive),
        at(4, validate.positive),
        at(5, validate.non_negative),
        at(8, validate.count),
    )
    fast.check(event)
    return event


def _candle(raw: Raw, ts_recv_ns: int) -> Candle:
    fields = _kline_fields(raw)
    symbol = fields.get("s", validate.instrument)
    event = Candle(
        fields.get("i", lambda interval: names.CANDLES[symbol, _text(interval)]),
        fields.get("t", partial(validate.event_time_ns, ts_recv_ns=ts_recv_ns)),
        fields.get("T", validate.any_time_ns) + NS_PER_MS,
        fields.get("o", validate.positive),
        fields.get("h", validate.positive),
        fields.get("l", validate.positive),
        fields.get("c", validate.positive),
        fields.get("v", validate.non_negative),
        fields.get("n", validate.count),
        CandleState.CLOSED if fields.get("x", _flag) else CandleState.FORMING,
    )
    fast.check(event)
    return event


def _agg_trade(fields: Fields, stream: Stream, ts_recv_ns: int) -> Trade:
    return Trade(
        stream,
        fields.get("T", partial(validate.event_time_ns, ts_recv_ns=ts_recv_ns)),
        fields.get("a", validate.identity),
        fields.get("p", validate.positive),
        fields.get("q", validate.positive),
        fields.get("m", _side),
    )


def _levels(raw: Raw) -> tuple[Level, ...]:
    return tuple(each(LIST.read(raw), _level))


def _level(raw: Raw) -> Level:
    items = LIST.read(raw)
    if len(items) != 2:
        raise Invalid("wrong_type", f"an array of {len(items)}, not of 2")
    price = within("[0]", lambda: validate.positive(value(items[0])))
    return Level(price, within("[1]", lambda: validate.non_negative(value(items[1]))))


def _stream(streams: Checked[str, Stream], symbol: object) -> Stream:
    return streams[validate.instrument(symbol)]


def _side(is_buyer_maker: object) -> Side:
    return Side.SELL if _flag(is_buyer_maker) else Side.BUY


def _flag(flag: object) -> bool:
    if not isinstance(flag, bool):
        raise Invalid("wrong_type", flag)
    return flag


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise Invalid("wrong_type", text)
    return text
