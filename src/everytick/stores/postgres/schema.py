"""Bringing a schema to the tables that this program knows, and refusing those it does not."""

from __future__ import annotations

from everytick.errors import Refused
from everytick.stores.migrate import CREATE_MIGRATIONS, Applied, migrations, older, pending
from everytick.stores.postgres.connect import Patient, ask, transaction
from everytick.stores.postgres.lock import wait_to_migrate

DIALECT = "postgres"


def migrate(connection: Patient, place: str) -> None:
    """Apply what is missing, all of it in one transaction.

    Raises Refused for a store of a newer or a changed program, or of another program altogether; psycopg.Error.
    """
    known = migrations(DIALECT)
    if is_made(connection) and not pending(known, _applied(connection), place):
        return
    refuse_foreign(connection, place)
    with transaction(connection):
        wait_to_migrate(connection)
        if not is_made(connection):
            connection.execute(CREATE_MIGRATIONS)
        for migration in pending(known, _applied(connection), place):
            connection.execute(migration.text)
            done = migration.applied
            connection.execute("INSERT INTO migrations VALUES (%s, %s, %s)", (done.number, done.name, done.checksum))


def check(connection: Patient, place: str) -> None:
    """Raises Refused unless the store has exactly the tables that this program knows; psycopg.Error."""
    refuse_foreign(connection, place)
    missing = pending(migrations(DIALECT), _applied(connection) if is_made(connection) else [], place)
    if missing:
        raise older(missing[0], place)


def is_made(connection: Patient) -> bool:
    """Whether there is a store here at all."""
    return "migrations" in _tables(connection)


def refuse_foreign(connection: Patient, place: str) -> None:
    """Raises Refused if the schema holds the tables of another program."""
    tables = _tables(connection)
    if tables and "migrations" not in tables:
        raise Refused(
            f"the schema holds tables of another program ({', '.join(sorted(tables)[:3])})",
            path=place,
            suggestion="give the store a database or a schema (?options=-csearch_path%3Dname) of its own",
        )


def _tables(connection: Patient) -> set[str]:
    found = ask(connection, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    return {name for (name,) in found}


def _applied(connection: Patient) -> list[Applied]:
    rows = ask(connection, "SELECT number, name, checksum FROM migrations ORDER BY number")
    return [Applied(number, name, checksum) for number, name, checksum in rows]
