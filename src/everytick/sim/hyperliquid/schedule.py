"""Recordings on one timeline: which frames each connection life carries, and what is replayed at its start. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from everytick.model.units import NS_PER_MS
from everytick.sim.hyperliquid.messages import CHANNELS
from everytick.sim.recordings import Recording, TimedFrame


class Life(msgspec.Struct, frozen=True):
    """One connection's part of the timeline.

    `replays` are recorded replays, sent when their coin is subscribed to instead of at their time; `verbatim`
    are coins whose recorded frames hold their own replay, so none is made for them. `outage_ns` is the
    recorded silence before this life, 0 for the first.
    """

    frames: tuple[TimedFrame, ...]
    replays: dict[str, TimedFrame]
    verbatim: frozenset[str]
    outage_ns: int


class _Outage(msgspec.Struct):
    """One moment at which recorders lost their connection; `replays` holds file index -> life index after it."""

    from_ns: int
    to_ns: int
    lives: dict[int, int]


def schedule(recordings: Sequence[Recording]) -> list[Life]:
    """All files as lives of one connection.

    Cuts of several files that overlap in time are one outage. Where only some files have one, the others are
    cut as well, between the same two frames, and lose nothing.
    """
    outages = _outages(recordings)
    parts: list[list[tuple[TimedFrame, ...]]] = [[] for _ in range(len(outages) + 1)]
    replays: list[dict[str, TimedFrame]] = [{} for _ in parts]
    verbatim: list[set[str]] = [set() for _ in parts]
    for index, recording in enumerate(recordings):
        for number, life in enumerate(recording.lives):
            first = _place(index, number, life, outages)
            for place, frames in _split(life, first, outages):
                begins = place == first
                if recording.raw and begins:
                    verbatim[place].update(frame.coin for frame in frames)
                elif begins and not recording.raw:
                    replays[place][frames[0].coin] = frames[0]
                    frames = frames[1:]
                parts[place].append(frames)
    return [
        Life(
            frames=tuple(sorted((f for part in parts[i] for f in part if _is_market(f)), key=lambda f: f.ts_ns)),
            replays=replays[i],
            verbatim=frozenset(verbatim[i]),
            outage_ns=outages[i - 1].to_ns - outages[i - 1].from_ns if i else 0,
        )
        for i in range(len(parts))
    ]


def _is_market(frame: TimedFrame) -> bool:
    """Acks, pongs and errors belong to the recorded conversation: the server has its own."""
    return frame.channel in CHANNELS


def _outages(recordings: Sequence[Recording]) -> list[_Outage]:
    cuts = sorted(
        (recording.lives[number - 1][-1].ts_ns, life[0].ts_ns, index, number)
        for index, recording in enumerate(recordings)
        for number, life in enumerate(recording.lives)
        if number > 0
    )
    outages: list[_Outage] = []
    for from_ns, to_ns, index, number in cuts:
        if outages and from_ns <= outages[-1].to_ns and index not in outages[-1].lives:
            outages[-1].to_ns = min(outages[-1].to_ns, to_ns)
            outages[-1].from_ns = max(outages[-1].from_ns, from_ns)
            outages[-1].lives[index] = number
        else:
            outages.append(_Outage(from_ns, to_ns, {index: number}))
    return outages


def _place(index: int, number: int, life: tuple[TimedFrame, ...], outages: Sequence[_Outage]) -> int:
    """In which life of the timeline this file's life begins."""
    for place, outage in enumerate(outages):
        if number and outage.lives.get(index) == number:
            return place + 1
    return sum(1 for outage in outages if outage.to_ns <= life[0].ts_ns)


def _split(
    life: tuple[TimedFrame, ...], first: int, outages: Sequence[_Outage]
) -> list[tuple[int, tuple[TimedFrame, ...]]]:
    """A file's life, cut where other files were: (life of the timeline, frames), the first never empty."""
    pieces: list[tuple[int, tuple[TimedFrame, ...]]] = []
    place, start = first, 0
    for at in range(1, len(life)):
        while place < len(outages) and life[at].ts_ns >= outages[place].to_ns:
            pieces.append((place, life[start:at]))
            place, start = place + 1, at
    pieces.append((place, life[start:]))
    return pieces


def length_ns(lives: Sequence[Life]) -> int:
    """How long the timeline is."""
    stamps = [frame.ts_ns for life in lives for frame in (*life.frames, *life.replays.values())]
    return max(stamps) - min(stamps) if stamps else 0


def outage_ms(life: Life) -> int:
    """The recorded silence before a life, in ms."""
    return life.outage_ns // NS_PER_MS
