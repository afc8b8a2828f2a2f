"""Short spellings of records for tests of stores."""

from __future__ import annotations

from decimal import Decimal

from everytick.model.event import (
    AssetContext,
    BookSnapshot,
    Candle,
    CandleState,
    Level,
    PlacedTrade,
    Quote,
    Side,
    Trade,
    VaultPosition,
    VaultPositions,
)
from everytick.model.ledger import Cover, Gap, GapKind, GapState, Interval, Seam, Verdict
from everytick.model.stream import Kind, Stream
from everytick.model.units import ns_from_ms
from everytick.stores.protocol import Batch, Mid, Placed, PlacedCandle, Quarantined, Reader, placed_trade

BTC = Stream("hyperliquid", Kind.TRADES, "BTC")
ETH = Stream("hyperliquid", Kind.TRADES, "ETH")
ODD = Stream("a%sb", Kind.TRADES, 'P"U\\R/%d Ü\n')  # everything that a spelling in SQL could get wrong
BARS = Stream("hyperliquid", Kind.CANDLES, "BTC", "1m")
HOURS = Stream("hyperliquid", Kind.CANDLES, "BTC", "1h")
QUOTES = Stream("hyperliquid", Kind.QUOTES, "BTC")
BOOKS = Stream("hyperliquid", Kind.BOOKS, "BTC")
MIDS = Stream("hyperliquid", Kind.MIDS, "BTC")
CONTEXTS = Stream("hyperliquid", Kind.CONTEXTS, "BTC")
VAULTS = Stream("hyperliquid", Kind.VAULTS, "BTC")
ALL = [BTC, ETH, ODD, BARS, HOURS, QUOTES, BOOKS, MIDS, CONTEXTS, VAULTS]

LAG_NS = 5_000_001  # receipt after event


def trade(
    stream: Stream, ms: int, trade_id: int, price: str = "105056.0", size: str = "0.25", offset: int = 0
) -> PlacedTrade:
    side = (Side.BUY, Side.SELL, Side.UNKNOWN)[trade_id % 3]
    made = Trade(stream, ns_from_ms(ms), trade_id, Decimal(price), Decimal(size), side)
    return placed_trade(made, offset, ns_from_ms(ms) + LAG_NS)


def candle(
    stream: Stream, ms: int, close: str = "101.5", state: CandleState = CandleState.FORMING, offset: int = 0
) -> PlacedCandle:
    prices = (Decimal("100.0"), Decimal("102"), Decimal("99.5"), Decimal(close), Decimal("1E-7"))
    made = Candle(stream, ns_from_ms(ms), ns_from_ms(ms + 60_000), *prices, trade_count=3, state=state)
    return PlacedCandle(made, offset, ns_from_ms(ms) + LAG_NS)


def quote(ms: int, offset: int, bid: str | None = "99.5", stream: Stream = QUOTES) -> Placed:
    best = None if bid is None else Decimal(bid)
    return Placed(
        Quote(stream, ns_from_ms(ms), best, best, Decimal("100.50"), Decimal("3")), offset, ns_from_ms(ms + 1)
    )


def book(ms: int, offset: int) -> Placed:
    bids = (Level(Decimal("99.50"), Decimal("1.0"), 3), Level(Decimal("99"), Decimal("2E-8")))
    return Placed(BookSnapshot(BOOKS, ns_from_ms(ms), bids, ()), offset, ns_from_ms(ms + 1))


def context(ms: int, offset: int, premium: str | None = "-0.0001") -> Placed:
    best = None if premium is None else Decimal(premium)
    made = AssetContext(
        CONTEXTS, *map(Decimal, ("123.4", "-0.0000125", "105000.5")), None, Decimal("1"), best, None, best
    )
    return Placed(made, offset, ns_from_ms(ms))


def vaults(ms: int, offset: int, size: str = "-0.10", stream: Stream = VAULTS) -> Placed:
    positions = (
        VaultPosition("0xa", ns_from_ms(ms + 1), Decimal(size), Decimal("-10500.0"), Decimal("1E-7")),
        VaultPosition("0xb", ns_from_ms(ms), Decimal(0), Decimal(0), Decimal("90000.50")),
    )
    return Placed(VaultPositions(stream, ns_from_ms(ms), positions), offset, ns_from_ms(ms + 2))


def mid(ms: int, offset: int, price: str = "105055.5") -> Mid:
    return Mid(MIDS, ns_from_ms(ms), offset, Decimal(price))


def refused(offset: int, index: int = -1) -> Quarantined:
    return Quarantined(offset, index, "hyperliquid", "ws", "broken_json", "px", "NaN\0", 7, b"\x00\xff{")


def seam(stream: Stream, offset: int, verdict: Verdict = Verdict.LOSSLESS) -> Seam:
    return Seam(stream, offset, offset, verdict, "cut", 30, 1, 2, 3)


def gap(stream: Stream, from_ms: int, offset: int, state: GapState = GapState.OPEN, first_id: int = -1) -> Gap:
    bounds = (ns_from_ms(from_ms), ns_from_ms(from_ms + 9))
    return Gap(stream, *bounds, offset, GapKind.SUSPECTED, "cut", state, -1, first_id, -1, 5)


def cover(stream: Stream, from_ms: int, to_ms: int, what: Cover = Cover.OBSERVED, offset: int = 0) -> Interval:
    return Interval(stream, ns_from_ms(from_ms), ns_from_ms(to_ms), what, offset)


def one_of_each() -> Batch:
    """A batch from offset 0 to 10 that puts a row into every table."""
    return Batch(
        0,
        10,
        streams=list(ALL),
        trades=[trade(BTC, 10, 3), trade(BTC, 10, 1), trade(ETH, 9, 1, "1E-7", "100"), trade(ODD, 10, 2)],
        candles=[candle(BARS, 0), candle(HOURS, 0, "99.75")],
        events=[quote(10, 1), quote(10, 2, None), book(11, 3), context(12, 4), context(13, 5, None), vaults(15, 7)],
        mids=[mid(14, 6), mid(14, 7, "1")],
        quarantined=[refused(8), refused(8, 0), refused(9)],
        seams=[seam(BTC, 1, Verdict.FIRST), seam(ETH, 1), seam(BTC, 5, Verdict.GAP)],
        gaps=[gap(BTC, 5, 5), gap(ETH, 5, 5, GapState.CLOSED), gap(BTC, 7, 6, GapState.BACKFILLING)],
        cover_put=[cover(BTC, 1, 5), cover(BTC, 5, 14, Cover.SUSPECTED), cover(ETH, 0, 9)],
        states={"": b"\x00", BTC.key: b"one"},
        counts={"frames": 10, "quarantined": 3},
    )


def content(reader: Reader) -> list[str]:
    """The dump, after which the reader is closed."""
    try:
        return list(reader.dump())
    finally:
        reader.close()
