"""What control frames say, as JSON, and how a request and its answer share one REPLY frame."""

from __future__ import annotations

import msgspec


class Started(msgspec.Struct, frozen=True):
    """A recorder process began: `run` tells processes apart, `version` is the program's."""

    run: str
    version: str


class Connected(msgspec.Struct, frozen=True):
    """A connection is up."""

    url: str


class Subscribed(msgspec.Struct, frozen=True):
    """These streams (by key) were asked for on this connection, from this frame on."""

    streams: list[str]


class Disconnected(msgspec.Struct, frozen=True):
    """A connection is gone: `cause` is one word (`closed`, `cut`, `mute`, `refused`, `stopping`)."""

    cause: str
    detail: str = ""


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first line of a REPLY frame: what was asked, and the status of the answer that follows it.

    `body` is the request's body as text; a REPLY whose status is not 2xx never reaches a decoder. A question that
    takes several requests has several answers: this is part `part` of `parts`, in order.
    """

    name: str
    body: str
    status: int
    part: int = 1
    parts: int = 1


class RequestFailed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request got no usable answer. None and [] are different facts: this is None.

    `lost` names the streams (by key) that go without what this request should have brought: it is not tried again.
    """

    name: str
    body: str
    cause: str
    status: int = 0
    lost: tuple[str, ...] = ()


class Judged(msgspec.Struct, frozen=True):
    """A verdict on one gap, named by its identity: `state` is a GapState, `cause` says why.

    On the tape like everything else, so that a rebuilt store holds the same verdict.
    """

    stream: str
    from_ns: int
    offset: int
    first_id: int
    state: str
    cause: str


class Covered(msgspec.Struct, frozen=True):
    """Everything that `source` has of these streams (by key) over [from_ns, to_ns) is on the tape before this."""

    streams: list[str]
    from_ns: int
    to_ns: int
    source: str


class Compared(msgspec.Struct, frozen=True):
    """A closed candle of `stream` (by key) is not the one that our trades make, though we hold all of them."""

    stream: str
    ts_open_ns: int
    detail: str


_encode = msgspec.json.Encoder().encode
_asked = msgspec.json.Decoder(Asked)


def control_payload(
    fact: Started | Connected | Subscribed | Disconnected | RequestFailed | Judged | Covered | Compared,
) -> bytes:
    """The payload of the control frame that states `fact`."""
    return _encode(fact)


def reply_payload(asked: Asked, body: bytes) -> bytes:
    """The payload of a REPLY frame: the request as one JSON line, then the answer's bytes untouched."""
    return _encode(asked) + b"\n" + body


def parse_reply(payload: bytes) -> tuple[Asked, bytes]:
    """The request and the answer's bytes in a REPLY frame. Raises msgspec.DecodeError on other bytes."""
    line, _, body = payload.partition(b"\n")
    return _asked.decode(line), body
