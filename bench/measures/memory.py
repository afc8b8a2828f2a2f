"""Memory while two million trades go from the socket through the tape into the store."""

from __future__ import annotations

from pathlib import Path

from bench.measures.side_by_side import record, sender
from bench.report import Row

TRADES = 2_000_000
TRADES_PER_MESSAGE = 5
RESIDENT_MAX_MB = 250.0
GROWTH_MAX_MB = 5.0


def run(work: Path) -> list[Row]:
    """The recorder's resident memory at the end, and how much of it the second million added."""
    messages = TRADES // TRADES_PER_MESSAGE
    with sender("hyperliquid", messages, TRADES_PER_MESSAGE, lazy=True) as (port, _):
        answer = record(port, TRADES, TRADES_PER_MESSAGE, work / "memory", store=True, marks=[TRADES // 2, TRADES])
    first, second = (mark / 1e6 for mark in answer["resident_bytes"])
    growth = second - first
    conditions = (
        f"recorder and projector in one process, {TRADES:,} distinct trades sent as fast as they are taken "
        f"({answer['trades'] / answer['seconds']:,.0f}/s); {first:.1f} MB at the first million, {second:.1f} MB at "
        f"the second, {answer['resident_bytes_max'] / 1e6:.1f} MB at most"
    )
    return [
        Row(
            name="memory",
            what="resident after recording 2 million trades",
            ours=second,
            peer="limit",
            peer_value=RESIDENT_MAX_MB,
            ratio=RESIDENT_MAX_MB / second,
            unit="MB",
            conditions=conditions,
            goal=1.0,
        ),
        Row(
            name="memory-growth",
            what="growth over the second million",
            ours=growth,
            peer="limit",
            peer_value=GROWTH_MAX_MB,
            # Memory may also shrink; a tenth of a megabyte is below what resident memory can tell.
            ratio=GROWTH_MAX_MB / max(growth, 0.1),
            unit="MB",
            conditions=conditions,
            goal=1.0,
        ),
    ]
