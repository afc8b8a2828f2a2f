"""Settings of backfill, and nothing that makes reading them slow."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class BackfillSettings(msgspec.Struct, frozen=True):
    """Closing gaps from the history of venues."""

    enabled: Annotated[bool, Meta(description="Let a recorder that also projects close gaps by itself.")] = True
    gap_age_s: Annotated[
        float,
        Meta(ge=0, le=86_400, description="Leave a gap alone for this long: late trades may close it for nothing."),
    ] = 30.0
    permanent_after_s: Annotated[
        float,
        Meta(
            ge=60,
            le=31_536_000,
            description="At this age a gap that no source keeps is given up as `permanent`. An archive reopens it.",
        ),
    ] = 604_800.0
    archive: Annotated[
        str,
        Meta(
            max_length=1_000,
            examples=["s3://hl-mainnet-node-data"],
            description="Hyperliquid's archive for gaps in trades: a folder, or `s3://bucket` (the reader pays). "
            "Empty: none.",
        ),
    ] = ""
