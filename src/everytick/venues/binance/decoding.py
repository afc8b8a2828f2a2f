"""From one message of the tape to events: which reader for which message, and what is no market data at all.

Order books are recorded as `depth20@100ms`, whole partial books that each stand alone. Diffs (`depthUpdate`) are
known and kept on the tape, and counted as notices: one means something only on top of a snapshot and every diff
before it, which is the business of whoever rebuilds the full book from the tape, not of one message's decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from everytick.core.fields import TROUBLE, Fields, Raw, Shape, object_reader, with_words_quoted, within
from everytick.core.refusals import read_alone, refused_whole
from everytick.core.validate import Invalid, instrument
from everytick.model.event import Decoded, Event, Notice
from everytick.model.frame import Frame, FrameKind
from everytick.venues.binance import careful, fast, wire
from everytick.venues.binance.answers import decode_reply
from everytick.venues.binance.rules import LIMITS

NOTICE_BYTES_MAX: Final = 500
DIFF: Final = "depthUpdate"
SHUTDOWN: Final = "serverShutdown"

Reader = Callable[[Raw, str, int], Event]

# What follows `<symbol>@` in the stream's name. Candles end on their interval, so they are found by how they begin.
_KLINE: Final = "kline_"
_CANDLE: Final[tuple[Reader, Reader]] = (fast.candle, careful.candle)
_TOPICS: Final[Mapping[str, tuple[Reader, Reader]]] = {
    "trade": (fast.trade, careful.trade),
    "bookTicker": (fast.quote, careful.quote),
    "aggTrade": (fast.agg_trade, careful.agg_trade),
    **{f"depth{levels}{pace}": (fast.book, careful.book) for levels in (5, 10, 20) for pace in ("", "@100ms")},
}
_DIFFS: Final = frozenset({"depth", "depth@100ms", "depth@1000ms"})
# The same events without their wrapping, by the name that they carry themselves.
_NAMES: Final[Mapping[str, tuple[Reader, Reader]]] = {
    "trade": _TOPICS["trade"],
    "aggTrade": _TOPICS["aggTrade"],
    "kline": _CANDLE,
}

_other: Final = object_reader(wire.WireOther)
_anything: Final = Shape(Raw)


def decode(frame: Frame) -> Decoded:
    """What a MESSAGE or REPLY frame holds; nothing for frames about connections. Never raises.

    What cannot be read or cannot be true is refused with its reason; the rest of the frame goes on.
    """
    if frame.kind == FrameKind.MESSAGE:
        return decode_message(frame.payload, frame.ts_recv_ns)
    if frame.kind == FrameKind.REPLY:
        return decode_reply(frame.payload, frame.ts_recv_ns)
    return Decoded([], [])


def decode_message(payload: bytes, ts_recv_ns: int) -> Decoded:
    """What one message of the stream holds. Units: receive time in ns. Never raises."""
    if len(payload) > LIMITS.decode_bytes_max:
        return refused_whole(Invalid("oversize", f"{len(payload)} bytes"))
    try:
        message = fast.read_combined(payload)
        symbol, _, topic = message.stream.partition("@")
        readers = _TOPICS.get(topic) or (_CANDLE if topic.startswith(_KLINE) else None)
        if readers is not None:
            return Decoded([readers[0](message.data, symbol.upper(), ts_recv_ns)], [])
    except TROUBLE:
        pass  # read again below, where each trouble gets its name
    return decode_message_carefully(payload, ts_recv_ns)


def decode_message_carefully(payload: bytes, ts_recv_ns: int) -> Decoded:
    """The same answer as `decode_message`, found field by field. Never raises."""
    try:
        fields = _other(_anything.read(payload))
    except Invalid as finding:
        mended = with_words_quoted(payload)
        return decode_message_carefully(mended, ts_recv_ns) if mended != payload else refused_whole(finding)
    try:
        return _wrapped(fields, ts_recv_ns) if fields.has("stream") else _bare(fields, payload, ts_recv_ns)
    except Invalid as finding:
        return refused_whole(finding)


def _wrapped(fields: Fields, ts_recv_ns: int) -> Decoded:
    name = fields.get("stream", _text)
    data = fields.read("data", lambda raw: raw)
    symbol, _, topic = name.partition("@")
    readers = _TOPICS.get(topic) or (_CANDLE if topic.startswith(_KLINE) else None)
    if readers is not None:
        symbol = symbol.upper()
        if topic.startswith("depth"):
            within("stream", lambda: instrument(symbol))  # a partial book's symbol stands nowhere else
        return read_alone(data, lambda raw: readers[1](raw, symbol, ts_recv_ns), "data")
    if topic in _DIFFS:
        return Decoded([Notice("depth_diff", name)], [])
    return _event(_name_of(data), data, name, ts_recv_ns, "data", "stream")


def _bare(fields: Fields, payload: bytes, ts_recv_ns: int) -> Decoded:
    if fields.has("e"):
        name = fields.get("e", _text)
        return _event(name, Raw(payload), name, ts_recv_ns, "", "e")
    if fields.has("u"):
        # docs: individual symbol book ticker. It is the one event of a symbol without a name of its own.
        return read_alone(Raw(payload), lambda raw: careful.quote(raw, "", ts_recv_ns), "")
    if fields.has("lastUpdateId"):
        return refused_whole(Invalid("unsupported", "a partial book that does not say of what symbol", "stream"))
    if fields.has("code") or fields.has("error"):
        return Decoded([Notice("error", _excerpt(payload))], [])
    if fields.has("result"):
        return Decoded([Notice("ack", _excerpt(payload))], [])
    return refused_whole(Invalid("unknown_channel", _excerpt(payload)))


def _event(name: str, raw: Raw, shown: str, ts_recv_ns: int, at: str, path: str) -> Decoded:
    if name in _NAMES:
        return read_alone(raw, lambda item: _NAMES[name][1](item, "", ts_recv_ns), at)
    if name == DIFF:
        return Decoded([Notice("depth_diff", shown)], [])
    if name == SHUTDOWN:
        return Decoded([Notice("shutdown", shown)], [])
    return refused_whole(Invalid("unknown_channel", shown, path))


def _name_of(data: Raw) -> str:
    """The event's own name, empty where it has none."""
    try:
        fields = _other(data)
        return fields.get("e", _text) if fields.has("e") else ""
    except Invalid:
        return ""


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise Invalid("wrong_type", text)
    return text


def _excerpt(payload: bytes) -> str:
    return payload[:NOTICE_BYTES_MAX].decode("utf-8", "replace")
