"""What the supervisor may be told: how long things may take before it acts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class SuperviseSettings(msgspec.Struct, frozen=True):
    """When a worker counts as wedged, and how long an end may take."""

    stop_s_max: Annotated[
        float,
        Meta(
            ge=1,
            le=600,
            description="A graceful stop that takes longer than this ends hard: stacks are dumped, exit code 70.",
        ),
    ] = 15.0
    wedge_s: Annotated[
        float,
        Meta(
            ge=5,
            le=3_600,
            description="A worker that has work and has made no progress for this long is wedged, unless it waits "
            "for a disk or a store.",
        ),
    ] = 20.0
    recoveries_max: Annotated[
        int, Meta(ge=1, le=100, description="After this many failed recoveries in a row the process exits with 1.")
    ] = 3
