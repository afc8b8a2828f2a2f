"""A stream: one kind of fact about one instrument at one venue, the unit of sequence and of coverage."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What a stream carries."""

    TRADES = "trades"
    AGG_TRADES = "agg_trades"  # one taker's fills at one price, as the venue adds them up: ids of their own
    CANDLES = "candles"
    QUOTES = "quotes"
    BOOKS = "books"
    MIDS = "mids"
    CONTEXTS = "contexts"
    VAULTS = "vaults"  # what watched accounts hold of the instrument: asked for, never streamed


class Stream(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """One kind of fact about one instrument at one venue; candles have an interval as well.

    `instrument` is the venue's own name (`BTC`, `PURR/USDC`, `HK.00700`), case kept.
    """

    venue: str
    kind: Kind
    instrument: str
    interval: str = ""

    @property
    def key(self) -> str:
        """The stream's one-line name: `hyperliquid/trades/BTC`, `hyperliquid/candles/BTC/5m`."""
        tail = f"/{self.interval}" if self.interval else ""
        return f"{self.venue}/{self.kind.value}/{self.instrument}{tail}"


def parse_stream(key: str) -> Stream:
    """The stream that `key` names. An instrument may itself hold a slash. Raises ValueError otherwise."""
    venue, kind_text, rest = key.split("/", 2)
    kind = Kind(kind_text)
    if kind is Kind.CANDLES:
        instrument, interval = rest.rsplit("/", 1)
        return Stream(venue, kind, instrument, interval)
    return Stream(venue, kind, rest)
