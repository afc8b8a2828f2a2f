"""Socket → tape → decoded → deduplicated → SQLite, beside cryptofeed's socket → PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from bench.children import Child, answer_of
from bench.environment import peer_version, peers_python
from bench.measures.side_by_side import compare, median
from bench.report import Row, ratio_of

TRADES = 200_000
GOAL = 6.0
WAYS = {1: "`everytick run` alone", 2: "`everytick record` and `everytick project`"}


def run(work: Path) -> list[Row]:
    """One row for one trade in each message, the usual case, and one for five."""
    python = peers_python()
    folder = work / "postgres"
    folder.mkdir()
    rows = []
    with Child("bench.peers.postgres_server", {"folder": str(folder)}, python=python, seconds_max=300) as server:
        where = server.line()
        if where["fsync"] != "on":
            raise RuntimeError(f"PostgreSQL runs with fsync {where['fsync']}: its defaults are wanted")

        def postgres(port: int) -> float:
            server.ask("reset")
            order = {"port": port, "trades": TRADES, "host": where["host"]}
            answer = answer_of("bench.peers.postgres", order, python=python, seconds_max=60)
            held = server.ask("count")["distinct"]
            if held != TRADES:
                raise RuntimeError(f"PostgreSQL holds {held} distinct trades of {TRADES}")
            return TRADES / float(answer["seconds"])

        version = peer_version("cryptofeed")
        # Both sides with two processes (the peer's second one is its database), and ours with one alone.
        for name, each, processes, goal in (
            ("store-1", 1, 2, GOAL),
            ("store-1-one-process", 1, 1, 0.0),
            ("store-5", 5, 2, 0.0),
        ):
            rates = compare(TRADES, each, work / "store", postgres, store=True, processes=processes)
            rows.append(
                Row(
                    name=name,
                    what="socket → tape → decoded → deduplicated → SQLite, "
                    f"{each} trade{'s' if each > 1 else ''} a message, {WAYS[processes]}",
                    ours=median(rates.ours),
                    peer=f"cryptofeed {version}: socket → TradePostgres → PostgreSQL {where['version']}, no dedupe",
                    peer_value=median(rates.peer),
                    ratio=ratio_of(rates.ours, rates.peer),
                    unit="trades/s",
                    conditions=f"{TRADES:,} distinct trades, first message → last one committed; both fsync on, "
                    f"same disk; {rates.conditions}",
                    goal=goal,
                )
            )
    return rows
