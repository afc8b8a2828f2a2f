"""cryptofeed as its users run it to PostgreSQL, for the script of faults: stock feed, stock backend, its own log.

Nothing is added: it runs until a signal, which it handles in its own way.
"""

from __future__ import annotations

import asyncio
import json
import sys

from cryptofeed import FeedHandler
from cryptofeed.backends.postgres import TradePostgres

from bench.peers.feed import feed_of


def main() -> None:
    """Record until a signal."""
    order = json.loads(sys.argv[1])
    config = {"uvloop": True, "log": {"filename": order["log"], "level": "WARNING", "disabled": False}}
    handler = FeedHandler(config=config)
    backend = TradePostgres(host=order["host"], user="postgres", db=order["database"])
    handler.add_feed(feed_of("binance", order["port"], backend, config))
    # uvloop's policy, which cryptofeed has just set, no longer makes a loop on first use; cryptofeed counts on it.
    asyncio.set_event_loop(asyncio.new_event_loop())
    handler.run()


if __name__ == "__main__":
    main()
