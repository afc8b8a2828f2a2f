"""The fast way to read: a whole frame at once, typed. It gives events only if everything in the frame is right.

Anything else raises, and `careful` reads the frame again item by item. Whatever this module accepts, `careful`
accepts with the same events: a test holds them together.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from everytick.core import validate
from everytick.core.validate import Invalid, latest_ms, signed
from everytick.model.event import (
    AssetContext,
    BookSnapshot,
    Candle,
    Event,
    Level,
    MidPrices,
    Quote,
    Trade,
    VaultState,
)
from everytick.model.units import NS_PER_MS
from everytick.venues.hyperliquid import names, wire
from everytick.venues.hyperliquid.names import INSTRUMENTS, NON_NEGATIVE, POSITIVE, SIDES
from everytick.venues.hyperliquid.rules import INTERVAL_MS, INTERVAL_OF_NO_FIXED_LENGTH, NAME

read_message: Final = msgspec.json.Decoder(wire.Message).decode
read_trades: Final = msgspec.json.Decoder(list[wire.WireTrade]).decode
read_candles: Final = msgspec.json.Decoder(list[wire.WireCandle]).decode
read_book: Final = msgspec.json.Decoder(wire.WireBook).decode
read_mids: Final = msgspec.json.Decoder(dict[str, str]).decode
read_account: Final = msgspec.json.Decoder(wire.WireAccount).decode
read_meta: Final = msgspec.json.Decoder(wire.WireMeta).decode
read_contexts: Final = msgspec.json.Decoder(tuple[wire.WireMeta, list[wire.WireContext]]).decode


def trades(items: list[wire.WireTrade], ts_recv_ns: int) -> list[Event]:
    """Events of a list of trades. Raises Invalid."""
    streams = names.TRADES
    last_ms = latest_ms(ts_recv_ns)
    events: list[Event] = []
    for item in items:
        ts_ms = item.time
        if ts_ms > last_ms:
            raise Invalid("future", ts_ms)
        events.append(
            Trade(
                streams[item.coin], ts_ms * NS_PER_MS, item.tid, POSITIVE[item.px], POSITIVE[item.sz], SIDES[item.side]
            )
        )
    return events


def candle(item: wire.WireCandle, ts_recv_ns: int) -> Candle:
    """The event of one candle. Raises Invalid."""
    if item.t > latest_ms(ts_recv_ns):
        raise Invalid("future", item.t)
    event = Candle(
        names.CANDLES[item.s, item.i],
        item.t * NS_PER_MS,
        (item.T + 1) * NS_PER_MS,
        POSITIVE[item.o],
        POSITIVE[item.h],
        POSITIVE[item.l],
        POSITIVE[item.c],
        NON_NEGATIVE[item.v],
        item.n,
    )
    check_candle(event)
    return event


def check_candle(event: Candle) -> None:
    """Raises Invalid where a candle cannot be true."""
    interval = event.stream.interval
    validate.check_candle(event, INTERVAL_MS[interval], is_fixed=interval != INTERVAL_OF_NO_FIXED_LENGTH)


def quote(item: wire.WireBbo, ts_recv_ns: int) -> Quote:
    """The event of one best bid and offer. Raises Invalid."""
    if item.time > latest_ms(ts_recv_ns):
        raise Invalid("future", item.time)
    bid, ask = item.bbo
    return Quote(
        names.QUOTES[item.coin],
        item.time * NS_PER_MS,
        None if bid is None else POSITIVE[bid.px],
        None if bid is None else NON_NEGATIVE[bid.sz],
        None if ask is None else POSITIVE[ask.px],
        None if ask is None else NON_NEGATIVE[ask.sz],
    )


def book(item: wire.WireBook, ts_recv_ns: int) -> BookSnapshot:
    """The event of one whole book; both sides may be empty. Raises Invalid."""
    if item.time > latest_ms(ts_recv_ns):
        raise Invalid("future", item.time)
    bids, asks = item.levels
    return BookSnapshot(
        names.BOOKS[item.coin],
        item.time * NS_PER_MS,
        tuple([Level(POSITIVE[level.px], NON_NEGATIVE[level.sz], level.n) for level in bids]),
        tuple([Level(POSITIVE[level.px], NON_NEGATIVE[level.sz], level.n) for level in asks]),
    )


def mids(prices: dict[str, str]) -> MidPrices:
    """The event of a table of mid prices. Raises Invalid."""
    return MidPrices(NAME, {INSTRUMENTS[coin]: POSITIVE[text] for coin, text in prices.items()})


def context(coin: str, item: wire.WireContext) -> AssetContext:
    """The event of one instrument's context. Raises Invalid."""
    return AssetContext(
        names.CONTEXTS[coin],
        NON_NEGATIVE[item.open_interest],
        signed(item.funding),
        POSITIVE[item.mark_px],
        None if item.oracle_px is None else POSITIVE[item.oracle_px],
        None if item.mid_px is None else POSITIVE[item.mid_px],
        None if item.premium is None else signed(item.premium),
        None if item.day_ntl_vlm is None else NON_NEGATIVE[item.day_ntl_vlm],
        # Zero on the first day of an instrument, which has no day before it.
        None if item.prev_day_px is None else NON_NEGATIVE[item.prev_day_px],
    )


def account(item: wire.WireAccount, vault: str, ts_recv_ns: int) -> VaultState:
    """The event of one account's state; the caller knows whose it is. Raises Invalid."""
    if item.time > latest_ms(ts_recv_ns):
        raise Invalid("future", item.time)
    holdings: dict[str, tuple[Decimal, Decimal]] = {}
    for one in item.asset_positions:
        holdings[INSTRUMENTS[one.position.coin]] = holding(
            signed(one.position.szi), NON_NEGATIVE[one.position.position_value]
        )
    if len(holdings) != len(item.asset_positions):
        raise Invalid("conflict", "two positions in one instrument")
    worth = signed(item.margin_summary.account_value)
    return VaultState(NAME, vault, item.time * NS_PER_MS, worth, holdings)


def holding(size: Decimal, worth: Decimal) -> tuple[Decimal, Decimal]:
    """A position's size and notional, both with the sign of the size."""
    return size, worth.copy_negate() if size < 0 and worth else worth


def candles(items: list[wire.WireCandle], ts_recv_ns: int) -> list[Event]:
    """Events of a list of candles. Raises Invalid."""
    return [candle(item, ts_recv_ns) for item in items]


def universe(item: wire.WireMeta) -> list[str]:
    """The names of all instruments, in the venue's order. Raises Invalid."""
    return [INSTRUMENTS[asset.name] for asset in item.universe]


def contexts(meta: wire.WireMeta, items: list[wire.WireContext]) -> list[Event]:
    """Events of the answer [meta, contexts]. Raises Invalid."""
    coins = universe(meta)
    if len(coins) != len(items):
        raise Invalid("uneven_lists", f"{len(coins)} names, {len(items)} contexts")
    return [context(coin, item) for coin, item in zip(coins, items, strict=True)]
