"""What a batch changes, as statements; the caller holds the transaction."""

from __future__ import annotations

from itertools import chain
from operator import itemgetter

import apsw

from everytick.stores import rows
from everytick.stores.protocol import Batch
from everytick.stores.sqlite import rows as statements

# 500 rows of eight values are well below SQLite's 32,766 and a fraction of a millisecond of work.
ROWS_AT_ONCE = 500
_key = itemgetter(0, 1, 2)


def write(connection: apsw.Connection, batch: Batch, numbers: rows.StreamNumbers) -> None:
    """Write the batch's rows, states, counts and checkpoint. Raises apsw.Error, Fatal for an unknown stream."""
    quotes, books, contexts, vaults = rows.event_rows(batch.events, numbers)
    grown = {
        "trades": _insert_many(connection, statements.INSERT_TRADE, rows.trade_rows(batch.trades, numbers)),
        "candles": _put(connection, statements.PUT_CANDLE, rows.candle_rows(batch.candles, numbers)),
        "quotes": _insert(connection, statements.INSERT_QUOTE, quotes),
        "books": _insert(connection, statements.INSERT_BOOK, books),
        "contexts": _insert(connection, statements.INSERT_CONTEXT, contexts),
        "vaults": _insert(connection, statements.INSERT_VAULTS, vaults),
        "mids": _insert(connection, statements.INSERT_MID, rows.mid_rows(batch.mids, numbers)),
        "quarantined": _insert(connection, statements.INSERT_QUARANTINED, rows.quarantine_rows(batch.quarantined)),
        "gaps": _put(connection, statements.PUT_GAP, rows.gap_rows(batch.gaps, numbers)),
    }
    _insert(connection, statements.INSERT_SEAM, rows.seam_rows(batch.seams, numbers))
    connection.executemany(statements.DROP_COVER, rows.cover_keys(batch.cover_dropped, numbers))
    connection.executemany(statements.PUT_COVER, rows.cover_rows(batch.cover_put, numbers))
    connection.executemany("INSERT OR REPLACE INTO states (key, state) VALUES (?, ?)", batch.states.items())
    connection.executemany(
        "INSERT INTO counts (name, value) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        batch.counts.items(),
    )
    connection.executemany(
        "UPDATE sizes SET value = value + ? WHERE name = ?", [(more, name) for name, more in grown.items() if more]
    )
    connection.execute("UPDATE checkpoint SET offset = ?", (batch.offset_to,))


def _insert(connection: apsw.Connection, statement: str, new: rows.Rows) -> int:
    connection.executemany(statement, new)
    return len(new)


def _insert_many(connection: apsw.Connection, statement: str, new: rows.Rows) -> int:
    """Insert hundreds of rows with each statement, in the order of their key.

    The interpreter is handed to other threads around every statement: one statement a row would make a busy
    recorder wait for its socket's thread at every row, thirty times as long as the row itself takes.
    """
    new.sort(key=_key)
    whole = len(new) - len(new) % ROWS_AT_ONCE
    if whole:
        head, _, row = statement.partition(" VALUES ")
        many = f"{head} VALUES {', '.join([row] * ROWS_AT_ONCE)}"
        parts = (new[at : at + ROWS_AT_ONCE] for at in range(0, whole, ROWS_AT_ONCE))
        connection.executemany(many, [tuple(chain.from_iterable(part)) for part in parts])
    connection.executemany(statement, new[whole:])
    return len(new)


def _put(connection: apsw.Connection, statement: str, put: rows.Rows) -> int:
    """Insert or replace, the last one standing; says how many were not there before."""
    before = connection.total_changes()
    connection.executemany(f"{statement} ON CONFLICT DO NOTHING", put)
    inserted = connection.total_changes() - before
    if inserted < len(put):
        connection.executemany(statement.replace("INSERT", "INSERT OR REPLACE", 1), put)
    return inserted
