"""The messages as the venue documents them, typed, with one sample beside each. Fields we do not use are left out:
they stay in the raw bytes on the tape, and a trade without them is still a trade.

`channel` is the tag: one decoder reads any message and gives the struct that its channel names.
A key that stands twice counts with its last value, as in the readers of most languages.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from everytick.core.validate import INT64_MAX, TIME_MS_MAX, TIME_MS_MIN

TimeMs = Annotated[int, msgspec.Meta(ge=TIME_MS_MIN, le=TIME_MS_MAX)]
Identity = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]


class WireTrade(msgspec.Struct, gc=False):
    """{"coin":"BTC","side":"B","px":"105056.0","sz":"0.00219","time":1737918794873,"tid":121451470284048,
    "hash":"0x…","users":["0x…","0x…"]}"""

    coin: str
    side: Literal["B", "A"]
    px: str
    sz: str
    time: TimeMs
    tid: Identity


class WireCandle(msgspec.Struct, gc=False):
    """{"t":1684699200000,"T":1684702799999,"s":"kPEPE","i":"1h","o":"0.001603","c":"0.001604","h":"0.001616",
    "l":"0.001601","v":"520665683.0","n":709}: `T` is the last millisecond inside the interval."""

    t: TimeMs
    T: TimeMs
    s: str
    i: str
    o: str
    h: str
    l: str  # noqa: E741 the venue's own name
    c: str
    v: str
    n: Identity


class WireLevel(msgspec.Struct, gc=False):
    """{"px":"105055.0","sz":"3.03622","n":5}"""

    px: str
    sz: str
    n: Identity


class WireBbo(msgspec.Struct, gc=False):
    """{"coin":"BTC","time":1737918794873,"bbo":[{"px":…},null]}: bid, then ask; null for a side without orders."""

    coin: str
    time: TimeMs
    bbo: tuple[WireLevel | None, WireLevel | None]


class WireBook(msgspec.Struct, gc=False):
    """{"coin":"BTC","time":1737918843567,"levels":[[{"px":…},…],[{"px":…},…]]}: bids, then asks, best first."""

    coin: str
    time: TimeMs
    levels: tuple[list[WireLevel], list[WireLevel]]


class WireContext(msgspec.Struct, gc=False, rename="camel"):
    """{"funding":"0.0000125","openInterest":"27353.17682","prevDayPx":"76317.0","dayNtlVlm":"1516669192.1",
    "premium":"-0.0005","oraclePx":"77605.0","markPx":"77562.0","midPx":"77558.5","impactPxs":["…","…"]}"""

    open_interest: str
    funding: str
    mark_px: str
    oracle_px: str | None = None
    mid_px: str | None = None
    premium: str | None = None
    day_ntl_vlm: str | None = None
    prev_day_px: str | None = None


class WireCoinContext(msgspec.Struct, gc=False):
    """{"coin":"BTC","ctx":{…}}"""

    coin: str
    ctx: WireContext


class WireMids(msgspec.Struct, gc=False):
    """{"mids":{"BTC":"105055.5","@107":"24.1","PURR/USDC":"0.2"}}"""

    mids: dict[str, str]


class WireAsset(msgspec.Struct, gc=False):
    """{"name":"BTC","szDecimals":5,"maxLeverage":50}"""

    name: str


class WireMeta(msgspec.Struct, gc=False):
    """{"universe":[{"name":"BTC",…},…]}: an asset's place in the list is its id."""

    universe: list[WireAsset]


class WirePosition(msgspec.Struct, gc=False, rename="camel"):
    """{"coin":"BTC","szi":"-0.00785","positionValue":"211.64542","entryPx":"26951.0",…}: `szi` is below zero for a
    short position, `positionValue` never."""

    coin: str
    szi: str
    position_value: str


class WireAssetPosition(msgspec.Struct, gc=False):
    """{"type":"oneWay","position":{…}}"""

    position: WirePosition


class WireMargin(msgspec.Struct, gc=False, rename="camel"):
    """{"accountValue":"1182.312496","totalMarginUsed":…}"""

    account_value: str


class WireAccount(msgspec.Struct, gc=False, rename="camel"):
    """{"marginSummary":{…},"assetPositions":[{…},…],"time":1757015216673,…}"""

    margin_summary: WireMargin
    asset_positions: list[WireAssetPosition]
    time: TimeMs


class TradesMessage(msgspec.Struct, gc=False, tag_field="channel", tag="trades"):
    """`trades`: several prints, of one block or more."""

    data: list[WireTrade]


class CandleMessage(msgspec.Struct, gc=False, tag_field="channel", tag="candle"):
    """`candle`: one candle as it stands (documents say a list)."""

    # docs say an array, the venue sends one object: both are read.
    data: WireCandle | list[WireCandle]


class BboMessage(msgspec.Struct, gc=False, tag_field="channel", tag="bbo"):
    """`bbo`: best bid and offer."""

    data: WireBbo


class BookMessage(msgspec.Struct, gc=False, tag_field="channel", tag="l2Book"):
    """`l2Book`: a whole book."""

    data: WireBook


class MidsMessage(msgspec.Struct, gc=False, tag_field="channel", tag="allMids"):
    """`allMids`: mid prices by instrument."""

    data: WireMids


class ContextMessage(msgspec.Struct, gc=False, tag_field="channel", tag="activeAssetCtx"):
    """`activeAssetCtx`: one instrument's context."""

    data: WireCoinContext


Message = TradesMessage | CandleMessage | BboMessage | BookMessage | MidsMessage | ContextMessage


class Envelope(msgspec.Struct, gc=False):
    """Any message, its data left unread: {"channel":"trades","data":…}."""

    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")
