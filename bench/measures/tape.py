"""Socket → durable tape, beside cryptofeed's socket → async callback that stores nothing."""

from __future__ import annotations

from pathlib import Path

from bench.children import answer_of
from bench.environment import peer_version, peers_python
from bench.measures.side_by_side import compare, median
from bench.report import Row, ratio_of

TRADES = 600_000
GOAL = 5.0


def run(work: Path) -> list[Row]:
    """One row for one trade in each message, the usual case, and one for five."""
    python = peers_python()

    def callback(port: int) -> float:
        answer = answer_of("bench.peers.callback", {"port": port, "trades": TRADES}, python=python, seconds_max=60)
        if answer["trades"] != TRADES:
            raise RuntimeError(f"cryptofeed's callback saw {answer['trades']} distinct trades of {TRADES}")
        return TRADES / float(answer["seconds"])

    version = peer_version("cryptofeed")
    rows = []
    for each, goal in ((1, GOAL), (5, 0.0)):
        rates = compare(TRADES, each, work / "tape", callback, store=False)
        rows.append(
            Row(
                name=f"tape-{each}",
                what=f"socket → durable tape, {each} trade{'s' if each > 1 else ''} a message",
                ours=median(rates.ours),
                peer=f"cryptofeed {version}: socket → async callback, nothing stored",
                peer_value=median(rates.peer),
                ratio=ratio_of(rates.ours, rates.peer),
                unit="trades/s",
                conditions=f"{TRADES:,} distinct trades, first message → last one fdatasynced; {rates.conditions}",
                goal=goal,
            )
        )
    return rows
