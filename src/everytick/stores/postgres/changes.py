"""What a batch changes; the caller holds the transaction. New rows go by COPY, those that replace by one statement."""

from __future__ import annotations

from collections.abc import Iterable

from everytick.stores import rows
from everytick.stores.postgres import tables
from everytick.stores.postgres.connect import Patient
from everytick.stores.postgres.encode import columns, is_minus_zero, lines, refuse_numbers, trade_lines
from everytick.stores.postgres.tables import Table
from everytick.stores.protocol import Batch

ADD_SIZE = "UPDATE sizes SET value = value + %s WHERE name = %s"
ADD_COUNT = (
    "INSERT INTO counts AS c (name, value) VALUES (%s, %s) "
    "ON CONFLICT (name) DO UPDATE SET value = c.value + excluded.value"
)


def write(connection: Patient, batch: Batch, numbers: rows.StreamNumbers) -> None:
    """Write the batch's rows, states, counts and checkpoint.

    Raises psycopg.Error, Fatal for an unknown stream, ValueError for a number that NUMERIC cannot give back.
    """
    grown = {"trades": _copy(connection, tables.TRADES, trade_lines(batch, numbers), len(batch.trades))}
    for name, table, new in new_rows(batch, numbers):
        grown[name] = _copy(connection, table, (lines(new),), len(new))
    grown["candles"] = _put(
        connection, tables.CANDLES, refuse_numbers(rows.candle_rows(batch.candles, numbers), slice(3, 8))
    )
    grown["gaps"] = _put(connection, tables.GAPS, rows.gap_rows(batch.gaps, numbers))
    dropped = rows.cover_keys(batch.cover_dropped, numbers)
    covered = _last_of_each(tables.COVERAGE, rows.cover_rows(batch.cover_put, numbers))
    with connection.pipeline():
        if dropped:
            connection.execute(tables.COVERAGE.drop, list(columns(dropped)), prepare=True)
        if covered:
            connection.execute(tables.COVERAGE.put, list(columns(covered)), prepare=True)
        if batch.states:
            connection.execute(tables.STATES.put, list(columns(list(batch.states.items()))), prepare=True)
        for name, more in batch.counts.items():
            connection.execute(ADD_COUNT, (name, more), prepare=True)
        for name, more in grown.items():
            if more:
                connection.execute(ADD_SIZE, (more, name), prepare=True)
        connection.execute("UPDATE checkpoint SET tape_offset = %s", (batch.offset_to,), prepare=True)


def new_rows(batch: Batch, numbers: rows.StreamNumbers) -> list[tuple[str, Table, rows.Rows]]:
    """(name in `sizes`, table, rows) of what is only ever added, trades apart. Raises ValueError."""
    quotes, books, contexts, vaults = rows.event_rows(batch.events, numbers)
    mids = rows.mid_rows(batch.mids, numbers)
    escaped = [
        (*row[:2], *(tables.escaped(str(text)) for text in row[2:7]), *row[7:])
        for row in rows.quarantine_rows(batch.quarantined)
    ]
    found = [
        ("quotes", tables.QUOTES, refuse_numbers(quotes, slice(3, 7))),
        ("books", tables.BOOKS, books),
        ("contexts", tables.CONTEXTS, [(*row, minus_zeros(row[3:])) for row in contexts]),
        ("vaults", tables.VAULTS, vaults),
        ("mids", tables.MIDS, refuse_numbers(mids, slice(3, 4))),
        ("quarantined", tables.QUARANTINE, escaped),
        ("", tables.SEAMS, rows.seam_rows(batch.seams, numbers)),
    ]
    return [one for one in found if one[2]]


def minus_zeros(numbers: tuple[object, ...]) -> int:
    """Which of a context's numbers are zeros with a minus, as bits."""
    return sum(1 << n for n, text in enumerate(numbers) if isinstance(text, str) and is_minus_zero(text))


def _copy(connection: Patient, table: Table, parts: Iterable[str], count: int) -> int:
    if count:
        with connection.cursor() as cursor, cursor.copy(table.copy) as copy:
            for part in parts:
                copy.write(part)
    return count


def _put(connection: Patient, table: Table, put: rows.Rows) -> int:
    """Insert or replace, the last one standing; says how many were not there before."""
    if not put:
        return 0
    last = _last_of_each(table, put)
    arrays = list(columns(last))
    inserted = connection.execute(table.insert_new, arrays, prepare=True).rowcount
    if inserted < len(last):
        connection.execute(table.put, arrays, prepare=True)
    return inserted


def _last_of_each(table: Table, put: rows.Rows) -> rows.Rows:
    # One statement may not replace a row twice.
    places = [index for index, (name, _) in enumerate(table.columns) if name in table.key]
    return list({tuple(row[place] for place in places): row for row in put}.values())
