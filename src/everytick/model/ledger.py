"""What we know about our own record: seams, gaps and coverage. Doubt is data."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from everytick.model.stream import Stream


class Verdict(StrEnum):
    """How a connection's record joins the one before it."""

    FIRST = "first"  # nothing before it
    LOSSLESS = "lossless"  # proved: nothing is missing between the two
    GAP = "gap"  # not proved: a gap says what may be missing


class GapKind(StrEnum):
    """How sure a gap is. `restart`: suspected, and the cause is that we were not running."""

    PROVED = "proved"
    SUSPECTED = "suspected"
    RESTART = "restart"


class GapState(StrEnum):
    """`permanent`: no source can fill it, with the reason in `cause`."""

    OPEN = "open"
    BACKFILLING = "backfilling"
    CLOSED = "closed"
    PERMANENT = "permanent"


class Cover(StrEnum):
    """What we can say about an interval of a stream."""

    OBSERVED = "observed"
    MISSING = "missing"
    SUSPECTED = "suspected"
    BACKFILLED = "backfilled"
    CONFIRMED_EMPTY = "confirmed_empty"


class Seam(msgspec.Struct, frozen=True, gc=False):
    """Where one connection's record of a stream ends and the next begins, and the verdict on the join.

    Identity: (stream, offset). `offset` is the frame that gave the verdict; `shared` counts the trades of
    its replay that we already held (the proof, when not 0); times are venue times, 0 where unknown.
    """

    stream: Stream
    offset: int
    epoch: int
    verdict: Verdict
    cause: str
    shared: int
    ts_before_ns: int
    ts_after_ns: int
    ts_recv_ns: int


class Gap(msgspec.Struct, frozen=True, gc=False):
    """An interval that we know to exist and may not hold, both ends inclusive, in venue time.

    Identity: (stream, from_ns, offset, first_id). `first_id`/`last_id` are exact where the venue's ids are
    dense, else -1; `estimated_missing` is -1 where the count cannot be known. `offset` is the frame that showed it.
    """

    stream: Stream
    from_ns: int
    to_ns: int
    offset: int
    kind: GapKind
    cause: str
    state: GapState
    estimated_missing: int
    first_id: int
    last_id: int
    ts_recv_ns: int


class Interval(msgspec.Struct, frozen=True, gc=False):
    """[from_ns, to_ns) of a stream has this cover. Identity: (stream, from_ns). `offset` is the evidence."""

    stream: Stream
    from_ns: int
    to_ns: int
    cover: Cover
    offset: int
