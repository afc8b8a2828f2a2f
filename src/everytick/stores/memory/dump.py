"""The content of the store in memory as lines, spelled from the records field by field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from everytick.core.validate import decimal_text
from everytick.model.event import AssetContext, BookSnapshot, PlacedTrade, Quote, VaultPositions
from everytick.stores.memory.tables import Tables
from everytick.stores.protocol import PlacedCandle
from everytick.stores.spelling import DUMPED, dump_line, levels_text, optional_text, positions_text

Line = tuple[object, ...]


def dump_lines(held: Tables) -> list[str]:
    """Every row, by table and key."""
    rows: dict[str, Iterable[Line]] = {
        "checkpoint": [(held.checkpoint,)],
        "streams": ((n, s.venue, s.kind.value, s.instrument, s.interval) for s, n in held.streams.items()),
        "trades": (_trade(key, held.trades[key]) for key in sorted(held.trades)),
        "candles": (_candle(key, held.candles[key]) for key in sorted(held.candles)),
        "quotes": _quotes(held),
        "books": _books(held),
        "mids": ((*key, decimal_text(held.mids[key].price)) for key in sorted(held.mids)),
        "contexts": _contexts(held),
        "vaults": _vaults(held),
        "quarantine": _quarantine(held),
        "seams": _seams(held),
        "gaps": _gaps(held),
        "coverage": (
            (*key, row.to_ns, row.cover.value, row.offset) for key, row in sorted(held.coverage.items(), key=_first)
        ),
        "states": sorted(held.states.items()),
        "counts": sorted(held.counts.items()),
    }
    return [dump_line(table, row) for table in DUMPED for row in rows[table]]


def _first(item: tuple[tuple[int, ...], object]) -> tuple[int, ...]:
    return item[0]


def _trade(key: tuple[int, int, int], placed: PlacedTrade) -> Line:
    return (*key, *placed[3:])


def _candle(key: tuple[int, int], placed: PlacedCandle) -> Line:
    candle = placed.candle
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    text = (decimal_text(number) for number in numbers)
    count_and_state = (candle.trade_count, candle.state.value)
    return (*key, candle.ts_close_ns, *text, *count_and_state, placed.ts_recv_ns, placed.offset)


def _quotes(held: Tables) -> Iterator[Line]:
    for key, placed in sorted(held.events.items(), key=_first):
        event = placed.event
        if isinstance(event, Quote):
            numbers = (event.bid_price, event.bid_size, event.ask_price, event.ask_size)
            yield (*key, *(optional_text(number) for number in numbers), placed.ts_recv_ns)


def _books(held: Tables) -> Iterator[Line]:
    for key, placed in sorted(held.events.items(), key=_first):
        event = placed.event
        if isinstance(event, BookSnapshot):
            yield (*key, levels_text(event.bids), levels_text(event.asks), placed.ts_recv_ns)


def _contexts(held: Tables) -> Iterator[Line]:
    for key, placed in sorted(held.events.items(), key=_first):
        event = placed.event
        if isinstance(event, AssetContext):
            numbers = (
                *(event.open_interest, event.funding_rate, event.mark_price, event.oracle_price, event.mid_price),
                *(event.premium, event.day_notional_volume, event.previous_day_price),
            )
            yield (*key, *(optional_text(number) for number in numbers))


def _vaults(held: Tables) -> Iterator[Line]:
    for key, placed in sorted(held.events.items(), key=_first):
        if isinstance(placed.event, VaultPositions):
            yield (*key, positions_text(placed.event.positions), placed.ts_recv_ns)


def _quarantine(held: Tables) -> Iterator[Line]:
    for key, row in sorted(held.quarantined.items(), key=_first):
        yield (*key, row.venue, row.channel, row.reason, row.path, row.value, row.ts_recv_ns, row.excerpt)


def _seams(held: Tables) -> Iterator[Line]:
    for key, row in sorted(held.seams.items(), key=_first):
        verdict = (row.epoch, row.verdict.value, row.cause, row.shared)
        yield (*key, *verdict, row.ts_before_ns, row.ts_after_ns, row.ts_recv_ns)


def _gaps(held: Tables) -> Iterator[Line]:
    for key, row in sorted(held.gaps.items(), key=_first):
        words = (row.kind.value, row.cause, row.state.value)
        yield (*key, row.to_ns, *words, row.estimated_missing, row.last_id, row.ts_recv_ns)
