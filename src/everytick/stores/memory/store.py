"""Writing to the store in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from everytick.errors import Fatal
from everytick.model.ledger import Interval
from everytick.model.stream import Stream
from everytick.stores.memory.reader import MemoryReader, values
from everytick.stores.memory.tables import Tables, staged
from everytick.stores.protocol import Batch, TradeKey, TradeValues


class MemoryStore:
    """One writer's view, and readers of the same tables."""

    def __init__(self) -> None:
        self._tables = Tables()
        # A reader may belong to another thread, and sees whole batches only.
        self._lock = threading.Lock()

    def apply(self, batch: Batch) -> None:
        """All of the batch or nothing. Raises Fatal if it does not follow the checkpoint or repeats a row."""
        with self._lock:
            held = self._tables
            if batch.offset_from != held.checkpoint:
                raise Fatal(
                    f"memory: the batch begins at offset {batch.offset_from}, the checkpoint is {held.checkpoint}"
                )
            # Everything that can fail happens in here; what follows cannot.
            fresh = staged(batch, held)
            held.streams.update(fresh.streams)
            held.trades.update(fresh.trades)
            held.candles.update(fresh.candles)
            held.events.update(fresh.events)
            held.mids.update(fresh.mids)
            held.quarantined.update(fresh.quarantined)
            held.seams.update(fresh.seams)
            held.gaps.update(fresh.gaps)
            for dropped in batch.cover_dropped:
                held.coverage.pop((held.streams[dropped.stream], dropped.from_ns), None)
            held.coverage.update(fresh.coverage)
            held.states.update(fresh.states)
            held.counts.update(fresh.counts)
            held.checkpoint = fresh.checkpoint

    def known_trades(self, stream: Stream, keys: Iterable[TradeKey]) -> dict[TradeKey, TradeValues]:
        """Which of these trades are held."""
        with self._lock:
            number = self._tables.streams.get(stream, -1)
            found = {key: self._tables.trades.get((number, *key)) for key in keys}
        return {key: values(placed) for key, placed in found.items() if placed is not None}

    def newest_trades(self, stream: Stream, limit: int) -> dict[TradeKey, TradeValues]:
        """The newest `limit` trades, newest first."""
        with self._lock:
            number = self._tables.streams.get(stream, -1)
            keys = sorted((key for key in self._tables.trades if key[0] == number), reverse=True)[:limit]
            return {(ts_ns, trade_id): values(self._tables.trades[n, ts_ns, trade_id]) for n, ts_ns, trade_id in keys}

    def states(self) -> dict[str, bytes]:
        """The pipeline's state as last applied."""
        with self._lock:
            return dict(sorted(self._tables.states.items()))

    def open_cover(self, stream: Stream) -> Interval | None:
        """The stream's last interval by time."""
        with self._lock:
            own = [interval for interval in self._tables.coverage.values() if interval.stream == stream]
            return max(own, key=lambda interval: interval.from_ns, default=None)

    def reader(self) -> MemoryReader:
        """A reader of the same tables."""
        return MemoryReader(self._tables, self._lock)

    def close(self) -> None:
        """Nothing to let go of: readers may go on."""
