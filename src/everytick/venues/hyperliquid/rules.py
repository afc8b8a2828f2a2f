"""What Hyperliquid offers and allows. Each rule of the venue stands above the constant that obeys it.

Sources are the venue's documentation at https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api (`docs:`
below, read 2026-11-20), its published Python SDK 0.24.0 (`sdk:`), and recordings of its own traffic (`recorded:`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from everytick.model.stream import Kind
from everytick.venues.protocol import Limits, Rule

NAME: Final = "hyperliquid"

ENDPOINTS: Final[Mapping[str, str]] = {
    "ws": "wss://api.hyperliquid.xyz/ws",
    "http": "https://api.hyperliquid.xyz",
}

# docs: rate-limits-and-user-limits. Per IP address: 1200 of request weight a minute; 10 WebSocket connections,
# 30 new ones a minute, 1000 subscriptions, 2000 messages sent a minute. (Older pages allowed 100 connections;
# the stricter number holds here.)
LIMITS: Final = Limits(
    connections_max=10,
    connects_per_minute=30,
    subscriptions_max=1_000,
    sends_per_minute=2_000,
    request_weight_per_minute=1_200,
    # Ours. The largest message recorded is 177 kB (every context of every dex), the largest answer under 1 MB
    # (5000 candles). Eight megabytes is far above both and far below what could hurt a decoder; the tape takes
    # more, so that even an absurd message is evidence and not a lost connection.
    message_bytes_max=64_000_000,
    decode_bytes_max=8_000_000,
)

# docs: websocket/subscriptions. `trades` carries no sequence number and no snapshot flag, and its ids are hashes
# in no order. recorded: the first `trades` message after each subscribe repeats the 30 most recent trades (13 of
# 13 subscribes), so a trade shared with what we hold is the one proof that nothing was lost between.
SEQUENCING: Final[Mapping[Kind, Rule]] = {
    Kind.TRADES: Rule.OVERLAP,
    Kind.CANDLES: Rule.BARS,
    Kind.QUOTES: Rule.SNAPSHOT,
    Kind.BOOKS: Rule.SNAPSHOT,
    Kind.MIDS: Rule.SNAPSHOT,
    Kind.CONTEXTS: Rule.SNAPSHOT,
}

# docs: info-endpoint, candle snapshot. The intervals on offer, with their length in milliseconds; a month (`1M`)
# has no fixed length and is measured at its longest here.
MINUTE_MS: Final = 60_000
DAY_MS: Final = 1_440 * MINUTE_MS
INTERVAL_MS: Final[Mapping[str, int]] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1M": 31 * DAY_MS,
}
INTERVAL_OF_NO_FIXED_LENGTH: Final = "1M"

# The name of each kind of stream in a subscription, and on the messages that follow.
SUBSCRIPTION_TYPES: Final[Mapping[Kind, str]] = {
    Kind.TRADES: "trades",
    Kind.CANDLES: "candle",
    Kind.QUOTES: "bbo",
    Kind.BOOKS: "l2Book",
    Kind.MIDS: "allMids",
    Kind.CONTEXTS: "activeAssetCtx",
}

QUALITY: Final[Mapping[str, str]] = {
    "exact_numbers": "done",
    "venue_time": "exempt: mids and contexts carry no time of the venue; their receive time stands in",
    "documented_identity": "done",
    "loss_rule_per_kind": "done",
    "replay_after_subscribe": "done",
    "subscriptions_confirmed": "done",
    "heartbeat": "done",
    "mute_line_given_up": "done",
    "limits_with_sources": "done",
    "size_bounded_before_parsing": "done",
    "refused_item_by_item": "done",
    "unknown_message_refused": "done",
    "history": "exempt: candles only, the newest 5000 of each interval; the venue keeps no trades, quotes or books",
    "proved_on_recorded_bytes": (
        "exempt: trades, books, candles and requests are; quotes, mids and contexts are proved on messages made by hand"
    ),
}


def is_spot(coin: str) -> bool:
    """Whether a coin names a spot pair: docs: info-endpoint, `PURR/USDC` for the first pair, else `@{index}`."""
    return coin.startswith("@") or "/" in coin
