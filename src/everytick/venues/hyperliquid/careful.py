"""The careful way to read: item by item, so that one bad trade of a frame is refused and its neighbours go on.

Slow and plain, it runs only on frames that `fast` could not take whole, and it is the oracle that `fast` must
agree with. Every refusal names its reason, the path of the value and the value.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Final, TypeVar

from everytick.core import validate
from everytick.core.checked import Checked
from everytick.core.fields import LIST, TABLE, Raw, each, is_null, object_reader, value, within
from everytick.core.refusals import Findings, read_alone, read_items, read_list, refused_whole
from everytick.core.validate import Invalid
from everytick.model.event import (
    AssetContext,
    BookSnapshot,
    Candle,
    Decoded,
    Event,
    Level,
    MidPrices,
    Quote,
    Side,
    Trade,
    VaultState,
)
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_MS
from everytick.venues.hyperliquid import names, wire
from everytick.venues.hyperliquid.fast import check_candle, holding
from everytick.venues.hyperliquid.rules import NAME

T = TypeVar("T")

_trade_fields: Final = object_reader(wire.WireTrade)
_candle_fields: Final = object_reader(wire.WireCandle)
_level_fields: Final = object_reader(wire.WireLevel)
_bbo_fields: Final = object_reader(wire.WireBbo)
_book_fields: Final = object_reader(wire.WireBook)
_mids_fields: Final = object_reader(wire.WireMids)
_coin_context_fields: Final = object_reader(wire.WireCoinContext)
_context_fields: Final = object_reader(wire.WireContext)
_asset_fields: Final = object_reader(wire.WireAsset)
_account_fields: Final = object_reader(wire.WireAccount)
_margin_fields: Final = object_reader(wire.WireMargin)
_asset_position_fields: Final = object_reader(wire.WireAssetPosition)
_position_fields: Final = object_reader(wire.WirePosition)
_meta_fields: Final = object_reader(wire.WireMeta)


# Lists: every item on its own


def trades(raw: Raw, ts_recv_ns: int, at: str) -> Decoded:
    """A list of trades that stands at the path `at`."""
    return read_list(raw, lambda item: trade(item, ts_recv_ns), at)


def candles(raw: Raw, ts_recv_ns: int, at: str) -> Decoded:
    """A list of candles, or one candle that stands alone."""
    if bytes(raw).lstrip().startswith(b"{"):
        return read_alone(raw, lambda item: candle(item, ts_recv_ns), at)
    return read_list(raw, lambda item: candle(item, ts_recv_ns), at)


def contexts(raw: Raw, ts_recv_ns: int, at: str) -> Decoded:
    """The answer [meta, contexts]: the n-th context belongs to the n-th name."""
    try:
        halves = within(at, lambda: LIST.read(raw))
        if len(halves) != 2:
            raise Invalid("uneven_lists", f"{len(halves)} of 2", at)
        coins = within(f"{at}[0]", lambda: universe(halves[0]))
        items = within(f"{at}[1]", lambda: LIST.read(halves[1]))
        if len(coins) != len(items):
            raise Invalid("uneven_lists", f"{len(coins)} names, {len(items)} contexts", at)
    except Invalid as finding:
        return refused_whole(finding)
    return read_items(items, lambda index, item: context(coins[index], item), f"{at}[1]")


def mids(raw: Raw, ts_recv_ns: int, at: str) -> Decoded:
    """A table of mid prices: a bad price is refused by its coin, the others go on."""
    try:
        table = within(at, lambda: TABLE.read(raw))
    except Invalid as finding:
        return refused_whole(finding)
    prices: dict[str, Decimal] = {}
    findings = Findings(at)
    for index, (coin, price) in enumerate(table.items()):
        try:
            prices[validate.instrument(coin)] = validate.positive(value(price))
        except Invalid as finding:
            findings.add(index, finding.within(f".{validate.excerpt(coin)}"))
    return Decoded([MidPrices(NAME, prices)] if prices or not table else [], findings.refusals())


# Objects: right, or refused as a whole


def quote(raw: Raw, ts_recv_ns: int, at: str) -> Decoded:
    """One best bid and offer."""
    return read_alone(raw, lambda item: _quote(item, ts_recv_ns), at)


def book(raw: Raw, ts_recv_ns: int, at: str) -> Decoded:
    """One whole book: a single bad level refuses it, since a book with a hole is a false book."""
    return read_alone(raw, lambda item: _book(item, ts_recv_ns), at)


def mids_message(raw: Raw, ts_recv_ns: int, at: str) -> Decoded:
    """A streamed table of mid prices: {"mids":{…}}."""
    try:
        table = within(at, lambda: _mids_fields(raw).read("mids", lambda mids_raw: mids_raw))
    except Invalid as finding:
        return refused_whole(finding)
    return mids(table, ts_recv_ns, f"{at}.mids")


def coin_context(raw: Raw, ts_recv_ns: int, at: str) -> Decoded:
    """One instrument's context as streamed: {"coin":…,"ctx":{…}}."""

    def read(item: Raw) -> Event:
        fields = _coin_context_fields(item)
        coin = fields.get("coin", validate.instrument)
        return fields.read("ctx", partial(context, coin))

    return read_alone(raw, read, at)


