"""Reading from the store in memory: select, sort, cut."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from everytick.core.validate import decimal_text
from everytick.model.event import AssetContext, BookSnapshot, PlacedTrade, Quote, VaultPositions
from everytick.model.ledger import Gap, Interval, Seam
from everytick.model.stream import Stream
from everytick.stores.memory.dump import dump_lines
from everytick.stores.memory.tables import Tables, event_ns
from everytick.stores.protocol import (
    CandleRow,
    ContextRow,
    MidRow,
    Placed,
    Quarantined,
    Row,
    RowQuery,
    Totals,
    TradeValues,
    VaultsRow,
)
from everytick.stores.spelling import GAP_STATES_OPEN, optional_text, trades_text

Key = tuple[int, int, int]  # (time ns, stream number, id): the full order of rows


class MemoryReader:
    """Answers from the tables of a MemoryStore."""

    def __init__(self, tables: Tables, lock: threading.Lock) -> None:
        self._tables = tables
        self._lock = lock

    def checkpoint(self) -> int:
        """The next offset to be applied."""
        with self._lock:
            return self._tables.checkpoint

    def streams(self) -> Mapping[Stream, int]:
        """Every stream and its number, in number order."""
        with self._lock:
            return dict(self._tables.streams)

    def trades(self, query: RowQuery) -> list[Row]:
        """A page of trades."""
        with self._lock:
            keys = ((ts_ns, number, trade_id) for number, ts_ns, trade_id in self._tables.trades)
            return [self._row(key) for key in page(keys, query, self._numbers(query.streams))]

    def trades_json(self, query: RowQuery) -> tuple[bytes, int, Key | None]:
        """The same page as the inside of a JSON array, its length and its last key."""
        rows = self.trades(query)
        last = (rows[-1].ts_event_ns, rows[-1].number, rows[-1].trade_id) if rows else None
        return trades_text(rows), len(rows), last

    def candles(self, query: RowQuery) -> list[CandleRow]:
        """A page of candles; their id in a cursor is 0."""
        with self._lock:
            keys = ((ts_open_ns, number, 0) for number, ts_open_ns in self._tables.candles)
            return [self._candle_row(key) for key in page(keys, query, self._numbers(query.streams))]

    def contexts(self, query: RowQuery) -> list[ContextRow]:
        """A page of contexts."""
        return [
            ContextRow(
                *(number, event.stream, ts_recv_ns, offset, decimal_text(event.open_interest)),
                *(decimal_text(event.funding_rate), decimal_text(event.mark_price), optional_text(event.oracle_price)),
                *(optional_text(event.mid_price), optional_text(event.premium)),
                *(optional_text(event.day_notional_volume), optional_text(event.previous_day_price)),
            )
            for (ts_recv_ns, number, offset), placed in self._events(query, AssetContext)
            if isinstance(event := placed.event, AssetContext)
        ]

    def vaults(self, query: RowQuery) -> list[VaultsRow]:
        """A page of snapshots of the watched accounts."""
        return [
            VaultsRow(number, event.stream, ts_ns, offset, event.positions, placed.ts_recv_ns)
            for (ts_ns, number, offset), placed in self._events(query, VaultPositions)
            if isinstance(event := placed.event, VaultPositions)
        ]

    def mids(self, query: RowQuery) -> list[MidRow]:
        """A page of mid prices."""
        with self._lock:
            keys = ((ts_ns, number, offset) for number, ts_ns, offset in self._tables.mids)
            found = [(key, self._tables.mids[key[1], key[0], key[2]]) for key in self._page(keys, query)]
        return [MidRow(number, mid.stream, ts, at, decimal_text(mid.price)) for (ts, number, at), mid in found]

    def _events(self, query: RowQuery, kind: type[AssetContext | VaultPositions]) -> list[tuple[Key, Placed]]:
        with self._lock:
            events = self._tables.events
            keys = ((ts, number, at) for (number, ts, at), placed in events.items() if isinstance(placed.event, kind))
            return [(key, events[key[1], key[0], key[2]]) for key in self._page(keys, query)]

    def _page(self, keys: Iterable[Key], query: RowQuery) -> list[Key]:
        return page(keys, query, self._numbers(query.streams))

    def gaps(self, streams: Sequence[Stream], *, open_only: bool, limit: int) -> list[Gap]:
        """Newest first by (from_ns, offset, first_id), then by stream number."""
        with self._lock:
            numbers = self._numbers(streams)
            found = [
                (gap.from_ns, gap.offset, gap.first_id, number, gap)
                for (number, *_), gap in self._tables.gaps.items()
                if number in numbers and (gap.state in GAP_STATES_OPEN or not open_only)
            ]
        return [one[-1] for one in sorted(found, key=lambda one: one[:4], reverse=True)[:limit]]

    def seams(self, streams: Sequence[Stream], *, limit: int) -> list[Seam]:
        """Newest first by offset, then by stream number."""
        with self._lock:
            numbers = self._numbers(streams)
            keys = ((offset, number) for number, offset in self._tables.seams if number in numbers)
            return [self._tables.seams[number, offset] for offset, number in sorted(keys, reverse=True)[:limit]]

    def coverage(self, stream: Stream, from_ns: int, to_ns: int) -> list[Interval]:
        """The intervals that touch [from_ns, to_ns), in time order."""
        with self._lock:
            touching = [
                interval
                for interval in self._tables.coverage.values()
                if interval.stream == stream and interval.from_ns < to_ns and interval.to_ns > from_ns
            ]
        return sorted(touching, key=lambda interval: interval.from_ns)

    def quarantined(self, *, limit: int) -> list[Quarantined]:
        """Newest first by (offset, index)."""
        with self._lock:
            return [self._tables.quarantined[key] for key in sorted(self._tables.quarantined, reverse=True)[:limit]]

    def latest(self) -> Mapping[Stream, tuple[int, int]]:
        """Per stream, the times of the row with the greatest key."""
        with self._lock:
            held = self._tables
            newest: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {}
            for number, key, times in _keys_and_times(held):
                if number not in newest or key > newest[number][0]:
                    newest[number] = (key, times)
            return {stream: newest[number][1] for stream, number in held.streams.items() if number in newest}

    def totals(self) -> Totals:
        """Counts over the whole store."""
        with self._lock:
            held = self._tables
            of_type = [type(placed.event) for placed in held.events.values()]
            return Totals(
                trades=len(held.trades),
                candles=len(held.candles),
                quotes=of_type.count(Quote),
                books=of_type.count(BookSnapshot),
                mids=len(held.mids),
                contexts=of_type.count(AssetContext),
                vaults=of_type.count(VaultPositions),
                quarantined=len(held.quarantined),
                gaps=len(held.gaps),
                gaps_open=sum(gap.state in GAP_STATES_OPEN for gap in held.gaps.values()),
                counts=dict(sorted(held.counts.items())),
            )

    def dump(self) -> Iterator[str]:
        """The whole content as lines, by table and key."""
        with self._lock:
            return iter(dump_lines(self._tables))

    def close(self) -> None:
        """Nothing to let go of."""

    def _numbers(self, streams: Iterable[Stream]) -> set[int]:
        return {self._tables.streams[stream] for stream in streams if stream in self._tables.streams}

    def _row(self, key: Key) -> Row:
        ts_ns, number, trade_id = key
        placed = self._tables.trades[number, ts_ns, trade_id]
        price, size, side = values(placed)
        return Row(number, placed[0], *key[::2], price, size, side, *placed[6:])

    def _candle_row(self, key: Key) -> CandleRow:
        placed = self._tables.candles[key[1], key[0]]
        candle = placed.candle
        return CandleRow(
            number=key[1],
            stream=candle.stream,
            ts_open_ns=candle.ts_open_ns,
            ts_close_ns=candle.ts_close_ns,
            open=decimal_text(candle.open),
            high=decimal_text(candle.high),
            low=decimal_text(candle.low),
            close=decimal_text(candle.close),
            volume=decimal_text(candle.volume),
            trade_count=candle.trade_count,
            state=candle.state.value,
            ts_recv_ns=placed.ts_recv_ns,
            offset=placed.offset,
        )


def page(keys: Iterable[Key], query: RowQuery, numbers: set[int]) -> list[Key]:
    """The keys that the query asks for, in its order."""
    wanted = sorted(
        (key for key in keys if key[1] in numbers and query.since_ns <= key[0] < query.until_ns),
        reverse=query.descending,
    )
    after = query.after
    if after is not None:
        wanted = [key for key in wanted if (key < after if query.descending else key > after)]
    return wanted[: max(query.limit, 0)]


def values(placed: PlacedTrade) -> TradeValues:
    """What two reports of one trade must agree on, as text."""
    return placed[3:6]


def _keys_and_times(held: Tables) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    # (stream number, key within the stream, (event ns, receive ns))
    for (number, ts_ns, trade_id), trade in held.trades.items():
        yield number, (ts_ns, trade_id), (ts_ns, trade[6])
    for (number, ts_open_ns), candle in held.candles.items():
        yield number, (ts_open_ns, 0), (ts_open_ns, candle.ts_recv_ns)
    for (number, ts_ns, offset), placed in held.events.items():
        yield number, (ts_ns, offset), (event_ns(placed), placed.ts_recv_ns)
    for (number, ts_recv_ns, offset), mid in held.mids.items():
        yield number, (ts_recv_ns, offset), (ts_recv_ns, mid.ts_recv_ns)
