"""PLAY: a recording sent again over real sockets, with what is to be lost of it kept back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.sim.binance.history import History
from everytick.sim.binance.loss import dropped_of, holes_of
from everytick.sim.binance.traits import BinanceTraits
from everytick.sim.coin import CoinView
from everytick.sim.hub import Hub, Key
from everytick.sim.recordings import Recording, TimedFrame

# One write for this many frames: system calls, not encoding, would be the limit otherwise.
FRAMES_PER_WRITE = 128


class Player:
    """Sends every recorded event to whoever subscribed to its stream, at `speed` × the recorded pace.

    `speed` 0 is as fast as the clients take it. Trades wait for a subscriber, so that none happens unseen; events
    of other streams that nobody wants are passed over.
    """

    def __init__(
        self, hub: Hub, recordings: Sequence[Recording], traits: BinanceTraits, speed: float, seed: int
    ) -> None:
        frames = (frame for one in recordings for life in one.lives for frame in life if frame.channel)
        self._frames = sorted(frames, key=lambda frame: frame.ts_ns)
        self._hub = hub
        self._traits = traits
        self._speed = speed
        self._holes = holes_of(self._frames, traits.holes, seed)
        self._dropped = dropped_of(self._frames, traits.drop, seed, self._holes)
        symbols = dict.fromkeys(frame.coin for frame in self._frames)
        self._views = {symbol: CoinView(symbol) for symbol in symbols}
        self._histories = {symbol: History() for symbol in symbols}
        self._now_ms = 0
        self.update_id = 0
        self.waiting_for: Key | None = None

    @property
    def views(self) -> Mapping[str, CoinView]:
        return self._views

    @property
    def histories(self) -> Mapping[str, History]:
        return self._histories

    @property
    def is_refusing(self) -> bool:
        return False

    @property
    def now_ms(self) -> int:
        return self._now_ms

    async def run(self) -> None:
        """All frames, one after the other; returns when the last byte has left."""
        hub, clock = self._hub, self._hub.clock
        for key in dict.fromkeys(frame.key for frame in self._frames if frame.trades):
            await self._until_wanted(key)
        origin_ns = self._frames[0].ts_ns
        start_ns = clock.mono_ns()
        for place, frame in enumerate(self._frames):
            if self._speed:
                ahead_s = (start_ns - clock.mono_ns()) / NS_PER_S + (frame.ts_ns - origin_ns) / NS_PER_S / self._speed
                if ahead_s > 0.001:
                    hub.flush()
                    await clock.sleep(ahead_s)
            await self._play(place, frame)
            if place % FRAMES_PER_WRITE == FRAMES_PER_WRITE - 1:
                await hub.drain(self._traits.buffer_bytes_max)
        await hub.drain(0)

    async def quiesce(self) -> None:
        await self._hub.drain(0)

    async def _play(self, place: int, frame: TimedFrame) -> None:
        self._now_ms = max(self._now_ms, frame.ts_ns // NS_PER_MS)
        self.update_id += 1
        ledger = self._hub.ledger
        if place in self._holes:
            ledger.never_were(frame.coin, frame.trades)
            return
        for trade in frame.trades:
            self._views[frame.coin].observe(trade)
            self._histories[frame.coin].observe(trade)
        if place in self._dropped:
            ledger.kept_back(frame.coin, frame.trades)
            return
        while not self._hub.publish(frame.key, frame.payload, frame.trades) and frame.trades:
            await self._until_wanted(frame.key)

    async def _until_wanted(self, key: Key) -> None:
        self._hub.flush()
        self.waiting_for = key
        await self._hub.until_wanted(key)
        self.waiting_for = None
