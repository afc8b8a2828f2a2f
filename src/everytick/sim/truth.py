"""What one simulated venue's markets did, and how late the store is with it: what health is held against.

An event that happened and is in no store after the stated bound, with no later event of its stream there, is data that
is due and does not arrive. The bound is that of docs/HEALTH.md, taken from the true gaps and not from what the program
saw of them, with a third more: a sample may be that far off.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from everytick.model.units import NS_PER_MS
from everytick.sim.clock import WALL_NS
from everytick.sim.loop import SimLoop

BUSY_BOUND_S = 15.0
GAPS_BOUND = 60.0
SPREADS = 11.0
SAMPLE = 1.25 * 1.3  # the document's (1 + 2 / sqrt 64), and what a sample of 64 gaps may be off
PATH_S = 5.0
HABIT_EVENTS = 64
LOOK_MS = 500  # events closer together than the watchdog's looks are one to it


@dataclass
class Flow:
    """One instrument: its gaps so far, and what waits to be stored."""

    last_ms: int = -1
    gaps: int = 0
    total_s: float = 0.0
    squares: float = 0.0
    applied: int = 0
    newest_ms: int = -1
    applied_ms: int = 0  # true time at which the store last got anything of it
    waiting: deque[int] = field(default_factory=deque)

    def happened(self, time_ms: int) -> None:
        """One more event."""
        self.waiting.append(time_ms)
        if self.last_ms >= 0 and time_ms // LOOK_MS > self.last_ms // LOOK_MS:
            gap_s = (time_ms - self.last_ms) / 1_000
            self.gaps += 1
            self.total_s += gap_s
            self.squares += gap_s * gap_s
        self.last_ms = time_ms

    def bound_s(self) -> float:
        """How long data may be late."""
        mean_s = self.total_s / self.gaps
        spread_s = math.sqrt(max(self.squares / self.gaps - mean_s * mean_s, 0.0))
        normal_s = max(mean_s + SPREADS * spread_s, 4 * mean_s)
        return max(BUSY_BOUND_S, GAPS_BOUND * mean_s, normal_s * SAMPLE + PATH_S)


class Truth:
    """One venue's trades."""

    def __init__(self, venue: str, loop: SimLoop) -> None:
        self.venue = venue
        self._loop = loop
        self._flows: dict[str, Flow] = {}

    def happened(self, coin: str, time_ms: int) -> None:
        """An instrument traded."""
        self._flows.setdefault(coin, Flow()).happened(time_ms)

    def applied(self, coin: str, ts_ns: int) -> None:
        """A trade of that time is in the store."""
        flow = self._flows.setdefault(coin, Flow())
        flow.applied += 1
        flow.applied_ms = (WALL_NS + self._loop.now_ns) // NS_PER_MS
        flow.newest_ms = max(flow.newest_ms, ts_ns // NS_PER_MS)

    def late(self, since_ns: int, *, is_clock_right: bool) -> list[str]:
        """Instruments of which data is overdue, to a program that has been there since that nanosecond of the loop.

        A program whose clock is wrong cannot know how old data is: for it, any that arrives is fresh.
        """
        now_ms = (WALL_NS + self._loop.now_ns) // NS_PER_MS
        began_ms = (WALL_NS + since_ns) // NS_PER_MS
        found = []
        for coin, flow in self._flows.items():
            waiting = flow.waiting
            while waiting and waiting[0] <= flow.newest_ms:
                waiting.popleft()
            is_known = flow.applied >= HABIT_EVENTS and flow.gaps >= HABIT_EVENTS
            arrived_ms = 0 if is_clock_right else flow.applied_ms
            if is_known and waiting and (now_ms - max(waiting[0], began_ms, arrived_ms)) / 1_000 > flow.bound_s():
                found.append(f"{self.venue}/trades/{coin}")
        return found
