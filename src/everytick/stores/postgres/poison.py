"""Which rows of a refused batch the server cannot hold: each is tried alone, and nothing of it is kept."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from everytick.stores import rows
from everytick.stores.holding import refused, rows_of, unfit
from everytick.stores.postgres import tables
from everytick.stores.postgres.changes import new_rows
from everytick.stores.postgres.connect import Patient, roll_back
from everytick.stores.postgres.encode import not_numeric
from everytick.stores.postgres.tables import Table
from everytick.stores.postgres.trouble import is_unstorable
from everytick.stores.protocol import Batch, Mid, PlacedCandle, RowIdentity, Unstorable


def unstorable(connection: Patient, batch: Batch, known: rows.StreamNumbers, place: str) -> Unstorable | None:
    """The rows that are refused, if any are: by the rule of every store, else by this server. Raises psycopg.Error."""
    if found := unfit(batch):
        return refused(place, found)
    found = _tried(connection, batch, known)
    return refused(place, found, is_by_rule=False) if found else None


def _tried(connection: Patient, batch: Batch, known: rows.StreamNumbers) -> dict[RowIdentity, str]:
    numbers = rows.StreamNumbers(known)
    for stream in batch.streams:
        numbers.setdefault(stream, len(numbers) + 1)
    reasons = {}
    connection.execute("BEGIN")
    try:
        for identity, table, row in _single(batch, numbers):
            if reason := _refusal(connection, table, row):
                reasons[identity] = reason
    finally:
        roll_back(connection)
    return reasons


def _single(batch: Batch, numbers: rows.StreamNumbers) -> Iterator[tuple[RowIdentity, Table, tuple[object, ...] | str]]:
    for identity, row in rows_of(batch):
        alone = Batch(0, 0)
        if isinstance(row, tuple):
            yield identity, tables.TRADES, rows.trade_rows([row], numbers)[0]
            continue
        if isinstance(row, PlacedCandle):
            yield identity, tables.CANDLES, rows.candle_rows([row], numbers)[0]
            continue
        if isinstance(row, Mid):
            alone.mids.append(row)
        else:
            alone.events.append(row)
        try:
            ((_, table, (spelled,)),) = new_rows(alone, numbers)
        except ValueError as error:
            yield identity, tables.MIDS, str(error)
        else:
            yield identity, table, spelled


def _refusal(connection: Patient, table: Table, row: tuple[object, ...] | str) -> str:
    """Why the server refuses this row; empty if it takes it, or has it already."""
    if isinstance(row, str):
        return row
    for (_, kind), value in zip(table.columns, row, strict=True):
        is_plain = kind == "numeric" and table is not tables.CONTEXTS
        if is_plain and isinstance(value, str) and (reason := not_numeric(value)):
            return reason
    connection.execute("SAVEPOINT one")
    try:
        connection.execute(table.insert, row, prepare=True)
    except psycopg.Error as error:
        if connection.closed:
            raise
        connection.execute("ROLLBACK TO SAVEPOINT one")
        return error.diag.message_primary or type(error).__name__ if is_unstorable(error) else ""
    connection.execute("RELEASE SAVEPOINT one")
    return ""
