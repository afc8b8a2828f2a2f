"""Texts that repeat on every message, checked once and kept: symbols to streams, digits to exact numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from everytick.core import validate
from everytick.core.checked import Checked
from everytick.model.stream import Kind, Stream
from everytick.venues.binance.rules import INTERVAL_MS, NAME

# Prices and sizes repeat within seconds: 16,384 texts cover a busy minute, about 4 MB. There are under 4,000 symbols.
NUMBERS_MAX: Final = 16_384
STREAMS_MAX: Final = 4_096


def _stream_table(kind: Kind) -> Checked[str, Stream]:
    return Checked(lambda symbol: Stream(NAME, kind, validate.instrument(symbol)), STREAMS_MAX)


def _candle_stream(name: tuple[str, str]) -> Stream:
    symbol, interval = name
    if interval not in INTERVAL_MS:
        raise validate.Invalid("bad_interval", interval)
    return Stream(NAME, Kind.CANDLES, validate.instrument(symbol), interval)


POSITIVE: Final[Checked[str, Decimal]] = Checked(validate.positive, NUMBERS_MAX)
NON_NEGATIVE: Final[Checked[str, Decimal]] = Checked(validate.non_negative, NUMBERS_MAX)

TRADES: Final = _stream_table(Kind.TRADES)
AGG_TRADES: Final = _stream_table(Kind.AGG_TRADES)
QUOTES: Final = _stream_table(Kind.QUOTES)
BOOKS: Final = _stream_table(Kind.BOOKS)
CANDLES: Final[Checked[tuple[str, str], Stream]] = Checked(_candle_stream, STREAMS_MAX)
