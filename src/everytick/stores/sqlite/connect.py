"""Connections to the file, and what SQLite's errors mean to the program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from everytick.errors import Fatal, Refused, Retryable
from everytick.stores.migrate import REBUILD

# Waiting for another connection: a checkpoint or a competing writer holds its lock for milliseconds; five seconds
# means that somebody is stuck.
BUSY_TIMEOUT_MS = 5_000

# Between checkpoints the log may reach this many pages of 4 KiB (16 MiB): fewer, longer copies into the main file.
CHECKPOINT_PAGES = 4_000

# A reader that stays long makes the log grow; afterwards the file is cut to this again.
LOG_BYTES_KEPT = 64 * 1024 * 1024

# The tree's upper levels and the pages being filled; the system's page cache holds the rest.
WRITER_CACHE_KIB = 32 * 1024
READER_CACHE_KIB = 8 * 1024

SQLiteValue = int | str | bytes | None

# A statement is parsed once if its text is kept; a question about many streams is a long text.
STATEMENTS_KEPT = 200

_BUSY = (apsw.BusyError, apsw.LockedError)
_AWAY = (apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError, apsw.NoMemError)
_DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)


@contextmanager
def errors_of(path: str) -> Iterator[None]:
    """Turns what SQLite raises into our families, each with one sentence that names the file."""
    try:
        yield
    except _BUSY as error:
        raise Retryable(
            f"the store {path} is busy: another connection has kept its lock for over {BUSY_TIMEOUT_MS // 1000} s"
        ) from error
    except apsw.FullError as error:
        raise Retryable(f"the store {path} has no room: its disk is full; free some and it goes on") from error
    except _AWAY as error:
        raise Retryable(f"the store {path} cannot be read or written: {error}") from error
    except _DAMAGED as error:
        raise Fatal(f"the store {path} is damaged or no SQLite file ({error}); {REBUILD}") from error
    except apsw.Error as error:
        raise Fatal(f"the store {path} refused a statement: {type(error).__name__}: {error}") from error


def connect_writer(path: str, vfs: str | None = None) -> apsw.Connection:
    """A connection that may write; makes the file, for its owner only, if it is not there.

    `vfs` names another file layer than the system's, for tests that break it. Raises apsw.Error, OSError.
    """
    file = Path(path)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    connection = apsw.Connection(path, vfs=vfs, statementcachesize=STATEMENTS_KEPT)
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.pragma("journal_mode", "wal")
        # FULL: a committed transaction survives a power cut, so the checkpoint in the store is never ahead of
        # what is on the disk, and nothing that was acknowledged is taken back.
        connection.pragma("synchronous", "full")
        connection.pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        connection.pragma("journal_size_limit", LOG_BYTES_KEPT)
        connection.pragma("cache_size", -WRITER_CACHE_KIB)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: str) -> apsw.Connection:
    """A connection that cannot write. Raises Retryable if there is no store yet, apsw.Error."""
    if not Path(path).exists():
        raise Retryable(f"there is no store at {path} yet: it is made when a recorder first runs")
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY, statementcachesize=STATEMENTS_KEPT)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.pragma("cache_size", -READER_CACHE_KIB)
    return connection


def ask(connection: apsw.Connection, text: str, values: Sequence[SQLiteValue] = ()) -> list[Any]:
    """Every row of the answer. The tables are STRICT, so each column's type is as the statement says."""
    return connection.execute(text, values).fetchall()


@contextmanager
def transaction(connection: apsw.Connection, begin: str = "BEGIN") -> Iterator[None]:
    """What is inside sees one state of the store, and its changes are kept all or none."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors (a full disk among them).
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def refuse_foreign(connection: apsw.Connection, path: str) -> None:
    """Raises Refused if the file holds the tables of another program."""
    tables = [name for (name,) in ask(connection, "SELECT name FROM sqlite_schema WHERE type = 'table'")]
    if tables and "migrations" not in tables:
        raise Refused(
            f"this SQLite file holds tables of another program ({', '.join(sorted(tables)[:3])})",
            path=path,
            suggestion="give the store a path of its own",
        )
