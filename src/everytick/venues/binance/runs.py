"""Runs of trades and aggregate trades read at once: the same answers as `fast`, as rows and without an object each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from everytick.core.checked import Checked
from everytick.core.fields import TROUBLE
from everytick.core.validate import Invalid, latest_ms
from everytick.model.event import PlacedTrade, Side
from everytick.model.frame import Frame, FrameKind
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_MS
from everytick.venues.binance import names
from everytick.venues.binance.names import NUMBERS_MAX, POSITIVE
from everytick.venues.binance.rules import LIMITS
from everytick.venues.binance.wire import Identity, TimeMs

_STREAM_BEGINS: Final = b'{"stream":"'
_BUY, _SELL = Side.BUY.value, Side.SELL.value
# Texts that POSITIVE has accepted. A set answers in half the time of a table of numbers that nobody reads here.
_accepted: Final[set[str]] = set()


class _Trade(msgspec.Struct, gc=False):
    s: str
    number: Identity = msgspec.field(name="t")
    p: str
    q: str
    T: TimeMs
    m: bool


class _AggTrade(msgspec.Struct, gc=False):
    s: str
    number: Identity = msgspec.field(name="a")
    p: str
    q: str
    T: TimeMs
    m: bool


class _TradeMessage(msgspec.Struct, gc=False):
    stream: str
    data: _Trade


class _AggTradeMessage(msgspec.Struct, gc=False):
    stream: str
    data: _AggTrade


class _Topic(NamedTuple):
    """How messages that begin alike are read: their stream's name, and by symbol where their trades go."""

    read: Callable[[bytes], _TradeMessage | _AggTradeMessage]
    name: str
    streams: Checked[str, Stream]
    lists: dict[str, tuple[Stream, Callable[[PlacedTrade], None]]]


_KINDS: Final[Mapping[bytes, tuple[Callable[[bytes], _TradeMessage | _AggTradeMessage], Checked[str, Stream]]]] = {
    b"trade": (msgspec.json.Decoder(_TradeMessage).decode, names.TRADES),
    b"aggTrade": (msgspec.json.Decoder(_AggTradeMessage).decode, names.AGG_TRADES),
}


def trade_run(frames: Sequence[Frame], start: int, stop: int, found: dict[Stream, list[PlacedTrade]]) -> int:
    """See venues.protocol.TradeRuns. Texts go on as the venue wrote them: they have been checked."""
    message, bytes_max, accepted = FrameKind.MESSAGE, LIMITS.decode_bytes_max, _accepted
    topics: dict[bytes, _Topic] = {}
    source, recv_ns, last_ms = frames[start].source, -1, 0
    for at in range(start, stop):
        frame = frames[at]
        payload = frame.payload
        if frame.kind is not message or frame.source is not source or len(payload) > bytes_max:
            return at
        begin = payload[: payload.find(b'"', len(_STREAM_BEGINS))]
        topic = topics.get(begin) or _topic(begin, topics)
        if topic is None:
            return at
        if frame.ts_recv_ns != recv_ns:
            recv_ns = frame.ts_recv_ns
            last_ms = latest_ms(recv_ns)
        try:
            told = topic.read(payload)
            item = told.data
            ts_ms, price, size, symbol = item.T, item.p, item.q, item.s
            # A name in other letters than it seemed, or one that stands twice, is the careful road's business.
            if told.stream != topic.name:
                return at
            if ts_ms > last_ms:
                raise Invalid("future", ts_ms)
            if price not in accepted:
                _accept(price)
            if size not in accepted:
                _accept(size)
            lists = topic.lists
            if symbol not in lists:
                stream = topic.streams[symbol]
                lists[symbol] = (stream, found.setdefault(stream, []).append)
            stream, put = lists[symbol]
        except TROUBLE:
            return at
        side = _SELL if item.m else _BUY
        put((stream, ts_ms * NS_PER_MS, item.number, price, size, side, recv_ns, frame.offset))
    return stop


def _topic(begin: bytes, topics: dict[bytes, _Topic]) -> _Topic | None:
    """How to read messages that begin like this, None if they are no trades."""
    if not begin.startswith(_STREAM_BEGINS) or not begin.isascii():
        return None
    name = begin[len(_STREAM_BEGINS) :]
    kind = _KINDS.get(name.partition(b"@")[2])
    if kind is None:
        return None
    topics[begin] = topic = _Topic(kind[0], name.decode(), kind[1], {})
    return topic


def _accept(text: str) -> None:
    """Raises Invalid where the text is no positive number."""
    POSITIVE[text]
    if len(_accepted) >= NUMBERS_MAX:
        _accepted.clear()
    _accepted.add(text)
