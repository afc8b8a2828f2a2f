"""Candles that do not come by the stream: from the venue's history, or late. Each is held against what we hold.

A candle is stored as closed only once it surely is, and never again as anything else but `revised`. What we hold is
asked of the store and of this stretch of tape, so a rebuilt store judges the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from everytick.core.sequence import StreamState
from everytick.model.event import Candle, CandleState
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_S
from everytick.stores.protocol import CandleRow, PlacedCandle, RowQuery, Store

# Venues' clocks and ours differ by a second or two, and the last trades of an interval take a moment to be added.
CLOSE_MARGIN_NS: Final = 5 * NS_PER_S

Values = tuple[Decimal, Decimal, Decimal, Decimal, Decimal, int]


class Outcome(StrEnum):
    """What became of a candle."""

    ASIDE = "aside"  # still forming, or the stream itself will close it
    FILLED = "filled"  # we held none
    CLOSED = "closed"  # we held it forming
    CONFIRMED = "confirmed"  # we held the same
    REVISED = "revised"  # we held another


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A candle's outcome: what to store, if anything, and the values it takes the place of."""

    outcome: Outcome
    candle: Candle
    before: Values | None = None


class Bars:
    """Judges candles beside the stream. Belongs to the pipeline."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def judge(
        self,
        stream: Stream,
        state: StreamState,
        candles: Sequence[Candle],
        ts_recv_ns: int,
        put: Mapping[tuple[Stream, int], PlacedCandle],
    ) -> list[Judged]:
        """Candles of one stream that came in one frame. `put` are those that this stretch of tape has put so far."""
        last_ns = max(candle.ts_open_ns for candle in candles)
        held = self._held(stream, min(candle.ts_open_ns for candle in candles), last_ns)
        found = []
        for candle in candles:
            is_over = candle.ts_open_ns < last_ns or candle.ts_close_ns + CLOSE_MARGIN_NS <= ts_recv_ns
            if not is_over or _is_live(state, candle):
                found.append(Judged(Outcome.ASIDE, candle))
                continue
            here = put.get((stream, candle.ts_open_ns))
            before = (values_of(here.candle), here.candle.state) if here is not None else held.get(candle.ts_open_ns)
            found.append(_judge(candle, before))
        return found

    def _held(self, stream: Stream, from_ns: int, last_ns: int) -> dict[int, tuple[Values, CandleState]]:
        reader = self._store.reader()
        try:
            query = RowQuery((stream,), since_ns=from_ns, until_ns=last_ns + 1, descending=False, limit=2**31)
            return {row.ts_open_ns: (_row_values(row), CandleState(row.state)) for row in reader.candles(query)}
        finally:
            reader.close()


def _is_live(state: StreamState, candle: Candle) -> bool:
    """Whether the stream is still telling this candle, and will close it itself with its last values."""
    newest = state.candle
    return state.is_live and state.is_settled and newest is not None and candle.ts_open_ns >= newest.ts_open_ns


def _judge(candle: Candle, before: tuple[Values, CandleState] | None) -> Judged:
    closed = msgspec.structs.replace(candle, state=CandleState.CLOSED)
    if before is None:
        return Judged(Outcome.FILLED, closed)
    values, state = before
    if state is CandleState.FORMING:
        return Judged(Outcome.CLOSED, closed)
    if values == values_of(candle):
        return Judged(Outcome.CONFIRMED, candle)
    return Judged(Outcome.REVISED, msgspec.structs.replace(candle, state=CandleState.REVISED), values)


def values_of(candle: Candle) -> Values:
    """What two tellings of one candle must agree on."""
    return (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.trade_count)


def _row_values(row: CandleRow) -> Values:
    numbers = (Decimal(text) for text in (row.open, row.high, row.low, row.close, row.volume))
    first, high, low, last, volume = numbers
    return (first, high, low, last, volume, row.trade_count)


def words(values: Values) -> str:
    """The values for a person."""
    names = ("o", "h", "l", "c", "v", "n")
    return " ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
