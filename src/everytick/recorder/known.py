"""Which trades of a stream we hold: exact, with the newest in memory and the store asked for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from everytick.model.stream import Stream
from everytick.stores.protocol import Store, TradeKey, TradeValues

# A venue's replay reaches back 30 to 1,000 trades; twice that in memory answers nearly every question.
NEWEST_KEPT = 2_048


class KnownTrades:
    """Exact membership of one stream's trades.

    Everything newer than `floor_ns` that the store holds is in `held`; older keys are looked up in the store.
    Trades accepted since the last `settle` are in `held` whatever their time, since the store has not got them.
    """

    def __init__(self, stream: Stream, store: Store) -> None:
        self._stream = stream
        self._store = store
        newest = store.newest_trades(stream, NEWEST_KEPT)
        self.held: dict[TradeKey, TradeValues] = {key: newest[key] for key in sorted(newest)}
        is_all = len(self.held) < NEWEST_KEPT
        self.floor_ns = -1 if is_all else min(ts_ns for ts_ns, _ in self.held)

    def fetch_old(self, keys: Iterable[TradeKey]) -> dict[TradeKey, TradeValues]:
        """Those of `keys`, none of them in `held`, that are at or below the floor and in the store."""
        old = [key for key in keys if key[0] <= self.floor_ns]
        return self._store.known_trades(self._stream, old) if old else {}

    def enter(self, keys: list[TradeKey], values: list[TradeValues]) -> bool:
        """Enter all of these as known, if none is known or repeated as far as memory alone can tell; else none."""
        held = self.held
        if min([ts_ns for ts_ns, _ in keys]) <= self.floor_ns or not held.keys().isdisjoint(keys):
            return False
        before = len(held)
        held.update(zip(keys, values, strict=True))
        if len(held) - before == len(keys):
            return True
        self.leave(keys)
        return False

    def leave(self, keys: list[TradeKey]) -> None:
        """Take back what `enter` entered."""
        for key in keys:
            self.held.pop(key, None)

    def settle(self) -> None:
        """The store now has everything accepted so far: forget the earliest accepted, keep the last few thousand."""
        surplus = len(self.held) - NEWEST_KEPT
        if surplus <= NEWEST_KEPT:
            return
        self.floor_ns = max(self.floor_ns, max(islice(self.held, surplus))[0])
        self.held = dict(islice(self.held.items(), surplus, None))
