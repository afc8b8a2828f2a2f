"""A seeded market: coins that trade in blocks, with everything a venue would say about them.

Pure but for its dice, which are its own: the same seed and the same calls give the same trades, whatever the
machine. Candles, quotes, books, mids and contexts all follow from the trades, so they always agree with them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from everytick.sim.coin import CoinView, size_decimals, tick_size
from everytick.sim.prints import Print

_START_PRICES = {
    "BTC": "109741",
    "ETH": "4266.9",
    "SOL": "203.41",
    "HYPE": "44.872",
    "DOGE": "0.21345",
    "WLFI": "0.18708",
    "XRP": "2.8107",
    "kPEPE": "0.010142",
    "BTCUSDT": "109741",
    "ETHUSDT": "4266.9",
    "SOLUSDT": "203.41",
}
COINS = tuple(_START_PRICES)
TRADE_ID_BITS = 50  # ids are 50-bit hashes at the venue: unordered


class MarketTraits(msgspec.Struct, frozen=True):
    """How a market behaves. Rates are means over all coins; the first coin is the busiest, the last quiet."""

    coins: tuple[str, ...] = ("BTC", "ETH", "SOL", "WLFI")
    trades_per_s: float = 50.0
    block_ms: tuple[int, int] = (60, 180)  # between blocks
    burst_share: float = 0.01  # blocks that hold many times the usual number of trades
    burst_factor: float = 20.0
    dense_ids: bool = False  # ids in a row instead of hashes in no order
    weight_ratio: float = 0.5  # each coin trades this much as often as the one before it


class Block(msgspec.Struct, frozen=True, gc=False):
    """Everything that traded at one millisecond, per coin in order of trading; never split."""

    time_ms: int
    trades: dict[str, tuple[Print, ...]]


class Market:
    """The market itself: `advance` makes time pass."""

    def __init__(self, traits: MarketTraits, seed: int, start_ms: int) -> None:
        if not traits.coins:
            raise ValueError("a market needs at least one coin")
        self.traits = traits
        self._dice = random.Random(f"{seed}/workload")
        self.time_ms = start_ms
        self._next_block_ms = start_ms + 1
        self.coins = {coin: _Coin(coin, self._dice, dense_ids=traits.dense_ids) for coin in traits.coins}
        self.views = {coin: state.view for coin, state in self.coins.items()}
        self._order = list(traits.coins)
        weights = [traits.weight_ratio**rank for rank in range(len(self._order))]
        # Bursts are part of the mean rate, so the calm between them is below it.
        self._calm_per_s = traits.trades_per_s / (1 + traits.burst_share * (traits.burst_factor - 1))
        self._shares = [weight / sum(weights) for weight in weights]

    def advance(self, until_ms: int) -> list[Block]:
        """Let time pass up to `until_ms` (exclusive); the blocks that came, oldest first."""
        blocks: list[Block] = []
        while self._next_block_ms < until_ms:
            now_ms = self._next_block_ms
            gap_ms = self._dice.randint(*self.traits.block_ms)
            block = self._block(now_ms, gap_ms)
            if block.trades:
                blocks.append(block)
            self._next_block_ms = now_ms + gap_ms
        self.time_ms = max(self.time_ms, until_ms)
        return blocks

    def _block(self, now_ms: int, gap_ms: int) -> Block:
        expected = self._calm_per_s * gap_ms / 1000
        if self._dice.random() < self.traits.burst_share:
            expected *= self.traits.burst_factor
        trades: dict[str, tuple[Print, ...]] = {}
        for coin, share in zip(self._order, self._shares, strict=True):
            count = _count(self._dice, expected * share)
            if count:
                trades[coin] = self.coins[coin].trade(self._dice, now_ms, count)
        return Block(now_ms, trades)


def _count(dice: random.Random, expected: float) -> int:
    """How many trades, about `expected` on average, in the lumps that orders make of them."""
    lumpy = expected * dice.choice((0.0, 0.25, 0.75, 1.0, 3.0))
    whole = int(lumpy)
    return whole + (dice.random() < lumpy - whole)


class _Coin:
    """A price that walks by whole ticks; buyers take the ask, sellers hit the bid."""

    def __init__(self, coin: str, dice: random.Random, *, dense_ids: bool) -> None:
        start = Decimal(_START_PRICES.get(coin) or f"{dice.randint(10_000, 99_999)}E-3")
        self.coin = coin
        self._last_id = dice.randrange(10**9) if dense_ids else -1
        self.tick = tick_size(start)
        self.bid_ticks = int(start / self.tick)
        self._floor_ticks = max(2, self.bid_ticks // 2)
        self._ceiling_ticks = self.bid_ticks * 2
        # About 1,000 of the quote currency a trade.
        self._size_digits = size_decimals(start)
        self._size_mean = float(1_000 / start)
        self.view = CoinView(coin, self.tick)

    def trade(self, dice: random.Random, now_ms: int, count: int) -> tuple[Print, ...]:
        step = dice.choice((-2, -1, -1, 0, 0, 0, 0, 1, 1, 2))
        self.bid_ticks = min(max(self.bid_ticks + step, self._floor_ticks), self._ceiling_ticks)
        trades = []
        buys = dice.random() < 0.5
        depth = 0
        for _ in range(count):
            if dice.random() < 0.1:
                buys, depth = not buys, 0
            elif dice.random() < 0.2:
                depth += 1  # a large order walks up the book
            ticks = self.bid_ticks + 1 + depth if buys else self.bid_ticks - depth
            trades.append(
                Print(
                    self.coin,
                    "B" if buys else "A",
                    wire_decimal(ticks, self.tick),
                    self._size(dice),
                    now_ms,
                    self._next_id(dice),
                )
            )
        block = unique(trades)
        for trade in block:
            self.view.observe(trade)
        return block

    def _next_id(self, dice: random.Random) -> int:
        if self._last_id < 0:
            return dice.getrandbits(TRADE_ID_BITS)
        self._last_id += 1
        return self._last_id

    def _size(self, dice: random.Random) -> str:
        size = self._size_mean * dice.random() ** 3 * 4
        digits = self._size_digits
        return f"{max(size, 10.0**-digits):.{digits}f}" + ("" if digits else ".0")


def unique(trades: Sequence[Print]) -> tuple[Print, ...]:
    """The trades without a second use of an identity: 50-bit dice do repeat in a long run."""
    return tuple({trade.key: trade for trade in trades}.values())


def wire_decimal(ticks: int, tick: Decimal) -> str:
    """Whole ticks as the venue writes a price: exact, and with `.0` where there is no fraction."""
    text = f"{ticks * tick:f}"
    return text if "." in text else f"{text}.0"
