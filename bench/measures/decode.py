"""The decoder alone, beside the JSON reader it stands on."""

from __future__ import annotations

from pathlib import Path

from bench.children import answer_of
from bench.measures.side_by_side import median
from bench.report import Row, ratio_of

TRADES = 100_000


def run(work: Path) -> list[Row]:
    """Rows that inform: how much our checks, exact prices and records cost on top of reading JSON at all."""
    rows = []
    for each in (1, 5):
        order = {"messages": TRADES // each, "trades_per_message": each}
        answer = answer_of("bench.ours.decode", order, seconds_max=60)
        rows.append(
            Row(
                name=f"decode-{each}",
                what=f"Hyperliquid message → checked trades with exact prices, {each} a message",
                ours=median(answer["ours"]),
                peer="msgspec: the same bytes → plain dicts, unchecked, prices as text",
                peer_value=median(answer["limit"]),
                ratio=ratio_of(answer["ours"], answer["limit"]),
                unit="messages/s",
                conditions=f"one thread, {answer['message_bytes']} B a message, {len(answer['ours'])} passes in turn",
            )
        )
    return rows
