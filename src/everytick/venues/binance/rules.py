"""What Binance's spot market offers and allows. Each rule of the venue stands above the constant that obeys it.

Sources are the venue's documentation, https://developers.binance.com/docs/binance-spot-api-docs and its repository
https://github.com/binance/binance-spot-api-docs (`docs:` below, read 2026-11-20), and recordings of its own traffic
(`recorded:`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from everytick.model.stream import Kind
from everytick.model.units import NS_PER_S
from everytick.venues.protocol import Limits, Rule

NAME: Final = "binance"

# docs: web-socket-streams. `/stream` wraps every event as {"stream":…,"data":…}. It is needed: a quote or a partial
# book does not say by itself what kind it is, and a partial book not even of which symbol.
ENDPOINTS: Final[Mapping[str, str]] = {
    "ws": "wss://stream.binance.com:9443/stream",
    "http": "https://api.binance.com",
}

# docs: web-socket-streams, limits. 300 attempts to connect per five minutes and address, 5 messages a second to the
# server, 1024 streams per connection. docs: rest-api, limits. 6000 of request weight a minute and address, reported
# by every answer in X-MBX-USED-WEIGHT-1M; beyond it 429 with Retry-After, and for who goes on 418, a ban.
SENDS_PER_SECOND: Final = 5
LIMITS: Final = Limits(
    connections_max=300,
    connects_per_minute=60,
    subscriptions_max=1_024,
    sends_per_minute=60 * SENDS_PER_SECOND,
    request_weight_per_minute=6_000,
    # Ours. The largest answer asked for is a thousand trades or bars, under 300 kB; the same bounds as elsewhere.
    message_bytes_max=64_000_000,
    decode_bytes_max=8_000_000,
)

# docs: web-socket-streams. A connection is cut at 24 hours, and `serverShutdown` is sent before a server goes. Half an
# hour is enough for a hundred tries at a second connection.
CONNECTION_LIFE_NS: Final = 24 * 3_600 * NS_PER_S
RENEW_AFTER_NS: Final = CONNECTION_LIFE_NS - 1_800 * NS_PER_S

# recorded: 19,904 trades of BTCUSDT with ids in an unbroken row, over midnight UTC and two files (2024-08-08/09);
# docs: aggregate trades have an id of their own, in a row as well. Nothing is repeated after a subscribe.
SEQUENCING: Final[Mapping[Kind, Rule]] = {
    Kind.TRADES: Rule.DENSE,
    Kind.AGG_TRADES: Rule.DENSE,
    Kind.CANDLES: Rule.BARS,
    Kind.QUOTES: Rule.SNAPSHOT,
    Kind.BOOKS: Rule.SNAPSHOT,
}

# docs: web-socket-streams, kline intervals, with their length in milliseconds; a month has no fixed length and is
# measured at its longest here.
MINUTE_MS: Final = 60_000
DAY_MS: Final = 1_440 * MINUTE_MS
INTERVAL_MS: Final[Mapping[str, int]] = {
    "1s": 1_000,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1M": 31 * DAY_MS,
}
INTERVAL_OF_NO_FIXED_LENGTH: Final = "1M"

# docs: web-socket-streams. What follows `<symbol>@` in a stream's name; candles add their interval.
TOPICS: Final[Mapping[Kind, str]] = {
    Kind.TRADES: "trade",
    Kind.AGG_TRADES: "aggTrade",
    Kind.CANDLES: "kline_",
    Kind.QUOTES: "bookTicker",
    Kind.BOOKS: "depth20@100ms",
}

QUALITY: Final[Mapping[str, str]] = {
    "exact_numbers": "done",
    "venue_time": "exempt: quotes and partial books carry no time of the venue; their receive time stands in",
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
    "history": "exempt: trades, aggregate trades and candles; the venue keeps no quotes or books",
    "proved_on_recorded_bytes": (
        "exempt: trades, aggregate trades, candles, quotes and diffs are; partial books and answers are made by hand"
    ),
}
