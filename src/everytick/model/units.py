"""Time in integer nanoseconds UTC, and the few conversions the program needs."""

from __future__ import annotations

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

# The last nanosecond that a signed 64-bit count can hold is in the year 2262; every column that keeps a
# time is a signed 64-bit integer.
TS_NS_MAX = 2**63 - 1


def ms_from_ns(ts_ns: int) -> int:
    """Milliseconds since 1970, rounded down, from nanoseconds."""
    return ts_ns // NS_PER_MS


def ns_from_ms(ts_ms: int) -> int:
    """Nanoseconds since 1970 from milliseconds."""
    return ts_ms * NS_PER_MS
