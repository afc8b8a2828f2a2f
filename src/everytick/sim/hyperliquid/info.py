"""POST /info: the venue's answers, consistent with what it sent, and its refusals."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec
from aiohttp import web

from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.sim.coin import INTERVALS_MS, CoinView
from everytick.sim.hyperliquid import messages
from everytick.sim.hyperliquid.accounts import account_state
from everytick.sim.hyperliquid.feed import Feed
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.prints import trade_json

RECENT_TRADES = 10  # all that REST ever gives, newest first
CANDLES_MAX = 5_000
BODY_BYTES_MAX = 64 * 1024
_LIGHT = frozenset(("l2Book", "allMids", "exchangeStatus", "clearinghouseState"))  # weight 2; everything else 20
_ITEMS_PER_WEIGHT = {"recentTrades": 20, "candleSnapshot": 60}


class _CandleRequest(msgspec.Struct):
    coin: str
    interval: str
    startTime: int
    endTime: int


class _Ask(msgspec.Struct):
    type: str
    coin: str = ""
    user: str = ""
    req: _CandleRequest | None = None


_decode = msgspec.json.Decoder(_Ask)


def read_question(body: bytes) -> _Ask:
    """What a client asks. Raises msgspec.MsgspecError."""
    return _decode.decode(body)


class Info:
    """Answers /info for a feed."""

    def __init__(self, feed: Feed, clock: Clock, traits: VenueTraits, seed: int) -> None:
        self._feed = feed
        self._clock = clock
        self._traits = traits
        self._dice = random.Random(f"{seed}/info")
        self._faults = random.Random(f"{seed}/info faults")
        self.asked: Counter[str] = Counter()  # by type, whatever came of it
        self._weights: list[tuple[int, int]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """One request's answer."""
        body = await request.content.read(BODY_BYTES_MAX)
        dice = self._dice.random(), self._dice.random(), self._dice.random()
        traits = self._traits
        if dice[0] < traits.info_slow_share:
            await self._clock.sleep(traits.info_slow_s)
        try:
            ask = read_question(body)
        except msgspec.MsgspecError:
            return _refusal(422, "Failed to deserialize the JSON body into the target type")
        self.asked[ask.type] += 1
        if dice[1] < traits.info_429_share or self._is_over_budget(2 if ask.type in _LIGHT else 20):
            return self._busy()
        if dice[2] < traits.info_422_share:
            return _refusal(422, "Failed to deserialize the JSON body into the target type")
        if ask.type == "clearinghouseState" and ask.user:
            views, now_ms = self._feed.views, self._feed.now_ms
            answer: bytes | None = messages.json_encode(account_state(ask.user, traits.vaults, views, now_ms))
        else:
            answer = respond(ask.type, ask.coin, ask.req, self._feed.views, self._feed.now_ms)
        if answer is None:
            return _refusal(422, "Failed to deserialize the JSON body into the target type")
        self._charge(ask.type, answer)
        return self._spoilt(request, answer)

    def _charge(self, kind: str, answer: bytes) -> None:
        """docs: rate-limits-and-user-limits. Long answers cost more: known only once they are made."""
        if kind in _ITEMS_PER_WEIGHT and self._traits.info_weight_per_minute:
            items = len(msgspec.json.decode(answer, type=list[msgspec.Raw]))
            self._weights.append((self._clock.mono_ns(), -(-items // _ITEMS_PER_WEIGHT[kind])))

    def _spoilt(self, request: web.Request, answer: bytes) -> web.Response:
        dice, traits = (self._faults.random(), self._faults.random(), self._faults.random()), self._traits
        if dice[0] < traits.info_503_share:
            return _refusal(503, "upstream connect error")
        if dice[1] < traits.info_html_share:
            return web.Response(text="<html><body>Just a moment...</body></html>", content_type="text/html")
        response = web.Response(body=answer, content_type="application/json")
        if dice[2] < traits.info_cut_share and request.transport is not None:
            # The header promises more than will come.
            response.headers["Content-Length"] = str(len(answer) + 1)
            response.force_close()
        return response

    def _busy(self) -> web.Response:
        refusal = _refusal(429, "rate limited")
        if self._traits.info_retry_after == "date":
            moment = datetime.fromtimestamp(self._clock.wall_ns() // NS_PER_S + 2, UTC)
            refusal.headers["Retry-After"] = format_datetime(moment, usegmt=True)
        elif self._traits.info_retry_after:
            refusal.headers["Retry-After"] = self._traits.info_retry_after
        return refusal

    def _is_over_budget(self, weight: int) -> bool:
        budget = self._traits.info_weight_per_minute
        if not budget:
            return False
        now_ns = self._clock.mono_ns()
        self._weights = [(at, w) for at, w in self._weights if now_ns - at < 60 * NS_PER_S]
        if sum(w for _, w in self._weights) + weight > budget:
            return True
        self._weights.append((now_ns, weight))
        return False


def _refusal(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text)


def respond(
    kind: str, coin: str, candles: _CandleRequest | None, views: Mapping[str, CoinView], now_ms: int
) -> bytes | None:
    """The answer's bytes; None where the venue would refuse the request."""
    encode = messages.json_encode
    if kind == "allMids":
        return encode(messages.mids(views))
    if kind == "exchangeStatus":
        return encode({"time": now_ms, "specialStatuses": None})
    if kind == "meta":
        return encode(_meta(views))
    if kind == "metaAndAssetCtxs":
        return encode([_meta(views), [view.context() for view in views.values()]])
    if kind == "candleSnapshot" and candles is not None:
        view = views.get(candles.coin)
        if view is None or candles.interval not in INTERVALS_MS:
            return None
        return encode(view.candles(candles.interval, candles.startTime, candles.endTime)[-CANDLES_MAX:])
    view = views.get(coin)
    if view is None:
        return None
    if kind == "l2Book":
        return encode(messages.book(view, now_ms))
    if kind == "recentTrades":
        return b"[" + b",".join(trade_json(trade) for trade in reversed(view.newest(RECENT_TRADES))) + b"]"
    return None


def _meta(views: Mapping[str, CoinView]) -> dict[str, object]:
    universe = [
        {"name": coin, "szDecimals": view.size_decimals, "maxLeverage": 40, "marginTableId": 56}
        for coin, view in views.items()
    ]
    return {"universe": universe, "marginTables": [], "collateralToken": 0}
