"""Frames of a simulated Hyperliquid connection, made by hand: what the pipeline's tests feed it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from everytick.model.control import (
    Connected,
    Disconnected,
    Started,
    Subscribed,
    control_payload,
)
from everytick.model.frame import Frame, FrameKind, Source
from everytick.model.units import ns_from_ms

NOW_MS = 1_757_020_000_000
Print = tuple[int, int, str, str, str]  # ms, tid, px, sz, side


class Tape:
    """Builds frames with gapless offsets, as a recorder would have put them down."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.source = Source("hyperliquid", "ws", -1)

    def put(self, kind: FrameKind, payload: bytes, recv_ms: int = NOW_MS) -> Frame:
        frame = Frame(len(self.frames), kind, self.source, ns_from_ms(recv_ms), 0, payload)
        self.frames.append(frame)
        return frame

    def start(self) -> None:
        self.put(FrameKind.START, control_payload(Started("run", "0")))

    def connect(self, *streams: str) -> None:
        self.source = Source("hyperliquid", "ws", len(self.frames))
        self.put(FrameKind.CONNECT, control_payload(Connected("ws://here")))
        self.put(FrameKind.SUBSCRIBE, control_payload(Subscribed(list(streams))))

    def disconnect(self, cause: str = "cut") -> None:
        self.put(FrameKind.DISCONNECT, control_payload(Disconnected(cause)))

    def trades(self, coin: str, prints: Iterable[Print], recv_ms: int = NOW_MS) -> None:
        self.put(FrameKind.MESSAGE, trades_message(coin, prints), recv_ms)


def trades_message(coin: str, prints: Iterable[Print]) -> bytes:
    """One `trades` message in the venue's bytes."""
    data = [
        {
            "coin": coin,
            "side": side,
            "px": px,
            "sz": sz,
            "time": ms,
            "hash": "0x" + "0" * 64,
            "tid": tid,
            "users": ["0x" + "1" * 40, "0x" + "2" * 40],
        }
        for ms, tid, px, sz, side in prints
    ]
    return msgspec.json.encode({"channel": "trades", "data": data})


def cut_into(frames: Sequence[Frame], sizes: Sequence[int]) -> list[list[Frame]]:
    """The frames in batches of the given sizes, the sizes used again and again."""
    batches, at, turn = [], 0, 0
    while at < len(frames):
        size = sizes[turn % len(sizes)]
        batches.append(list(frames[at : at + size]))
        at, turn = at + size, turn + 1
    return batches
