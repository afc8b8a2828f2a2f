"""What an answer means beyond its items: whose account it is, for which stretch of time it speaks, what it is for."""

from __future__ import annotations

from typing import Final

import msgspec

from everytick.core.fields import TROUBLE
from everytick.core.refusals import refused_whole
from everytick.core.validate import Invalid
from everytick.model.control import Asked
from everytick.model.event import Answered, Decoded, Event, RecentTrades, Trade, VaultState
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_MS, ms_from_ns, ns_from_ms
from everytick.venues.hyperliquid import names
from everytick.venues.hyperliquid.requests import CANDLES_MAX
from everytick.venues.hyperliquid.rules import INTERVAL_MS


class _Span(msgspec.Struct):
    coin: str
    interval: str
    startTime: int
    endTime: int


class _Question(msgspec.Struct):
    """{"type":"candleSnapshot","req":{…}} or {"type":"clearinghouseState","user":"0x…"}"""

    user: str = ""
    req: _Span | None = None


_read: Final = msgspec.json.Decoder(_Question).decode


def understood(asked: Asked, decoded: Decoded, ts_recv_ns: int) -> Decoded:
    """The decoded items of an answer, seen in the light of its question. Never raises."""
    if asked.name == "recentTrades":
        return Decoded(_recent(decoded.events), decoded.refusals)
    if asked.name == "candleSnapshot" and not decoded.refusals:
        span = _question(asked).req
        answered = None if span is None else _answered(span, ts_recv_ns)
        return decoded if answered is None else Decoded([*decoded.events, answered], [])
    if asked.name == "clearinghouseState" and decoded.events:
        user = _question(asked).user
        if not user:
            return refused_whole(Invalid("broken_reply", asked.body))
        mine = {"vault": user, "part": asked.part, "parts": asked.parts}
        events = [msgspec.structs.replace(one, **mine) for one in decoded.events if isinstance(one, VaultState)]
        return Decoded([*events], decoded.refusals)
    return decoded


def _question(asked: Asked) -> _Question:
    try:
        return _read(asked.body)
    except TROUBLE:
        return _Question()


def _recent(events: list[Event]) -> list[Event]:
    by_stream: dict[Stream, list[Trade]] = {}
    for event in events:
        if isinstance(event, Trade):
            by_stream.setdefault(event.stream, []).append(event)
    return [RecentTrades(stream, tuple(trades)) for stream, trades in by_stream.items()]


def _answered(span: _Span, ts_recv_ns: int) -> Answered | None:
    """For which stretch the answer is all that there is.

    docs: info-endpoint, candle snapshot: only the most recent 5000 candles exist, so an answer says nothing of what
    lies further back; nor does it of what had not happened when it came.
    """
    if span.interval not in INTERVAL_MS:
        return None
    recv_ms = ms_from_ns(ts_recv_ns)
    from_ms = max(span.startTime, recv_ms - (CANDLES_MAX - 1) * INTERVAL_MS[span.interval])
    to_ms = min(span.endTime, recv_ms)
    try:
        stream = names.CANDLES[span.coin, span.interval]
    except Invalid:
        return None
    if from_ms > to_ms:
        return None
    return Answered(stream, from_ns=ns_from_ms(from_ms), to_ns=ns_from_ms(to_ms) + NS_PER_MS - 1)
