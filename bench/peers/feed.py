"""cryptofeed's Coinbase and Binance feeds on a local server. Their receive, parse and callback code is untouched.

Three things stand outside its hot path: the symbols are put into its own registry (else it would ask the
venue over HTTPS), the keys its subscribe message must carry are made up, and the address is changed after
`connect()` has built its connections, because their constructor refuses anything but wss:// and TLS would
burden this side only.
"""

from __future__ import annotations

import asyncio
from typing import Any

from cryptofeed import FeedHandler
from cryptofeed.defines import TRADES
from cryptofeed.exchanges import Binance, Coinbase
from cryptofeed.symbols import Symbols

from bench.frames import COINS, SYMBOLS

PRODUCTS = [f"{coin}-USD" for coin in COINS]
CONFIG = {"uvloop": True, "log": {"disabled": True}, "coinbase": {"key_id": "bench", "key_secret": "bench"}}


class LocalCoinbase(Coinbase):
    """The same feed on ws://127.0.0.1."""

    port = 0

    def connect(self) -> Any:
        """The connections that cryptofeed builds, with the local address."""
        built = super().connect()
        for connection, *_ in built:
            connection.address = f"ws://127.0.0.1:{self.port}"
        return built


class LocalBinance(Binance):
    """The same feed on ws://127.0.0.1, asking for its streams in the address as it always does."""

    port = 0

    def connect(self) -> Any:
        """The connections that cryptofeed builds, with the local address."""
        built = super().connect()
        for connection, *_ in built:
            connection.address = f"ws://127.0.0.1:{self.port}/{connection.address.split('/', 3)[3]}"
        return built


def feed_of(dialect: str, port: int, callback: Any, config: dict[str, Any]) -> Any:
    """The feed that reads this dialect from the local port."""
    kind = LocalBinance if dialect == "binance" else LocalCoinbase
    names = {f"{coin}-USDT": symbol for coin, symbol in zip(COINS, SYMBOLS, strict=True)}
    if dialect != "binance":
        names = {name: name for name in PRODUCTS}
    Symbols.set(kind.id, names, {"instrument_type": dict.fromkeys(names, "spot")})
    kind.port = port
    return kind(config=config, symbols=list(names), channels=[TRADES], callbacks={TRADES: callback})


def run_feed(port: int, callback: Any, dialect: str = "coinbase") -> None:
    """Run cryptofeed's own handler until the process ends."""
    handler = FeedHandler(config=CONFIG)
    handler.add_feed(feed_of(dialect, port, callback, CONFIG))
    # uvloop's policy, which cryptofeed has just set, no longer makes a loop on first use; cryptofeed counts on it.
    asyncio.set_event_loop(asyncio.new_event_loop())
    handler.run(install_signal_handlers=False)
