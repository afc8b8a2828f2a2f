"""Numbered migrations: which of them a store still needs, and which stores this program must not touch.

A migration is a file `sql/<dialect>/<number>_<name>.sql`, numbered from 1 without holes. Its checksum is kept in
the store when it is applied. A file that has been applied somewhere is never edited: a change is a new file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib import resources

import msgspec

from everytick.errors import Fatal, Refused

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

# The table that remembers; the same in every dialect.
CREATE_MIGRATIONS = (
    "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)"
)

REBUILD = "`everytick rebuild` makes the store again from the tape"


class Applied(msgspec.Struct, frozen=True):
    """A migration as a store remembers it. `checksum` is the SHA-256 of its text, in hex."""

    number: int
    name: str
    checksum: str


class Migration(msgspec.Struct, frozen=True):
    """A migration as this program knows it."""

    number: int
    name: str
    text: str

    @property
    def applied(self) -> Applied:
        """What a store remembers of it."""
        return Applied(self.number, self.name, hashlib.sha256(self.text.encode()).hexdigest())


def migrations(dialect: str) -> list[Migration]:
    """Every migration of the dialect, in order. Raises Fatal if the files are not numbered 1, 2, 3, ..."""
    found = []
    for file in resources.files("everytick.stores").joinpath("sql", dialect).iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise Fatal(f"{file.name} among the {dialect} migrations is not named like 0001_first.sql")
        found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.number)
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise Fatal(f"the {dialect} migrations are numbered {numbers}, not 1, 2, 3 without holes")
    return found


def pending(known: Sequence[Migration], applied: Sequence[Applied], place: str) -> list[Migration]:
    """The migrations that the store at `place` still needs.

    Raises Refused, with the way out, if the store has one that this program does not know, or knows otherwise.
    """
    by_number = {migration.number: migration.applied for migration in known}
    for done in sorted(applied, key=lambda one: one.number):
        ours = by_number.get(done.number)
        if ours is None:
            raise Refused(
                f"the store was written by a newer everytick: it has migration {done.number} ({done.name}), "
                f"this program knows {len(known)}",
                path=place,
                value=done.number,
                suggestion=f"upgrade everytick, or choose another path: {REBUILD}",
            )
        if ours != done:
            raise Refused(
                f"migration {done.number} of the store ({done.name}, {done.checksum[:12]}) is not the one this "
                f"program knows ({ours.name}, {ours.checksum[:12]})",
                path=place,
                value=done.checksum,
                suggestion=f"run the everytick that wrote it, or choose another path: {REBUILD}",
            )
    done_numbers = {done.number for done in applied}
    return [migration for migration in known if migration.number not in done_numbers]


def older(lacking: Migration, place: str) -> Refused:
    """What a reader says of a store that lacks a migration."""
    return Refused(
        f"the store is of an older everytick: it lacks migration {lacking.number} ({lacking.name})",
        path=place,
        suggestion="it is brought up to date when a recorder of this version opens it",
    )
