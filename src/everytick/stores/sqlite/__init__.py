"""The default store: one SQLite file, written by one process, read by any.

The SQLite is the one that apsw carries: the copy in current Debian can corrupt a write-ahead log when it is reset
(fixed in 3.51.3, https://www.sqlite.org/wal.html, read 2026-11).
"""

from everytick.stores.sqlite.reader import SqliteReader
from everytick.stores.sqlite.writer import SqliteStore

__all__ = ["SqliteReader", "SqliteStore"]
