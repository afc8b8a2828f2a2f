"""Everything that ever traded at the simulated venue, by id: what its REST API answers from."""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal

import msgspec

from everytick.sim.prints import Print

# A day of a busy symbol is about a million trades, and about 200 bytes each.
TRADES_MAX = 1_000_000


class Aggregate(msgspec.Struct):
    """One taker's fills at one price and moment: the trades `first_id` to `last_id`, with an id of its own."""

    number: int
    side: str
    px: str
    size: Decimal
    time_ms: int
    first_id: int
    last_id: int


class History:
    """One symbol's trades in the order of their ids, and their aggregates. Full, it forgets its oldest half."""

    def __init__(self) -> None:
        self.trades: list[Print] = []
        self.aggregates: list[Aggregate] = []
        self._next_number = 1_000_000

    def observe(self, trade: Print) -> None:
        """A trade happened; its id is above every one before."""
        self.trades.append(trade)
        last = self.aggregates[-1] if self.aggregates else None
        same = last is not None and (last.side, last.px, last.time_ms) == (trade.side, trade.px, trade.time_ms)
        if last is not None and same:
            last.size += Decimal(trade.sz)
            last.last_id = trade.tid
        else:
            size = Decimal(trade.sz)
            self.aggregates.append(
                Aggregate(self._next_number, trade.side, trade.px, size, trade.time_ms, trade.tid, trade.tid)
            )
            self._next_number += 1
        if len(self.trades) > TRADES_MAX:
            del self.trades[: TRADES_MAX // 2]
            del self.aggregates[: bisect_left(self.aggregates, self.trades[0].tid, key=lambda a: a.last_id)]

    def from_id(self, first_id: int, limit: int) -> list[Print]:
        """At most `limit` trades from this id on."""
        start = bisect_left(self.trades, first_id, key=lambda trade: trade.tid)
        return self.trades[start : start + limit]

    def aggregates_from(self, number: int, limit: int) -> list[Aggregate]:
        """At most `limit` aggregates from this number on."""
        start = bisect_left(self.aggregates, number, key=lambda one: one.number)
        return self.aggregates[start : start + limit]

    def aggregates_between(self, from_ms: int, to_ms: int, limit: int) -> list[Aggregate]:
        """At most `limit` aggregates of this time, both ends inclusive."""
        start = bisect_left(self.aggregates, from_ms, key=lambda one: one.time_ms)
        return [one for one in self.aggregates[start : start + limit] if one.time_ms <= to_ms]
