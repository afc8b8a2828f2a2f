"""LIVE: a seeded market paced by the clock, with the venue's habits and its outages."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.sim.coin import CoinView
from everytick.sim.hub import Connection, Hub, Key
from everytick.sim.hyperliquid import messages
from everytick.sim.hyperliquid.messages import Subscription
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import Block, Market
from everytick.sim.oracle import Cut
from everytick.sim.outages import Outages
from everytick.sim.prints import Print, trades_frame

TICK_S = 0.01
# After a stall the market takes up again at most this much of its time per tick, so that it lags, not floods.
CATCH_UP_MS_MAX = 500


class Framing:
    """Decides which blocks share a frame. Pure but for its own dice: the same blocks give the same frames."""

    def __init__(self, traits: VenueTraits, seed: int) -> None:
        self._traits = traits
        self._dice = random.Random(f"{seed}/framing")
        self._held: dict[str, list[tuple[Print, ...]]] = {}

    def take(self, block: Block) -> list[list[Print]]:
        """The frames that are complete with this block, each the trades of one coin."""
        frames = []
        for coin, trades in block.trades.items():
            held = self._held.setdefault(coin, [])
            held.append(trades)
            waits = self._dice.random() < self._traits.multi_block_share
            if not waits or len(held) >= self._traits.blocks_per_frame_max:
                frames.append([trade for part in held for trade in part])
                held.clear()
        return frames

    def rest(self) -> list[list[Print]]:
        """What was held back."""
        frames = [[trade for part in held for trade in part] for held in self._held.values() if held]
        self._held = {}
        return frames


class LiveFeed:
    """Drives the venue from a market. Venue time is wall time at `speed` 1, from `market.time_ms` on."""

    def __init__(self, hub: Hub, market: Market, traits: VenueTraits, seed: int, speed: float) -> None:
        self._hub = hub
        self._market = market
        self._traits = traits
        self._speed = speed
        self._framing = Framing(traits, seed)
        self._outages = Outages(traits, seed, hub)
        self._habits = random.Random(f"{seed}/habits")
        self._start_ms = market.time_ms
        self._start_ns = hub.clock.mono_ns()
        self._due_ns: dict[str, int] = {}
        self._moved: dict[str, set[str]] = {"bbo": set(), "candle": set()}
        self._told: dict[Key, int] = {}  # a candle's stream -> the open time last told
        self._resend: list[tuple[Connection, list[Print]]] = []
        self._is_quiet = False

    @property
    def views(self) -> Mapping[str, CoinView]:
        return self._market.views

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
            # Rebase after a stall: the market lags behind the clock from then on.
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
        for connection, trades in self._resend:
            if not connection.is_gone:
                self._hub.tell(connection, trades_frame(trades), channel="trades", trades=trades)
        self._resend.clear()
        for block in self._market.advance(until_ms):
            for coin in block.trades:
                self._moved["bbo"].add(coin)
                self._moved["candle"].add(coin)
            for trades in self._framing.take(block):
                self._publish(trades)

    def subscribed(self, connection: Connection, wanted: Subscription) -> None:
        """The replay for trades, the present state for everything else."""
        hub = self._hub
        if wanted.type == "allMids":
            hub.tell(connection, messages.message("allMids", {"mids": messages.mids(self.views)}))
            return
        view = self.views[wanted.coin]
        if wanted.type == "trades":
            self._replay(connection, view)
        elif wanted.type == "l2Book":
            hub.tell(connection, messages.message("l2Book", messages.book(view, self.now_ms)))
        elif wanted.type == "bbo":
            hub.tell(connection, messages.bbo(view, self.now_ms))
        elif wanted.type == "candle" and (candle := view.candle(wanted.interval)) is not None:
            hub.tell(connection, messages.message("candle", candle))
        elif wanted.type == "activeAssetCtx" and (context := view.context()) is not None:
            hub.tell(connection, messages.message("activeAssetCtx", {"coin": wanted.coin, "ctx": context}))

    async def quiesce(self) -> None:
        """Make no more news, and send out what is held back."""
        self._is_quiet = True
        self.pass_time(self._market.time_ms)
        self.let_go()
        await self._hub.drain(0)

    def let_go(self) -> None:
        """Send out what is held back to share a frame with what comes next."""
        for trades in self._framing.rest():
            self._publish(trades)

    def _publish(self, trades: Sequence[Print]) -> None:
        coin = trades[0].coin
        if not self._hub.publish(("trades", coin, ""), trades_frame(trades), trades):
            self._hub.ledger.missed(coin, trades)

    def _replay(self, connection: Connection, view: CoinView) -> None:
        block = view.last_block()
        newest = view.newest(self._traits.replay_trades + len(block))
        if len(block) > 1 and self._habits.random() < self._traits.partial_replay_share:
            # The replay was taken while the venue was still filling the block: the next frame has all of it.
            left_out = self._habits.randint(1, len(block) - 1)
            newest = newest[:-left_out]
            self._resend.append((connection, block))
        replay = newest[-self._traits.replay_trades :] if self._traits.replay_trades else []
        if replay:
            self._hub.ledger.replays += 1
            self._hub.tell(connection, trades_frame(replay), channel="trades", trades=replay)

    def publish_states(self, now_ns: int) -> None:
        """Put what follows from the trades, and is due by now, to whoever wants it."""
        hub, now_ms = self._hub, self.now_ms
        for key in hub.wanted("bbo"):
            if key[1] in self._moved["bbo"]:
                hub.publish(key, messages.bbo(self.views[key[1]], now_ms))
        self._moved["bbo"].clear()
        if self._is_due("candle", self._traits.candle_every_s, now_ns):
            for key in hub.wanted("candle"):
                if key[1] in self._moved["candle"]:
                    self._publish_candle(key)
            self._moved["candle"].clear()
        if self._is_due("l2Book", self._traits.book_every_s, now_ns):
            for key in hub.wanted("l2Book"):
                empty = self._habits.random() < self._traits.empty_book_share
                hub.publish(key, messages.message("l2Book", messages.book(self.views[key[1]], now_ms, empty=empty)))
        if self._is_due("allMids", self._traits.mids_every_s, now_ns):
            for key in hub.wanted("allMids"):
                hub.publish(key, messages.message("allMids", {"mids": messages.mids(self.views)}))
        if self._is_due("activeAssetCtx", self._traits.context_every_s, now_ns):
            for key in hub.wanted("activeAssetCtx"):
                if (context := self.views[key[1]].context()) is not None:
                    hub.publish(key, messages.message("activeAssetCtx", {"coin": key[1], "ctx": context}))

    def _publish_candle(self, key: Key) -> None:
        """The candle as it stands, and before a new one the old one as it ended."""
        view, interval = self.views[key[1]], key[2]
        candle = view.candle(interval)
        if candle is None:
            return
        for one in view.candles(interval, self._told.get(key, candle.t), candle.t):
            self._hub.publish(key, messages.message("candle", one))
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
