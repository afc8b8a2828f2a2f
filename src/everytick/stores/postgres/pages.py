"""Pages of rows in time order, over one stream or many, from a cursor on.

Each stream is one walk along its part of the table's key, no longer than the page; the walks are then put in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from everytick.model.stream import Stream
from everytick.model.units import NS_PER_MS
from everytick.stores.pagebounds import bounds
from everytick.stores.postgres.connect import Patient, ask
from everytick.stores.postgres.tables import CONTEXT_NUMBERS, dumped
from everytick.stores.protocol import RowQuery

Streams = Mapping[int, Stream]
Rows = list[tuple[Any, ...]]


_WANTED = (
    "unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]{more}) "
    "AS wanted (stream, low_ns, low_id, high_ns, high_id{names})"
)
_TRADES = "ts_ns, w.stream, trade_id, price::text, size::text, side, ts_recv_ns, tape_offset"
_CANDLES = (
    "ts_open_ns, w.stream, 0, ts_close_ns, open::text, high::text, low::text, close::text, volume::text, trade_count, "
    "state, ts_recv_ns, tape_offset"
)
_CONTEXTS = "ts_recv_ns, w.stream, tape_offset, " + ", ".join(
    dumped("contexts", f"{name}_text") for name in CONTEXT_NUMBERS
)
_VAULTS = "ts_ns, w.stream, tape_offset, positions::text, ts_recv_ns"
_MIDS = "ts_recv_ns, w.stream, tape_offset, price::text"
# The names and the coin are one value per stream, already spelled as JSON; the rest needs no escaping.
_LINE = (
    """w.beginning || trade_id || ',"side":"' || side || '","px":"' || price || '","sz":"' || size || '","time":' """
    f"|| ts_ns / {NS_PER_MS} || '}}'"
)


def trades(connection: Patient, query: RowQuery, streams: Streams) -> Rows:
    """(time ns, stream number, trade id, price, size, side, receive ns, offset) of each trade in the page."""
    return _page(connection, query, streams, "trades", ("ts_ns", "trade_id"), _TRADES)


def candles(connection: Patient, query: RowQuery, streams: Streams) -> Rows:
    """(open ns, stream number, 0, close ns, open, high, low, close, volume, trades, state, receive ns, offset)."""
    return _page(connection, query, streams, "candles", ("ts_open_ns", "0"), _CANDLES)


def contexts(connection: Patient, query: RowQuery, streams: Streams) -> Rows:
    """(receive ns, stream number, offset, open interest, funding, mark, oracle, mid, premium, volume, day before)."""
    return _page(connection, query, streams, "contexts", ("ts_recv_ns", "tape_offset"), _CONTEXTS)


def vaults(connection: Patient, query: RowQuery, streams: Streams) -> Rows:
    """(time ns, stream number, offset, positions as JSON, receive ns)."""
    return _page(connection, query, streams, "vaults", ("ts_ns", "tape_offset"), _VAULTS)


def mids(connection: Patient, query: RowQuery, streams: Streams) -> Rows:
    """(receive ns, stream number, offset, price)."""
    return _page(connection, query, streams, "mids", ("ts_recv_ns", "tape_offset"), _MIDS)


def trades_json(
    connection: Patient, query: RowQuery, streams: Streams
) -> tuple[bytes, int, tuple[int, int, int] | None]:
    """The page as JSON objects joined by commas, how many there are, and the key of the last."""
    if not streams:
        return b"", 0, None
    direction, opposite = ("DESC", "ASC") if query.descending else ("ASC", "DESC")
    page = _statement(query, "trades", ("ts_ns", "trade_id"), f"ts_ns, w.stream, trade_id, {_LINE}", beginnings=True)
    order = "ORDER BY ts_ns {0}, stream {0}, trade_id {0}"
    text = (
        f"WITH page (ts_ns, stream, trade_id, line) AS MATERIALIZED ({page}) "
        f"SELECT string_agg(line, ',' {order.format(direction)}), count(*), "
        f"(SELECT ARRAY[ts_ns, stream, trade_id] FROM page {order.format(opposite)} LIMIT 1) FROM page"
    )
    beginnings = [_beginning(stream) for stream in streams.values()]
    ((joined, count, last),) = ask(connection, text, _values(query, streams, beginnings))
    if not count:
        return b"", 0, None
    ts_ns, number, trade_id = last
    return joined.encode(), count, (ts_ns, number, trade_id)


def _page(
    connection: Patient, query: RowQuery, streams: Streams, table: str, key: tuple[str, str], columns: str
) -> Rows:
    if not streams:
        return []
    return ask(connection, _statement(query, table, key, columns), _values(query, streams))


def _statement(query: RowQuery, table: str, key: tuple[str, str], columns: str, *, beginnings: bool = False) -> str:
    # Only the direction is part of the text, so that few statements are parsed and kept, whatever is asked.
    direction = "DESC" if query.descending else "ASC"
    time, row_id = key
    own_order = f"{time} {direction}" + (f", {row_id} {direction}" if row_id != "0" else "")
    wanted = _WANTED.format(more=", %s::text[]" if beginnings else "", names=", beginning" if beginnings else "")
    return (
        f"SELECT one.* FROM {wanted.replace('AS wanted', 'AS w')} CROSS JOIN LATERAL ("
        f"SELECT {columns} FROM {table} WHERE {table}.stream = w.stream "
        f"AND ({time}, {_id(row_id)}) > (w.low_ns, w.low_id) AND ({time}, {_id(row_id)}) < (w.high_ns, w.high_id) "
        f"ORDER BY {own_order} LIMIT %s) AS one ORDER BY 1 {direction}, 2 {direction}, 3 {direction} LIMIT %s"
    )


def _id(row_id: str) -> str:
    return f"{row_id}::bigint" if row_id == "0" else row_id


def _values(query: RowQuery, streams: Streams, beginnings: list[str] | None = None) -> list[object]:
    limit = max(query.limit, 0)
    ends = [bounds(query, number) for number in streams]
    lists: list[object] = [list(streams)]
    lists += [[end[side][part] for end in ends] for side in (0, 1) for part in (0, 1)]
    return [*lists, *([beginnings] if beginnings is not None else []), limit, limit]


def _beginning(stream: Stream) -> str:
    names = msgspec.json.encode({"venue": stream.venue, "coin": stream.instrument}).decode()
    return f'{names[:-1]},"tid":'
