"""Files of Hyperliquid's archive, written from what a simulated market traded: every kind, with every fault.

The same trades give the same bytes. Lines come as nodes write them: both sides of a trade as fills, a block a line or
a fill a line, a node that is a moment behind writing the end of an hour into the next hour's file.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.sim.prints import Print
from everytick.venues.archived import HOUR_NS
from everytick.venues.hyperliquid.archive_hours import BY_BLOCK, FILLS, TRADES

HOUR_MS = HOUR_NS // NS_PER_MS


class ArchiveTraits(msgspec.Struct, frozen=True):
    """How the files come out. `late_ms`: how long after a block the node wrote it."""

    kinds: tuple[str, ...] = (BY_BLOCK,)
    late_ms: int = 250
    missing: tuple[str, ...] = ()  # names of files that were never uploaded
    truncated: tuple[str, ...] = ()  # names of files of which the second half is gone


def write(folder: Path, trades: Iterable[Print], traits: ArchiveTraits, through_ms: int) -> list[str]:
    """Write the archive of these trades into `folder`, whole hours up to the one after `through_ms`; the names."""
    by_hour: dict[int, list[Print]] = {}
    ordered = sorted(trades, key=lambda trade: (trade.time_ms, trade.coin, trade.tid))
    for trade in ordered:
        by_hour.setdefault((trade.time_ms + traits.late_ms) // HOUR_MS, []).append(trade)
    first = min(by_hour, default=through_ms // HOUR_MS)
    names = []
    for hour in range(first, through_ms // HOUR_MS + 2):
        for kind in traits.kinds:
            moment = datetime.fromtimestamp(hour * HOUR_NS // NS_PER_S, UTC)
            name = f"{kind}/hourly/{moment:%Y%m%d}/{moment.hour}.lz4"
            if name in traits.missing:
                continue
            packed = pack(b"".join(line + b"\n" for line in lines(kind, by_hour.get(hour, []), traits.late_ms)))
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed[: len(packed) // 2] if name in traits.truncated else packed)
            names.append(name)
    return names


def pack(text: bytes) -> bytes:
    """One LZ4 frame, as `lz4` on the command line makes it."""
    frame: Any = importlib.import_module("lz4.frame")
    packed: bytes = frame.compress(text, content_checksum=True)
    return packed


def lines(kind: str, trades: Sequence[Print], late_ms: int = 0) -> list[bytes]:
    """The lines of one file."""
    if kind == TRADES:
        return [msgspec.json.encode(_print(trade)) for trade in trades]
    if kind == FILLS:
        return [msgspec.json.encode(fill) for trade in trades for fill in _fills(trade)]
    found = []
    for number, (time_ms, block) in enumerate(groupby(trades, lambda trade: trade.time_ms)):
        events = [fill for trade in block for fill in _fills(trade)]
        line = {
            "local_time": _iso(time_ms + late_ms, 987_654),
            "block_time": _iso(time_ms, 123_456),
            "block_number": 700_000_000 + number,
            "events": events,
        }
        found.append(msgspec.json.encode(line))
    return found


def orders_of(trade: Print) -> tuple[int, int]:
    """The buyer's and the seller's order id: they follow from the trade's identity."""
    seed = (trade.time_ms << 20) ^ trade.tid
    return seed % 999_999_937, 1_000_000_000 + seed % 999_999_893


def _fills(trade: Print) -> Sequence[tuple[str, Mapping[str, object]]]:
    """Both sides; the maker's stands first as often as the taker's."""
    sides = []
    for side, order in zip("BA", orders_of(trade), strict=True):
        fill = {
            "coin": trade.coin,
            "px": trade.px,
            "sz": trade.sz,
            "side": side,
            "time": trade.time_ms,
            "startPosition": "0.0",
            "dir": "Open Long" if side == "B" else "Close Long",
            "closedPnl": "0.0",
            "hash": "0x" + "0" * 64,
            "oid": order,
            "crossed": side == trade.side,
            "fee": "0.01",
            "tid": trade.tid,
            "feeToken": "USDC",
        }
        sides.append((f"0x{order:040x}", fill))
    return sides if trade.tid % 2 else sides[::-1]


def _print(trade: Print) -> dict[str, object]:
    parties = [
        {"user": f"0x{order:040x}", "start_pos": "0.0", "oid": order, "twap_id": None, "cloid": None}
        for order in orders_of(trade)
    ]
    return {
        "coin": trade.coin,
        "side": trade.side,
        "time": _iso(trade.time_ms, 123_456),
        "px": trade.px,
        "sz": trade.sz,
        "hash": "0x" + "0" * 64,
        "trade_dir_override": "Na",
        "side_info": parties,
    }


def _iso(time_ms: int, nanos: int) -> str:
    moment = datetime.fromtimestamp(time_ms // 1_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1_000:03d}{nanos:06d}"
