"""What the answers to our requests hold: past trades, candles, a book. The tape's first line says what was asked.

An answer that was read without a single refusal also says how far it is complete (`Answered`): the venue has nothing
else within those bounds, which is what tells a hole of the venue's own from a trade that we lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import msgspec

from everytick.core.fields import TROUBLE, Raw, Shape, invalid_from, with_words_quoted, within
from everytick.core.refusals import read_alone, read_list, refused_whole
from everytick.core.validate import INT64_MAX, Invalid, instrument
from everytick.model.control import Asked, parse_reply
from everytick.model.event import Answered, Candle, CandleState, Decoded, Event, Notice, Trade
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_MS
from everytick.venues.binance import careful, names
from everytick.venues.binance.requests import ITEMS_MAX
from everytick.venues.binance.rules import LIMITS

Query = Mapping[str, str]

_body: Final = Shape(Raw)
_DIGITS_MAX: Final = 18  # of a number in a query: below 2**63 whatever they are


def decode_reply(payload: bytes, ts_recv_ns: int) -> Decoded:
    """What the answer to one request holds. Units: receive time in ns. Never raises."""
    if len(payload) > LIMITS.decode_bytes_max:
        return refused_whole(Invalid("oversize", f"{len(payload)} bytes"))
    try:
        asked, body = parse_reply(payload)
    except TROUBLE as trouble:
        return refused_whole(Invalid("broken_reply", invalid_from(trouble, payload).value))
    if not 200 <= asked.status <= 299:
        text = body[:200].decode("utf-8", "replace")
        return refused_whole(Invalid("bad_status", f"{asked.status} to {asked.name}: {text}"))
    if asked.name not in _ANSWERS:
        return refused_whole(Invalid("unknown_request", asked.name))
    try:
        raw = _read(body)
        return _ANSWERS[asked.name](raw, _query(asked), ts_recv_ns)
    except Invalid as finding:
        return refused_whole(finding)


def _read(body: bytes) -> Raw:
    try:
        return _body.read(body)
    except Invalid as finding:
        mended = with_words_quoted(body)
        if mended == body:
            raise finding.within("body") from None
    return within("body", lambda: _body.read(mended))


def _query(asked: Asked) -> Query:
    """The question's parameters, as they stand in its address: `symbol=BTCUSDT&fromId=1&limit=1000`."""
    return dict(part.partition("=")[::2] for part in asked.body.split("&") if part)


def _symbol(query: Query) -> str:
    return within("asked.symbol", lambda: instrument(query.get("symbol", "")))


def _number(query: Query, name: str) -> int:
    """A number of the question, -1 where it was not given."""
    text = query.get(name, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    return int(text) if is_number else -1


def _past_trades(raw: Raw, query: Query, ts_recv_ns: int) -> Decoded:
    symbol = _symbol(query)
    return _prints(raw, query, lambda item: careful.past_trade(item, symbol, ts_recv_ns), names.TRADES[symbol])


def _past_agg_trades(raw: Raw, query: Query, ts_recv_ns: int) -> Decoded:
    symbol = _symbol(query)
    return _prints(raw, query, lambda item: careful.past_agg_trade(item, symbol, ts_recv_ns), names.AGG_TRADES[symbol])


def _prints(raw: Raw, query: Query, read: Callable[[Raw], Event], stream: Stream) -> Decoded:
    found = read_list(raw, read, "body")
    trades = [event for event in found.events if isinstance(event, Trade)]
    if found.refusals or not trades:
        # An id beyond the newest trade gets an empty answer too: that proves nothing.
        return found if found.refusals or trades else Decoded([Notice("empty", stream.key)], [])
    from_id, last_id = _number(query, "fromId"), trades[-1].trade_id
    is_ascending = all(a.trade_id < b.trade_id for a, b in pairwise(trades))
    if from_id >= 0 and is_ascending and trades[0].trade_id >= from_id:
        return Decoded([*trades, Answered(stream, first_id=from_id, last_id=last_id)], [])
    return found


def _past_candles(raw: Raw, query: Query, ts_recv_ns: int) -> Decoded:
    symbol, interval = _symbol(query), query.get("interval", "")
    stream = within("asked.interval", lambda: names.CANDLES[symbol, interval])
    found = read_list(raw, lambda item: careful.past_candle(item, symbol, interval, ts_recv_ns), "body")
    candles = _closed_by_order([event for event in found.events if isinstance(event, Candle)])
    events: list[Event] = [*candles]
    start_ms, end_ms = _number(query, "startTime"), _number(query, "endTime")
    if not found.refusals and start_ms >= 0 and end_ms >= 0:
        to_ns = (end_ms + 1) * NS_PER_MS - 1
        if len(candles) >= min(_limit(query), ITEMS_MAX):
            to_ns = min(to_ns, candles[-1].ts_close_ns - 1)  # a full page may end early
        events.append(Answered(stream, from_ns=start_ms * NS_PER_MS, to_ns=min(to_ns, INT64_MAX)))
    return Decoded(events or [Notice("empty", stream.key)] if not found.refusals else events, found.refusals)


def _limit(query: Query) -> int:
    limit = _number(query, "limit")
    return limit if limit > 0 else 500  # docs: rest-api, klines: the default


def _closed_by_order(candles: list[Candle]) -> list[Candle]:
    """A bar that another one follows in the same answer is closed; of the last one the answer does not tell."""
    closed = [msgspec.structs.replace(candle, state=CandleState.CLOSED) for candle in candles[:-1]]
    return [*closed, *candles[-1:]]


def _book(raw: Raw, query: Query, ts_recv_ns: int) -> Decoded:
    symbol = _symbol(query)
    return read_alone(raw, lambda item: careful.book(item, symbol, ts_recv_ns), "body")


def _meta(raw: Raw, query: Query, ts_recv_ns: int) -> Decoded:
    return Decoded([Notice("meta", f"{len(bytes(raw))} bytes")], [])


_ANSWERS: Final[Mapping[str, Callable[[Raw, Query, int], Decoded]]] = {
    "trades": _past_trades,
    "historicalTrades": _past_trades,
    "aggTrades": _past_agg_trades,
    "klines": _past_candles,
    "depth": _book,
    "time": _meta,
    "exchangeInfo": _meta,
}
