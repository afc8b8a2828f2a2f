"""Seeded market messages in three venues' wire formats, and the bytes that carry them over a WebSocket.

The first two carry the same market: the same instruments, the same number of trades per message, distinct trade ids,
and venue times that advance by one millisecond every two trades, as 2,000 trades a second would. Only the
dress differs: cryptofeed knows no Hyperliquid, so it is given the Coinbase form that its parser expects. The third
is Binance's, which both sides read, byte for byte the same.
Standard library only, since processes of both environments import it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

COINS = ("BTC", "ETH", "SOL")
SYMBOLS = tuple(f"{coin}USDT" for coin in COINS)
TRADES_PER_VENUE_MS = 2
# Odd, so that multiplying by it modulo a power of two never repeats: ids are distinct and look random.
_ID_STRIDE = 0x2545F4914F6CDD
_HYPERLIQUID_ID_BITS = 50
_ADDRESSES = 3_000
_PRICES_TENTHS = (1_050_560, 34_120, 2_115)

# Sizes in hundred-thousandths. In the recordings of BTC, ETH and WLFI of 2025-09-04 about a quarter of all trades
# are the smallest order, many are round, and 47 to 71 % repeat a size seen within the last few thousand trades.
_SIZE_SMALLEST = 11
_SIZES_ROUND = tuple(step * unit for unit in (10, 100, 1_000, 10_000) for step in (1, 2, 4, 5, 8, 12, 16, 20, 25, 50))

Generator = Callable[[int, int, int, int], Iterator[bytes]]


def _size(dice: random.Random) -> str:
    kind = dice.random()
    if kind < 0.25:
        size = _SIZE_SMALLEST
    elif kind < 0.45:
        size = _SIZES_ROUND[int((kind - 0.25) * 5 * len(_SIZES_ROUND))]
    else:
        size = int(10 ** (1 + 4.5 * dice.random()))
    return f"{size // 100_000}.{size % 100_000:05d}"


def hyperliquid(messages: int, trades_per_message: int, seed: int, start_ms: int) -> Iterator[bytes]:
    """`messages` Hyperliquid `trades` messages. One coin per message, with hash and users as the venue sends.

    The hash keeps the shape of real ones: random bytes around a part that grows with the block.
    """
    dice = random.Random(seed)
    addresses = [dice.randbytes(20).hex() for _ in range(_ADDRESSES)]
    prices = list(_PRICES_TENTHS)
    number = 0
    for message in range(messages):
        which = message % len(COINS)
        coin = COINS[which]
        maker = addresses[int(_ADDRESSES * dice.random() ** 4)]
        trades = []
        for _ in range(trades_per_message):
            bits = dice.getrandbits(48)
            price = prices[which] = prices[which] + (bits & 3) - (bits >> 2 & 3)
            is_buy = bits >> 4 & 1
            taker = addresses[(bits >> 8) % _ADDRESSES]
            users = f'"0x{taker}","0x{maker}"' if is_buy else f'"0x{maker}","0x{taker}"'
            noise = dice.randbytes(27).hex()
            trades.append(
                f'{{"coin":"{coin}","side":"{"B" if is_buy else "A"}","px":"{price // 10}.{price % 10}",'
                f'"sz":"{_size(dice)}",'
                f'"time":{start_ms + number // TRADES_PER_VENUE_MS},'
                f'"hash":"0x{noise[:20]}{0x041C9228CA + number // 600:010x}{noise[20:]}",'
                f'"tid":{(number + 1) * _ID_STRIDE % (1 << _HYPERLIQUID_ID_BITS)},"users":[{users}]}}'
            )
            number += 1
        yield f'{{"channel":"trades","data":[{",".join(trades)}]}}'.encode()


def coinbase(messages: int, trades_per_message: int, seed: int, start_ms: int) -> Iterator[bytes]:
    """`messages` Coinbase Advanced Trade `market_trades` updates, one product per message."""
    dice = random.Random(seed)
    prices = list(_PRICES_TENTHS)
    number = 0
    second, prefix = -1, ""
    for message in range(messages):
        which = message % len(COINS)
        product = f"{COINS[which]}-USD"
        trades = []
        at = ""
        for _ in range(trades_per_message):
            bits = dice.getrandbits(48)
            price = prices[which] = prices[which] + (bits & 3) - (bits >> 2 & 3)
            ms = start_ms + number // TRADES_PER_VENUE_MS
            if ms // 1000 != second:
                second = ms // 1000
                prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            at = f"{prefix}.{ms % 1000:03d}{bits >> 8 & 511:03d}Z"
            side = "BUY" if bits >> 4 & 1 else "SELL"
            trades.append(
                f'{{"trade_id":"{700_000_000 + number}","product_id":"{product}","price":"{price // 10}.{price % 10}0",'
                f'"size":"{_size(dice)}","side":"{side}","time":"{at}"}}'
            )
            number += 1
        yield (
            f'{{"channel":"market_trades","client_id":"","timestamp":"{at}","sequence_num":{message},'
            f'"events":[{{"type":"update","trades":[{",".join(trades)}]}}]}}'
        ).encode()


def agg_trade(symbol: str, number: int, price: str, size: str, time_ms: int, *, is_sell: bool) -> bytes:
    """One `aggTrade` of Binance's combined stream."""
    maker = "true" if is_sell else "false"
    return (
        f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{time_ms},"s":"{symbol}","a":{number},'
        f'"p":"{price}","q":"{size}","f":{number},"l":{number},"T":{time_ms},"m":{maker},"M":true}}}}'
    ).encode()


def binance(messages: int, trades_per_message: int, seed: int, start_ms: int) -> Iterator[bytes]:
    """`messages` Binance `aggTrade` events: one trade each, as that venue sends them, ids in a row for each symbol."""
    if trades_per_message != 1:
        raise ValueError(f"Binance sends one trade a message, not {trades_per_message}")
    dice = random.Random(seed)
    prices = list(_PRICES_TENTHS)
    # A range for each symbol, so that an id alone tells a trade from all others.
    numbers = [(which + 1) * 1_000_000_000 for which in range(len(SYMBOLS))]
    for message in range(messages):
        bits = dice.getrandbits(48)
        which = message % len(SYMBOLS)
        price = prices[which] = prices[which] + (bits & 3) - (bits >> 2 & 3)
        numbers[which] += 1
        yield agg_trade(
            SYMBOLS[which],
            numbers[which],
            f"{price // 10}.{price % 10}0000000",
            f"{_size(dice)}000",
            start_ms + message // TRADES_PER_VENUE_MS,
            is_sell=bool(bits >> 4 & 1),
        )


GENERATORS: dict[str, Generator] = {"hyperliquid": hyperliquid, "coinbase": coinbase, "binance": binance}


def websocket_header(length: int) -> bytes:
    """The header of one unmasked, final text message of that many bytes (RFC 6455 §5.2)."""
    if length < 126:
        return bytes((0x81, length))
    if length < 1 << 16:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


def start_before_now_ms(trades: int) -> int:
    """A start such that the last of `trades` trades happened a second ago: nothing lies in the future."""
    return int(time.time() * 1000) - trades // TRADES_PER_VENUE_MS - 1000
