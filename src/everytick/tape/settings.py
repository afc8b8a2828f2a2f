"""What the operator may choose about the tape. Every limit has its reason beside it."""

from __future__ import annotations

from typing import Annotated

import msgspec

MIB = 1024 * 1024


class TapeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes in bytes, the interval in seconds.

    `commit_interval_min_s` is obeyed by the thread that calls `TapeWriter.commit`; 0 means that the next
    group is committed as soon as the last one has finished.
    """

    # One segment is what recovery reads at a start: 128 MiB is checked in well under a second.
    segment_bytes_max: Annotated[int, msgspec.Meta(ge=1024)] = 128 * MIB
    # One block is what a reader holds decoded: 8 MiB keeps memory small and one sync per 25,000 frames cheap.
    block_bytes_max: Annotated[int, msgspec.Meta(ge=1)] = 8 * MIB
    commit_interval_min_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.0
    # Frames that are received but not yet durable; above it the recorder pauses its sockets (policy: block).
    backlog_bytes_max: Annotated[int, msgspec.Meta(ge=1)] = 64 * MIB
    # Recent groups kept decoded for followers in the same process, so that they need neither disk nor zstd.
    tail_bytes_max: Annotated[int, msgspec.Meta(ge=0)] = 32 * MIB
    # Level 1 keeps up with a full socket on one core; higher levels win a few percent of space.
    zstd_level: Annotated[int, msgspec.Meta(ge=1, le=19)] = 1
