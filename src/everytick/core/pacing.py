"""How fast we may knock: budgets, waits that a venue asks for, and spreading retries. Time and dice are handed in.

All times are monotonic nanoseconds unless a name says otherwise. One `VenuePace` is shared by everything that
talks to a venue from this address, because the venue counts by address, not by connection.
"""

from __future__ import annotations

import calendar
import re
from enum import IntEnum
from typing import Final

from everytick.model.units import NS_PER_S

NS_PER_MINUTE: Final = 60 * NS_PER_S

# A venue that asks for longer is asked again after ten minutes: one request then is cheap, and an absurd header
# (a date of next year, 10**9 seconds) must not stop a recorder.
RETRY_AFTER_S_MAX: Final = 600

# 1 s, 2 s, 4 s ... 60 s: quick enough for a cut line, and a venue that is down for hours gets one knock a minute.
BACKOFF_FIRST_NS: Final = NS_PER_S
BACKOFF_CAP_NS: Final = 60 * NS_PER_S

_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT",
    re.ASCII,
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Priority(IntEnum):
    """Who goes first when a venue's allowance is short. What is not asked live is gone for ever; history waits."""

    LIVE = 0
    BACKFILL = 1
    AUDIT = 2


class Budget:
    """At most `per_minute` units in any 60 seconds: a token bucket of exact integers.

    Half of the allowance may be spent at once and the other half flows back over the minute, so even the
    minute that holds the burst stays within the limit. A plain bucket of full size would allow twice as much.
    """

    def __init__(self, per_minute: int) -> None:
        if per_minute < 2:
            raise ValueError(f"a budget of {per_minute} a minute leaves nothing to spend: use 2 or more")
        self.burst: Final = per_minute // 2
        self._flow = per_minute - self.burst  # units a minute; also credit points per nanosecond
        self._full = self.burst * NS_PER_MINUTE  # one unit is NS_PER_MINUTE credit points
        self._credit = self._full
        self._seen_ns: int | None = None
        self._held_until_ns: int | None = None

    def take(self, mono_ns: int, weight: int = 1, keep: int = 0) -> int:
        """Spend `weight` units now and return 0, or spend nothing and return how many ns to wait first.

        `keep` units, as far as the budget has them at once, must be left for those who go first.
        Raises ValueError for a weight that no wait could pay for.
        """
        if not 0 < weight <= self.burst:
            raise ValueError(f"weight {weight} is outside 1..{self.burst}, the most this budget gives at once")
        self._refill(mono_ns)
        held_ns = max(0, self._held_until_ns - mono_ns) if self._held_until_ns is not None else 0
        short = min(weight + keep, self.burst) * NS_PER_MINUTE - self._credit
        if held_ns == 0 and short <= 0:
            self._credit -= weight * NS_PER_MINUTE
            return 0
        return max(held_ns, -(-max(0, short) // self._flow))

    def charge(self, mono_ns: int, weight: int) -> None:
        """Settle what something really cost after it was done: more (into debt if need be), or below 0, less."""
        self._refill(mono_ns)
        self._credit = min(self._full, self._credit - weight * NS_PER_MINUTE)

    def left(self, mono_ns: int) -> int:
        """Units that could be spent now: 0 while held, below 0 in debt. Changes nothing, so any thread may ask."""
        if self._held_until_ns is not None and mono_ns < self._held_until_ns:
            return 0
        elapsed_ns = 0 if self._seen_ns is None else max(0, mono_ns - self._seen_ns)
        return min(self._full, self._credit + elapsed_ns * self._flow) // NS_PER_MINUTE

    def hold(self, mono_ns: int, wait_ns: int) -> None:
        """Give nothing until `wait_ns` from now: the venue said so. A shorter hold never shortens a longer one."""
        until_ns = mono_ns + wait_ns
        if self._held_until_ns is None or until_ns > self._held_until_ns:
            self._held_until_ns = until_ns

    def _refill(self, mono_ns: int) -> None:
        if self._seen_ns is None:
            self._seen_ns = mono_ns
        elapsed_ns = max(0, mono_ns - self._seen_ns)
        self._credit = min(self._full, self._credit + elapsed_ns * self._flow)
        self._seen_ns = max(self._seen_ns, mono_ns)


class VenuePace:
    """Everything that one address may do at one venue in a minute. One per venue and process."""

    def __init__(self, *, connects_per_minute: int, sends_per_minute: int, request_weight_per_minute: int) -> None:
        self.connects: Final = Budget(connects_per_minute)
        self.sends: Final = Budget(sends_per_minute)
        self.requests: Final = Budget(request_weight_per_minute)

    def hold(self, mono_ns: int, wait_ns: int) -> None:
        """The venue told this address to wait: neither connects nor requests until then."""
        self.connects.hold(mono_ns, wait_ns)
        self.requests.hold(mono_ns, wait_ns)


class Backoff:
    """Growing waits between failed tries: doubled each time, capped, spread over their upper half.

    It never gives up; only `reset`, called when data arrives, makes it short again. An open connection alone
    is no success: a venue that accepts and drops at once would be hammered.
    """

    def __init__(self, first_ns: int = BACKOFF_FIRST_NS, cap_ns: int = BACKOFF_CAP_NS) -> None:
        if not 0 < first_ns <= cap_ns:
            raise ValueError(f"first wait {first_ns} ns must be above 0 and at most the cap {cap_ns} ns")
        self._first_ns = first_ns
        self._cap_ns = cap_ns
        self._wait_ns = first_ns
        self.failures = 0

    def next_ns(self, jitter: float) -> int:
        """How long to wait after one more failure. `jitter` is in [0, 1), from the program's dice."""
        if not 0 <= jitter < 1:
            raise ValueError(f"jitter {jitter!r} is outside [0, 1)")
        half_ns = self._wait_ns // 2
        wait_ns = self._wait_ns - half_ns + half_ns * int(jitter * 1_000_000) // 1_000_000
        self.failures += 1
        self._wait_ns = min(self._cap_ns, self._wait_ns * 2)
        return wait_ns

    def reset(self) -> None:
        """Data arrived: the next failure is a first one."""
        self._wait_ns = self._first_ns
        self.failures = 0


def retry_after_ns(header: str | None, wall_ns: int) -> int:
    """How long a Retry-After header asks us to wait, in ns, at most RETRY_AFTER_S_MAX; 0 where it asks nothing.

    Seconds or an HTTP date (RFC 9110 §10.2.3, https://www.rfc-editor.org/rfc/rfc9110#field.retry-after, read
    2026-11). Missing, zero, negative, past or unreadable all mean 0: our own backoff decides then.
    """
    text = (header or "").strip(" \t")
    if text.isascii() and text.isdigit():
        # No int() of a text of unbounded length: ten digits are far over the cap already.
        seconds = int(text) if len(text) < 10 else RETRY_AFTER_S_MAX
        return min(seconds, RETRY_AFTER_S_MAX) * NS_PER_S
    until_ns = _http_date_ns(text)
    if until_ns is None:
        return 0
    return min(max(0, until_ns - wall_ns), RETRY_AFTER_S_MAX * NS_PER_S)


def _http_date_ns(text: str) -> int | None:
    found = _HTTP_DATE.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[group]) for group in (1, 3, 4, 5, 6))
    month = _MONTHS.index(found[2]) + 1
    is_real = year >= 1970 and 1 <= day <= calendar.monthrange(year, month)[1]
    if not is_real or hour > 23 or minute > 59 or second > 60:
        return None
    return calendar.timegm((year, month, day, hour, minute, second)) * NS_PER_S
