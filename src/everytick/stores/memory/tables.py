"""What the store in memory holds, and what a batch would add to it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from everytick.errors import Fatal
from everytick.model.event import AssetContext, PlacedTrade
from everytick.model.ledger import Gap, Interval, Seam
from everytick.model.stream import Stream
from everytick.stores.holding import refused, unfit
from everytick.stores.protocol import Batch, Mid, Placed, PlacedCandle, Quarantined

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class Tables:
    """What a store holds. Keys are identities, with a stream's number in the stream's place."""

    checkpoint: int = 0
    streams: dict[Stream, int] = field(default_factory=dict)
    trades: dict[tuple[int, int, int], PlacedTrade] = field(default_factory=dict)
    candles: dict[tuple[int, int], PlacedCandle] = field(default_factory=dict)
    events: dict[tuple[int, int, int], Placed] = field(default_factory=dict)
    mids: dict[tuple[int, int, int], Mid] = field(default_factory=dict)
    quarantined: dict[tuple[int, int], Quarantined] = field(default_factory=dict)
    seams: dict[tuple[int, int], Seam] = field(default_factory=dict)
    gaps: dict[tuple[int, int, int, int], Gap] = field(default_factory=dict)
    coverage: dict[tuple[int, int], Interval] = field(default_factory=dict)
    states: dict[str, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def staged(batch: Batch, held: Tables) -> Tables:
    """The rows that the batch adds or replaces. Raises Fatal if it repeats a row or names an unknown stream."""
    if found := unfit(batch):
        raise refused("memory", found)
    new = Tables(checkpoint=batch.offset_to)
    numbers = dict(held.streams)
    for stream in batch.streams:
        if stream not in numbers:
            numbers[stream] = new.streams[stream] = len(numbers) + 1

    def number(stream: Stream) -> int:
        if stream not in numbers:
            raise Fatal(f"memory: the batch speaks of {stream.key}, which no batch has introduced")
        return numbers[stream]

    def add(old: dict[K, V], fresh: dict[K, V], key: K, row: V) -> None:
        if key in old or key in fresh:
            raise Fatal(f"memory: the batch brings {key} again: {row}")
        fresh[key] = row

    for placed in batch.trades:
        add(held.trades, new.trades, (number(placed[0]), placed[1], placed[2]), placed)
    for candle in batch.candles:
        new.candles[number(candle.candle.stream), candle.candle.ts_open_ns] = candle
    for event in batch.events:
        add(held.events, new.events, (number(event.event.stream), event_ns(event), event.offset), event)
    for mid in batch.mids:
        add(held.mids, new.mids, (number(mid.stream), mid.ts_recv_ns, mid.offset), mid)
    for item in batch.quarantined:
        add(held.quarantined, new.quarantined, (item.offset, item.index), item)
    for seam in batch.seams:
        add(held.seams, new.seams, (number(seam.stream), seam.offset), seam)
    for gap in batch.gaps:
        new.gaps[number(gap.stream), gap.from_ns, gap.offset, gap.first_id] = gap
    for interval in batch.cover_dropped:
        number(interval.stream)
    for interval in batch.cover_put:
        new.coverage[number(interval.stream), interval.from_ns] = interval
    new.states = dict(batch.states)
    new.counts = {name: held.counts.get(name, 0) + more for name, more in batch.counts.items()}
    return new


def event_ns(placed: Placed) -> int:
    """The event's own time; a context has none, so its receive time."""
    event = placed.event
    return placed.ts_recv_ns if isinstance(event, AssetContext) else event.ts_event_ns
