"""What the alerts remember, on disk: incidents, waiting messages and mutes, in one small SQLite file.

SQLite and no journal of our own, for two reasons: an incident and its message become durable together or not at all,
and `everytick alerts mute` is another process that writes while this one reads. The file is the alerts' own, so that
a store that is away or full of other work never keeps an alert back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec

from everytick.errors import Retryable
from everytick.model.alert import Book, Incident, Mute, Storm
from everytick.serve.alerts.outbox import Parcel

T = TypeVar("T")

FILE_NAME = "alerts.sqlite"
# The command line holds its lock for a millisecond. Longer waits would delay the next look at what goes wrong.
BUSY_TIMEOUT_MS = 1_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS engine (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incidents (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mutes (target TEXT PRIMARY KEY, until_ns INTEGER NOT NULL) WITHOUT ROWID;
"""


class _Engine(msgspec.Struct, frozen=True):
    """The book without its incidents."""

    now_ns: int
    began_ns: int
    storms: dict[str, Storm]
    spoken: dict[str, tuple[int, ...]]
    sent: int


class Memory:
    """One file, open. Every method raises Retryable when the file cannot be read or written now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._errors():
            try:
                self._connection = _open(path)
            except (apsw.NotADBError, apsw.CorruptError):
                # Alerts matter more than their past: the damaged file is kept for a look, and a new one begun.
                path.replace(path.with_suffix(".damaged"))
                self._connection = _open(path)

    def load(self) -> tuple[Book, list[Parcel]]:
        """The book and the waiting messages. A row that this version cannot read is left out."""
        with self._errors():
            engine = list(self._connection.execute("SELECT body FROM engine WHERE name = 'engine'"))
            incidents = [row[0] for row in self._connection.execute("SELECT body FROM incidents")]
            parcels = [row[0] for row in self._connection.execute("SELECT body FROM outbox")]
        base = next(_readable((row[0] for row in engine), _Engine), _Engine(0, 0, {}, {}, 0))
        known = {incident.key: incident for incident in _readable(incidents, Incident)}
        book = Book(base.now_ns, base.began_ns, known, base.storms, base.spoken, base.sent)
        return book, list(_readable(parcels, Parcel))

    def save(self, before: Book, after: Book, parcels: Mapping[str, Parcel | None]) -> None:
        """Make the difference durable, all of it or nothing."""
        gone = [key for key in before.incidents if key not in after.incidents]
        changed = [i for key, i in after.incidents.items() if _differs(before.incidents.get(key), i)]
        is_moved = (before.storms, before.spoken, before.sent) != (after.storms, after.spoken, after.sent)
        if not (gone or changed or parcels or is_moved or not before.began_ns):
            return
        engine = _Engine(after.now_ns, after.began_ns, dict(after.storms), dict(after.spoken), after.sent)
        with self._errors(), self._connection:
            run = self._connection.executemany
            run("INSERT OR REPLACE INTO engine VALUES ('engine', ?)", [(_encode(engine),)])
            run("DELETE FROM incidents WHERE key = ?", [(key,) for key in gone])
            run("INSERT OR REPLACE INTO incidents VALUES (?, ?)", [(i.key, _encode(i)) for i in changed])
            run("DELETE FROM outbox WHERE id = ?", [(key,) for key, parcel in parcels.items() if parcel is None])
            kept = [(key, _encode(parcel)) for key, parcel in parcels.items() if parcel is not None]
            run("INSERT OR REPLACE INTO outbox VALUES (?, ?)", kept)

    def mutes(self) -> list[Mute]:
        """Every mute, also those that have run out."""
        with self._errors():
            return [Mute(target, until) for target, until in self._connection.execute("SELECT * FROM mutes")]

    def mute(self, mute: Mute) -> None:
        """Add a mute; a later one for the same target stands in its place."""
        with self._errors():
            self._connection.execute("INSERT OR REPLACE INTO mutes VALUES (?, ?)", (mute.target, mute.until_ns))

    def unmute(self, target: str) -> bool:
        """Take a mute away; False if there was none."""
        with self._errors():
            self._connection.execute("DELETE FROM mutes WHERE target = ?", (target,))
            return self._connection.changes() > 0

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (apsw.Error, OSError) as error:
            raise Retryable(f"the alerts' memory {self._path} cannot be used: {error}") from error


def _open(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    # WAL lets the command line read while this process writes; FULL makes a commit survive a power cut.
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.execute(_SCHEMA)
    path.chmod(0o600)
    return connection


def _differs(before: Incident | None, after: Incident) -> bool:
    """Whether a change is worth a write: the time and the words of a condition that goes on are not."""
    if before is None or before is after:
        return before is None
    same = msgspec.structs.replace(before, seen_ns=after.seen_ns, text=after.text)
    return same != after


_encode = msgspec.json.encode


def _readable(bodies: Iterable[bytes], kind: type[T]) -> Iterator[T]:
    for body in bodies:
        try:
            yield msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError:
            continue
