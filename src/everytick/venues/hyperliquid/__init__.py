"""Hyperliquid: perpetuals and spot pairs of one on-chain order book.

- `rules`: what the venue offers and allows, with sources.
- `conversation`: one WebSocket connection's conversation.
- `decoding`: frames to events; `fast` reads whole frames, `careful` reads item by item and refuses what is bad.
- `runs`: runs of trade messages read at once.
- `requests`: what POST /info can be asked, and its price; `polling`: what is asked again and again.
- `answers`: what an answer means in the light of its question.
- `wire`, `names`, `fields`: the typed messages, the checked texts, and reading one field at a time.
"""

from everytick.venues.hyperliquid.conversation import session
from everytick.venues.hyperliquid.decoding import decode
from everytick.venues.hyperliquid.polling import polls
from everytick.venues.hyperliquid.requests import (
    all_mids,
    candle_snapshot,
    clearinghouse_state,
    history,
    l2_book,
    meta,
    meta_and_asset_ctxs,
    recent_trades,
)
from everytick.venues.hyperliquid.rules import ENDPOINTS, LIMITS, NAME, QUALITY, SEQUENCING
from everytick.venues.hyperliquid.runs import trade_run

__all__ = [
    "ENDPOINTS",
    "LIMITS",
    "NAME",
    "QUALITY",
    "SEQUENCING",
    "all_mids",
    "candle_snapshot",
    "clearinghouse_state",
    "decode",
    "history",
    "l2_book",
    "meta",
    "meta_and_asset_ctxs",
    "polls",
    "recent_trades",
    "session",
    "trade_run",
]
