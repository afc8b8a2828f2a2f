"""What a seed chooses before it runs: markets, sizes, rates, and which kinds of fault may come at all.

Swarm testing: a random subset of the kinds of fault for each seed finds more than all of them all the time, because
many faults hide others. Sizes are small, so that what happens once a day at a customer's happens once a minute here.
"""

from __future__ import annotations

import random

import msgspec

from everytick.model.stream import Kind, Stream
from everytick.recorder.backfill_settings import BackfillSettings
from everytick.sim.faults import KINDS, Fault, draw_plan
from everytick.tape.settings import TapeSettings

HYPERLIQUID_COINS = ("BTC", "ETH", "SOL", "WLFI", "HYPE", "DOGE", "XRP", "kPEPE")
BINANCE_SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
# A mean over all instruments of a venue. Most are slow: an hour of a busy market costs as much as fifty quiet ones.
RATES = (0.05, 0.1, 0.2, 0.3, 0.3, 0.5, 0.5, 1.0, 2.0, 5.0)
# Seconds between two faults, on average: each seed has one pace.
PACES_S = (20.0, 30.0, 40.0, 50.0)


class Swarm(msgspec.Struct, frozen=True):
    """One seed's choices. Times in seconds, sizes in bytes."""

    seed: int
    hours: float
    coins: tuple[str, ...]
    symbols: tuple[str, ...]
    rates: tuple[float, float]  # trades per second: hyperliquid, binance
    block_ms: tuple[int, int]
    latency_ms: tuple[int, int]
    tick_s: float
    segment_bytes: int
    block_bytes: int
    backlog_bytes: int
    tail_bytes: int
    replay_trades: int
    partial_replays: float
    candles: bool
    quotes: bool
    polls: bool
    gap_age_s: float
    commit_interval_s: float
    kinds: tuple[str, ...]
    plan: tuple[Fault, ...]

    @property
    def streams(self) -> dict[str, list[Stream]]:
        """What is recorded."""
        kinds = [Kind.TRADES, *([Kind.QUOTES] if self.quotes else [])]
        found = {
            venue: [Stream(venue, kind, name) for name in names for kind in kinds]
            for venue, names in (("hyperliquid", self.coins), ("binance", self.symbols))
            if names
        }
        if self.candles:
            for venue, streams in found.items():
                streams += [Stream(venue, Kind.CANDLES, s.instrument, "1m") for s in streams if s.kind is Kind.TRADES]
        return found

    @property
    def tape(self) -> TapeSettings:
        """The tape's sizes."""
        return TapeSettings(
            segment_bytes_max=self.segment_bytes,
            block_bytes_max=self.block_bytes,
            commit_interval_min_s=self.commit_interval_s,
            backlog_bytes_max=self.backlog_bytes,
            tail_bytes_max=self.tail_bytes,
        )

    @property
    def backfill(self) -> BackfillSettings:
        """How soon gaps are worked on."""
        return BackfillSettings(gap_age_s=self.gap_age_s)


def draw(seed: int, hours: float, only: tuple[str, ...] = ()) -> Swarm:
    """A seed's choices; `only` these kinds of fault, where given."""
    dice = random.Random(f"{seed}/swarm")
    coins = dice.sample(HYPERLIQUID_COINS, dice.choice((0, 1, 1, 2, 3)))
    symbols = dice.sample(BINANCE_SYMBOLS, dice.choice((0, 1, 1, 2)))
    if not coins and not symbols:
        coins = ["BTC"]
    rates = dice.choice(RATES), dice.choice(RATES)
    share = dice.choice((0.25, 0.5, 0.5, 0.75, 1.0))
    kinds = tuple(kind for kind in KINDS if dice.random() < share) or ("cut", "power_cut")
    kinds = tuple(kind for kind in KINDS if kind in only) if only else kinds
    pace_s = dice.choice(PACES_S)
    chosen = Swarm(
        seed=seed,
        hours=hours,
        coins=tuple(coins),
        symbols=tuple(symbols),
        rates=rates,
        block_ms=dice.choice(((60, 180), (200, 900), (500, 2_000))),
        latency_ms=dice.choice(((1, 5), (5, 60), (20, 400))),
        tick_s=dice.choice((0.25, 0.5, 1.0)),
        segment_bytes=dice.choice((4, 16, 64, 512, 2_048)) * 1024,
        block_bytes=dice.choice((512, 4_096, 65_536, 1_048_576)),
        backlog_bytes=dice.choice((16, 256, 4_096)) * 1024,
        tail_bytes=dice.choice((0, 16_384, 1_048_576)),
        replay_trades=30,  # as recorded of the venue; see docs/decisions/0003 for what follows from it
        partial_replays=dice.choice((0.0, 0.3)),
        candles=dice.random() < 0.3,
        quotes=dice.random() < 0.3,
        polls=dice.random() < 0.3,
        gap_age_s=dice.choice((1.0, 10.0, 30.0)),
        commit_interval_s=dice.choice((0.0, 0.0, 0.05)),
        kinds=kinds,
        plan=(),
    )
    venues = tuple(chosen.streams)
    plan = draw_plan(random.Random(f"{seed}/faults"), kinds, venues, hours * 3_600, pace_s)
    return msgspec.structs.replace(chosen, plan=tuple(plan))
