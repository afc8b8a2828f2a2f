"""The newest durable groups, still in memory: a follower in the same process needs neither disk nor zstd."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from everytick.model.frame import Frame
from everytick.tape.block import Columns, frames_of

# Groups are small when traffic is low; this bounds the copying of the tuple at each commit.
_GROUPS_MAX = 256


class Group(msgspec.Struct, frozen=True):
    """One committed group. `size_bytes` counts its payloads."""

    first_offset: int
    end_offset: int
    columns: Columns
    size_bytes: int


class Tail:
    """Written by the committing thread, read by any: the tuple of groups is replaced, never changed."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._groups: tuple[Group, ...] = ()

    def put(self, first_offset: int, columns: Columns, size_bytes: int) -> None:
        """Add the group that has just become durable; the oldest ones go when the bound is reached."""
        groups = (*self._groups, Group(first_offset, first_offset + len(columns[4]), columns, size_bytes))
        self._bytes += size_bytes
        start = 0
        while start < len(groups) and (self._bytes > self._bytes_max or len(groups) - start > _GROUPS_MAX):
            self._bytes -= groups[start].size_bytes
            start += 1
        self._groups = groups[start:]

    def frames(self, offset: int) -> list[Frame] | None:
        """All frames of the group that holds `offset`, or None if no group here does."""
        groups = self._groups
        at = bisect_right(groups, offset, key=_first_offset) - 1
        if at < 0 or offset >= groups[at].end_offset:
            return None
        return frames_of(groups[at].first_offset, groups[at].columns)


def _first_offset(group: Group) -> int:
    return group.first_offset
