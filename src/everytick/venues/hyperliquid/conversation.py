"""One connection's conversation: ask for streams, know which are confirmed, keep the line alive, give up a mute one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from everytick.core.fields import TROUBLE
from everytick.core.validate import Invalid, instrument
from everytick.errors import Refused
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.venues.hyperliquid.rules import INTERVAL_MS, LIMITS, NAME, SUBSCRIPTION_TYPES, is_spot
from everytick.venues.protocol import Tick

# docs: websocket/timeouts-and-heartbeats. The server closes a connection on which it has sent nothing for 60 s and
# answers {"method":"ping"} with {"channel":"pong"}. Two pings fit into a silence before we call the line mute, and
# that is before the venue would close it.
SERVER_IDLE_CLOSE_NS: Final = 60 * NS_PER_S
PING_AFTER_NS: Final = 20 * NS_PER_S
MUTE_AFTER_NS: Final = 50 * NS_PER_S
assert 2 * PING_AFTER_NS < MUTE_AFTER_NS < SERVER_IDLE_CLOSE_NS

# An ack comes within a second; ten without one mean that it was lost or the request was. Asking again is safe: the
# venue answers a repeated subscribe with an error that confirms it. At most 100 at a time keeps even a thousand
# unanswered ones at 600 messages a minute of the 2000 allowed.
ASK_AGAIN_AFTER_NS: Final = 10 * NS_PER_S
ASK_AGAIN_MAX: Final = 100
assert ASK_AGAIN_MAX * 60 * NS_PER_S // ASK_AGAIN_AFTER_NS + LIMITS.subscriptions_max < LIMITS.sends_per_minute

PING: Final = b'{"method":"ping"}'
# recorded: the error's text is this, then the subscription as JSON.
ALREADY: Final = "Already subscribed: "

# Market messages begin so; nothing else needs to be looked at while subscriptions are unconfirmed, and nothing at
# all once they are confirmed. `receive` runs once a message, before the tape.
_MARKET: Final = tuple(b'{"channel":"%s"' % name.encode() for name in SUBSCRIPTION_TYPES.values())

Topic = tuple[str, str, str]  # type, coin, interval: what tells subscriptions apart


class _Subscription(msgspec.Struct):
    type: str
    coin: str = ""
    interval: str = ""


class _Ack(msgspec.Struct):
    method: str
    subscription: _Subscription


class _AckMessage(msgspec.Struct, tag_field="channel", tag="subscriptionResponse"):
    """{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC",
    "nSigFigs":null,"mantissa":null,"fast":false}}}: the echo is normalised, so only type, coin and interval count."""

    data: _Ack


class _ErrorMessage(msgspec.Struct, tag_field="channel", tag="error"):
    """{"channel":"error","data":"Already subscribed: {\\"type\\":\\"trades\\",\\"coin\\":\\"BTC\\"}"}"""

    data: str


_encode: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(_AckMessage | _ErrorMessage).decode
_read_subscription: Final = msgspec.json.Decoder(_Subscription).decode


class HyperliquidSession:
    """Carries `streams` over one connection. Times are monotonic nanoseconds, handed in."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams: dict[Topic, list[Stream]] = {}
        for stream in dict.fromkeys(streams):
            self._streams.setdefault(_topic(stream), []).append(stream)
        if len(self._streams) > LIMITS.subscriptions_max:
            raise Refused(
                f"{len(self._streams)} subscriptions, and the venue allows {LIMITS.subscriptions_max}",
                path="streams",
                value=len(self._streams),
                suggestion="record fewer instruments from this address",
            )
        self._waiting: dict[Topic, None] = {}
        self._heard_ns = 0
        self._pinged_ns = 0
        self._asked_ns = 0

    def open(self, mono_ns: int) -> Sequence[bytes]:
        """One subscribe message for each distinct subscription."""
        self._waiting = dict.fromkeys(self._streams)
        self._heard_ns = self._pinged_ns = self._asked_ns = mono_ns
        return [_subscribe(topic) for topic in self._waiting]

    def receive(self, payloads: Sequence[bytes], mono_ns: int) -> None:
        """Any message proves the line alive; acks and repeated-subscribe errors confirm subscriptions."""
        self._heard_ns = mono_ns
        if self._waiting:
            for payload in payloads:
                if not payload.startswith(_MARKET):
                    self._look(payload)

    def tick(self, mono_ns: int) -> Tick:
        """A ping after each 20 s of silence, unconfirmed subscriptions again after 10 s, the end after 50 s."""
        silent_ns = mono_ns - self._heard_ns
        if silent_ns >= MUTE_AFTER_NS:
            return Tick(close="mute")
        send: list[bytes] = []
        if mono_ns - max(self._heard_ns, self._pinged_ns) >= PING_AFTER_NS:
            self._pinged_ns = mono_ns
            send.append(PING)
        if self._waiting and mono_ns - self._asked_ns >= ASK_AGAIN_AFTER_NS:
            self._asked_ns = mono_ns
            send.extend(self._ask_again())
        return Tick(send=send)

    def unconfirmed(self) -> Sequence[Stream]:
        """Streams asked for and not yet confirmed, in the order they were given."""
        return [stream for topic in self._streams if topic in self._waiting for stream in self._streams[topic]]

    def _ask_again(self) -> list[bytes]:
        # Those asked now go to the end of the queue, so that a hundred refused ones never starve the others.
        again = list(self._waiting)[:ASK_AGAIN_MAX]
        for topic in again:
            del self._waiting[topic]
            self._waiting[topic] = None
        return [_subscribe(topic) for topic in again]

    def _look(self, payload: bytes) -> None:
        try:
            message = _read(payload)
            if isinstance(message, _AckMessage):
                if message.data.method != "subscribe":
                    return
                confirmed = message.data.subscription
            elif message.data.startswith(ALREADY):
                confirmed = _read_subscription(message.data.removeprefix(ALREADY))
            else:
                return
        except TROUBLE:
            # The greeting, a pong or a kind we do not know: `decode` gives each its due from the tape.
            return
        self._waiting.pop((confirmed.type, confirmed.coin, confirmed.interval), None)


