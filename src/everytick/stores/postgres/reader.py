"""Reading from the server: a session of its own that cannot write, never in the writer's way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from everytick.errors import Retryable
from everytick.model.ledger import Cover, Gap, GapKind, GapState, Interval, Seam, Verdict
from everytick.model.stream import Kind, Stream
from everytick.stores.postgres import pages
from everytick.stores.postgres.address import Address
from everytick.stores.postgres.connect import ask, closing_on_error, connect_reader, transaction
from everytick.stores.postgres.schema import check, is_made
from everytick.stores.postgres.tables import ESCAPED, dumped, unescaped
from everytick.stores.postgres.trouble import errors_of, opening
from everytick.stores.protocol import CandleRow, ContextRow, MidRow, Quarantined, Row, RowQuery, Totals, VaultsRow
from everytick.stores.spelling import DUMPED, GAP_STATES_OPEN, dump_line, positions_from

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
DUMP_ROWS_AT_ONCE = 5_000

# The newest row of each stream: (stream, event ns, receive ns). One step down the key for each, whatever it holds.
_NEWEST = {
    Kind.TRADES: ("trades", "ts_ns", "ts_ns DESC, trade_id DESC"),
    Kind.CANDLES: ("candles", "ts_open_ns", "ts_open_ns DESC"),
    Kind.QUOTES: ("quotes", "ts_ns", "ts_ns DESC, tape_offset DESC"),
    Kind.BOOKS: ("books", "ts_ns", "ts_ns DESC, tape_offset DESC"),
    Kind.MIDS: ("mids", "ts_recv_ns", "ts_recv_ns DESC, tape_offset DESC"),
    Kind.VAULTS: ("vaults", "ts_ns", "ts_ns DESC, tape_offset DESC"),
    Kind.CONTEXTS: ("contexts", "ts_recv_ns", "ts_recv_ns DESC, tape_offset DESC"),
}
_LATEST = " UNION ALL ".join(
    f"SELECT s.number, n.* FROM streams AS s CROSS JOIN LATERAL (SELECT {time}, ts_recv_ns FROM {table} "
    f"WHERE stream = s.number ORDER BY {order} LIMIT 1) AS n WHERE s.kind = '{kind.value}'"
    for kind, (table, time, order) in _NEWEST.items()
)
_OPEN = "state IN ({})".format(", ".join(f"'{state.value}'" for state in sorted(GAP_STATES_OPEN, reverse=True)))
_GAPS = (
    "SELECT stream, from_ns, to_ns, tape_offset, kind, cause, state, estimated_missing, first_id, last_id, ts_recv_ns "
    "FROM gaps WHERE stream = ANY(%s::integer[]) {condition} "
    "ORDER BY from_ns DESC, tape_offset DESC, first_id DESC, stream DESC LIMIT %s"
)
_SEAMS = (
    "SELECT stream, tape_offset, epoch, verdict, cause, shared, ts_before_ns, ts_after_ns, ts_recv_ns "
    "FROM seams WHERE stream = ANY(%s::integer[]) ORDER BY tape_offset DESC, stream DESC LIMIT %s"
)
_COVERAGE = (
    "SELECT from_ns, to_ns, cover, tape_offset FROM coverage "
    "WHERE stream = %s AND from_ns < %s AND to_ns > %s ORDER BY from_ns"
)
_QUARANTINED = (
    "SELECT tape_offset, item, venue, channel, reason, path, value, ts_recv_ns, excerpt "
    "FROM quarantine ORDER BY tape_offset DESC, item DESC LIMIT %s"
)
_STREAMS = "SELECT number, venue, kind, instrument, interval FROM streams WHERE number > %s ORDER BY number"


class PostgresReader:
    """Answers from the store as last committed. Belongs to the thread that uses it."""

    def __init__(self, address: Address) -> None:
        """Raises Retryable if the server is away or there is no store yet, Refused if it is not of our version."""
        self._address = address
        self._by_number: dict[int, Stream] = {}
        self._numbers: dict[Stream, int] = {}
        self._connection = connect_reader(address)
        with closing_on_error(self._connection), errors_of(address, opening):
            if not is_made(self._connection):
                raise Retryable(f"there is no store at {address.place} yet: it is made when a recorder first runs")
            check(self._connection, address.place)

    def checkpoint(self) -> int:
        """The next offset to be applied."""
        ((offset,),) = self._ask("SELECT tape_offset FROM checkpoint")
        return int(offset)

    def streams(self) -> Mapping[Stream, int]:
        """Every stream and its number, in number order."""
        self._learn()
        return dict(self._numbers)

    def trades(self, query: RowQuery) -> list[Row]:
        """A page of trades."""
        wanted = self._wanted(query.streams)
        with errors_of(self._address):
            page = pages.trades(self._connection, query, wanted)
        streams = self._by_number
        return [
            Row(number, streams[number], ts_ns, trade_id, price, size, side, ts_recv_ns, offset)
            for ts_ns, number, trade_id, price, size, side, ts_recv_ns, offset in page
        ]

    def trades_json(self, query: RowQuery) -> tuple[bytes, int, tuple[int, int, int] | None]:
        """The same page as the inside of a JSON array, spelled by the server; its length and its last key."""
        wanted = self._wanted(query.streams)
        with errors_of(self._address):
            return pages.trades_json(self._connection, query, wanted)

    def candles(self, query: RowQuery) -> list[CandleRow]:
        """A page of candles; their id in a cursor is 0."""
        wanted = self._wanted(query.streams)
        with errors_of(self._address):
            page = pages.candles(self._connection, query, wanted)
        return [CandleRow(number, self._by_number[number], ts_ns, *rest) for ts_ns, number, _, *rest in page]

    def contexts(self, query: RowQuery) -> list[ContextRow]:
        """A page of contexts."""
        wanted = self._wanted(query.streams)
        with errors_of(self._address):
            page = pages.contexts(self._connection, query, wanted)
        return [ContextRow(number, self._by_number[number], ts_ns, *rest) for ts_ns, number, *rest in page]

    def vaults(self, query: RowQuery) -> list[VaultsRow]:
        """A page of snapshots of the watched accounts."""
        wanted = self._wanted(query.streams)
        with errors_of(self._address):
            page = pages.vaults(self._connection, query, wanted)
        return [
            VaultsRow(number, self._by_number[number], ts_ns, offset, positions_from(text), ts_recv_ns)
            for ts_ns, number, offset, text, ts_recv_ns in page
        ]

    def mids(self, query: RowQuery) -> list[MidRow]:
        """A page of mid prices."""
        wanted = self._wanted(query.streams)
        with errors_of(self._address):
            page = pages.mids(self._connection, query, wanted)
        return [MidRow(number, self._by_number[number], ts_ns, *rest) for ts_ns, number, *rest in page]

    def gaps(self, streams: Sequence[Stream], *, open_only: bool, limit: int) -> list[Gap]:
        """Newest first by (from_ns, offset, first_id), then by stream number."""
        condition = f"AND {_OPEN}" if open_only else ""
        found = self._ask(_GAPS.format(condition=condition), (list(self._wanted(streams)), limit))
        return [
            Gap(
                *(self._by_number[number], low, high, offset, GapKind(kind), cause, GapState(state)),
                *(estimate, first_id, last_id, recv),
            )
            for number, low, high, offset, kind, cause, state, estimate, first_id, last_id, recv in found
        ]

    def seams(self, streams: Sequence[Stream], *, limit: int) -> list[Seam]:
        """Newest first by offset, then by stream number."""
        found = self._ask(_SEAMS, (list(self._wanted(streams)), limit))
        return [
            Seam(self._by_number[number], offset, epoch, Verdict(verdict), cause, shared, before, after, recv)
            for number, offset, epoch, verdict, cause, shared, before, after, recv in found
        ]

    def coverage(self, stream: Stream, from_ns: int, to_ns: int) -> list[Interval]:
        """The intervals that touch [from_ns, to_ns), in time order."""
        low, high = (max(INT64_MIN, min(ns, INT64_MAX)) for ns in (from_ns, to_ns))
        found = self._ask(_COVERAGE, (self._number(stream), high, low))
        return [Interval(stream, low, high, Cover(cover), offset) for low, high, cover, offset in found]

    def quarantined(self, *, limit: int) -> list[Quarantined]:
        """Newest first by (offset, index)."""
        found = self._ask(_QUARANTINED, (limit,))
        return [
            Quarantined(
                *(offset, item, unescaped(venue), unescaped(channel), unescaped(reason), unescaped(path)),
                *(unescaped(value), ts_recv_ns, excerpt),
            )
            for offset, item, venue, channel, reason, path, value, ts_recv_ns, excerpt in found
        ]

    def latest(self) -> Mapping[Stream, tuple[int, int]]:
        """Per stream, the times of the row with the greatest key."""
        self._learn()
        newest = {number: (ts_ns, recv_ns) for number, ts_ns, recv_ns in self._ask(_LATEST)}
        return {stream: newest[number] for stream, number in self._numbers.items() if number in newest}

    def totals(self) -> Totals:
        """Counts over the whole store, kept by the writer: nothing is counted here but the open gaps."""
        with errors_of(self._address), transaction(self._connection):
            sizes = dict(ask(self._connection, "SELECT name, value FROM sizes"))
            counts = dict(ask(self._connection, "SELECT name, value FROM counts ORDER BY name"))
            ((gaps_open,),) = ask(self._connection, f"SELECT count(*) FROM gaps WHERE {_OPEN}")
        return Totals(**sizes, gaps_open=gaps_open, counts=counts)

    def dump(self) -> Iterator[str]:
        """The whole content as lines, by table and key, as it stands at the first line."""
        # A session of its own, so that this reader can be asked other things between two lines.
        with errors_of(self._address):
            connection = connect_reader(self._address, "everytick dump")
            with connection, transaction(connection):
                for table, columns in DUMPED.items():
                    text = f"SELECT {', '.join(dumped(table, column) for column in columns)} FROM {table}"
                    order = ", ".join(str(n + 1) for n in range(min(4, len(columns))))
                    escapes = [n for n, column in enumerate(columns) if table == "quarantine" and column in ESCAPED]
                    with connection.cursor(name="dump") as cursor:
                        cursor.itersize = DUMP_ROWS_AT_ONCE
                        for values in cursor.execute(f"{text} ORDER BY {order}"):
                            row = list(values)
                            for n in escapes:
                                row[n] = unescaped(row[n])
                            yield dump_line(table, row)

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def _ask(self, text: str, values: Sequence[object] = ()) -> list[Any]:
        with errors_of(self._address):
            return ask(self._connection, text, values)

    def _learn(self) -> None:
        # Streams are only ever added, so what is known stays right.
        for number, venue, kind, instrument, interval in self._ask(_STREAMS, (len(self._numbers),)):
            stream = Stream(venue, Kind(kind), instrument, interval)
            self._numbers[stream] = number
            self._by_number[number] = stream

    def _number(self, stream: Stream) -> int | None:
        if stream not in self._numbers:
            self._learn()
        return self._numbers.get(stream)

    def _wanted(self, streams: Sequence[Stream]) -> dict[int, Stream]:
        numbers = ((self._number(stream), stream) for stream in streams)
        return dict(sorted((number, stream) for number, stream in numbers if number is not None))
