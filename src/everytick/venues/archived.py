"""The contract of a venue's archive of files: a module with these names. Pure: it reads lines, never files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from everytick.model.event import Decoded
from everytick.model.units import NS_PER_S

# The name of an answer on the tape that holds lines of an archive: this and the kind of lines.
PREFIX: Final = "archive:"
HOUR_NS: Final = 3_600 * NS_PER_S

# Of each instrument, the stretches [from_ms, to_ms) that are wanted.
Wanted = Mapping[str, Sequence[tuple[int, int]]]


class Hour(msgspec.Struct, frozen=True):
    """One hour of an archive: any of `choices` is whole if every file in it is. No choices: it is not there."""

    from_ns: int
    choices: tuple[tuple[str, ...], ...]

    @property
    def to_ns(self) -> int:
        """Where the next hour begins."""
        return self.from_ns + HOUR_NS


class ArchiveDialect(Protocol):
    """How one venue's archive is laid out and written."""

    @property
    def NAME(self) -> str:
        """The venue."""
        ...

    @property
    def LATE_NS(self) -> int:
        """Of an hour, the last moments that may stand in the next hour's file."""
        ...

    def hours(self, from_ns: int, to_ns: int) -> Sequence[Hour]:
        """Every hour of which files are needed to know all of [from_ns, to_ns), in order."""
        ...

    def kind_of(self, file: str) -> str:
        """The kind of lines in a file, from its path."""
        ...

    def names_ids(self, kind: str) -> bool:
        """Whether lines of this kind name the venue's own trade ids."""
        ...

    def select(self, kind: str, line: bytes, wanted: Wanted) -> bytes:
        """What of a line is wanted; empty where nothing is. Raises Invalid for a line that cannot be read."""
        ...

    def decode_lines(self, name: str, body: bytes, ts_recv_ns: int) -> Decoded:
        """The trades in lines of the archive. `name` is PREFIX and the kind. Never raises."""
        ...
