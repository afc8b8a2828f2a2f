"""The messages as the venue documents them, typed, with one sample beside each. Fields we do not use are left out:
they stay in the raw bytes on the tape, and a trade without them is still a trade.

A key that stands twice counts with its last value, as in the readers of most languages.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from everytick.core.validate import INT64_MAX, TIME_MS_MAX, TIME_MS_MIN

TimeMs = Annotated[int, msgspec.Meta(ge=TIME_MS_MIN, le=TIME_MS_MAX)]
Identity = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]


class Combined(msgspec.Struct, gc=False):
    """{"stream":"btcusdt@trade","data":{…}}: what kind of event it is stands in the stream's name."""

    stream: str
    data: msgspec.Raw


class WireTrade(msgspec.Struct, gc=False):
    """{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000",
    "T":1723161255342,"m":true,"M":true}: `m`, the buyer was the maker, so a seller took."""

    s: str
    t: Identity
    p: str
    q: str
    T: TimeMs
    m: bool


class WireAggTrade(msgspec.Struct, gc=False):
    """{"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,
    "T":1672515782136,"m":true,"M":true}: one taker's fills at one price, the trades `f` to `l`."""

    s: str
    a: Identity
    p: str
    q: str
    T: TimeMs
    m: bool


class WireQuote(msgspec.Struct, gc=False):
    """{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}"""

    s: str
    b: str
    B: str
    a: str
    A: str


class WireBook(msgspec.Struct, gc=False):
    """{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}: price, size; best first."""

    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class WireKline(msgspec.Struct, gc=False):
    """{"t":1672515780000,"T":1672515839999,"s":"BNBBTC","i":"1m","f":100,"L":200,"o":"0.0010","c":"0.0020",
    "h":"0.0025","l":"0.0015","v":"1000","n":100,"x":false,"q":"1.0","V":"500","Q":"0.5","B":"1"}: `T` is the last
    millisecond inside; `x`, the venue has closed it."""

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
    x: bool


class WireKlineEvent(msgspec.Struct, gc=False):
    """{"e":"kline","E":1672515782136,"s":"BNBBTC","k":{…}}"""

    k: WireKline


class WirePastTrade(msgspec.Struct, gc=False):
    """{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,
    "isBuyerMaker":true,"isBestMatch":true}: the symbol stands in the question alone."""

    id: Identity
    price: str
    qty: str
    time: TimeMs
    isBuyerMaker: bool


class WirePastAggTrade(msgspec.Struct, gc=False):
    """{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}"""

    a: Identity
    p: str
    q: str
    T: TimeMs
    m: bool


class WireOther(msgspec.Struct, gc=False):
    """Any other object: an event without its wrapping, an answer {"result":null,"id":1}, or an error
    {"code":2,"msg":"Invalid request: …","id":1}."""

    e: str
    u: int
    lastUpdateId: int
    stream: str
    data: msgspec.Raw
    result: msgspec.Raw
    code: int
    error: msgspec.Raw
