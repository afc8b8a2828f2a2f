"""Binance spot: the reference venue, whose trades have ids in an unbroken row.

- `rules`: what the venue offers and allows, with sources.
- `conversation`: one WebSocket connection's conversation, and when it must be renewed.
- `decoding`: messages to events; `fast` reads an event at once, `careful` field by field, refusing what is bad;
  `runs` reads stretches of trades.
- `answers`: what the answers of the REST API hold; `requests`: what it can be asked, and the price.
- `wire`, `names`: the typed messages and the checked texts.
"""

from everytick.venues.binance.conversation import session
from everytick.venues.binance.decoding import decode
from everytick.venues.binance.requests import (
    agg_trades,
    depth,
    exchange_info,
    historical_trades,
    history,
    klines,
    polls,
    recent_trades,
    server_time,
    used_weight,
)
from everytick.venues.binance.rules import ENDPOINTS, LIMITS, NAME, QUALITY, SEQUENCING
from everytick.venues.binance.runs import trade_run

__all__ = [
    "ENDPOINTS",
    "LIMITS",
    "NAME",
    "QUALITY",
    "SEQUENCING",
    "agg_trades",
    "decode",
    "depth",
    "exchange_info",
    "historical_trades",
    "history",
    "klines",
    "polls",
    "recent_trades",
    "server_time",
    "session",
    "trade_run",
    "used_weight",
]
