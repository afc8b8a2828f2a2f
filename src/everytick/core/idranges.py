"""Sets of ids as ranges: what is missing of a dense sequence, exactly, in little room."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class IdRanges:
    """A set of integers kept as sorted ranges, both ends inclusive, never touching each other."""

    __slots__ = ("_ranges",)

    def __init__(self, first_id: int, last_id: int) -> None:
        """All ids from `first_id` to `last_id`."""
        self._ranges: list[tuple[int, int]] = [(first_id, last_id)] if first_id <= last_id else []

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._ranges)

    def __contains__(self, identity: int) -> bool:
        at = bisect_right(self._ranges, identity, key=_first) - 1
        return at >= 0 and identity <= self._ranges[at][1]

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The ranges, in order."""
        return tuple(self._ranges)

    def remove(self, identity: int) -> bool:
        """Take one id out; whether it was in."""
        at = bisect_right(self._ranges, identity, key=_first) - 1
        if at < 0 or identity > self._ranges[at][1]:
            return False
        first, last = self._ranges[at]
        self._ranges[at : at + 1] = [r for r in ((first, identity - 1), (identity + 1, last)) if r[0] <= r[1]]
        return True

    def remove_all(self, identities: Iterable[int]) -> int:
        """Take these ids out; how many of them were in."""
        return sum(self.remove(identity) for identity in identities)

    def take(self, first_id: int, last_id: int) -> list[tuple[int, int]]:
        """Take everything from `first_id` to `last_id` out, and return it as ranges."""
        taken, left = [], []
        for first, last in self._ranges:
            low, high = max(first, first_id), min(last, last_id)
            if low > high:
                left.append((first, last))
                continue
            taken.append((low, high))
            left += [r for r in ((first, low - 1), (high + 1, last)) if r[0] <= r[1]]
        self._ranges = left
        return taken


def _first(one: tuple[int, int]) -> int:
    return one[0]
