"""cryptofeed, socket → async callback that keeps the trade's id and nothing else."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from bench.peers.feed import run_feed


def main() -> None:
    """Print trades and seconds from the first to the last callback, then end."""
    order = json.loads(sys.argv[1])
    expected = order["trades"]
    ids: list[str] = []
    begin = 0.0

    async def on_trade(trade: Any, receipt: float) -> None:
        nonlocal begin
        if not ids:
            begin = time.perf_counter()
        ids.append(trade.id)
        if len(ids) == expected:
            seconds = time.perf_counter() - begin
            print(json.dumps({"trades": len(set(ids)), "seconds": seconds}), flush=True)
            os._exit(0)

    run_feed(order["port"], on_trade, order.get("dialect", "coinbase"))


if __name__ == "__main__":
    main()
