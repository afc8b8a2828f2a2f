"""One connection's conversation: ask for streams in few messages, know which are confirmed, give up a mute line, and
ask for a new connection before the venue cuts this one.

The venue's own ping frames are answered by the socket; they never get here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

from everytick.core.fields import TROUBLE
from everytick.core.validate import Invalid, instrument
from everytick.errors import Refused
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.venues.binance.rules import (
    INTERVAL_MS,
    LIMITS,
    NAME,
    RENEW_AFTER_NS,
    SENDS_PER_SECOND,
    TOPICS,
)
from everytick.venues.protocol import Tick

# docs: web-socket-streams, live subscribing. One SUBSCRIBE names many streams; 1024 of them in batches of 300 are four
# messages, so that even the opening burst and a question about the line stay within five a second.
TOPICS_PER_MESSAGE: Final = 300
assert -(-LIMITS.subscriptions_max // TOPICS_PER_MESSAGE) < SENDS_PER_SECOND

# A quiet symbol sends nothing for minutes, so after 20 s of silence we ask which streams the venue thinks we have: any
# answer proves the line alive, and this one also shows a subscription that was lost. Two questions fit into the silence
# after which the line counts as mute.
ASK_AFTER_NS: Final = 20 * NS_PER_S
MUTE_AFTER_NS: Final = 50 * NS_PER_S
assert 2 * ASK_AFTER_NS < MUTE_AFTER_NS

# An answer comes within a second; ten without one mean that it was lost or the request was. Asking twice is harmless.
ASK_AGAIN_AFTER_NS: Final = 10 * NS_PER_S

_MARKET: Final = b'{"stream"'
_SHUTDOWN: Final = b"serverShutdown"
# The word stands at the front: the name of the stream, or the event's own.
SHUTDOWN_WITHIN_BYTES: Final = 120


class _Answer(msgspec.Struct):
    """{"result":null,"id":1}: done; {"result":["btcusdt@trade"],"id":2}: the list asked for."""

    id: int
    result: list[str] | None


_encode: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(_Answer).decode


class BinanceSession:
    """Carries `streams` over one connection. Times are monotonic nanoseconds, handed in."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = {_topic(stream): stream for stream in streams}
        if len(self._streams) > LIMITS.subscriptions_max:
            raise Refused(
                f"{len(self._streams)} streams, and the venue allows {LIMITS.subscriptions_max} on a connection",
                path="streams",
                value=len(self._streams),
                suggestion="record fewer instruments",
            )
        self._waiting: dict[str, None] = {}
        self._asked: dict[int, tuple[str, ...]] = {}
        self._next_id = 1
        self._opened_ns = self._heard_ns = self._spoke_ns = self._asked_ns = 0
        self._renew = ""

    def open(self, mono_ns: int) -> Sequence[bytes]:
        """As few SUBSCRIBE messages as the streams need."""
        self._waiting = dict.fromkeys(self._streams)
        self._opened_ns = self._heard_ns = self._spoke_ns = self._asked_ns = mono_ns
        return self._subscribe()

    def receive(self, payloads: Sequence[bytes], mono_ns: int) -> None:
        """Any message proves the line alive; answers confirm streams; a notice of shutdown asks for renewal."""
        self._heard_ns = mono_ns
        for payload in payloads:
            if payload.find(_SHUTDOWN, 0, SHUTDOWN_WITHIN_BYTES) >= 0:
                self._renew = "the venue shuts this server down"
            elif self._asked and not payload.startswith(_MARKET):
                self._look(payload)

    def tick(self, mono_ns: int) -> Tick:
        """A question after 20 s of silence, unconfirmed streams again after 10 s, the end after 50 s of silence."""
        if mono_ns - self._heard_ns >= MUTE_AFTER_NS:
            return Tick(close="mute")
        send: list[bytes] = []
        if self._waiting and mono_ns - self._asked_ns >= ASK_AGAIN_AFTER_NS:
            self._asked_ns = mono_ns
            self._asked.clear()
            send.extend(self._subscribe())
        if mono_ns - max(self._heard_ns, self._spoke_ns) >= ASK_AFTER_NS:
            self._spoke_ns = mono_ns
            send.append(self._say("LIST_SUBSCRIPTIONS", ()))
        if not self._renew and mono_ns - self._opened_ns >= RENEW_AFTER_NS:
            self._renew = "the venue cuts a connection at 24 hours"
        return Tick(send=send, renew=self._renew)

    def unconfirmed(self) -> Sequence[Stream]:
        """Streams asked for and not yet confirmed, in the order they were given."""
        return [stream for topic, stream in self._streams.items() if topic in self._waiting]

    def _subscribe(self) -> list[bytes]:
        waiting = iter(self._waiting)
        messages = []
        while topics := tuple(islice(waiting, TOPICS_PER_MESSAGE)):
            messages.append(self._say("SUBSCRIBE", topics))
        return messages

    def _say(self, method: str, topics: tuple[str, ...]) -> bytes:
        number, self._next_id = self._next_id, self._next_id + 1
        self._asked[number] = topics
        message: dict[str, object] = {"method": method, "id": number}
        if topics:
            message["params"] = topics
        return _encode(message)

    def _look(self, payload: bytes) -> None:
        try:
            answer = _read(payload)
        except TROUBLE:
            return  # an error or a kind we do not know: `decode` gives each its due from the tape
        topics = self._asked.pop(answer.id, None)
        if topics is None:
            return
        if answer.result is None:
            for topic in topics:
                self._waiting.pop(topic, None)
        elif not topics:
            held = set(answer.result)
            self._waiting = {topic: None for topic in self._streams if topic not in held}


def session(streams: Sequence[Stream]) -> BinanceSession:
    """A new conversation for one connection. Raises Refused for a stream that this venue cannot carry."""
    return BinanceSession(streams)


def _topic(stream: Stream) -> str:
    """The venue's name of a stream: `btcusdt@kline_1m`."""
    if stream.venue != NAME:
        raise Refused(f"{stream.key} is not a stream of {NAME}", path="streams", value=stream.key)
    if stream.kind not in TOPICS:
        offered = ", ".join(kind.value for kind in TOPICS)
        raise Refused(f"{NAME} has no {stream.kind.value}", path="streams", value=stream.key, suggestion=offered)
    try:
        symbol = instrument(stream.instrument).lower()
    except Invalid:
        symbol = ""
    if not symbol.isalnum() or stream.instrument != symbol.upper():
        raise Refused(
            f"{stream.instrument!r} is no symbol of {NAME}",
            path="streams",
            value=stream.instrument,
            suggestion="capital letters and digits, as the venue spells it: BTCUSDT",
        )
    if stream.kind is Kind.CANDLES and stream.interval not in INTERVAL_MS:
        raise Refused(
            f"{stream.key}: no candles of {stream.interval!r}",
            path="streams",
            value=stream.interval,
            suggestion=f"one of {', '.join(INTERVAL_MS)}",
        )
    return f"{symbol}@{TOPICS[stream.kind]}{stream.interval}"
