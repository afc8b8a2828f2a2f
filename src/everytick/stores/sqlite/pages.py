"""Pages of rows in time order, over one stream or many, from a cursor on.

One stream is one walk along its part of the table. Many are walks side by side, merged by SQLite: it reads no more
than the page and one row per stream, however much each holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apsw
import msgspec

from everytick.model.stream import Stream
from everytick.model.units import NS_PER_MS
from everytick.stores.pagebounds import bounds
from everytick.stores.protocol import RowQuery
from everytick.stores.sqlite.connect import SQLiteValue, ask, transaction

Streams = Mapping[int, Stream]
Rows = list[tuple[Any, ...]]

# SQLite joins at most 500 SELECTs and takes 32,766 values; a page over more streams is put together here.
STREAMS_AT_ONCE = 200

_TRADE_COLUMNS = "price_text, size_text, side, ts_recv_ns, offset"
_CONTEXT_COLUMNS = (
    "open_interest_text, funding_rate_text, mark_price_text, oracle_price_text, mid_price_text, premium_text, "
    "day_notional_volume_text, previous_day_price_text"
)
_CANDLE_COLUMNS = (
    "ts_close_ns, open_text, high_text, low_text, close_text, volume_text, trade_count, state, ts_recv_ns, offset"
)

# The names and the coin are one value per stream, already spelled as JSON; the rest needs no escaping.
_TRADE_LINE = (
    """format('%s%d,"side":"%s","px":"%s","sz":"%s","time":%d}}', {beginning}, """
    f"trade_id, side, price_text, size_text, ts_ns / {NS_PER_MS})"
)


def trades(connection: apsw.Connection, query: RowQuery, streams: Streams) -> Rows:
    """(time ns, stream number, trade id, price, size, side, receive ns, offset) of each trade in the page."""
    return _page(connection, query, streams, "trades", "ts_ns", "trade_id", _TRADE_COLUMNS)


def candles(connection: apsw.Connection, query: RowQuery, streams: Streams) -> Rows:
    """(open ns, stream number, 0, close ns, open, high, low, close, volume, trades, state, receive ns, offset)."""
    return _page(connection, query, streams, "candles", "ts_open_ns", "0", _CANDLE_COLUMNS)


def contexts(connection: apsw.Connection, query: RowQuery, streams: Streams) -> Rows:
    """(receive ns, stream number, offset, open interest, funding, mark, oracle, mid, premium, volume, day before)."""
    return _page(connection, query, streams, "contexts", "ts_recv_ns", "offset", _CONTEXT_COLUMNS)


def vaults(connection: apsw.Connection, query: RowQuery, streams: Streams) -> Rows:
    """(time ns, stream number, offset, positions as JSON, receive ns)."""
    return _page(connection, query, streams, "vaults", "ts_ns", "offset", "positions, ts_recv_ns")


def mids(connection: apsw.Connection, query: RowQuery, streams: Streams) -> Rows:
    """(receive ns, stream number, offset, price)."""
    return _page(connection, query, streams, "mids", "ts_recv_ns", "offset", "price_text")


def trades_json(
    connection: apsw.Connection, query: RowQuery, streams: Streams
) -> tuple[bytes, int, tuple[int, int, int] | None]:
    """The page as JSON objects joined by commas, how many there are, and the key of the last."""
    if len(streams) != 1:
        page = _json_page(connection, query, streams)
        last = page[-1][:3] if page else None
        return ",".join([row[3] for row in page]).encode(), len(page), last
    # One stream, the common case: fetch one text a row and no keys, then look up the last key alone.
    ((number, stream),) = streams.items()
    low, high = bounds(query, number)
    direction = "DESC" if query.descending else "ASC"
    walk = f"FROM trades WHERE {_between('ts_ns', 'trade_id')} ORDER BY ts_ns {direction}, trade_id {direction} LIMIT"
    place = (number, *low, *high)
    with transaction(connection):
        lines = ask(
            connection,
            f"SELECT {_TRADE_LINE.format(beginning='?')} {walk} ?",
            (_beginning(stream), *place, max(query.limit, 0)),
        )
        if not lines:
            return b"", 0, None
        ((ts_ns, trade_id),) = ask(connection, f"SELECT ts_ns, trade_id {walk} 1 OFFSET ?", (*place, len(lines) - 1))
    return ",".join([line for (line,) in lines]).encode(), len(lines), (ts_ns, number, trade_id)


def _json_page(connection: apsw.Connection, query: RowQuery, streams: Streams) -> Rows:
    line = _TRADE_LINE.format(beginning="?")
    values = {number: (_beginning(stream),) for number, stream in streams.items()}
    return _page(connection, query, streams, "trades", "ts_ns", "trade_id", line, values)


def _beginning(stream: Stream) -> str:
    names = msgspec.json.encode({"venue": stream.venue, "coin": stream.instrument}).decode()
    return f'{names[:-1]},"tid":'


def _between(time: str, row_id: str) -> str:
    return f"stream = ? AND ({time}, {row_id}) > (?, ?) AND ({time}, {row_id}) < (?, ?)"


def _page(
    connection: apsw.Connection,
    query: RowQuery,
    streams: Streams,
    table: str,
    time: str,
    row_id: str,
    columns: str,
    column_values: Mapping[int, tuple[str, ...]] | None = None,
) -> Rows:
    limit = max(query.limit, 0)
    direction = "DESC" if query.descending else "ASC"
    walk = f"SELECT {time}, stream, {row_id}, {columns} FROM {table} WHERE {_between(time, row_id)}"
    order = f"ORDER BY 1 {direction}, 2 {direction}, 3 {direction} LIMIT ?"
    numbers = list(streams)
    page: Rows = []
    with transaction(connection):
        for start in range(0, len(numbers), STREAMS_AT_ONCE):
            part = numbers[start : start + STREAMS_AT_ONCE]
            values: list[SQLiteValue] = []
            for number in part:
                low, high = bounds(query, number)
                values += (column_values or {}).get(number, ())
                values += (number, *low, *high)
            values.append(limit)
            page += ask(connection, f"{' UNION ALL '.join([walk] * len(part))} {order}", values)
    if len(numbers) > STREAMS_AT_ONCE:
        page.sort(key=lambda row: row[:3], reverse=query.descending)
        del page[limit:]
    return page
