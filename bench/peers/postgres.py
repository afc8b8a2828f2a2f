"""cryptofeed, socket → its stock TradePostgres backend → a real PostgreSQL, as its users run it.

The only addition: `write_batch` counts what its own code has committed, so that the end is known.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from cryptofeed.backends.postgres import TradePostgres

from bench.peers.feed import run_feed


def main() -> None:
    """Print seconds from the first trade to the last commit, then end."""
    order = json.loads(sys.argv[1])
    expected = order["trades"]

    class Counting(TradePostgres):
        begin = 0.0
        committed = 0

        async def __call__(self, trade: Any, receipt: float) -> None:
            if not self.begin:
                self.begin = time.perf_counter()
            await super().__call__(trade, receipt)

        async def write_batch(self, updates: list[Any]) -> None:
            await super().write_batch(updates)
            self.committed += len(updates)
            if self.committed >= expected:
                seconds = time.perf_counter() - self.begin
                print(json.dumps({"trades": self.committed, "seconds": seconds}), flush=True)
                os._exit(0)

    backend = Counting(host=order["host"], user="postgres", db="postgres")
    run_feed(order["port"], backend, order.get("dialect", "coinbase"))


if __name__ == "__main__":
    main()
