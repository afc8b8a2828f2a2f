"""A store that fails where stores fail: before a commit, during it, after it and before anybody is told; or is away.

It survives the program, as a database server does, and keeps the contract of `stores.protocol.Store`: after Retryable
nothing was applied, or it was and the same batch once more finds that out, as the network stores do.
"""

from __future__ import annotations

from collections.abc import Iterable

from everytick.errors import Fatal, Retryable
from everytick.model.ledger import Interval
from everytick.model.stream import Stream
from everytick.sim.loop import SimLoop
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Batch, Reader, Store, TradeKey, TradeValues


class Database:
    """What outlives programs: the tables, the writer's epoch, and the faults that are due."""

    def __init__(self, loop: SimLoop) -> None:
        self.loop = loop
        self.store: Store = MemoryStore()
        self.epoch = 0
        self.away_until_ns = 0
        self.due: list[str] = []  # of the next commits: before, during, after
        self.applied: list[Batch] = []  # since whoever watches last looked

    @property
    def is_away(self) -> bool:
        """Whether it answers nobody now."""
        return self.loop.now_ns < self.away_until_ns

    def open(self) -> SimStore:
        """A new writer; the one before it is fenced off. Raises Retryable."""
        if self.is_away:
            raise Retryable("the store is away")
        self.epoch += 1
        return SimStore(self, self.epoch)


class SimStore:
    """One writer's view (see stores.protocol.Store)."""

    def __init__(self, database: Database, epoch: int) -> None:
        self._database = database
        self._epoch = epoch
        self._doubtful = (-1, -1)

    def apply(self, batch: Batch) -> None:
        """Apply, or fail as is due."""
        database = self._database
        self._check()
        if self._epoch != database.epoch:
            raise Fatal(f"a newer writer has the store: epoch {database.epoch}, ours is {self._epoch}")
        if self._doubtful == (batch.offset_from, batch.offset_to):
            reader = database.store.reader()
            if reader.checkpoint() == batch.offset_to:
                self._doubtful = (-1, -1)
                return
        fault = database.due.pop(0) if database.due else ""
        if fault in ("before", "during"):
            raise Retryable(f"the connection to the store was lost {fault} the commit")
        database.store.apply(batch)
        database.applied.append(batch)
        if fault == "after":
            self._doubtful = (batch.offset_from, batch.offset_to)
            raise Retryable("the connection to the store was lost after the commit")

    def known_trades(self, stream: Stream, keys: Iterable[TradeKey]) -> dict[TradeKey, TradeValues]:
        """Which of these are held."""
        self._check()
        return self._database.store.known_trades(stream, keys)

    def newest_trades(self, stream: Stream, limit: int) -> dict[TradeKey, TradeValues]:
        """The newest of a stream."""
        self._check()
        return self._database.store.newest_trades(stream, limit)

    def states(self) -> dict[str, bytes]:
        """The pipeline's state."""
        self._check()
        return self._database.store.states()

    def open_cover(self, stream: Stream) -> Interval | None:
        """The stream's last interval."""
        self._check()
        return self._database.store.open_cover(stream)

    def reader(self) -> Reader:
        """A reader."""
        self._check()
        return self._database.store.reader()

    def close(self) -> None:
        """Nothing to let go of."""

    def _check(self) -> None:
        if self._database.is_away:
            raise Retryable("the store is away")
