"""Whether two stores hold the same, line by line of their dumps; one of them may be at work meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, zip_longest

from everytick.errors import Fatal
from everytick.stores.open import open_reader
from everytick.stores.protocol import Reader


def difference_at_one_moment(rebuilt: str, present: str, to_offset: Callable[[int], None]) -> str | None:
    """How the present store, as it stands at one moment, differs from a rebuilt one; None if it does not.

    Where the present one is ahead, because it is written meanwhile, `to_offset` is asked to bring the rebuilt one to
    the same offset. A present store that is behind or damaged differs by that.
    """
    try:
        other = open_reader(present)
    except Fatal as damaged:
        return str(damaged)
    try:
        at, dump = _held_still(other)
        checkpoint = _checkpoint(rebuilt)
        if at < checkpoint:
            return f"present is behind, at offset {at} of {checkpoint}: everytick run or everytick project brings it up"
        if at > checkpoint:
            to_offset(at)
        one = open_reader(rebuilt)
        try:
            return _first(one.dump(), dump)
        finally:
            one.close()
    except Fatal as damaged:
        return str(damaged)
    finally:
        other.close()


def _checkpoint(address: str) -> int:
    reader = open_reader(address)
    try:
        return reader.checkpoint()
    finally:
        reader.close()


def _held_still(reader: Reader) -> tuple[int, Iterator[str]]:
    """The checkpoint of a store, and its dump as it stood then: a dump is of the moment of its first line."""
    while True:
        before, dump = reader.checkpoint(), reader.dump()
        first = next(dump, None)
        if reader.checkpoint() == before:
            return before, dump if first is None else chain([first], dump)


def _first(ours: Iterator[str], theirs: Iterator[str]) -> str | None:
    for a, b in zip_longest(ours, theirs):
        if a != b:
            return f"rebuilt {a!r}, present {b!r}"
    return None
