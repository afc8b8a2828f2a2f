"""The simulated venue's messages: streams by name, events in their wrapping, answers and errors."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from everytick.core.validate import decimal_text
from everytick.sim.binance.history import Aggregate
from everytick.sim.coin import INTERVALS_MS, CoinView, WireCandle
from everytick.sim.hub import Key
from everytick.sim.prints import Print

json_encode = msgspec.json.Encoder().encode

TOPICS = ("trade", "aggTrade", "bookTicker", "depth20@100ms", "depth@100ms")
KLINE = "kline_"
INTERVALS = tuple(INTERVALS_MS)


class ClientMessage(msgspec.Struct, frozen=True):
    """{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}"""

    method: str
    id: int | str | None = None
    params: list[str] = []


def key_of(name: str) -> Key | None:
    """What a stream's name stands for: `btcusdt@kline_1m` is ("kline", "BTCUSDT", "1m"). None: nothing we know."""
    symbol, _, topic = name.partition("@")
    if symbol != symbol.lower() or not symbol:
        return None
    if topic.startswith(KLINE):
        return ("kline", symbol.upper(), topic.removeprefix(KLINE))
    return (topic, symbol.upper(), "") if topic in TOPICS else None


def name_of(key: Key) -> str:
    """The stream's name again."""
    topic, symbol, interval = key
    return f"{symbol.lower()}@{topic}_{interval}" if interval else f"{symbol.lower()}@{topic}"


def event(key: Key, data: bytes) -> bytes:
    """An event in the wrapping of a combined stream."""
    return b'{"stream":"%s","data":%s}' % (name_of(key).encode(), data)


def trade(one: Print) -> bytes:
    """`trade`: its time is the event's too."""
    maker = "true" if one.side == "A" else "false"
    return (
        f'{{"e":"trade","E":{one.time_ms},"s":"{one.coin}","t":{one.tid},"p":"{one.px}","q":"{one.sz}",'
        f'"T":{one.time_ms},"m":{maker},"M":true}}'
    ).encode()


def agg_trade(symbol: str, one: Aggregate) -> bytes:
    """`aggTrade`."""
    return json_encode({"e": "aggTrade", "E": one.time_ms, "s": symbol, **past_agg_trade(one)})


def past_trade(one: Print) -> dict[str, object]:
    """A trade as REST tells it: without its symbol."""
    return {
        "id": one.tid,
        "price": one.px,
        "qty": one.sz,
        "quoteQty": decimal_text(Decimal(one.px) * Decimal(one.sz)),
        "time": one.time_ms,
        "isBuyerMaker": one.side == "A",
        "isBestMatch": True,
    }


def past_agg_trade(one: Aggregate) -> dict[str, object]:
    """An aggregate trade as REST tells it."""
    return {
        "a": one.number,
        "p": one.px,
        "q": decimal_text(one.size),
        "f": one.first_id,
        "l": one.last_id,
        "T": one.time_ms,
        "m": one.side == "A",
        "M": True,
    }


def book_ticker(view: CoinView, update_id: int) -> bytes:
    """`bookTicker`: without a time; a price of zero where a side is empty."""
    bids, asks = view.levels(1)
    bid = (bids[0].px, bids[0].sz) if bids else ("0.00000000", "0.00000000")
    ask = (asks[0].px, asks[0].sz) if asks else ("0.00000000", "0.00000000")
    return json_encode({"u": update_id, "s": view.coin, "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]})


def partial_book(view: CoinView, update_id: int, levels: int) -> bytes:
    """`depth20` and GET depth: neither says its symbol or its time."""
    bids, asks = view.levels(levels)
    sides = {"bids": [(level.px, level.sz) for level in bids], "asks": [(level.px, level.sz) for level in asks]}
    return json_encode({"lastUpdateId": update_id, **sides})


def kline(candle: WireCandle, now_ms: int, *, is_closed: bool) -> bytes:
    """`kline`: a candle as it stands."""
    zero = "0.00000000"
    bar = {
        **{name: getattr(candle, "low" if name == "l" else name) for name in "tTsiochlvn"},
        "f": -1,
        "L": -1,
        "x": is_closed,
        "q": zero,
        "V": zero,
        "Q": zero,
        "B": "0",
    }
    return json_encode({"e": "kline", "E": now_ms, "s": candle.s, "k": bar})


def past_kline(candle: WireCandle) -> list[object]:
    """A candle as REST tells it: an array."""
    zero = "0.00000000"
    prices = [candle.o, candle.h, candle.low, candle.c, candle.v]
    return [candle.t, *prices, candle.T, zero, candle.n, zero, zero, "0"]


def shutdown(now_ms: int) -> bytes:
    """`serverShutdown`: this server goes soon."""
    return json_encode({"e": "serverShutdown", "E": now_ms})


def answer(number: int | str | None, result: list[str] | None) -> bytes:
    """What a request got: null for done, or a list."""
    return json_encode({"result": result, "id": number})


def error(code: int, text: str, number: int | str | None = None) -> bytes:
    """What a bad request got; the connection stays open."""
    return json_encode({"code": code, "msg": text} if number is None else {"code": code, "msg": text, "id": number})
