"""What a store's newest trades say about how often each stream speaks, so that a start need not learn it anew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.stores.protocol import Reader, RowQuery
from everytick.supervise.expect import Expectation, learnt

# Enough trades to show a habit; reading them takes a millisecond or so for each stream.
TRADES_READ = 200
STREAMS_READ_MAX = 50
SEAMS_READ = 100
# Trades closer together than the watchdog's looks are one event to it.
LOOK_NS = NS_PER_S // 2


def habits_of(reader: Reader, streams: Sequence[Stream]) -> dict[str, Expectation]:
    """The habits, by key, of those streams of trades that the store knows well enough. Raises Retryable."""
    held = reader.streams()
    trades = [stream for stream in streams if stream.kind is Kind.TRADES and stream in held]
    found = {stream.key: _habit(reader, stream) for stream in trades[:STREAMS_READ_MAX]}
    return {key: habit for key, habit in found.items() if habit.is_known}


def _habit(reader: Reader, stream: Stream) -> Expectation:
    """The gaps between a stream's newest trades, as the watchdog would have seen them.

    A gap over which the connection changed is an outage and no habit.
    """
    rows = reader.trades(RowQuery((stream,), limit=TRADES_READ))
    times = sorted({_look(row.ts_event_ns) for row in rows})
    changes = {_look(seam.ts_before_ns) for seam in reader.seams([stream], limit=SEAMS_READ)}
    return learnt(later - earlier for earlier, later in pairwise(times) if earlier not in changes)


def _look(ts_ns: int) -> int:
    return ts_ns // LOOK_NS * LOOK_NS
