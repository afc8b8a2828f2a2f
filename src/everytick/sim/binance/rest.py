"""The REST API: everything that the sockets told, and what they did not; weights, and refusals by weight."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.sim.binance import messages
from everytick.sim.binance.feed import Feed
from everytick.sim.binance.traits import BinanceTraits
from everytick.sim.window import Window

ITEMS_MAX: Final = 1_000
ITEMS_USUAL: Final = 500
INT64_MAX: Final = 2**63 - 1
WEIGHTS: Final[Mapping[str, int]] = {
    "trades": 25,
    "historicalTrades": 25,
    "aggTrades": 4,
    "klines": 2,
    "depth": 5,
    "time": 1,
    "exchangeInfo": 20,
}
Query = Mapping[str, str]


class BadRequest(ValueError):
    """The venue refuses the question: its code and what it says."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Rest:
    """Answers /api/v3 for a feed."""

    def __init__(self, feed: Feed, clock: Clock, traits: BinanceTraits, seed: int) -> None:
        self._feed = feed
        self._clock = clock
        self._traits = traits
        self._dice = random.Random(f"{seed}/rest")
        self._used = Window(60 * NS_PER_S)
        self._over = 0  # requests since the first 429
        self._banned_until_ns = 0
        self._answers: dict[str, Callable[[Query], object]] = {
            "trades": self._trades,
            "historicalTrades": self._historical_trades,
            "aggTrades": self._agg_trades,
            "klines": self._klines,
            "time": lambda _: {"serverTime": self._feed.now_ms},
            "exchangeInfo": self._exchange_info,
        }

    async def answer(self, request: web.Request) -> web.Response:
        """One request's answer."""
        name = request.match_info["name"]
        if name not in WEIGHTS:
            return web.Response(status=404, text="<html>404</html>")
        refusal = self._refusal(WEIGHTS[name])
        if refusal is not None:
            return refusal
        headers = {"X-MBX-USED-WEIGHT-1M": str(self._used.total(self._clock.mono_ns()))}
        status, body = self.tell(name, request.query)
        return web.Response(status=status, body=body, content_type="application/json", headers=headers)

    def tell(self, name: str, query: Query) -> tuple[int, bytes]:
        """The answer itself, whatever the caller has used: its status and its body."""
        try:
            return 200, self._depth(query) if name == "depth" else messages.json_encode(self._answers[name](query))
        except BadRequest as bad:
            return 400, messages.json_encode({"code": bad.code, "msg": bad.text})

    def _refusal(self, weight: int) -> web.Response | None:
        """429 beyond the weight of a minute; 418 for who goes on asking; None while all is well."""
        now_ns = self._clock.mono_ns()
        if now_ns < self._banned_until_ns:
            return _too_many(418, -(-(self._banned_until_ns - now_ns) // NS_PER_S))
        if self._used.total(now_ns) + weight <= self._traits.weight_per_minute:
            self._over = 0
            self._used.add(now_ns, weight)
            return _too_many(429, 1) if self._dice.random() < self._traits.rest_429_share else None
        self._over += 1
        if self._over > self._traits.bans_after:
            self._banned_until_ns = now_ns + self._traits.ban_s * NS_PER_S
            return _too_many(418, self._traits.ban_s)
        return _too_many(429, 60)

    def _symbol(self, query: Query) -> str:
        symbol = query.get("symbol", "")
        if not symbol:
            raise BadRequest(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if symbol not in self._feed.histories:
            raise BadRequest(-1121, "Invalid symbol.")
        return symbol

    def _trades(self, query: Query) -> object:
        trades = self._feed.histories[self._symbol(query)].trades
        return [messages.past_trade(trade) for trade in trades[-_limit(query) :]]

    def _historical_trades(self, query: Query) -> object:
        first_id = _number(query, "fromId")
        if first_id is None:
            return self._trades(query)
        trades = self._feed.histories[self._symbol(query)].from_id(first_id, _limit(query))
        return [messages.past_trade(trade) for trade in trades]

    def _agg_trades(self, query: Query) -> object:
        history, limit = self._feed.histories[self._symbol(query)], _limit(query)
        first = _number(query, "fromId")
        start_ms, end_ms = _number(query, "startTime"), _number(query, "endTime")
        if first is not None and (start_ms is not None or end_ms is not None):
            raise BadRequest(-1128, "Combination of optional parameters invalid.")
        if first is not None:
            found = history.aggregates_from(first, limit)
        elif start_ms is None and end_ms is None:
            found = history.aggregates[-limit:]
        else:
            found = history.aggregates_between(start_ms or 0, INT64_MAX if end_ms is None else end_ms, limit)
        return [messages.past_agg_trade(one) for one in found]

    def _klines(self, query: Query) -> object:
        view, interval, limit = self._feed.views[self._symbol(query)], query.get("interval", ""), _limit(query)
        if interval not in messages.INTERVALS:
            raise BadRequest(-1120, "Invalid interval.")
        start_ms, end_ms = _number(query, "startTime"), _number(query, "endTime")
        candles = view.candles(interval, start_ms or 0, INT64_MAX if end_ms is None else end_ms)
        return [messages.past_kline(one) for one in (candles[-limit:] if start_ms is None else candles[:limit])]

    def _depth(self, query: Query) -> bytes:
        view = self._feed.views[self._symbol(query)]
        return messages.partial_book(view, self._feed.update_id, _limit(query))

    def _exchange_info(self, query: Query) -> object:
        symbols = [self._symbol(query)] if "symbol" in query else list(self._feed.histories)
        rates = [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self._traits.weight_per_minute,
            }
        ]
        return {
            "timezone": "UTC",
            "serverTime": self._feed.now_ms,
            "rateLimits": rates,
            "symbols": [{"symbol": symbol, "status": "TRADING"} for symbol in symbols],
        }


def _number(query: Query, name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadRequest(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def _limit(query: Query) -> int:
    limit = _number(query, "limit")
    return ITEMS_USUAL if limit is None else max(1, min(limit, ITEMS_MAX))


def _too_many(status: int, wait_s: int) -> web.Response:
    body = messages.json_encode({"code": -1003, "msg": f"Too much request weight used; wait {wait_s} s."})
    return web.Response(status=status, body=body, content_type="application/json", headers={"Retry-After": str(wait_s)})
