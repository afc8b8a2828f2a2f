"""Times and spans as people type them, in exact integers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from everytick.errors import Refused
from everytick.model.units import NS_PER_MS, NS_PER_US

_SPAN = re.compile(r"(\d+(?:\.\d{1,3})?)(ms|s|m|h|d)", re.ASCII)
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds(text: str | None, *, option: str) -> float | None:
    """A span such as `30s`, `5m` or `1.5h` in seconds; None for none. Raises Refused."""
    if text is None:
        return None
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise Refused(f"{text!r} is no span of time", path=option, value=text, suggestion="for example 30s, 5m, 1.5h")
    whole, _, thousandths = match[1].partition(".")
    unit_ms = _UNITS[match[2]]
    span_ms = int(whole) * unit_ms + int(thousandths.ljust(3, "0") or "0") * unit_ms // 1_000
    if span_ms == 0:
        raise Refused("a span of nothing", path=option, value=text, suggestion="for example 30s")
    return span_ms / 1_000


def moment_ns(text: str, *, option: str) -> int:
    """A moment in ns: milliseconds since 1970, or ISO 8601 (`2025-09-04T19:51:31.087Z`; UTC if it names no zone).

    Raises Refused.
    """
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text) * NS_PER_MS
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{text!r} is no time", path=option, value=text, suggestion="milliseconds, or 2025-09-04T19:51:31Z"
        ) from None
    in_utc = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed
    return (in_utc - _EPOCH) // timedelta(microseconds=1) * NS_PER_US


def utc(ts_ns: int) -> str:
    """The moment in UTC with its milliseconds, `2025-09-04 19:51:31.087`."""
    moment = _EPOCH + timedelta(microseconds=ts_ns // NS_PER_US)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1_000:03d}"
