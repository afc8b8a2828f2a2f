"""What a venue knows of one coin, built from its trades alone: recent trades, candles, quote, book, context."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from everytick.sim.prints import Print

# The venue keeps the newest 5,000 candles of an interval; an hour of trades is more than anyone may ask for.
MINUTES_MAX = 5_000
RECENT_MAX = 2_000
BOOK_LEVELS = 20
MINUTE_MS = 60_000

INTERVALS_MS = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
    "3d": 259_200_000,
    "1w": 604_800_000,
    "1M": 2_592_000_000,
}


class WireCandle(msgspec.Struct, rename={"low": "l"}):
    """A candle as the venue writes it; `t` and `T` in ms, `T` inclusive."""

    t: int
    T: int
    s: str
    i: str
    o: str
    c: str
    h: str
    low: str
    v: str
    n: int


class WireLevel(msgspec.Struct):
    """One price of a book as the venue writes it."""

    px: str
    sz: str
    n: int


class WireContext(msgspec.Struct):
    """A perpetual's context as the venue writes it."""

    funding: str
    openInterest: str
    prevDayPx: str
    dayNtlVlm: str
    premium: str
    oraclePx: str
    markPx: str
    midPx: str
    impactPxs: list[str]


class _Minute(msgspec.Struct):
    open_ms: int
    open: str
    close: str
    high: Decimal
    low: Decimal
    volume: Decimal
    count: int


def tick_size(price: Decimal) -> Decimal:
    """The price step at this price: five significant figures, whole numbers always allowed."""
    return Decimal(1).scaleb(min(0, price.adjusted() - 4))


def size_decimals(price: Decimal) -> int:
    """How many decimals a size has at this price: a lot is worth about one unit of the quote currency."""
    return max(0, price.adjusted())


class CoinView:
    """Everything that may be asked about one coin. Empty (None, []) until its first trade."""

    def __init__(self, coin: str, tick: Decimal | None = None) -> None:
        self.coin = coin
        self.tick = tick
        self.recent: deque[Print] = deque(maxlen=RECENT_MAX)
        self._minutes: dict[int, _Minute] = {}
        self._first: Decimal | None = None
        self._notional = Decimal(0)
        self._volume = Decimal(0)

    def observe(self, trade: Print) -> None:
        """Take one new trade into account."""
        price, size = Decimal(trade.px), Decimal(trade.sz)
        if self._first is None:
            self._first = price
            self.tick = self.tick or tick_size(price)
        self.recent.append(trade)
        self._notional += price * size
        self._volume += size
        open_ms = trade.time_ms - trade.time_ms % MINUTE_MS
        minute = self._minutes.get(open_ms)
        if minute is None:
            if len(self._minutes) >= MINUTES_MAX:
                del self._minutes[next(iter(self._minutes))]
            self._minutes[open_ms] = _Minute(open_ms, trade.px, trade.px, price, price, size, 1)
            return
        minute.close = trade.px
        minute.high = max(minute.high, price)
        minute.low = min(minute.low, price)
        minute.volume += size
        minute.count += 1

    @property
    def size_decimals(self) -> int:
        """Decimals of a size, from the first price; 0 before the first trade."""
        return size_decimals(self._first) if self._first is not None else 0

    def newest(self, count: int) -> list[Print]:
        """The newest trades, ascending."""
        return list(self.recent)[-count:]

    def last_block(self) -> list[Print]:
        """All trades of the newest block, as far as they are kept."""
        block: list[Print] = []
        for trade in reversed(self.recent):
            if block and trade.time_ms != block[0].time_ms:
                break
            block.append(trade)
        return block[::-1]

    def candles(self, interval: str, start_ms: int, end_ms: int) -> list[WireCandle]:
        """Candles whose interval opens within [start_ms, end_ms], ascending. KeyError: no such interval."""
        width = INTERVALS_MS[interval]
        buckets: dict[int, list[_Minute]] = {}
        for minute in self._minutes.values():
            open_ms = minute.open_ms - minute.open_ms % width
            if start_ms <= open_ms <= end_ms:
                buckets.setdefault(open_ms, []).append(minute)
        return [self._merge(interval, width, open_ms, buckets[open_ms]) for open_ms in sorted(buckets)]

    def candle(self, interval: str) -> WireCandle | None:
        """The newest candle of this interval."""
        if not self.recent:
            return None
        width = INTERVALS_MS[interval]
        open_ms = self.recent[-1].time_ms - self.recent[-1].time_ms % width
        if width <= INTERVALS_MS["1h"]:
            minutes = [self._minutes[m] for m in range(open_ms, open_ms + width, MINUTE_MS) if m in self._minutes]
        else:
            minutes = [minute for m, minute in self._minutes.items() if open_ms <= m < open_ms + width]
        return self._merge(interval, width, open_ms, minutes)

    def _merge(self, interval: str, width: int, open_ms: int, minutes: list[_Minute]) -> WireCandle:
        return WireCandle(
            t=open_ms,
            T=open_ms + width - 1,
            s=self.coin,
            i=interval,
            o=minutes[0].open,
            c=minutes[-1].close,
            h=_text(max(m.high for m in minutes)),
            low=_text(min(m.low for m in minutes)),
            v=_text(sum((m.volume for m in minutes), Decimal(0))),
            n=sum(m.count for m in minutes),
        )

    def touch(self) -> tuple[Decimal, Decimal] | None:
        """Best bid and best ask after the newest trade: it took one of them, the other is a tick away."""
        if not self.recent or self.tick is None:
            return None
        last = self.recent[-1]
        price = Decimal(last.px)
        return (price - self.tick, price) if last.side == "B" else (price, price + self.tick)

    def mid(self) -> str | None:
        """Half way between best bid and best ask."""
        touch = self.touch()
        return None if touch is None else _text((touch[0] + touch[1]) / 2)

    def levels(self, count: int = BOOK_LEVELS) -> tuple[list[WireLevel], list[WireLevel]]:
        """The book, best first; sizes follow from the price so that the same state gives the same book."""
        touch = self.touch()
        if touch is None or self.tick is None:
            return [], []
        bid, ask = touch
        return list(_side(bid, -self.tick, count)), list(_side(ask, self.tick, count))

    def held(self, share: Decimal) -> tuple[Decimal, Decimal] | None:
        """A position of that share of all volume, signed, and its worth at the mid; None before the first trade."""
        mid = self.mid()
        if mid is None:
            return None
        size = (self._volume * share).quantize(Decimal(1).scaleb(-self.size_decimals))
        return size, abs(size * Decimal(mid))

    def context(self) -> WireContext | None:
        """Open interest, funding and reference prices; open interest moves with the volume traded."""
        touch = self.touch()
        mid = self.mid()
        if touch is None or mid is None or self._first is None:
            return None
        return WireContext(
            funding="0.0000125",
            openInterest=_text(1000 + self._volume / 10),
            prevDayPx=_text(self._first),
            dayNtlVlm=_text(self._notional),
            premium="0.0",
            oraclePx=mid,
            markPx=mid,
            midPx=mid,
            impactPxs=[_text(touch[0]), _text(touch[1])],
        )


def _side(best: Decimal, step: Decimal, count: int) -> Iterator[WireLevel]:
    for rank in range(count):
        price = best + rank * step
        if price <= 0:
            return
        digits = int(price.scaleb(6)) * 2_654_435_761 % 100_000
        yield WireLevel(_text(price), f"{digits // 1000 + rank}.{digits % 1000:03d}1", 1 + digits % 9)


def _text(number: Decimal) -> str:
    text = f"{number.normalize():f}"
    return text if "." in text else f"{text}.0"
