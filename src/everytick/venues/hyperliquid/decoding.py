"""From one frame of the tape to events: which reader for which message, and what is no market data at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from everytick.core.fields import TROUBLE, Raw, Shape, invalid_from, with_words_quoted, within
from everytick.core.refusals import read_alone, refused_whole
from everytick.core.validate import Invalid
from everytick.model.control import parse_reply
from everytick.model.event import Decoded, Event, Notice
from everytick.model.frame import Frame, FrameKind
from everytick.venues.archived import PREFIX
from everytick.venues.hyperliquid import archive, careful, fast, wire
from everytick.venues.hyperliquid.answers import understood
from everytick.venues.hyperliquid.rules import LIMITS

NOTICE_BYTES_MAX: Final = 500
GREETING: Final = b"Websocket connection established."

CarefulReader = Callable[[Raw, int, str], Decoded]

_MESSAGES: Final[Mapping[str, CarefulReader]] = {
    "trades": careful.trades,
    "candle": careful.candles,
    "bbo": careful.quote,
    "l2Book": careful.book,
    "allMids": careful.mids_message,
    "activeAssetCtx": careful.coin_context,
}
_NOTICES: Final[Mapping[str, str]] = {"subscriptionResponse": "ack", "pong": "pong", "error": "error"}

_envelope: Final = Shape(wire.Envelope)


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
        return Decoded(_message_events(fast.read_message(payload), ts_recv_ns), [])
    except TROUBLE:
        return decode_message_carefully(payload, ts_recv_ns)


def decode_message_carefully(payload: bytes, ts_recv_ns: int) -> Decoded:
    """The same answer as `decode_message`, found item by item. Never raises."""
    try:
        envelope = _envelope.read(payload)
    except Invalid as finding:
        if payload.startswith(GREETING):
            # sdk: websocket_manager. A server may greet with this line of plain text before any JSON.
            return Decoded([Notice("greeting", _text(payload))], [])
        mended = with_words_quoted(payload)
        return decode_message_carefully(mended, ts_recv_ns) if mended != payload else refused_whole(finding)
    channel = envelope.channel
    if channel in _MESSAGES:
        return _MESSAGES[channel](envelope.data, ts_recv_ns, "data")
    if channel in _NOTICES:
        return Decoded([Notice(_NOTICES[channel], _text(bytes(envelope.data)))], [])
    # docs: websocket/subscriptions, WsActiveSpotAssetCtx. A spot pair's context has no open interest or funding.
    reason = "unsupported" if channel == "activeSpotAssetCtx" else "unknown_channel"
    return refused_whole(Invalid(reason, channel, "channel"))


def decode_reply(payload: bytes, ts_recv_ns: int) -> Decoded:
    """What the answer to one request holds. Units: receive time in ns. Never raises."""
    if len(payload) > LIMITS.decode_bytes_max:
        return refused_whole(Invalid("oversize", f"{len(payload)} bytes"))
    try:
        asked, body = parse_reply(payload)
    except TROUBLE as trouble:
        return refused_whole(Invalid("broken_reply", invalid_from(trouble, payload).value))
    if not 200 <= asked.status <= 299:
        return refused_whole(Invalid("bad_status", f"{asked.status} to {asked.name}: {_text(body)}"))
    if asked.name.startswith(PREFIX):
        return archive.decode_lines(asked.name, body, ts_recv_ns)
    if asked.name not in _REPLIES:
        return refused_whole(Invalid("unknown_request", asked.name))
    read_fast, read_carefully = _REPLIES[asked.name]
    try:
        decoded = Decoded(read_fast(body, ts_recv_ns), [])
    except TROUBLE:
        decoded = decode_body_carefully(body, ts_recv_ns, read_carefully)
    return understood(asked, decoded, ts_recv_ns)


def decode_body_carefully(body: bytes, ts_recv_ns: int, read: CarefulReader) -> Decoded:
    """The body of an answer, read item by item. Never raises."""
    try:
        raw = _body.read(body)
    except Invalid as finding:
        mended = with_words_quoted(body)
        if mended != body:
            return decode_body_carefully(mended, ts_recv_ns, read)
        return refused_whole(finding.within("body"))
    return read(raw, ts_recv_ns, "body")


def _message_events(message: wire.Message, ts_recv_ns: int) -> list[Event]:
    # Trades first: nearly every message is one.
    if isinstance(message, wire.TradesMessage):
        return fast.trades(message.data, ts_recv_ns)
    match message:
        case wire.BboMessage(data=data):
            return [fast.quote(data, ts_recv_ns)]
        case wire.BookMessage(data=data):
            return [fast.book(data, ts_recv_ns)]
        case wire.CandleMessage(data=data):
            return fast.candles(data if isinstance(data, list) else [data], ts_recv_ns)
        case wire.MidsMessage(data=data):
            return [fast.mids(data.mids)]
        case wire.ContextMessage(data=data):
            return [fast.context(data.coin, data.ctx)]


def _meta(raw: Raw, ts_recv_ns: int, at: str) -> Decoded:
    try:
        coins = within(at, lambda: careful.universe(raw))
    except Invalid as finding:
        return refused_whole(finding)
    return Decoded([Notice("meta", f"{len(coins)} instruments")], [])


def _account(raw: Raw, ts_recv_ns: int, at: str) -> Decoded:
    return read_alone(raw, lambda item: careful.account(item, "", ts_recv_ns), at)


FastReader = Callable[[bytes, int], list[Event]]

_body: Final = Shape(msgspec.Raw)
_REPLIES: Final[Mapping[str, tuple[FastReader, CarefulReader]]] = {
    "recentTrades": (lambda body, ts: fast.trades(fast.read_trades(body), ts), careful.trades),
    "candleSnapshot": (lambda body, ts: fast.candles(fast.read_candles(body), ts), careful.candles),
    "l2Book": (lambda body, ts: [fast.book(fast.read_book(body), ts)], careful.book),
    "allMids": (lambda body, ts: [fast.mids(fast.read_mids(body))], careful.mids),
    "meta": (lambda body, ts: [Notice("meta", f"{len(fast.universe(fast.read_meta(body)))} instruments")], _meta),
    "clearinghouseState": (lambda body, ts: [fast.account(fast.read_account(body), "", ts)], _account),
    "metaAndAssetCtxs": (lambda body, ts: fast.contexts(*fast.read_contexts(body)), careful.contexts),
}


def _text(payload: bytes) -> str:
    return payload[:NOTICE_BYTES_MAX].decode("utf-8", "replace")
