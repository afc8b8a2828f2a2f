"""Outages of a simulated venue: every connection ends, and for a while nobody can connect."""

from __future__ import annotations

import random
from typing import Protocol

from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.sim.hub import Hub
from everytick.sim.oracle import Cut


class OutageTraits(Protocol):
    """How often, for how long (from, to), and with which close codes (0: without a word)."""

    @property
    def outage_every_s(self) -> float: ...

    @property
    def outage_short_s(self) -> tuple[float, float]: ...

    @property
    def outage_long_s(self) -> tuple[float, float]: ...

    @property
    def outage_long_share(self) -> float: ...

    @property
    def close_codes(self) -> tuple[int, ...]: ...


class Outages:
    """Draws outages from dice of their own and strikes when one is due."""

    def __init__(self, traits: OutageTraits, seed: int, hub: Hub) -> None:
        self._traits = traits
        self._hub = hub
        self._dice = random.Random(f"{seed}/faults")
        self._until_ns = 0
        self._next_ns = self._draw(hub.clock.mono_ns())

    @property
    def is_on(self) -> bool:
        """Whether nobody can connect now."""
        return self._hub.clock.mono_ns() < self._until_ns

    async def strike_when_due(self, now_ms: int) -> None:
        """End every connection if it is time; `now_ms` is the venue's time, for the ledger."""
        now_ns = self._hub.clock.mono_ns()
        if not self._next_ns or now_ns < self._next_ns:
            return
        traits = self._traits
        long = self._dice.random() < traits.outage_long_share
        bounds = traits.outage_long_s if long else traits.outage_short_s
        length_ns = int(self._dice.uniform(*bounds) * NS_PER_S)
        code = self._dice.choice(traits.close_codes)
        self._until_ns = now_ns + length_ns
        self._next_ns = self._draw(self._until_ns)
        self._hub.ledger.cuts.append(Cut(f"outage, code {code}", now_ms, length_ns // NS_PER_MS))
        await self._hub.cut(code, "going away")

    def _draw(self, from_ns: int) -> int:
        if not self._traits.outage_every_s:
            return 0
        return from_ns + int(self._dice.expovariate(1 / self._traits.outage_every_s) * NS_PER_S)
