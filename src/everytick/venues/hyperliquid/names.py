"""Texts that repeat on every message, checked once and kept: names to streams, digits to exact numbers.

Each table answers `table[text]` with the checked value or raises `Invalid`. A table is emptied when it is full,
so memory stays bounded whatever a venue sends; what it holds follows from the text alone, so losing it only
costs time.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from everytick.core import validate
from everytick.core.checked import Checked
from everytick.model.event import Side
from everytick.model.stream import Kind, Stream
from everytick.venues.hyperliquid.rules import INTERVAL_MS, NAME

# Prices and sizes repeat within seconds and are stale within minutes: 16,384 texts cover a busy minute, and
# the whole table is about 4 MB. There are under 2,000 coins.
NUMBERS_MAX: Final = 16_384
STREAMS_MAX: Final = 4_096


def stream_table(kind: Kind) -> Checked[str, Stream]:
    """Coin -> its stream of `kind`."""
    return Checked(lambda coin: Stream(NAME, kind, validate.instrument(coin)), STREAMS_MAX)


def _candle_stream(name: tuple[str, str]) -> Stream:
    coin, interval = name
    if interval not in INTERVAL_MS:
        raise validate.Invalid("bad_interval", interval)
    return Stream(NAME, Kind.CANDLES, validate.instrument(coin), interval)


POSITIVE: Final[Checked[str, Decimal]] = Checked(validate.positive, NUMBERS_MAX)
NON_NEGATIVE: Final[Checked[str, Decimal]] = Checked(validate.non_negative, NUMBERS_MAX)
INSTRUMENTS: Final[Checked[str, str]] = Checked(validate.instrument, STREAMS_MAX)

TRADES: Final = stream_table(Kind.TRADES)
QUOTES: Final = stream_table(Kind.QUOTES)
BOOKS: Final = stream_table(Kind.BOOKS)
CONTEXTS: Final = stream_table(Kind.CONTEXTS)
CANDLES: Final[Checked[tuple[str, str], Stream]] = Checked(_candle_stream, STREAMS_MAX)

# docs: websocket/subscriptions, WsTrade: `side` is the aggressor's. B: a buyer took; A: a seller took.
SIDES: Final = {"B": Side.BUY, "A": Side.SELL}
