"""What a batch changes, as statements; the caller holds the transaction."""

from __future__ import annotations

import apsw

from everytick.stores import rows
from everytick.stores.protocol import Batch
from everytick.stores.sqlite import rows as statements


def write(connection: apsw.Connection, batch: Batch, numbers: rows.StreamNumbers) -> None:
    """Write the batch's rows, states, counts and checkpoint. Raises apsw.Error, Fatal for an unknown stream."""
    quotes, books, contexts = rows.event_rows(batch.events, numbers)
    grown = {
        "trades": _insert(connection, statements.INSERT_TRADE, rows.trade_rows(batch.trades, numbers)),
        "candles": _put(connection, statements.PUT_CANDLE, rows.candle_rows(batch.candles, numbers)),
        "quotes": _insert(connection, statements.INSERT_QUOTE, quotes),
        "books": _insert(connection, statements.INSERT_BOOK, books),
        "contexts": _insert(connection, statements.INSERT_CONTEXT, contexts),
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


def _put(connection: apsw.Connection, statement: str, put: rows.Rows) -> int:
    """Insert or replace, the last one standing; says how many were not there before."""
    before = connection.total_changes()
    connection.executemany(f"{statement} ON CONFLICT DO NOTHING", put)
    inserted = connection.total_changes() - before
    if inserted < len(put):
        connection.executemany(statement.replace("INSERT", "INSERT OR REPLACE", 1), put)
    return inserted
