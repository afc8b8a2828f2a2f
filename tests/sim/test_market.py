"""The simulated market: the same seed gives the same trades, and everything said of them agrees with them."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal

import pytest

from everytick.sim.coin import CoinView
from everytick.sim.hyperliquid.live import Framing
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import Block, Market, MarketTraits
from everytick.sim.prints import Print, trades_frame

START_MS = 1_757_015_216_000


def run(seed: int, steps_ms: list[int], traits: MarketTraits | None = None) -> tuple[Market, list[Block]]:
    market = Market(traits or MarketTraits(trades_per_s=300), seed, START_MS)
    blocks = []
    for step_ms in steps_ms:
        blocks += market.advance(market.time_ms + step_ms)
    return market, blocks


def test_the_same_seed_gives_the_same_bytes_however_time_is_sliced() -> None:
    def wire(seed: int, steps_ms: list[int]) -> list[bytes]:
        framing = Framing(VenueTraits(multi_block_share=0.3), seed)
        return [trades_frame(trades) for block in run(seed, steps_ms)[1] for trades in framing.take(block)]

    coarse, fine = wire(7, [20_000]), wire(7, [1] * 5_000 + [250] * 60)
    assert coarse == fine
    assert coarse != wire(8, [20_000])
    assert len(coarse) > 100


def test_a_block_is_never_split_and_frames_lose_and_reorder_nothing() -> None:
    framing = Framing(VenueTraits(multi_block_share=0.5), 3)
    blocks = run(3, [30_000])[1]
    frames: dict[str, list[list[Print]]] = defaultdict(list)
    for trades in [t for block in blocks for t in framing.take(block)] + framing.rest():
        frames[trades[0].coin].append(trades)
    for coin, of_coin in frames.items():
        assert [t for f in of_coin for t in f] == [t for b in blocks for t in b.trades.get(coin, ())]
        times = [{t.time_ms for t in f} for f in of_coin]
        assert sum(map(len, times)) == len(set().union(*times))
        assert max(map(len, times)) <= VenueTraits().blocks_per_frame_max
    assert any(len({t.time_ms for t in f}) > 1 for f in frames["BTC"])


def test_trades_are_plausible_unique_and_in_time_order() -> None:
    _, blocks = run(1, [60_000], MarketTraits(trades_per_s=200))
    trades = [t for block in blocks for of_coin in block.trades.values() for t in of_coin]
    assert 200 * 60 * 0.7 < len(trades) < 200 * 60 * 1.4
    assert len({(t.coin, *t.key) for t in trades}) == len(trades)
    assert [b.time_ms for b in blocks] == sorted({b.time_ms for b in blocks})
    assert all(Decimal(t.px) > 0 and Decimal(t.sz) > 0 and t.side in "AB" for t in trades)
    assert all("." in t.px and "E" not in t.px and "." in t.sz for t in trades)
    count = {coin: sum(t.coin == coin for t in trades) for coin in MarketTraits().coins}
    assert count["BTC"] > count["ETH"] > count["SOL"] > count["WLFI"] > 0
    assert max(len(b.trades.get("BTC", ())) for b in blocks) > 60, "bursts make blocks of more than a replay"


@pytest.mark.parametrize("interval_ms", [60_000, 300_000])
def test_candles_are_exactly_their_trades(interval_ms: int) -> None:
    market, blocks = run(5, [400_000], MarketTraits(trades_per_s=20))
    interval = {60_000: "1m", 300_000: "5m"}[interval_ms]
    for coin in market.traits.coins:
        buckets: dict[int, list[Print]] = defaultdict(list)
        for trade in (t for b in blocks for t in b.trades.get(coin, ())):
            buckets[trade.time_ms // interval_ms * interval_ms].append(trade)
        candles = market.views[coin].candles(interval, 0, 2**50)
        assert [c.t for c in candles] == sorted(buckets)
        for candle in candles:
            trades = buckets[candle.t]
            prices = [Decimal(t.px) for t in trades]
            assert (candle.o, candle.c, candle.n) == (trades[0].px, trades[-1].px, len(trades))
            assert (Decimal(candle.h), Decimal(candle.low)) == (max(prices), min(prices))
            assert Decimal(candle.v) == sum(Decimal(t.sz) for t in trades)
            assert candle.t + interval_ms - 1 == candle.T
        assert market.views[coin].candle(interval) == candles[-1]


def test_quote_book_and_mid_agree_with_the_newest_trade() -> None:
    dice = random.Random(1)
    market, _ = run(2, [1_000])
    for _ in range(50):
        market.advance(market.time_ms + dice.randint(1, 500))
        for coin, view in market.views.items():
            touch = view.touch()
            if touch is None:
                continue
            bid, ask = touch
            last = view.recent[-1]
            assert Decimal(last.px) == (ask if last.side == "B" else bid)
            bids, asks = view.levels()
            assert (Decimal(bids[0].px), Decimal(asks[0].px)) == touch
            assert Decimal(view.mid() or 0) == (bid + ask) / 2
            assert [Decimal(x.px) for x in bids] == sorted((Decimal(x.px) for x in bids), reverse=True)
            assert [Decimal(x.px) for x in asks] == sorted(Decimal(x.px) for x in asks)
            assert 0 < len(bids) <= 20, coin


def test_the_last_block_and_the_newest_trades_are_told_in_order() -> None:
    view = CoinView("BTC")
    trades = [Print("BTC", "B", "100.0", "1.0", 1000 + i // 3, i) for i in range(10)]
    assert (view.newest(5), view.last_block(), view.mid(), view.context()) == ([], [], None, None)
    for trade in trades:
        view.observe(trade)
    assert view.newest(4) == trades[-4:]
    assert view.last_block() == trades[9:]
    view.observe(Print("BTC", "A", "99.0", "1.0", 1003, 99))
    assert [t.tid for t in view.last_block()] == [9, 99]
