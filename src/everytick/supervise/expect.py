"""How long may a stream be silent before that is not normal? Learnt from its own gaps; no clock, no I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from everytick.model.units import NS_PER_S

# A busy stream (one event a second or more) is told mute within 15 s: this floor, the time between two looks, and
# the path through tape and store fit into that.
FLOOR_NS = 12 * NS_PER_S
# Before a stream has shown its habit: the time in which even a rarely traded instrument mostly says something.
UNKNOWN_NS = 900 * NS_PER_S
# A habit is known after this many gaps.
GAPS_MIN = 12.0
# Fewer gaps than this say little about their spread: until then it is taken to be that of independent events.
GAPS_SPREAD = 48.0
# What is remembered: ten minutes of a busy stream (markets change their pace within that), but never fewer than
# about 64 gaps (fewer make the spread a guess).
MEMORY_S = 600.0
FORGET_MAX = 1 / 64
# For independent events the spread equals the mean: twelve mean gaps in all, which chance passes once in 160,000
# gaps. A regular stream (a poll) has no spread: four of its intervals, so that one failed poll is no alarm.
SPREADS = 11.0
MEANS_MIN = 4.0
# The gaps of a stream this lively tell within seconds of a reconnect whether it speaks again.
LIVELY_S = 5.0


@dataclass(slots=True)
class Expectation:
    """A stream's habit: the decayed count, sum and squares of its gaps, in seconds (statistics, not times)."""

    count: float = 0.0
    total_s: float = 0.0
    squares: float = 0.0

    def learn(self, gap_ns: int) -> None:
        """One more gap between two events. Longer than the bound it counts as the bound: an outage is no habit."""
        gap_s = min(gap_ns, self.bound_ns) / NS_PER_S
        keep = max(math.exp(-gap_s / MEMORY_S), 1 - FORGET_MAX)
        self.count = self.count * keep + 1
        self.total_s = self.total_s * keep + gap_s
        self.squares = self.squares * keep + gap_s * gap_s

    @property
    def is_known(self) -> bool:
        """Whether enough gaps were seen to speak of a habit."""
        return self.count >= GAPS_MIN

    @property
    def mean_s(self) -> float:
        """The mean gap in seconds; 0 before the first."""
        return self.total_s / self.count if self.count else 0.0

    @property
    def is_lively(self) -> bool:
        """Whether the next event is normally a matter of seconds."""
        return self.is_known and self.mean_s <= LIVELY_S

    @property
    def bound_ns(self) -> int:
        """The longest silence in ns that is still normal."""
        if not self.is_known:
            return UNKNOWN_NS
        mean_s = self.mean_s
        spread_s = math.sqrt(max(self.squares / self.count - mean_s * mean_s, 0.0))
        if self.count < GAPS_SPREAD and mean_s > LIVELY_S:
            spread_s = max(spread_s, mean_s)
        normal_s = max(mean_s + SPREADS * spread_s, MEANS_MIN * mean_s)
        # The mean itself is known to about one part in the root of the count; a quiet stream has few.
        return max(int(normal_s * (1 + 2 / math.sqrt(self.count)) * NS_PER_S), FLOOR_NS)


def learnt(gaps_ns: Iterable[int]) -> Expectation:
    """The habit that these gaps show, oldest first: what a store still holds, at a start."""
    habit = Expectation()
    for gap_ns in gaps_ns:
        habit.learn(gap_ns)
    return habit
