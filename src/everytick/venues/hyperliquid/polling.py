"""What is asked over HTTP again and again: cross-checks of what is streamed, and what is never streamed.

The stream is the record; answers to polls are compared with it. Only the watched accounts' positions come by polls
alone: the venue keeps no past of them, so what is not asked in time is lost for ever, and they are asked first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from everytick.core.pacing import Priority
from everytick.model.stream import Kind, Stream
from everytick.model.units import ms_from_ns
from everytick.venues.hyperliquid.requests import (
    candle_snapshot,
    clearinghouse_state,
    meta_and_asset_ctxs,
    recent_trades,
)
from everytick.venues.hyperliquid.rules import INTERVAL_MS, LIMITS, NAME
from everytick.venues.protocol import Poll, Request

# Polls may spend half of the venue's allowance; the rest is for backfill and for asking again what failed.
WEIGHT_PER_MINUTE_MAX: Final = LIMITS.request_weight_per_minute // 2

# Bars asked for each time: those of the last hour, and never fewer than three (the forming one, the one that has
# just closed, and one before it that may have been revised).
LOOK_BACK_MS: Final = 3_600_000
BARS_MIN: Final = 3


def polls(streams: Sequence[Stream], accounts: Sequence[str], every_s: float) -> Sequence[Poll]:
    """A poll for each stream that can be checked, one for all contexts, and one for the accounts together.

    Every `every_s` seconds, or less often where that would cost more than half of the venue's allowance: then the
    checks of streams are stretched and the accounts are not.
    """
    held = _vaults(streams, accounts, every_s)
    checks = [_check(stream, every_s) for stream in streams if stream.kind in (Kind.TRADES, Kind.CANDLES)]
    if any(stream.kind is Kind.CONTEXTS for stream in streams):
        checks.append(Poll("metaAndAssetCtxs", every_s, lambda _: [meta_and_asset_ctxs()]))
    stretch = max(1.0, sum(map(_weight_per_minute, checks)) / WEIGHT_PER_MINUTE_MAX)
    return [*held, *(msgspec.structs.replace(poll, every_s=every_s * stretch) for poll in checks)]


def _vaults(streams: Sequence[Stream], accounts: Sequence[str], every_s: float) -> list[Poll]:
    feeds = tuple(stream for stream in streams if stream.kind is Kind.VAULTS and stream.venue == NAME)
    requests = [clearinghouse_state(address) for address in dict.fromkeys(accounts)]
    if not requests or not feeds:
        return []
    return [Poll("clearinghouseState", every_s, lambda _: requests, Priority.LIVE, feeds)]


def _check(stream: Stream, every_s: float) -> Poll:
    coin, interval = stream.instrument, stream.interval
    if stream.kind is Kind.TRADES:
        return Poll(f"recentTrades {coin}", every_s, lambda _: [recent_trades(coin)], Priority.AUDIT)
    back_ms = max(LOOK_BACK_MS, BARS_MIN * INTERVAL_MS[interval])

    def bars(wall_ns: int) -> Sequence[Request]:
        now_ms = ms_from_ns(wall_ns)
        return [candle_snapshot(coin, interval, now_ms - back_ms, now_ms)]

    return Poll(f"candleSnapshot {coin} {interval}", every_s, bars, Priority.AUDIT)


def _weight_per_minute(poll: Poll) -> float:
    return sum(request.weight for request in poll.ask(LOOK_BACK_MS * 10**12)) * 60 / poll.every_s
