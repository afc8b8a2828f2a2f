"""The algebra of coverage: which part of a time range is proved complete, and what stands in the way.

Intervals are half-open, [from_ns, to_ns), of one stream, sorted by time and not overlapping; where there is none,
nothing was ever observed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from everytick.model.ledger import Cover, Interval

# These covers let a reader rely on the interval: everything that happened is held, or nothing happened.
COMPLETE = frozenset({Cover.OBSERVED, Cover.BACKFILLED, Cover.CONFIRMED_EMPTY})


class Hole(msgspec.Struct, frozen=True, gc=False):
    """[from_ns, to_ns) is not proved complete; `cover` is None where nothing was ever observed."""

    from_ns: int
    to_ns: int
    cover: Cover | None


def clip(intervals: Iterable[Interval], from_ns: int, to_ns: int) -> list[Interval]:
    """The parts of the intervals that lie within [from_ns, to_ns)."""
    clipped = []
    for interval in intervals:
        low, high = max(interval.from_ns, from_ns), min(interval.to_ns, to_ns)
        if low < high:
            clipped.append(msgspec.structs.replace(interval, from_ns=low, to_ns=high))
    return clipped


def holes(intervals: Sequence[Interval], from_ns: int, to_ns: int) -> list[Hole]:
    """What of [from_ns, to_ns) is not proved complete, in time order; empty means: complete."""
    found: list[Hole] = []
    reached = from_ns
    for interval in clip(intervals, from_ns, to_ns):
        if interval.from_ns > reached:
            found.append(Hole(reached, interval.from_ns, None))
        if interval.cover not in COMPLETE:
            found.append(Hole(interval.from_ns, interval.to_ns, interval.cover))
        reached = max(reached, interval.to_ns)
    if reached < to_ns:
        found.append(Hole(reached, to_ns, None))
    return found


def is_complete(intervals: Sequence[Interval], from_ns: int, to_ns: int) -> bool:
    """Whether every moment of [from_ns, to_ns) is proved complete."""
    return not holes(intervals, from_ns, to_ns)
