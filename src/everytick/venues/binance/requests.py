"""The questions that Binance's REST API answers about the market, as data, with the weight that each costs.

docs: rest-api, market data endpoints (https://developers.binance.com/docs/binance-spot-api-docs/rest-api, read
2026-11-20). Weights: trades and historicalTrades 25, aggTrades 4, klines 2, depth 5 up to 100 levels, time 1,
exchangeInfo 20. Every answer says in X-MBX-USED-WEIGHT-1M what this address has used in the minute; 429 and 418 come
with Retry-After. historicalTrades used to require an API key in the X-MBX-APIKEY header and some mirrors of the API
still do; aggTrades never did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from everytick.core.validate import TIME_MS_MAX, instrument
from everytick.errors import Refused
from everytick.model.ledger import Gap
from everytick.model.stream import Kind, Stream
from everytick.model.units import ms_from_ns
from everytick.venues.binance.rules import INTERVAL_MS
from everytick.venues.protocol import Poll, Request

ITEMS_MAX: Final = 1_000  # docs: of trades, aggregate trades and klines in one answer
BOOK_LEVELS: Final = 20
WEIGHTS: Final[Mapping[str, int]] = {
    "trades": 25,
    "historicalTrades": 25,
    "aggTrades": 4,
    "klines": 2,
    "depth": 5,
    "time": 1,
    "exchangeInfo": 20,
}
# A gap of more than a million ids is asked for in parts, oldest first: what is left stays an open gap.
PAGES_MAX: Final = 1_000
USED_WEIGHT_HEADER: Final = "X-MBX-USED-WEIGHT-1M"


def recent_trades(symbol: str, limit: int = ITEMS_MAX) -> Request:
    """The newest trades."""
    return _get("trades", symbol=instrument(symbol), limit=_limit(limit))


def historical_trades(symbol: str, from_id: int, limit: int = ITEMS_MAX) -> Request:
    """Trades from an id on, ascending."""
    return _get("historicalTrades", symbol=instrument(symbol), fromId=_from_id(from_id), limit=_limit(limit))


def agg_trades(symbol: str, from_id: int, limit: int = ITEMS_MAX) -> Request:
    """Aggregate trades from an id (of theirs) on, ascending."""
    return _get("aggTrades", symbol=instrument(symbol), fromId=_from_id(from_id), limit=_limit(limit))


def klines(symbol: str, interval: str, start_ms: int, end_ms: int, limit: int = ITEMS_MAX) -> Request:
    """Candles that open within [start_ms, end_ms], ascending, the oldest `limit` of them.

    Units: milliseconds since 1970. Raises Refused for an unknown interval or times out of order.
    """
    _interval_ms(interval)
    if not 0 <= start_ms <= end_ms <= TIME_MS_MAX:
        raise Refused(f"{start_ms} to {end_ms} ms is no stretch of time", path="start_ms", value=start_ms)
    span = {"startTime": start_ms, "endTime": end_ms, "limit": _limit(limit)}
    return _get("klines", symbol=instrument(symbol), interval=interval, **span)


def depth(symbol: str) -> Request:
    """The best levels of a symbol's order book."""
    return _get("depth", symbol=instrument(symbol), limit=BOOK_LEVELS)


def server_time() -> Request:
    """The venue's clock."""
    return _get("time")


def exchange_info(symbol: str) -> Request:
    """A symbol's rules."""
    return _get("exchangeInfo", symbol=instrument(symbol))


def history(gap: Gap) -> Sequence[Request] | None:
    """The requests whose answers could fill the gap: by id for trades, by time for candles.

    None for quotes and books, of which the venue keeps no past, and for a gap whose ids are not known.
    """
    kind, symbol = gap.stream.kind, gap.stream.instrument
    if kind is Kind.CANDLES:
        return _bars(gap)
    if kind not in (Kind.TRADES, Kind.AGG_TRADES) or gap.first_id < 0:
        return None
    ask = historical_trades if kind is Kind.TRADES else agg_trades
    starts = range(gap.first_id, gap.last_id + 1, ITEMS_MAX)[:PAGES_MAX]
    return [ask(symbol, start, min(ITEMS_MAX, gap.last_id - start + 1)) for start in starts]


def polls(streams: Sequence[Stream], accounts: Sequence[str], every_s: float) -> Sequence[Poll]:
    """Nothing: ids without holes prove the record by themselves."""
    return ()


def used_weight(headers: Mapping[str, str]) -> int:
    """The weight that this address has used in the running minute, as an answer's headers say; -1 if they do not."""
    for name, text in headers.items():
        if name.upper() == USED_WEIGHT_HEADER and text.isascii() and text.isdigit() and len(text) < 10:
            return int(text)
    return -1


def _bars(gap: Gap) -> list[Request]:
    interval_ms = _interval_ms(gap.stream.interval)
    start_ms, end_ms = ms_from_ns(gap.from_ns), ms_from_ns(gap.to_ns)
    pages = range(start_ms, end_ms + 1, ITEMS_MAX * interval_ms)[:PAGES_MAX]
    last_ms = ITEMS_MAX * interval_ms - 1
    return [klines(gap.stream.instrument, gap.stream.interval, at, min(at + last_ms, end_ms)) for at in pages]


def _get(name: str, **query: str | int) -> Request:
    path = f"/api/v3/{name}"
    if query:
        path += f"?{urlencode(query)}"
    return Request(name=name, method="GET", path=path, body=b"", weight=WEIGHTS[name])


def _limit(limit: int) -> int:
    if not 0 < limit <= ITEMS_MAX:
        raise Refused(f"{limit} is outside 1..{ITEMS_MAX}", path="limit", value=limit)
    return limit


def _from_id(from_id: int) -> int:
    if from_id < 0:
        raise Refused(f"{from_id} is no id", path="from_id", value=from_id)
    return from_id


def _interval_ms(interval: str) -> int:
    if interval not in INTERVAL_MS:
        offered = ", ".join(INTERVAL_MS)
        raise Refused(f"no candles of {interval!r}", path="interval", value=interval, suggestion=f"one of {offered}")
    return INTERVAL_MS[interval]
