"""A frame: one raw message as received, or one fact about a connection. The tape holds nothing else."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class FrameKind(IntEnum):
    """What a frame is. Numbers are on disk: never reuse one."""

    MESSAGE = 1  # one message of a streaming connection, the venue's bytes untouched
    REPLY = 2  # the answer to one request: `request line \n body`, see everytick.model.control
    START = 16  # a recorder process began (payload: Started)
    STOP = 17  # a recorder process ended as it should
    CONNECT = 18  # a connection is up (payload: Connected); its offset is the connection's epoch
    SUBSCRIBE = 19  # streams were asked for on this connection (payload: Subscribed)
    DISCONNECT = 20  # a connection is gone (payload: Disconnected)
    FAILED = 21  # a request got no usable answer (payload: RequestFailed); never an empty answer
    JUDGED = 22  # a verdict on one gap that no message can give (payload: Judged)
    COVERED = 23  # streams are complete over an interval by another source (payload: Covered)
    COMPARED = 24  # a closed candle is not the one that our trades make (payload: Compared)


class Source(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Where frames come from: a venue, one of its connections, and that connection's epoch.

    `epoch` is the offset of the CONNECT frame that began the connection, so it is unique on a tape and
    grows. `channel` names the connection (`ws`, `info`), not the venue's message channels.
    """

    venue: str
    channel: str
    epoch: int


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame on the tape. `offset` is ours and gapless; both receive clocks are in nanoseconds."""

    offset: int
    kind: FrameKind
    source: Source
    ts_recv_ns: int
    mono_ns: int
    payload: bytes
