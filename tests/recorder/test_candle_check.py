"""The venue's closed candles against our own trades: only where these are complete, once each, never silently."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from everytick.host.clock import HostClock
from everytick.model.control import Compared
from everytick.model.event import Candle, CandleState, Side, Trade
from everytick.model.ledger import Cover, Interval
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.recorder.candle_check import CandleCheck
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Batch, PlacedCandle, placed_trade
from everytick.telemetry import Telemetry

TRADES = Stream("hyperliquid", Kind.TRADES, "BTC")
BARS = Stream("hyperliquid", Kind.CANDLES, "BTC", "1m")
DAYS = Stream("hyperliquid", Kind.CANDLES, "BTC", "1d")
MINUTE_NS = 60 * NS_PER_S
DAY_NS = 1_440 * MINUTE_NS


class Checking:
    """A store that grows, and what the check says of it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.store.apply(Batch(0, 1, streams=[TRADES, BARS, DAYS]))
        self.put: list[Compared] = []
        self.telemetry = Telemetry(HostClock())
        self.check = CandleCheck(self.store.reader, self.telemetry, self._take)
        self._offset = 1

    def _take(self, venue: str, payload: bytes) -> None:
        assert venue == "hyperliquid"
        self.put.append(msgspec.json.decode(payload, type=Compared))

    def grow(self, **rows: list[object]) -> None:
        batch = Batch(self._offset, self._offset + 1)
        for name, items in rows.items():
            getattr(batch, name).extend(items)
        self.store.apply(batch)
        self._offset += 1

    def minute(self, number: int, *, volume: str = "3", cover: Cover = Cover.OBSERVED) -> None:
        """Two trades of 1 and 2, and a bar that says `volume`."""
        at = number * MINUTE_NS
        one = Trade(TRADES, at, 2 * number, Decimal(100), Decimal(1), Side.BUY)
        two = Trade(TRADES, at + 5, 2 * number + 1, Decimal(101), Decimal(2), Side.BUY)
        self.grow(
            trades=[placed_trade(one, 0, 0), placed_trade(two, 0, 0)],
            candles=[self.bar(number, volume)],
            cover_put=[Interval(TRADES, at, at + MINUTE_NS, cover, 0)],
        )

    def bar(self, number: int, volume: str = "3", state: CandleState = CandleState.CLOSED) -> PlacedCandle:
        at = number * MINUTE_NS
        low, high = Decimal(100), Decimal(101)
        made = Candle(BARS, at, at + MINUTE_NS, low, high, low, high, Decimal(volume), 2, state)
        return PlacedCandle(made, 0, 0)

    def step(self) -> list[tuple[int, str]]:
        self.put.clear()
        self.check.step(self.store.reader())
        return [(one.ts_open_ns // MINUTE_NS, one.detail) for one in self.put]


def test_a_bar_that_our_trades_make_is_counted_and_one_that_they_do_not_is_put_on_the_tape() -> None:
    checking = Checking()
    for number, volume in enumerate(["3", "3.0", "4", "3"]):
        checking.minute(number, volume=volume)
    assert checking.step() == [(2, "ours: volume 3, told 4")]
    text = checking.telemetry.exposition()
    assert b'candles_checked_total{outcome="agrees",venue="hyperliquid"} 2.0' in text  # the last waits for a trade


def test_each_bar_is_compared_once() -> None:
    checking = Checking()
    for number in range(3):
        checking.minute(number, volume="9")
    assert [number for number, _ in checking.step()] == [0, 1]
    assert checking.step() == []
    checking.minute(3)
    assert [number for number, _ in checking.step()] == [2]


def test_a_bar_whose_trades_may_be_missing_means_nothing() -> None:
    checking = Checking()
    checking.minute(0, volume="9", cover=Cover.SUSPECTED)
    checking.minute(1, volume="9", cover=Cover.BACKFILLED)
    checking.minute(2)
    assert [number for number, _ in checking.step()] == [1]


def test_a_bar_that_is_still_made_is_waited_for() -> None:
    checking = Checking()
    checking.minute(0)
    checking.grow(candles=[checking.bar(1, "9", CandleState.FORMING)])
    checking.minute(2)
    assert checking.step() == []  # left forming for good: the gap there says why
    checking.minute(3, volume="9")
    checking.grow(candles=[checking.bar(4, "1", CandleState.FORMING)])
    assert checking.step() == []
    checking.minute(5)
    assert [number for number, _ in checking.step()] == [3]


def test_a_day_is_not_added_up_again() -> None:
    checking = Checking()
    checking.minute(0)
    made = Candle(DAYS, 0, DAY_NS, *[Decimal(1)] * 4, Decimal(7), 1, CandleState.CLOSED)
    after = Trade(TRADES, DAY_NS + 5, 99, Decimal(1), Decimal(1), Side.BUY)
    whole = [Interval(TRADES, 0, DAY_NS + 5, Cover.OBSERVED, 0)]
    checking.grow(candles=[PlacedCandle(made, 0, 0)], trades=[placed_trade(after, 0, 0)], cover_put=whole)
    assert checking.step() == []
