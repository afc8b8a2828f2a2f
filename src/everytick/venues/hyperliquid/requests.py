"""The questions that POST /info answers, as data, with the weight that each costs.

docs: rate-limits-and-user-limits. l2Book, allMids and clearinghouseState weigh 2, the other requests
here 20; recentTrades costs 1 more for every 20 items of its answer and candleSnapshot 1 more for every 60. A weight
here is the most that the answer due can cost; what it did cost is settled once it is there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from everytick.core.validate import TIME_MS_MAX, instrument
from everytick.errors import Refused
from everytick.model.ledger import Gap
from everytick.model.stream import Kind
from everytick.model.units import ms_from_ns
from everytick.venues.hyperliquid.rules import INTERVAL_MS
from everytick.venues.protocol import Request

# docs: info-endpoint, candle snapshot. Only the most recent 5000 candles are available.
CANDLES_MAX: Final = 5_000
CANDLES_PER_WEIGHT: Final = 60
# recorded: recentTrades answers with the last 10 trades (undocumented; the weight rule expects more than 20).
RECENT_TRADES_MAX: Final = 10
TRADES_PER_WEIGHT: Final = 20
ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
LIGHT: Final = 2
USUAL: Final = 20

_encode: Final = msgspec.json.Encoder().encode


def recent_trades(coin: str) -> Request:
    """The newest trades of a coin: about ten, so it proves that trades happen but bridges no outage."""
    return _info({"type": "recentTrades", "coin": instrument(coin)}, USUAL, RECENT_TRADES_MAX, TRADES_PER_WEIGHT)


def candle_snapshot(coin: str, interval: str, start_ms: int, end_ms: int) -> Request:
    """Candles that overlap [start_ms, end_ms], ascending, at most the 5000 newest of the interval.

    Units: milliseconds since 1970. Raises Refused for an unknown interval or times out of order.
    """
    interval_ms = _interval_ms(interval)
    if not 0 <= start_ms <= end_ms <= TIME_MS_MAX:
        raise Refused(f"{start_ms} to {end_ms} ms is no stretch of time", path="start_ms", value=start_ms)
    bars = min((end_ms - start_ms) // interval_ms + 2, CANDLES_MAX)
    span = {"coin": instrument(coin), "interval": interval, "startTime": start_ms, "endTime": end_ms}
    return _info({"type": "candleSnapshot", "req": span}, USUAL, bars, CANDLES_PER_WEIGHT)


def meta() -> Request:
    """The names of all perpetuals."""
    return _info({"type": "meta"}, USUAL)


def meta_and_asset_ctxs() -> Request:
    """The names of all perpetuals, and each one's open interest, funding and reference prices."""
    return _info({"type": "metaAndAssetCtxs"}, USUAL)


def all_mids() -> Request:
    """The mid prices of all instruments."""
    return _info({"type": "allMids"}, LIGHT)


def l2_book(coin: str) -> Request:
    """A coin's order book, at most 20 levels on each side."""
    return _info({"type": "l2Book", "coin": instrument(coin)}, LIGHT)


def history(gap: Gap) -> Sequence[Request] | None:
    """The requests whose answers could fill the gap: candles only.

    None for every other kind. docs: info-endpoint offers no past trades, quotes, books, mids or contexts of a coin,
    and recentTrades has no range; the archive in object storage (docs: historical-data) is no part of this API.
    """
    if gap.stream.kind is not Kind.CANDLES:
        return None
    interval_ms = _interval_ms(gap.stream.interval)
    start_ms, end_ms = ms_from_ns(gap.from_ns), ms_from_ns(gap.to_ns)
    page_ms = CANDLES_MAX * interval_ms
    # The newest page alone can have an answer: older bars than the newest 5000 are gone, and a request for
    # them would come back empty and prove nothing.
    first_ms = max(start_ms, end_ms - page_ms + interval_ms)
    return [candle_snapshot(gap.stream.instrument, gap.stream.interval, first_ms, end_ms)]


def clearinghouse_state(address: str) -> Request:
    """What an account holds: all its positions and its worth. Raises Refused for what is no address."""
    if not ADDRESS.fullmatch(address):
        raise Refused(
            f"{address!r} is no address",
            path="vaults",
            value=address,
            suggestion="0x and 40 hexadecimal digits, as the venue's page of the vault shows it",
        )
    return _info({"type": "clearinghouseState", "user": address.lower()}, LIGHT)


def _info(body: dict[str, Any], weight: int, items: int = 0, items_per_weight: int = 0) -> Request:
    dearest = weight - (-items // items_per_weight) if items_per_weight else weight
    return Request(body["type"], "POST", "/info", _encode(body), dearest, weight, items_per_weight)


def _interval_ms(interval: str) -> int:
    if interval not in INTERVAL_MS:
        offered = ", ".join(INTERVAL_MS)
        raise Refused(f"no candles of {interval!r}", path="interval", value=interval, suggestion=f"one of {offered}")
    return INTERVAL_MS[interval]
