"""PLAY: recordings sent again over real sockets, with the reconnects that they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.sim.coin import CoinView
from everytick.sim.hub import Connection, Hub, Key
from everytick.sim.hyperliquid.messages import Subscription
from everytick.sim.hyperliquid.schedule import Life, outage_ms, schedule
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.oracle import Cut
from everytick.sim.prints import Print, trades_frame
from everytick.sim.recordings import Recording, TimedFrame

# One write for this many frames: system calls, not encoding, would be the limit otherwise.
FRAMES_PER_WRITE = 128
CUT_CODE = 1001  # going away: what a restarting front end of the venue says


class Player:
    """Sends every recorded frame once somebody has subscribed to it, at `speed` × the recorded pace.

    `speed` 0 is as fast as the clients take it. A frame waits for a subscriber: nothing happens unseen.
    """

    def __init__(self, hub: Hub, recordings: Sequence[Recording], traits: VenueTraits, speed: float) -> None:
        self._hub = hub
        self._traits = traits
        self._speed = speed
        self._lives = schedule(recordings)
        coins = dict.fromkeys(coin for recording in recordings for coin in recording.coins)
        self._views = {coin: CoinView(coin) for coin in coins}
        self._life: Life = self._lives[0]
        self._replays = dict(self._life.replays)
        self._live_coins: set[str] = set()  # coins of which this life has sent trades
        self._is_refusing = False
        self._now_ms = 0
        self.waiting_for: Key | None = None
        self.frames_played = 0

    @property
    def views(self) -> Mapping[str, CoinView]:
        return self._views

    @property
    def is_refusing(self) -> bool:
        return self._is_refusing

    @property
    def now_ms(self) -> int:
        return self._now_ms

    async def run(self) -> None:
        """All lives, one after the other; returns when the last byte has left."""
        for number, life in enumerate(self._lives):
            if number:
                await self._reconnect(life)
            await self._play(life)
            await self._hub.drain(0)

    def subscribed(self, connection: Connection, wanted: Subscription) -> None:
        """For trades: the recorded replay if this life has one left, else the newest trades sent so far."""
        if wanted.type != "trades":
            return
        recorded = self._replays.pop(wanted.coin, None)
        if recorded is not None:
            self._observe(recorded, self._fresh(recorded))
            self._tell(connection, recorded)
            return
        if wanted.coin in self._life.verbatim and wanted.coin not in self._live_coins:
            return  # its own recorded replay is still to come
        newest = self._views[wanted.coin].newest(self._traits.replay_trades)
        if newest and self._traits.replay_trades:
            self._tell(connection, TimedFrame(0, "trades", wanted.coin, tuple(newest)))

    async def quiesce(self) -> None:
        await self._hub.drain(0)

    def _tell(self, connection: Connection, frame: TimedFrame) -> None:
        self._hub.ledger.replays += 1
        self._live_coins.add(frame.coin)
        payload = frame.payload or trades_frame(frame.trades)
        self._hub.tell(connection, payload, channel="trades", trades=frame.trades)

    def _fresh(self, frame: TimedFrame) -> list[Print]:
        """The frame's trades that were never sent before."""
        sent = self._hub.ledger.sent.get(frame.coin, {})
        return [trade for trade in frame.trades if trade.key not in sent]

    def _observe(self, frame: TimedFrame, fresh: Sequence[Print]) -> None:
        for trade in fresh:
            self._views[frame.coin].observe(trade)
        self._now_ms = max(self._now_ms, frame.ts_ns // NS_PER_MS)

    async def _reconnect(self, life: Life) -> None:
        """Cut everybody, wait out the recorded outage, and be ready with this life's replays."""
        self._is_refusing = True
        self._hub.ledger.cuts.append(Cut("recorded reconnect", self._now_ms, outage_ms(life)))
        await self._hub.cut(CUT_CODE, "recorded reconnect")
        if self._speed:
            await self._hub.clock.sleep(life.outage_ns / NS_PER_S / self._speed)
        self._life, self._replays, self._live_coins = life, dict(life.replays), set()
        self._is_refusing = False

    async def _play(self, life: Life) -> None:
        hub, clock = self._hub, self._hub.clock
        for coin in life.replays:
            await self._until_wanted(("trades", coin, ""))
        origin_ns = life.frames[0].ts_ns if life.frames else 0
        start_ns = clock.mono_ns()
        gathered = 0
        for frame in life.frames:
            if self._speed:
                ahead_s = (start_ns - clock.mono_ns()) / NS_PER_S + (frame.ts_ns - origin_ns) / NS_PER_S / self._speed
                if ahead_s > 0.001:
                    hub.flush()
                    await clock.sleep(ahead_s)
            while not self._send(frame):
                before_ns = clock.mono_ns()
                await self._until_wanted(frame.key)
                start_ns += clock.mono_ns() - before_ns  # do not hurry afterwards to make up for the wait
            gathered += 1
            if gathered >= FRAMES_PER_WRITE:
                gathered = 0
                await hub.drain(self._traits.buffer_bytes_max)

    def _send(self, frame: TimedFrame) -> bool:
        """Put one frame to its subscribers; False if the last of them has just gone."""
        fresh = self._fresh(frame)
        if not self._hub.publish(frame.key, frame.payload or trades_frame(frame.trades), frame.trades):
            return False
        self._observe(frame, fresh)
        if frame.trades:
            self._live_coins.add(frame.coin)
        self.frames_played += 1
        return True

    async def _until_wanted(self, key: Key) -> None:
        self._hub.flush()
        self.waiting_for = key
        await self._hub.until_wanted(key)
        self.waiting_for = None
