"""Runs of trade messages, taken whole: the road of nearly every frame, and only of those that need no judgement.

What this accepts, `Pipeline` accepts frame by frame with the same batch as result: a test holds them together. A run
goes only as far as every trade in it is new and every stream in it is in the middle of an unbroken connection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec

from everytick.core import sequence
from everytick.core.sequence import StreamState
from everytick.model.event import PlacedTrade
from everytick.model.frame import Frame
from everytick.model.stream import Stream
from everytick.recorder.known import KnownTrades
from everytick.stores.protocol import TradeKey, TradeValues
from everytick.venues.protocol import TradeRuns

# Large enough that a run's own cost vanishes, small enough to stay in the processor's cache.
RUN_FRAMES_MAX = 256


def take_run(
    read: TradeRuns,
    frames: Sequence[Frame],
    start: int,
    state_of: Callable[[Stream, int], StreamState | None],
    known_of: Callable[[Stream], KnownTrades],
    taken: list[PlacedTrade],
    grown: set[Stream],
) -> int:
    """Put the trades of a run from `frames[start]` on into `taken`; returns where it ends, `start` if nowhere.

    `state_of` gives the state of a stream whose next message on the connection of that epoch needs no judgement,
    else None. The offsets of `frames` have no holes.
    """
    rows: list[PlacedTrade] = []
    end = read(frames, start, min(start + RUN_FRAMES_MAX, len(frames)), rows)
    found: dict[Stream, _Found] = {}
    done = _enter(rows, frames[start].source.epoch, found, state_of, known_of)
    if done < len(rows):
        # Something here wants a closer look: give back the frame that holds it, and all behind it.
        offset = rows[done][7]
        while rows and rows[-1][7] >= offset:
            row = rows.pop()
            if len(rows) < done:
                del found[row[0]].held[row[1], row[2]]
        end = start + offset - frames[start].offset
    taken += rows
    for stream, times in _times(rows).items():
        sequence.advance(found[stream].state, max(times))
        grown.add(stream)
    return end


class _Found(msgspec.Struct, gc=False):
    held: dict[TradeKey, TradeValues]
    floor_ns: int
    state: StreamState


def _times(rows: list[PlacedTrade]) -> dict[Stream, list[int]]:
    times: dict[Stream, list[int]] = defaultdict(list)
    for stream, ts_ns, *_ in rows:
        times[stream].append(ts_ns)
    return times


def _enter(
    rows: list[PlacedTrade],
    epoch: int,
    found: dict[Stream, _Found],
    state_of: Callable[[Stream, int], StreamState | None],
    known_of: Callable[[Stream], KnownTrades],
) -> int:
    """Enter the rows as known trades, up to the first that is not plainly new; returns how many were entered."""
    stream: Stream | None = None
    held: dict[TradeKey, TradeValues] = {}
    floor_ns = 0
    for done, (of, ts_ns, trade_id, price, size, side, _, _) in enumerate(rows):
        if of is not stream:
            stream = of
            if stream not in found:
                state = state_of(stream, epoch)
                if state is None:
                    return done
                known = known_of(stream)
                found[stream] = _Found(known.held, known.floor_ns, state)
            held, floor_ns = found[stream].held, found[stream].floor_ns
        key = (ts_ns, trade_id)
        if key in held or ts_ns <= floor_ns:
            return done
        held[key] = (price, size, side)
    return len(rows)
