"""Which frames of a recording the simulated venue keeps to itself. Pure but for its dice, which are its own."""

from __future__ import annotations

import random
from collections.abc import Sequence

from everytick.errors import Refused
from everytick.sim.recordings import TimedFrame

RUN_FRAMES_MAX = 40  # about 50 ms of a busy symbol


def holes_of(frames: Sequence[TimedFrame], count: int, seed: int) -> frozenset[int]:
    """Places of `count` trades that never were; never a symbol's first or last, which nothing could show."""
    return frozenset(_trades(frames, count, random.Random(f"{seed}/holes")))


def dropped_of(frames: Sequence[TimedFrame], count: int, seed: int, holes: frozenset[int]) -> frozenset[int]:
    """Places of frames that are not sent, by `count` deletions: single trades, and whole runs of all kinds of frame.

    A symbol's first and last trade are always sent.
    """
    dice = random.Random(f"{seed}/drop")
    runs = count // 2
    dropped = set(_trades(frames, count - runs, dice))
    for _ in range(runs):
        start = dice.randrange(len(frames))
        dropped.update(range(start, min(start + dice.randint(1, RUN_FRAMES_MAX), len(frames))))
    return frozenset(dropped - _edges(frames) - holes)


def _trades(frames: Sequence[TimedFrame], count: int, dice: random.Random) -> list[int]:
    edges = _edges(frames)
    places = [place for place, frame in enumerate(frames) if frame.trades and place not in edges]
    if count > len(places):
        raise Refused(f"only {len(places)} trades can be taken out", path="drop", value=count)
    return dice.sample(places, count)


def _edges(frames: Sequence[TimedFrame]) -> frozenset[int]:
    """Places of each symbol's first and last trade."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for place, frame in enumerate(frames):
        if frame.trades:
            first.setdefault(frame.coin, place)
            last[frame.coin] = place
    return frozenset((*first.values(), *last.values()))
