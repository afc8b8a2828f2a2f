"""How stores spell what they hold: exact decimal text, book levels, one trade as JSON, one row of a dump."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final

import msgspec

from everytick.core.validate import decimal_text
from everytick.model.event import Level, VaultPosition
from everytick.model.ledger import GapState
from everytick.model.units import ms_from_ns
from everytick.stores.protocol import Row

_json = msgspec.json.Encoder().encode

# A gap that still needs someone. `permanent` is settled: no source can fill it.
GAP_STATES_OPEN: Final = frozenset({GapState.OPEN, GapState.BACKFILLING})

# What a dump holds, in its order: table -> columns, key first. Tables that tell about us and not about the tape
# (who writes, which migrations ran) are left out, and so are those that follow from the others.
DUMPED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "checkpoint": ("offset",),
        "streams": ("number", "venue", "kind", "instrument", "interval"),
        "trades": ("stream", "ts_ns", "trade_id", "price_text", "size_text", "side", "ts_recv_ns", "offset"),
        "candles": (
            *("stream", "ts_open_ns", "ts_close_ns", "open_text", "high_text", "low_text", "close_text"),
            *("volume_text", "trade_count", "state", "ts_recv_ns", "offset"),
        ),
        "quotes": (
            *("stream", "ts_ns", "offset", "bid_price_text", "bid_size_text", "ask_price_text", "ask_size_text"),
            "ts_recv_ns",
        ),
        "books": ("stream", "ts_ns", "offset", "bids", "asks", "ts_recv_ns"),
        "mids": ("stream", "ts_recv_ns", "offset", "price_text"),
        "contexts": (
            *("stream", "ts_recv_ns", "offset", "open_interest_text", "funding_rate_text", "mark_price_text"),
            *("oracle_price_text", "mid_price_text", "premium_text", "day_notional_volume_text"),
            "previous_day_price_text",
        ),
        "vaults": ("stream", "ts_ns", "offset", "positions", "ts_recv_ns"),
        "quarantine": ("offset", "item", "venue", "channel", "reason", "path", "value", "ts_recv_ns", "excerpt"),
        "seams": (
            *("stream", "offset", "epoch", "verdict", "cause", "shared", "ts_before_ns", "ts_after_ns"),
            "ts_recv_ns",
        ),
        "gaps": (
            *("stream", "from_ns", "offset", "first_id", "to_ns", "kind", "cause", "state"),
            *("estimated_missing", "last_id", "ts_recv_ns"),
        ),
        "coverage": ("stream", "from_ns", "to_ns", "cover", "offset"),
        "states": ("key", "state"),
        "counts": ("name", "value"),
    }
)


class TradeLine(msgspec.Struct, frozen=True, gc=False):
    """One trade as the API writes it: `time` in ms, prices and sizes as text."""

    venue: str
    coin: str
    tid: int
    side: str
    px: str
    sz: str
    time: int


def trades_text(rows: Iterable[Row]) -> bytes:
    """The inside of a JSON array of these trades: what `Reader.trades_json` must equal."""
    return b",".join(
        _json(
            TradeLine(
                venue=row.stream.venue,
                coin=row.stream.instrument,
                tid=row.trade_id,
                side=row.side,
                px=row.price,
                sz=row.size,
                time=ms_from_ns(row.ts_event_ns),
            )
        )
        for row in rows
    )


def optional_text(value: Decimal | None) -> str | None:
    """Exact text of a number that may be missing."""
    return None if value is None else decimal_text(value)


def levels_text(levels: Sequence[Level]) -> str:
    """One side of an order book as JSON: `[["105056.0","0.25",3],...]`, best first."""
    return _json([(decimal_text(level.price), decimal_text(level.size), level.orders) for level in levels]).decode()


_read_positions = msgspec.json.Decoder(tuple[tuple[str, int, str, str, str], ...])


def positions_text(positions: Sequence[VaultPosition]) -> str:
    """Watched accounts as JSON: `[["0x…",1757015216673000000,"-1.5","-157500.0","90000.0"],...]`."""
    return _json(
        [
            (
                one.vault,
                one.ts_event_ns,
                decimal_text(one.size),
                decimal_text(one.notional),
                decimal_text(one.account_value),
            )
            for one in positions
        ]
    ).decode()


def positions_from(text: str) -> tuple[VaultPosition, ...]:
    """What `positions_text` was given."""
    return tuple(
        VaultPosition(vault, ts_ns, Decimal(size), Decimal(notional), Decimal(worth))
        for vault, ts_ns, size, notional, worth in _read_positions.decode(text)
    )


def dump_line(table: str, values: Iterable[object]) -> str:
    """One row of a dump: a JSON array of the table's name and its columns as `DUMPED` orders them."""
    return _json([table, *values]).decode()
