"""LIVE: a seeded market with ids in a row, paced by the clock, with losses, holes and outages."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.sim.binance import messages
from everytick.sim.binance.history import History
from everytick.sim.binance.traits import BinanceTraits
from everytick.sim.coin import CoinView
from everytick.sim.hub import Hub, Key
from everytick.sim.market import Block, Market
from everytick.sim.oracle import Cut
from everytick.sim.outages import Outages
from everytick.sim.prints import Print

TICK_S = 0.01
# After a stall the market takes up again at most this much of its time per tick, so that it lags, not floods.
CATCH_UP_MS_MAX = 500
BOOK = "depth20@100ms"
BOOK_LEVELS = 20


class LiveFeed:
    """Drives the venue from a market. Venue time is wall time at `speed` 1, from `market.time_ms` on."""

    def __init__(
        self, hub: Hub, market: Market, before: Sequence[Block], traits: BinanceTraits, seed: int, speed: float
    ) -> None:
        self._hub = hub
        self._market = market
        self._traits = traits
        self._speed = speed
        self._losses = random.Random(f"{seed}/losses")
        self._outages = Outages(traits, seed, hub)
        self._histories = {symbol: History() for symbol in market.views}
        self._views = {symbol: CoinView(symbol, view.tick) for symbol, view in market.views.items()}
        self._start_ms = market.time_ms
        self._start_ns = hub.clock.mono_ns()
        self._due_ns: dict[str, int] = {}
        self._moved: set[str] = set()
        self._told: dict[Key, int] = {}  # a candle's stream -> the open time last told
        self._is_quiet = False
        self.update_id = 0
        for block in before:
            for symbol, trades in block.trades.items():
                for trade in trades:
                    self._happen(symbol, trade)

    @property
    def views(self) -> Mapping[str, CoinView]:
        return self._views

    @property
    def histories(self) -> Mapping[str, History]:
        return self._histories

    @property
    def is_refusing(self) -> bool:
        return self._outages.is_on

    @property
    def now_ms(self) -> int:
        return self._market.time_ms

    async def run(self) -> None:
        """One tick after the other; trading goes on whether or not anybody listens."""
        while True:
            await self._hub.clock.sleep(TICK_S)
            if self._is_quiet:
                return
            now_ns = self._hub.clock.mono_ns()
            until_ms = self._start_ms + int((now_ns - self._start_ns) / NS_PER_MS * self._speed)
            limit_ms = self._market.time_ms + int(CATCH_UP_MS_MAX * max(1.0, self._speed))
            if until_ms > limit_ms:
                self._start_ms -= until_ms - limit_ms
                until_ms = limit_ms
            self.pass_time(until_ms)
            self.publish_states(now_ns)
            self._hub.flush()
            await self._drop_slow()
            await self._outages.strike_when_due(self.now_ms)

    def pass_time(self, until_ms: int) -> None:
        """Let the market trade up to then and put what came of it to whoever wants it."""
        for block in self._market.advance(until_ms):
            for symbol, trades in block.trades.items():
                self._trade(symbol, trades)

    async def quiesce(self) -> None:
        """Make no more news; the last trade of each symbol was sent, so that every loss before it can show."""
        self._is_quiet = True
        for symbol, history in self._histories.items():
            last = history.trades[-1] if history.trades else None
            if last is not None and last.key in self._hub.ledger.dropped.get(symbol, {}):
                self._send(symbol, last)
        await self._hub.drain(0)

    def _trade(self, symbol: str, trades: Sequence[Print]) -> None:
        history = self._histories[symbol]
        told = len(history.aggregates)
        for trade in trades:
            dice = self._losses.random()
            if dice < self._traits.hole_share:
                self._hub.ledger.never_were(symbol, (trade,))
                continue
            self._happen(symbol, trade)
            if dice > 1 - self._traits.drop_share and self._hub.ledger.sent_count(symbol):
                self._hub.ledger.kept_back(symbol, (trade,))
            else:
                self._send(symbol, trade)
        for aggregate in history.aggregates[told:]:
            key = ("aggTrade", symbol, "")
            self._hub.publish(key, messages.event(key, messages.agg_trade(symbol, aggregate)))
        self._moved.add(symbol)

    def _happen(self, symbol: str, trade: Print) -> None:
        self.update_id += 1
        self._views[symbol].observe(trade)
        self._histories[symbol].observe(trade)

    def _send(self, symbol: str, trade: Print) -> None:
        key = ("trade", symbol, "")
        if not self._hub.publish(key, messages.event(key, messages.trade(trade)), (trade,)):
            self._hub.ledger.missed(symbol, (trade,))

    def publish_states(self, now_ns: int) -> None:
        """Put what follows from the trades, and is due by now, to whoever wants it."""
        hub = self._hub
        for key in hub.wanted("bookTicker"):
            if key[1] in self._moved and key[1] in self._views:
                hub.publish(key, messages.event(key, messages.book_ticker(self._views[key[1]], self.update_id)))
        self._moved.clear()
        if self._is_due(BOOK, self._traits.book_every_s, now_ns):
            for key in hub.wanted(BOOK):
                if (view := self._views.get(key[1])) is not None:
                    hub.publish(key, messages.event(key, messages.partial_book(view, self.update_id, BOOK_LEVELS)))
        if self._is_due("kline", self._traits.candle_every_s, now_ns):
            for key in hub.wanted("kline"):
                self._publish_candle(key)

    def _publish_candle(self, key: Key) -> None:
        """The candle as it stands, and before a new one the old one as closed."""
        view, interval = self._views.get(key[1]), key[2]
        if view is None or interval not in messages.INTERVALS or (candle := view.candle(interval)) is None:
            return
        told = self._told.get(key, candle.t)
        closed = [one for one in view.candles(interval, told, candle.t) if one.t < candle.t]
        for one, is_closed in (*((one, True) for one in closed), (candle, False)):
            self._hub.publish(key, messages.event(key, messages.kline(one, self.now_ms, is_closed=is_closed)))
        self._told[key] = candle.t

    def _is_due(self, what: str, every_s: float, now_ns: int) -> bool:
        if now_ns < self._due_ns.get(what, 0):
            return False
        self._due_ns[what] = now_ns + int(every_s * NS_PER_S)
        return True

    async def _drop_slow(self) -> None:
        for connection in list(self._hub.connections):
            if connection.backlog_bytes > self._traits.buffer_bytes_max:
                self._hub.ledger.cuts.append(Cut("a client too slow", self.now_ms))
                self._hub.leave(connection)
                await connection.end(0, "too slow")
