"""One writer at a time: a lock that the system takes back when its process ends, however it ends."""

from __future__ import annotations

from pathlib import Path

import apsw


class WriterLock:
    """An exclusive lock on an empty file beside the store, by SQLite's own file locks.

    It keeps honest writers apart. What keeps the data safe from a writer that lost it unawares (a stopped
    process that wakes, a lock taken over) is the epoch that each transaction checks.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def release(self) -> None:
        """Let go."""
        self._connection.close()


def try_lock(path: str) -> WriterLock | None:
    """The lock of the store at `path`, or None while another writer holds it. Raises apsw.Error, OSError."""
    name = f"{path}-writer"
    Path(name).touch(mode=0o600)
    connection = apsw.Connection(name)
    try:
        # Nothing is ever written to this file, so it needs no journal beside it.
        connection.pragma("journal_mode", "memory")
        connection.execute("BEGIN EXCLUSIVE")
    except apsw.BusyError:
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return WriterLock(connection)
