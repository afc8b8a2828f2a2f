"""What every store can hold, row by row: the rule that tells a poison row from its neighbours.

A store looks here only after it has refused a batch, so the rule costs nothing while all is well. What it refuses is
refused in every store, so that each makes the same record of the same tape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from everytick.model.event import PlacedTrade
from everytick.stores.protocol import Batch, Mid, Placed, PlacedCandle, RowIdentity, Unstorable

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")

VenueRow = PlacedTrade | PlacedCandle | Placed | Mid


def unfit(batch: Batch) -> Mapping[RowIdentity, str]:
    """The rows that no store can hold, each with the reason."""
    return {identity: reason for identity, row in rows_of(batch) if (reason := reason_of(row))}


def refused(place: str, rows: Mapping[RowIdentity, str], *, is_by_rule: bool = True) -> Unstorable:
    """The error that names these rows."""
    (stream, ts_ns, row_id), reason = next(iter(rows.items()))
    first = f"{stream.key} at {ts_ns}, id {row_id}: {reason}"
    message = f"the store at {place} cannot hold {len(rows)} of the batch's rows; the first is {first}"
    return Unstorable(message, rows, is_by_rule=is_by_rule)


def rows_of(batch: Batch) -> Iterator[tuple[RowIdentity, VenueRow]]:
    """Every row that came from a venue, with its identity."""
    for trade in batch.trades:
        yield (trade[0], trade[1], trade[2]), trade
    for candle in batch.candles:
        yield (candle.candle.stream, candle.candle.ts_open_ns, 0), candle
    for placed in batch.events:
        yield (placed.event.stream, getattr(placed.event, "ts_event_ns", placed.ts_recv_ns), placed.offset), placed
    for mid in batch.mids:
        yield (mid.stream, mid.ts_recv_ns, mid.offset), mid


def reason_of(value: object) -> str:
    """Why no store can hold this event, row or number; empty if each can: 64 bits, finite, and text that is text."""
    if isinstance(value, int):
        return "" if INT64_MIN <= value <= INT64_MAX else f"{value} does not fit 64 bits"
    if isinstance(value, Decimal):
        return "" if value.is_finite() else f"{value} is no finite number"
    if isinstance(value, str):
        return "" if value.isascii() or not _SURROGATE.search(value) else "a text with half a character"
    if isinstance(value, msgspec.Struct):
        return next(filter(None, (reason_of(getattr(value, name)) for name in value.__struct_fields__)), "")
    if isinstance(value, dict):
        return reason_of(tuple(value.items()))
    if isinstance(value, tuple):
        return next(filter(None, map(reason_of, value)), "")
    return ""