def trade(raw: Raw, ts_recv_ns: int) -> Trade:
    """One public print. Raises Invalid."""
    fields = _trade_fields(raw)
    return Trade(
        fields.get("coin", partial(_stream, names.TRADES)),
        fields.get("time", partial(validate.event_time_ns, ts_recv_ns=ts_recv_ns)),
        fields.get("tid", validate.identity),
        fields.get("px", validate.positive),
        fields.get("sz", validate.positive),
        fields.get("side", _side),
    )


def candle(raw: Raw, ts_recv_ns: int) -> Candle:
    """One candle. Raises Invalid."""
    fields = _candle_fields(raw)
    coin = fields.get("s", validate.instrument)
    event = Candle(
        fields.get("i", lambda interval: names.CANDLES[coin, _text(interval)]),
        fields.get("t", partial(validate.event_time_ns, ts_recv_ns=ts_recv_ns)),
        fields.get("T", validate.any_time_ns) + NS_PER_MS,
        fields.get("o", validate.positive),
        fields.get("h", validate.positive),
        fields.get("l", validate.positive),
        fields.get("c", validate.positive),
        fields.get("v", validate.non_negative),
        fields.get("n", validate.count),
    )
    check_candle(event)
    return event


def context(coin: str, raw: Raw) -> AssetContext:
    """One instrument's context. Raises Invalid."""
    fields = _context_fields(raw)
    return AssetContext(
        names.CONTEXTS[coin],
        fields.get("openInterest", validate.non_negative),
        fields.get("funding", validate.signed),
        fields.get("markPx", validate.positive),
        fields.get_or_none("oraclePx", validate.positive),
        fields.get_or_none("midPx", validate.positive),
        fields.get_or_none("premium", validate.signed),
        fields.get_or_none("dayNtlVlm", validate.non_negative),
        fields.get_or_none("prevDayPx", validate.non_negative),
    )


def account(raw: Raw, vault: str, ts_recv_ns: int) -> VaultState:
    """One account's state: a single bad position refuses it, since what it leaves out would look like none. Raises
    Invalid."""
    fields = _account_fields(raw)
    ts_event_ns = fields.get("time", partial(validate.event_time_ns, ts_recv_ns=ts_recv_ns))
    worth = fields.read("marginSummary", lambda margin: _margin_fields(margin).get("accountValue", validate.signed))
    positions = fields.read("assetPositions", lambda items: list(each(LIST.read(items), _position)))
    holdings = dict(positions)
    if len(holdings) != len(positions):
        raise Invalid("conflict", "two positions in one instrument", "assetPositions")
    return VaultState(NAME, vault, ts_event_ns, worth, holdings)


def _position(raw: Raw) -> tuple[str, tuple[Decimal, Decimal]]:
    def read(inner: Raw) -> tuple[str, tuple[Decimal, Decimal]]:
        fields = _position_fields(inner)
        coin = fields.get("coin", validate.instrument)
        return coin, holding(fields.get("szi", validate.signed), fields.get("positionValue", validate.non_negative))

    return _asset_position_fields(raw).read("position", read)


def universe(raw: Raw) -> list[str]:
    """The names in {"universe":[{"name":…},…]}, in the venue's order. Raises Invalid."""

    def read(assets: Raw) -> list[str]:
        return list(each(LIST.read(assets), lambda asset: _asset_fields(asset).get("name", validate.instrument)))

    return _meta_fields(raw).read("universe", read)


def _quote(raw: Raw, ts_recv_ns: int) -> Quote:
    fields = _bbo_fields(raw)
    stream = fields.get("coin", partial(_stream, names.QUOTES))
    ts_event_ns = fields.get("time", partial(validate.event_time_ns, ts_recv_ns=ts_recv_ns))
    bid, ask = fields.read("bbo", lambda sides: _pair(sides, lambda side: None if is_null(side) else _level(side)))
    return Quote(
        stream,
        ts_event_ns,
        bid.price if bid else None,
        bid.size if bid else None,
        ask.price if ask else None,
        ask.size if ask else None,
    )


def _book(raw: Raw, ts_recv_ns: int) -> BookSnapshot:
    fields = _book_fields(raw)
    stream = fields.get("coin", partial(_stream, names.BOOKS))
    ts_event_ns = fields.get("time", partial(validate.event_time_ns, ts_recv_ns=ts_recv_ns))
    bids, asks = fields.read("levels", lambda sides: _pair(sides, _levels))
    return BookSnapshot(stream, ts_event_ns, bids, asks)


def _pair(raw: Raw, read: Callable[[Raw], T]) -> tuple[T, T]:
    items = LIST.read(raw)
    if len(items) != 2:
        raise Invalid("wrong_type", f"an array of {len(items)}, not of 2")
    first, second = each(items, read)
    return first, second


def _levels(raw: Raw) -> tuple[Level, ...]:
    return tuple(each(LIST.read(raw), _level))


def _level(raw: Raw) -> Level:
    fields = _level_fields(raw)
    return Level(
        fields.get("px", validate.positive),
        fields.get("sz", validate.non_negative),
        fields.get("n", validate.count),
    )


def _stream(streams: Checked[str, Stream], coin: object) -> Stream:
    return streams[validate.instrument(coin)]


def _side(side: object) -> Side:
    text = _text(side)
    if text not in names.SIDES:
        raise Invalid("bad_side", text)
    return names.SIDES[text]


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise Invalid("wrong_type", text)
    return text
