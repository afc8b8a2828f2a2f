"""Bringing a file to the tables that this program knows, and refusing those it does not."""

from __future__ import annotations

import apsw

from everytick.stores.migrate import CREATE_MIGRATIONS, Applied, migrations, older, pending
from everytick.stores.sqlite.connect import ask, refuse_foreign, transaction

DIALECT = "sqlite"


def migrate(connection: apsw.Connection, path: str) -> None:
    """Apply what is missing, each migration in one transaction with its mark.

    Raises Refused for a store of a newer or a changed program, or of another program altogether; apsw.Error.
    """
    known = migrations(DIALECT)
    refuse_foreign(connection, path)
    with transaction(connection, "BEGIN IMMEDIATE"):
        connection.execute(CREATE_MIGRATIONS)
    for migration in pending(known, _applied(connection), path):
        with transaction(connection, "BEGIN IMMEDIATE"):
            done = migration.applied
            if done in _applied(connection):  # another process was as quick
                continue
            connection.execute(migration.text)
            connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (done.number, done.name, done.checksum))


def check(connection: apsw.Connection, path: str) -> None:
    """Raises Refused unless the store has exactly the tables that this program knows; apsw.Error."""
    refuse_foreign(connection, path)
    is_empty = not ask(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'migrations'")
    missing = pending(migrations(DIALECT), [] if is_empty else _applied(connection), path)
    if missing:
        raise older(missing[0], path)


def _applied(connection: apsw.Connection) -> list[Applied]:
    rows = ask(connection, "SELECT number, name, checksum FROM migrations ORDER BY number")
    return [Applied(number, name, checksum) for number, name, checksum in rows]
