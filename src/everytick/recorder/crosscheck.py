"""The venue's newest trades, asked for, against the record: each must be held, or lie where we know that we may miss.

What a poll tells is never proof of the time before it, so nothing newer than the stream's own newest is taken from it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from everytick.core.coverage import COMPLETE
from everytick.core.sequence import StreamState
from everytick.core.validate import decimal_text
from everytick.model.event import RecentTrades, Trade
from everytick.model.stream import Stream
from everytick.recorder.known import KnownTrades
from everytick.stores.protocol import Batch, Store, TradeValues


class Standing(StrEnum):
    """Where one of the venue's trades stands in our record."""

    HELD = "held"
    OUTSIDE = "outside"  # newer than the stream, before the record began, or in a gap that is known
    MISSING = "missing"  # in time that we called complete
    OTHERWISE = "otherwise"  # held with other values


class Checked(msgspec.Struct, frozen=True, gc=False):
    """One trade and its standing; `held` are the values of the one that we hold."""

    standing: Standing
    index: int
    trade: Trade
    held: TradeValues | None = None


def check(recent: RecentTrades, state: StreamState, known: KnownTrades, store: Store, batch: Batch) -> list[Checked]:
    """Every trade's standing. `batch` is the stretch of tape so far, which the store has not got yet."""
    missing_keys = [key for one in recent.trades if (key := (one.ts_event_ns, one.trade_id)) not in known.held]
    old = known.fetch_old(missing_keys)
    found = []
    for index, trade in enumerate(recent.trades):
        key = (trade.ts_event_ns, trade.trade_id)
        before = known.held.get(key) or old.get(key)
        if before is not None:
            standing = Standing.HELD if before == values_of(trade) else Standing.OTHERWISE
        elif _is_complete(recent.stream, state, trade.ts_event_ns, store, batch):
            standing = Standing.MISSING
        else:
            standing = Standing.OUTSIDE
        found.append(Checked(standing, index, trade, before))
    return found


def values_of(trade: Trade) -> TradeValues:
    """What two tellings of one trade must agree on."""
    return decimal_text(trade.price), decimal_text(trade.size), trade.side.value


def _is_complete(stream: Stream, state: StreamState, ts_ns: int, store: Store, batch: Batch) -> bool:
    if ts_ns >= state.newest_ns or state.cover_from_ns < 0:
        return False
    if ts_ns >= state.cover_from_ns:
        return True
    reader = store.reader()
    try:
        held = {interval.from_ns: interval for interval in reader.coverage(stream, ts_ns, ts_ns + 1)}
    finally:
        reader.close()
    held.update({one.from_ns: one for one in batch.cover_put if one.stream == stream})
    return any(one.from_ns <= ts_ns < one.to_ns and one.cover in COMPLETE for one in held.values())
