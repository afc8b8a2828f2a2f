"""What every store can hold, row by row: the rule that tells a poison row from its neighbours.

A store looks here only after it has refused a batch, so the rule costs nothing while all is well. What it refuses is
refused in every store, so that each makes the same record of the same tape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from everytick.model.event import PlacedTrade
from everytick.model.stream import Stream
from everytick.stores.protocol import Batch, Mid, Placed, PlacedCandle, RowIdentity, Unstorable

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

VenueRow = PlacedTrade | PlacedCandle | Placed | Mid


def unfit(batch: Batch) -> Mapping[RowIdentity, str]:
    """The rows that no store can hold, each with the reason."""
    return {identity: reason for identity, row in rows_of(batch) if (reason := _reason(row))}


def refused(place: str, rows: Mapping[RowIdentity, str]) -> Unstorable:
    """The error that names these rows."""
    (stream, ts_ns, row_id), reason = next(iter(rows.items()))
    first = f"{stream.key} at {ts_ns}, id {row_id}: {reason}"
    return Unstorable(
        f"the store at {place} cannot hold {len(rows)} of the batch's rows, the first of them {first}", rows
    )


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


def _reason(value: object) -> str:
    if isinstance(value, int):
        return "" if INT64_MIN <= value <= INT64_MAX else f"{value} does not fit 64 bits"
    if isinstance(value, Decimal):
        return "" if value.is_finite() else f"{value} is no finite number"
    if isinstance(value, (Placed, PlacedCandle)) or (
        isinstance(value, msgspec.Struct) and not isinstance(value, Stream)
    ):
        return next(filter(None, (_reason(getattr(value, name)) for name in value.__struct_fields__)), "")
    if isinstance(value, tuple):
        return next(filter(None, map(_reason, value)), "")
    return ""
