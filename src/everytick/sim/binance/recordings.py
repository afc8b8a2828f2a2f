"""Recordings of combined streams, one `<local ns> <json>` per line, as timed frames for the player."""

from __future__ import annotations

from pathlib import Path

import msgspec

from everytick.errors import Refused
from everytick.sim.binance.messages import key_of
from everytick.sim.prints import Print
from everytick.sim.recordings import Recording, TimedFrame, read_raw, read_text

OTHER = ""  # the channel of what is no event of a stream: an answer of REST, say


class _Combined(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


class _Trade(msgspec.Struct):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


_combined = msgspec.json.Decoder(_Combined)
_trade = msgspec.json.Decoder(_Trade)


def read_recording(path: Path) -> Recording:
    """The recording in a file. Raises Refused, naming the line that cannot be read."""
    frames = tuple(read_raw(read_text(path), path.name, parse_message))
    if not any(frame.channel for frame in frames):
        raise Refused("no event of a combined stream in it", path=str(path), suggestion='lines of `<ns> {"stream":…}`')
    return Recording(path.name, True, (frames,))


def parse_message(ts_ns: int, payload: bytes) -> TimedFrame:
    """One message, with what a player must know of it: its stream and its trade."""
    combined = _combined.decode(payload)
    key = key_of(combined.stream)
    if key is None:
        return TimedFrame(ts_ns, OTHER, "", (), payload)
    channel, symbol, interval = key
    trades: tuple[Print, ...] = ()
    if channel == "trade":
        one = _trade.decode(combined.data)
        trades = (Print(one.s, "A" if one.m else "B", one.p, one.q, one.T, one.t),)
    return TimedFrame(ts_ns, channel, symbol, trades, payload, interval)