def session(streams: Sequence[Stream]) -> HyperliquidSession:
    """A new conversation for one connection. Raises Refused for a stream that this venue cannot carry."""
    return HyperliquidSession(streams)


def _topic(stream: Stream) -> Topic:
    """The subscription that carries a stream. All `mids` streams share one."""
    if stream.venue != NAME:
        raise Refused(f"{stream.key} is not a stream of {NAME}", path="streams", value=stream.key)
    try:
        coin = instrument(stream.instrument)
    except Invalid:
        raise Refused(
            f"{stream.instrument!r} is no instrument's name",
            path="streams",
            value=stream.instrument,
            suggestion="1 to 64 printable ASCII characters without blanks, as the venue spells it: BTC, kPEPE, @107",
        ) from None
    if stream.kind not in SUBSCRIPTION_TYPES:
        offered = ", ".join(kind.value for kind in SUBSCRIPTION_TYPES)
        raise Refused(f"{NAME} has no {stream.kind.value}", path="streams", value=stream.key, suggestion=offered)
    if stream.kind not in SUBSCRIPTION_TYPES:
        raise Refused(
            f"{stream.key}: the venue does not stream {stream.kind.value}",
            path="streams",
            value=stream.key,
            suggestion=f"it streams {', '.join(SUBSCRIPTION_TYPES)}",
        )
    name = SUBSCRIPTION_TYPES[stream.kind]
    if stream.kind is Kind.MIDS:
        return (name, "", "")
    if stream.kind is Kind.CANDLES:
        if stream.interval not in INTERVAL_MS:
            raise Refused(
                f"{stream.key}: no candles of {stream.interval!r}",
                path="streams",
                value=stream.interval,
                suggestion=f"one of {', '.join(INTERVAL_MS)}",
            )
        return (name, coin, stream.interval)
    if stream.kind is Kind.CONTEXTS and is_spot(coin):
        raise Refused(
            f"{stream.key}: a spot pair has no open interest or funding",
            path="streams",
            value=stream.key,
            suggestion="record the contexts of perpetuals only",
        )
    return (name, coin, "")


def _subscribe(topic: Topic) -> bytes:
    name, coin, interval = topic
    subscription: dict[str, Any] = {"type": name}
    if coin:
        subscription["coin"] = coin
    if interval:
        subscription["interval"] = interval
    return _encode({"method": "subscribe", "subscription": subscription})
