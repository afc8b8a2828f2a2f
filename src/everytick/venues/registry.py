"""Every venue by its name. The dict is typed, so the type checker proves that each module keeps the contract."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

from everytick.errors import Refused
from everytick.venues import binance, hyperliquid
from everytick.venues.protocol import TradeRuns, Venue

VENUES: Final[Mapping[str, Venue]] = {
    hyperliquid.NAME: hyperliquid,
    binance.NAME: binance,
}

# Venues that have a faster way to read runs of trade messages.
TRADE_RUNS: Final[Mapping[str, TradeRuns]] = {
    hyperliquid.NAME: hyperliquid.trade_run,
    binance.NAME: binance.trade_run,
}

# What the house asks of a venue. Each venue's QUALITY says `done` or `exempt: why` for every one of these.
QUALITY_RULES: Final[Mapping[str, str]] = {
    "exact_numbers": "prices and sizes become Decimal from the venue's own text, never through a float",
    "venue_time": "every event carries the venue's own time, its unit and zone known",
    "documented_identity": "an event's identity is the key that the venue documents",
    "loss_rule_per_kind": "each kind of stream has a rule that tells loss",
    "replay_after_subscribe": "what a venue repeats after a subscribe is known and told from new data",
    "subscriptions_confirmed": "streams asked for and streams confirmed are told apart, and asked again",
    "heartbeat": "a quiet connection is kept alive within the venue's idle limit",
    "mute_line_given_up": "a connection on which nothing arrives is closed by us, with the reason",
    "limits_with_sources": "each limit of the venue is a constant with its source and date",
    "size_bounded_before_parsing": "a message beyond the size limit is refused unread",
    "refused_item_by_item": "one bad item of a message is refused alone",
    "unknown_message_refused": "a message of an unknown kind is refused and counted, never skipped",
    "history": "what the venue keeps of the past can be asked for",
    "proved_on_recorded_bytes": "tests decode bytes that the venue really sent",
}


def venue(name: str) -> Venue:
    """The venue called `name`. Raises Refused, with the nearest name, where there is none."""
    if name in VENUES:
        return VENUES[name]
    near = difflib.get_close_matches(name.lower(), VENUES, n=1)
    suggestion = f"did you mean {near[0]!r}?" if near else f"known venues: {', '.join(sorted(VENUES))}"
    raise Refused(f"no venue is called {name!r}", path="venue", value=name, suggestion=suggestion)
