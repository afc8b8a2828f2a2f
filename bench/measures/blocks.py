"""The tape's blocks alone, beside what zstd and CRC take for the same bytes."""

from __future__ import annotations

from pathlib import Path

from bench.children import answer_of
from bench.measures.side_by_side import median
from bench.report import Row, ratio_of

MESSAGES = 100_000
PER_BLOCK = 5_000


def run(work: Path) -> list[Row]:
    """Rows that inform: how much the format costs on top of compressing and checking at all."""
    answer = answer_of("bench.ours.blocks", {"messages": MESSAGES, "per_block": PER_BLOCK}, seconds_max=60)
    conditions = (
        f"one thread, blocks of {PER_BLOCK:,} messages, {answer['raw']:.0f} B each → {answer['stored']:.0f} B on the "
        f"tape, zstd level {answer['level']}"
    )
    rows = []
    for name, what, peer in (
        ("encode", "frames → block", "zstd + CRC of the joined payloads"),
        ("decode", "block → frames", "CRC + zstd to the joined payloads"),
    ):
        ours, limit = answer[name], answer[f"{name}_limit"]
        rows.append(
            Row(
                name=f"blocks-{name}",
                what=what,
                ours=median(ours),
                peer=peer,
                peer_value=median(limit),
                ratio=ratio_of(ours, limit),
                unit="messages/s",
                conditions=conditions,
            )
        )
    return rows
