"""The contract of a venue: a module with these names. Sans I/O: bytes in, bytes and events out, time handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from everytick.core.pacing import Priority
from everytick.model.event import Decoded, PlacedTrade
from everytick.model.frame import Frame
from everytick.model.ledger import Gap
from everytick.model.stream import Kind, Stream


class Rule(StrEnum):
    """How loss is told in a stream, by what the venue allows."""

    OVERLAP = "overlap"  # no ids in order: a replay after each subscribe must share a trade with what we hold
    DENSE = "dense"  # ids without holes: a missing id is a missing trade
    SNAPSHOT = "snapshot"  # each message replaces the last: only connection time tells loss
    BARS = "bars"  # one per interval: the next opens where the last one closed


class Limits(msgspec.Struct, frozen=True):
    """What the venue allows per address; each with its source beside the constant in the venue's module."""

    connections_max: int
    connects_per_minute: int
    subscriptions_max: int
    sends_per_minute: int
    request_weight_per_minute: int
    message_bytes_max: int  # ours: a larger message ends the connection, with the reason on the tape
    decode_bytes_max: int  # ours: a larger message is recorded and refused unparsed


class Request(msgspec.Struct, frozen=True):
    """One HTTP request, as data. `name` goes on the tape with the answer; `weight` is the venue's price.

    Where the venue counts the items of its answer, `weight` is the price of the longest one due, and `weight_empty`
    and `items_per_weight` tell the price of the one that came.
    """

    name: str
    method: str
    path: str
    body: bytes
    weight: int
    weight_empty: int = 0
    items_per_weight: int = 0  # 0: the answer costs `weight` whatever it holds

    def weight_of(self, items: int) -> int:
        """What an answer of so many items costs."""
        return self.weight_empty + -(-items // self.items_per_weight) if self.items_per_weight else self.weight

    @property
    def said(self) -> str:
        """What the tape keeps of the question beside its name: its body, or the query of one that has no body."""
        return self.body.decode() if self.body else self.path.partition("?")[2]


class Poll(msgspec.Struct, frozen=True):
    """A question to ask every `every_s` seconds. `ask(wall_ns)` gives the requests of one cycle, asked in order.

    `feeds` are the streams that nothing else brings: a cycle without all its answers leaves a gap in each.
    """

    name: str
    every_s: float
    ask: Callable[[int], Sequence[Request]]
    priority: Priority = Priority.LIVE
    feeds: tuple[Stream, ...] = ()


class Tick(msgspec.Struct, frozen=True):
    """What a session wants after looking at the clock: messages to send, to be closed and why, or a successor and why.

    `renew` stays set until the connection is gone: a second one is to be up before this one is let go.
    """

    send: Sequence[bytes] = ()
    close: str = ""
    renew: str = ""


class Session(Protocol):
    """One connection's conversation. It knows what was asked for and what was confirmed, not the market."""

    def open(self, mono_ns: int) -> Sequence[bytes]:
        """The messages to send first."""
        ...

    def receive(self, payloads: Sequence[bytes], mono_ns: int) -> None:
        """Look at one read's messages (acks, pongs, errors); market messages only prove that the line is alive."""
        ...

    def tick(self, mono_ns: int) -> Tick:
        """Called about once a second: heartbeats, subscriptions to ask again, or a mute line to give up."""
        ...

    def unconfirmed(self) -> Sequence[Stream]:
        """Streams asked for and not yet confirmed by the venue."""
        ...


class TradeRuns(Protocol):
    """A venue's faster way to read its busiest messages. It gives what `decode` gives: a test holds them together."""

    def __call__(self, frames: Sequence[Frame], start: int, stop: int, found: dict[Stream, list[PlacedTrade]]) -> int:
        """Read trade messages of one source from `frames[start]` to before `stop`, put their trades into `found`, and
        return where the run ends: at the first frame that is anything else, or holds what is not plainly right."""
        ...


class Venue(Protocol):
    """A venue's module. Constants are properties here so that a module satisfies the protocol."""

    @property
    def NAME(self) -> str: ...

    @property
    def ENDPOINTS(self) -> Mapping[str, str]:
        """`ws` and `http`, the public addresses; settings may name others."""
        ...

    @property
    def LIMITS(self) -> Limits: ...

    @property
    def SEQUENCING(self) -> Mapping[Kind, Rule]:
        """Which rule tells loss, per kind of stream this venue offers."""
        ...

    @property
    def QUALITY(self) -> Mapping[str, str]:
        """Rule of the house for venues -> `done`, or `exempt: why`."""
        ...

    def session(self, streams: Sequence[Stream]) -> Session:
        """A new conversation for one connection that carries these streams."""
        ...

    def decode(self, frame: Frame) -> Decoded:
        """What a MESSAGE or REPLY frame holds. Never raises for any bytes: what cannot be read is refused."""
        ...

    def history(self, gap: Gap) -> Sequence[Request] | None:
        """The requests whose answers could fill the gap; None where the venue keeps no such history."""
        ...

    def polls(self, streams: Sequence[Stream], accounts: Sequence[str], every_s: float) -> Sequence[Poll]:
        """What to ask besides the streaming connection: cross-checks of `streams`, positions of `accounts`, and
        whatever the venue does not stream. `every_s` is wished; a venue's allowance may make it longer."""
        ...
