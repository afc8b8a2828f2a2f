"""What may be asked, per route: the fields are the parameters, their types the bounds, their words the document."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from everytick.model.units import NS_PER_MS, TS_NS_MAX

# One page is built on the loop that answers everyone: 10,000 rows take a few milliseconds.
LIMIT_MAX = 10_000

TS_MS_MAX = TS_NS_MAX // NS_PER_MS

Coin: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="instrument, by the venue's own name")]
VenueName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=32, description="venue, e.g. hyperliquid")]
Width: TypeAlias = Annotated[str, Meta(min_length=1, max_length=8, description="interval of candles, e.g. 5m")]
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="rows at most")]
Since: TypeAlias = Annotated[int, Meta(ge=0, le=TS_MS_MAX, description="from this venue time on, ms since 1970 UTC")]
Until: TypeAlias = Annotated[int, Meta(ge=0, le=TS_MS_MAX, description="before this venue time, ms since 1970 UTC")]
Order: TypeAlias = Annotated[Literal["asc", "desc"], Meta(description="oldest or newest first")]
Cursor: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=128, description="next_cursor of the page before, of the same query")
]
KindName: TypeAlias = Annotated[
    Literal["trades", "agg_trades", "candles", "quotes", "books", "mids", "contexts", "vaults"],
    Meta(description="kind of stream"),
]


class Nothing(msgspec.Struct, frozen=True):
    """No parameters."""


class ReasonQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Why the kill switch is set."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, description="why, for the record")]


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    coin: Coin = ""
    venue: VenueName = ""
    since_ms: Since = 0
    until_ms: Until = TS_MS_MAX
    limit: Limit = 1_000
    order: Order = "desc"
    cursor: Cursor = ""


class TradesQuery(_Page, frozen=True, kw_only=True):
    """A page of trades in time order."""


class CandlesQuery(_Page, frozen=True, kw_only=True):
    """A page of candles in the order of their open time."""

    interval: Width = ""


class PointsQuery(_Page, frozen=True, kw_only=True):
    """A page of snapshots in time order: open interest, watched accounts or mid prices."""


class GapsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Gaps, newest first."""

    coin: Coin = ""
    venue: VenueName = ""
    open_only: Annotated[bool, Meta(description="leave out gaps that are closed or permanent")] = False
    limit: Limit = 100


class SeamsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Seams, newest first."""

    coin: Coin = ""
    venue: VenueName = ""
    limit: Limit = 100


class CoverageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of one stream's time is proved complete."""

    coin: Coin
    venue: VenueName = ""
    kind: KindName = "trades"
    interval: Width = ""
    from_ms: Annotated[int, Meta(ge=0, le=TS_MS_MAX, description="start, ms UTC; 0: where the record begins")] = 0
    to_ms: Annotated[int, Meta(ge=0, le=TS_MS_MAX, description="end, ms UTC, exclusive; 0: where it ends now")] = 0


class QuarantineQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Refused items, newest first."""

    limit: Limit = 100
