"""Where a page of rows begins and ends in one stream: the same rule for every store, or cursors would not be."""

from __future__ import annotations

from everytick.stores.holding import INT64_MAX, INT64_MIN
from everytick.stores.protocol import RowQuery

Key = tuple[int, int]  # (time ns, id) within a stream


def bounds(query: RowQuery, number: int) -> tuple[Key, Key]:
    """The keys of this stream that the query asks for lie strictly between these two."""
    low: Key = (query.since_ns - 1, INT64_MAX)
    high: Key = (query.until_ns, INT64_MIN)
    if query.after is not None:
        ts_ns, at, row_id = query.after
        # Rows of one time go by stream number: where the cursor stands, lower numbers lie behind it (ascending).
        if query.descending:
            high = min(high, (ts_ns, row_id) if number == at else (ts_ns + (number < at), INT64_MIN))
        else:
            low = max(low, (ts_ns, row_id) if number == at else (ts_ns - (number > at), INT64_MAX))
    return _fitting(low), _fitting(high)


def _fitting(key: Key) -> Key:
    # A cursor from outside may hold any number; beyond 64 bits there are no rows.
    ts_ns, row_id = key
    return max(INT64_MIN, min(ts_ns, INT64_MAX)), max(INT64_MIN, min(row_id, INT64_MAX))
