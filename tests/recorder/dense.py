"""The smallest venue with dense ids: a frame is `ids` with their milliseconds, a reply also says its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace

import msgspec

from everytick.model.control import Asked, parse_reply, reply_payload
from everytick.model.event import Answered, Decoded, Event, PlacedTrade, Side, Trade
from everytick.model.frame import Frame, FrameKind
from everytick.model.stream import Kind, Stream
from everytick.model.units import ns_from_ms
from everytick.stores.protocol import placed_trade
from everytick.venues.protocol import Rule

STREAM = Stream("dense", Kind.TRADES, "X")


def message(trades: Sequence[tuple[int, int]]) -> bytes:
    """(id, ms) of each trade, in the order sent."""
    return msgspec.json.encode(list(trades))


def reply(trades: Sequence[tuple[int, int]], first_id: int, last_id: int) -> bytes:
    """The venue's whole history from `first_id` to `last_id`."""
    return reply_payload(Asked("history", f"{first_id} {last_id}", 200), message(trades))


def _decode(frame: Frame) -> Decoded:
    body, answers = frame.payload, list[Event]()
    if frame.kind is FrameKind.REPLY:
        asked, body = parse_reply(frame.payload)
        first_id, last_id = map(int, asked.body.split())
        answers = [Answered(STREAM, first_id=first_id, last_id=last_id)]
    trades: list[Event] = [
        Trade(STREAM, ns_from_ms(ms), trade_id, Decimal(1), Decimal(1), Side.BUY)
        for trade_id, ms in msgspec.json.decode(body, type=list[tuple[int, int]])
    ]
    return Decoded(trades + answers, [])


def trade_run(frames: Sequence[Frame], start: int, stop: int, found: dict[Stream, list[PlacedTrade]]) -> int:
    """See venues.protocol.TradeRuns."""
    for at in range(start, stop):
        frame = frames[at]
        if frame.kind is not FrameKind.MESSAGE or frame.source is not frames[start].source:
            return at
        trades = [
            placed_trade(event, frame.offset, frame.ts_recv_ns)
            for event in _decode(frame).events
            if isinstance(event, Trade)
        ]
        found.setdefault(STREAM, []).extend(trades)
    return stop


DENSE = SimpleNamespace(NAME="dense", SEQUENCING={Kind.TRADES: Rule.DENSE}, decode=_decode)
