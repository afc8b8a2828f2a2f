"""Runs of trade messages, taken whole: the road of nearly every frame, and only of those that need no judgement.

What this accepts, `Pipeline` accepts frame by frame with the same batch as result: a test holds them together. A run
goes only as far as every trade in it is new and every stream in it is in the middle of an unbroken connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    streams: dict[Stream, tuple[dict[TradeKey, TradeValues], int, StreamState]] = {}
    done = _enter(rows, frames[start].source.epoch, streams, state_of, known_of)
    if done < len(rows):
        # Something here wants a closer look: give back the frame that holds it, and all behind it.
        offset = rows[done][7]
        while rows and rows[-1][7] >= offset:
            row = rows.pop()
            if len(rows) < done:
                del streams[row[0]][0][row[1], row[2]]
        end = start + offset - frames[start].offset
    taken += rows
    newest: dict[Stream, int] = {}
    for row in rows:
        if row[1] > newest.get(row[0], -1):
            newest[row[0]] = row[1]
    for stream, newest_ns in newest.items():
        sequence.advance(streams[stream][2], newest_ns)
        grown.add(stream)
    return end


def _enter(
    rows: list[PlacedTrade],
    epoch: int,
    streams: dict[Stream, tuple[dict[TradeKey, TradeValues], int, StreamState]],
    state_of: Callable[[Stream, int], StreamState | None],
    known_of: Callable[[Stream], KnownTrades],
) -> int:
    """Enter the rows as known trades, up to the first that is not plainly new; returns how many were entered."""
    stream: Stream | None = None
    held: dict[TradeKey, TradeValues] = {}
    floor_ns = 0
    for done, row in enumerate(rows):
        if row[0] is not stream:
            stream = row[0]
            if stream not in streams:
                state = state_of(stream, epoch)
                if state is None:
                    return done
                known = known_of(stream)
                streams[stream] = (known.held, known.floor_ns, state)
            held, floor_ns, _ = streams[stream]
        key = (row[1], row[2])
        if key in held or row[1] <= floor_ns:
            return done
        held[key] = row[3:6]
    return len(rows)
