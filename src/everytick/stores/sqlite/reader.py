"""Reading from the file: a connection of its own, short transactions, never in the writer's way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from everytick.model.ledger import Cover, Gap, GapKind, GapState, Interval, Seam, Verdict
from everytick.model.stream import Kind, Stream
from everytick.stores.protocol import CandleRow, ContextRow, MidRow, Quarantined, Row, RowQuery, Totals, VaultsRow
from everytick.stores.spelling import DUMPED, GAP_STATES_OPEN, dump_line, positions_from
from everytick.stores.sqlite import pages
from everytick.stores.sqlite.connect import SQLiteValue, ask, connect_reader, errors_of, transaction
from everytick.stores.sqlite.schema import check

# The newest row of a stream: (event ns, receive ns). One step down the table's tree, whatever its size.
_NEWEST = {
    Kind.TRADES: "SELECT ts_ns, ts_recv_ns FROM trades WHERE stream = ? ORDER BY ts_ns DESC, trade_id DESC LIMIT 1",
    Kind.AGG_TRADES: "SELECT ts_ns, ts_recv_ns FROM trades WHERE stream = ? ORDER BY ts_ns DESC, trade_id DESC LIMIT 1",
    Kind.CANDLES: "SELECT ts_open_ns, ts_recv_ns FROM candles WHERE stream = ? ORDER BY ts_open_ns DESC LIMIT 1",
    Kind.QUOTES: "SELECT ts_ns, ts_recv_ns FROM quotes WHERE stream = ? ORDER BY ts_ns DESC, offset DESC LIMIT 1",
    Kind.BOOKS: "SELECT ts_ns, ts_recv_ns FROM books WHERE stream = ? ORDER BY ts_ns DESC, offset DESC LIMIT 1",
    Kind.MIDS: "SELECT ts_recv_ns, ts_recv_ns FROM mids WHERE stream = ? ORDER BY ts_recv_ns DESC LIMIT 1",
    Kind.VAULTS: "SELECT ts_ns, ts_recv_ns FROM vaults WHERE stream = ? ORDER BY ts_ns DESC, offset DESC LIMIT 1",
    Kind.CONTEXTS: "SELECT ts_recv_ns, ts_recv_ns FROM contexts WHERE stream = ? ORDER BY ts_recv_ns DESC LIMIT 1",
}

_OPEN = "state IN ({})".format(", ".join(f"'{state.value}'" for state in sorted(GAP_STATES_OPEN, reverse=True)))

_GAPS = (
    "SELECT stream, from_ns, to_ns, offset, kind, cause, state, estimated_missing, first_id, last_id, ts_recv_ns "
    "FROM gaps WHERE stream IN ({numbers}) {condition} "
    "ORDER BY from_ns DESC, offset DESC, first_id DESC, stream DESC LIMIT ?"
)
_SEAMS = (
    "SELECT stream, offset, epoch, verdict, cause, shared, ts_before_ns, ts_after_ns, ts_recv_ns "
    "FROM seams WHERE stream IN ({numbers}) ORDER BY offset DESC, stream DESC LIMIT ?"
)


class SqliteReader:
    """Answers from the file as last committed. Belongs to the thread that uses it."""

    def __init__(self, path: str) -> None:
        """Raises Retryable if there is no store yet, Refused if it is not of this program's version, Fatal."""
        self._path = path
        self._by_number: dict[int, Stream] = {}
        self._numbers: dict[Stream, int] = {}
        with errors_of(path):
            self._connection = connect_reader(path)
            try:
                check(self._connection, path)
            except BaseException:
                self._connection.close()
                raise

    def checkpoint(self) -> int:
        """The next offset to be applied."""
        ((offset,),) = self._ask("SELECT offset FROM checkpoint")
        return int(offset)

    def streams(self) -> Mapping[Stream, int]:
        """Every stream and its number, in number order."""
        self._learn()
        return dict(self._numbers)

    def trades(self, query: RowQuery) -> list[Row]:
        """A page of trades."""
        with errors_of(self._path):
            page = pages.trades(self._connection, query, self._wanted(query.streams))
        streams = self._by_number
        return [
            Row(number, streams[number], ts_ns, trade_id, price, size, side, ts_recv_ns, offset)
            for ts_ns, number, trade_id, price, size, side, ts_recv_ns, offset in page
        ]

    def trades_json(self, query: RowQuery) -> tuple[bytes, int, tuple[int, int, int] | None]:
        """The same page as the inside of a JSON array, spelled inside SQLite; its length and its last key."""
        with errors_of(self._path):
            return pages.trades_json(self._connection, query, self._wanted(query.streams))

    def candles(self, query: RowQuery) -> list[CandleRow]:
        """A page of candles; their id in a cursor is 0."""
        with errors_of(self._path):
            page = pages.candles(self._connection, query, self._wanted(query.streams))
        return [CandleRow(number, self._by_number[number], ts_ns, *rest) for ts_ns, number, _, *rest in page]

    def contexts(self, query: RowQuery) -> list[ContextRow]:
        """A page of contexts."""
        wanted = self._wanted(query.streams)
        with errors_of(self._path):
            page = pages.contexts(self._connection, query, wanted)
        return [ContextRow(number, self._by_number[number], ts_ns, *rest) for ts_ns, number, *rest in page]

    def vaults(self, query: RowQuery) -> list[VaultsRow]:
        """A page of snapshots of the watched accounts."""
        wanted = self._wanted(query.streams)
        with errors_of(self._path):
            page = pages.vaults(self._connection, query, wanted)
        return [
            VaultsRow(number, self._by_number[number], ts_ns, offset, positions_from(text), ts_recv_ns)
            for ts_ns, number, offset, text, ts_recv_ns in page
        ]

    def mids(self, query: RowQuery) -> list[MidRow]:
        """A page of mid prices."""
        wanted = self._wanted(query.streams)
        with errors_of(self._path):
            page = pages.mids(self._connection, query, wanted)
        return [MidRow(number, self._by_number[number], ts_ns, *rest) for ts_ns, number, *rest in page]

    def gaps(self, streams: Sequence[Stream], *, open_only: bool, limit: int) -> list[Gap]:
        """Newest first by (from_ns, offset), then by stream number."""
        condition = f"AND {_OPEN}" if open_only else ""
        numbers = self._wanted(streams)
        found = self._ask(_GAPS.format(numbers=_list(numbers), condition=condition), (limit,))
        return [
            Gap(
                *(self._by_number[number], low, high, offset, GapKind(kind), cause, GapState(state)),
                *(estimate, first_id, last_id, recv),
            )
            for number, low, high, offset, kind, cause, state, estimate, first_id, last_id, recv in found
        ]

    def seams(self, streams: Sequence[Stream], *, limit: int) -> list[Seam]:
        """Newest first by offset, then by stream number."""
        found = self._ask(_SEAMS.format(numbers=_list(self._wanted(streams))), (limit,))
        return [
            Seam(self._by_number[number], offset, epoch, Verdict(verdict), cause, shared, before, after, recv)
            for number, offset, epoch, verdict, cause, shared, before, after, recv in found
        ]

    def coverage(self, stream: Stream, from_ns: int, to_ns: int) -> list[Interval]:
        """The intervals that touch [from_ns, to_ns), in time order."""
        found = self._ask(
            "SELECT from_ns, to_ns, cover, offset FROM coverage "
            "WHERE stream = ? AND from_ns < ? AND to_ns > ? ORDER BY from_ns",
            (self._number(stream), to_ns, from_ns),
        )
        return [Interval(stream, low, high, Cover(cover), offset) for low, high, cover, offset in found]

    def quarantined(self, *, limit: int) -> list[Quarantined]:
        """Newest first by (offset, index)."""
        found = self._ask(
            "SELECT offset, item, venue, channel, reason, path, value, ts_recv_ns, excerpt "
            "FROM quarantine ORDER BY offset DESC, item DESC LIMIT ?",
            (limit,),
        )
        return [Quarantined(*values) for values in found]

    def latest(self) -> Mapping[Stream, tuple[int, int]]:
        """Per stream, the times of the row with the greatest key."""
        self._learn()
        with errors_of(self._path), transaction(self._connection):
            newest = {
                stream: ask(self._connection, _NEWEST[stream.kind], (number,))
                for stream, number in self._numbers.items()
            }
        return {stream: found[0] for stream, found in newest.items() if found}

    def totals(self) -> Totals:
        """Counts over the whole store, kept by the writer: nothing is counted here but the open gaps."""
        with errors_of(self._path), transaction(self._connection):
            sizes = dict(ask(self._connection, "SELECT name, value FROM sizes"))
            counts = dict(ask(self._connection, "SELECT name, value FROM counts ORDER BY name"))
            ((gaps_open,),) = ask(self._connection, f"SELECT count(*) FROM gaps WHERE {_OPEN}")
        return Totals(**sizes, gaps_open=gaps_open, counts=counts)

    def dump(self) -> Iterator[str]:
        """The whole content as lines, by table and key, as it stands at the first line."""
        # A connection of its own, so that this reader can be asked other things between two lines.
        with errors_of(self._path):
            connection = connect_reader(self._path)
            try:
                with transaction(connection):
                    for table, columns in DUMPED.items():
                        text = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {', '.join(columns[:4])}"
                        for values in connection.execute(text):
                            yield dump_line(table, values)
            finally:
                connection.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _ask(self, text: str, values: Sequence[SQLiteValue] = ()) -> list[Any]:
        with errors_of(self._path):
            return ask(self._connection, text, values)

    def _learn(self) -> None:
        # Streams are only ever added, so what is known stays right.
        found = self._ask(
            "SELECT number, venue, kind, instrument, interval FROM streams WHERE number > ? ORDER BY number",
            (len(self._numbers),),
        )
        for number, venue, kind, instrument, interval in found:
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


def _list(numbers: Mapping[int, Stream]) -> str:
    return ", ".join(str(number) for number in numbers)
