"""Which files of the venue's archive hold which hour, and what they can prove.

docs: historical-data (https://hyperliquid.gitbook.io/hyperliquid-docs/historical-data, read 2026-11-20): the bucket
`hl-mainnet-node-data` holds what nodes wrote, one LZ4 file of JSON lines an hour: node_trades from 2025-03-22 to
2025-06-21, node_fills from 2025-05-25 14h to 2025-07-27 8h, node_fills_by_block from then on. The requester pays.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from typing import Final

from everytick.model.units import NS_PER_S
from everytick.venues.archived import HOUR_NS, Hour

BUCKET: Final = "s3://hl-mainnet-node-data"

BY_BLOCK, FILLS, TRADES = "node_fills_by_block", "node_fills", "node_trades"

# A file is filled by the time at which a node wrote, which is after the time of the block: what happened just
# before the hour's end may stand in the next file. A minute is far more than a node that keeps up is behind.
LATE_NS: Final = 60 * NS_PER_S


def _hour(year: int, month: int, day: int, hour: int) -> int:
    return calendar.timegm((year, month, day, hour, 0, 0)) * NS_PER_S


# The first and the last day of node_trades may be cut at an unknown hour: they are left out. The hours in which
# one kind began and the other ended are known, and there it takes both.
_TRADES_FROM, _TRADES_TO = _hour(2025, 3, 23, 0), _hour(2025, 6, 21, 0)
_FILLS_FROM, _FILLS_TO = _hour(2025, 5, 25, 15), _hour(2025, 7, 27, 8)


def hours(from_ns: int, to_ns: int) -> list[Hour]:
    """Every hour of which files are needed to know all of [from_ns, to_ns), in order, those for late lines too."""
    first = from_ns - from_ns % HOUR_NS
    return [Hour(at, _choices(at)) for at in range(first, to_ns + LATE_NS, HOUR_NS)]


def kind_of(file: str) -> str:
    """The kind of lines in a file, from its path."""
    return file.partition("/")[0]


def _choices(at: int) -> tuple[tuple[str, ...], ...]:
    """The kinds that hold an hour, best first: fills name the venue's own trade id, node_trades does not."""
    if at > _FILLS_TO:
        return ((_file(BY_BLOCK, at),),)
    if at == _FILLS_TO:
        return ((_file(FILLS, at), _file(BY_BLOCK, at)),)
    found = []
    if at >= _FILLS_FROM:
        found.append((_file(FILLS, at),))
    if _TRADES_FROM <= at < _TRADES_TO:
        found.append((_file(TRADES, at),))
    return tuple(found)


def _file(kind: str, at: int) -> str:
    moment = datetime.fromtimestamp(at // NS_PER_S, UTC)
    return f"{kind}/hourly/{moment:%Y%m%d}/{moment.hour}.lz4"
