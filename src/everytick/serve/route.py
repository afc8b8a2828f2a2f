"""One row of the route table: everything that routing, parsing, formats and the OpenAPI document need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

from everytick.model.stream import Kind, Stream
from everytick.serve.formats import ARROW, CSV, JSON
from everytick.serve.refusal import not_known
from everytick.serve.sources import Sources

Q = TypeVar("Q", bound=msgspec.Struct)


@dataclass(frozen=True)
class Reply:
    """An answer before it has a format. `body`, where given, is the answer ready to send."""

    value: msgspec.Struct | None = None
    body: bytes | None = None
    status: int = 200
    next_cursor: str | None = None


class Thread(StrEnum):
    """Where a route is answered. What may hang hangs on a thread of its own, never on the loop that answers /health."""

    LOOP = "loop"
    STORE = "store"
    CONTROL = "control"


class Scope(StrEnum):
    """What a caller must be allowed: nothing, to read, or to read and to change."""

    OPEN = "open"
    READ = "read"
    CONTROL = "control"


@dataclass(frozen=True)
class Route(Generic[Q]):
    """A path and how it is answered.

    `rows` names the field of the answer that CSV and Arrow carry, `row` its type; without them only
    `formats` are offered. `fast`, where given, makes the JSON body directly and must equal encoding what
    `respond` gives. `failing` is the status beside 200 that carries the same answer. `busy` is the reply when
    its thread does not answer within `timeout_s`; without one that is a 503.
    """

    path: str
    summary: str
    query: type[Q]
    answer: type[msgspec.Struct] | None
    respond: Callable[[Sources, Q], Reply]
    rows: str = ""
    row: type[msgspec.Struct] | None = None
    fast: Callable[[Sources, Q], Reply] | None = None
    formats: tuple[str, ...] = (JSON,)
    method: str = "GET"
    scope: Scope = Scope.READ
    thread: Thread = Thread.LOOP
    timeout_s: float = 5.0
    failing: int = 0
    busy: Callable[[], Reply] | None = None

    @property
    def is_open(self) -> bool:
        """Answered without a token."""
        return self.scope is Scope.OPEN

    @property
    def methods(self) -> tuple[str, ...]:
        """What may be sent to it."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


def paged(
    path: str,
    summary: str,
    query: type[Q],
    answer: type[msgspec.Struct],
    respond: Callable[[Sources, Q], Reply],
    *,
    rows: str,
    row: type[msgspec.Struct],
    fast: Callable[[Sources, Q], Reply] | None = None,
) -> Route[Q]:
    """A route whose answer holds rows, and so is offered as a table too."""
    formats = (JSON, CSV, ARROW)
    return Route(
        path, summary, query, answer, respond, rows=rows, row=row, fast=fast, formats=formats, thread=Thread.STORE
    )


AnyRoute = Route[Any]


def chosen(
    streams: Iterable[Stream], *, kind: Kind | None = None, venue: str = "", coin: str = "", interval: str = ""
) -> tuple[Stream, ...]:
    """The streams asked for; an empty text asks for all. Raises RequestRefused (404) for a name we do not have."""
    left = [stream for stream in streams if kind is None or stream.kind is kind]
    for what, parameter, attribute, value in (
        ("venue", "venue", "venue", venue),
        ("coin", "coin", "instrument", coin),
        ("interval", "interval", "interval", interval),
    ):
        if value:
            known = {getattr(stream, attribute) for stream in left}
            if value not in known:
                raise not_known(what, parameter, value, known)
            left = [stream for stream in left if getattr(stream, attribute) == value]
    return tuple(left)
