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
from everytick.stores.protocol import TradeKey
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
    else None. One trade that wants a closer look gives the whole run back: repeats come in stretches.
    """
    found: dict[Stream, list[PlacedTrade]] = {}
    end = read(frames, start, min(start + RUN_FRAMES_MAX, len(frames)), found)
    epoch = frames[start].source.epoch
    entered: list[tuple[KnownTrades, StreamState, list[TradeKey], list[PlacedTrade]]] = []
    for stream, rows in found.items():
        if not rows:
            continue
        state = state_of(stream, epoch)
        known = known_of(stream)
        keys = [(row[1], row[2]) for row in rows]
        if state is None or not _continue(state, keys) or not known.enter(keys, [row[3:6] for row in rows]):
            for other, _, theirs, _ in entered:
                other.leave(theirs)
            return start
        entered.append((known, state, keys, rows))
    for _, state, keys, rows in entered:
        sequence.advance(state, max([ts_ns for ts_ns, _ in keys]))
        if state.newest_id >= 0:
            state.newest_id = keys[-1][1]
        taken += rows
        grown.add(rows[0][0])
    return end


def _continue(state: StreamState, keys: Sequence[TradeKey]) -> bool:
    """Whether ids that have no holes go on from the newest without one; true where ids are in no order."""
    newest = state.newest_id
    return newest < 0 or [trade_id for _, trade_id in keys] == list(range(newest + 1, newest + 1 + len(keys)))
