"""What may pass as a price, a size, an id, a time, a name. Everything else is refused, with a reason.

Each check takes any decoded JSON value and gives the exact value, or raises `Invalid`. Nothing is repaired,
rounded or shifted: a value that needs a guess belongs in quarantine, where its raw bytes are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from everytick.model.event import Candle
from everytick.model.units import NS_PER_MS, NS_PER_S, TS_NS_MAX

REASONS: Final[Mapping[str, str]] = {
    "oversize": "the frame is larger than the venue's limit for one message and was not parsed",
    "broken_json": "the bytes are not one JSON document (cut, mixed with other text, or badly written)",
    "too_deep": "the JSON is nested deeper than any message of the venue",
    "unknown_channel": "a message of a kind that this program does not know",
    "unknown_request": "an answer to a request that this program does not know",
    "bad_status": "the answer's HTTP status is not a success, so its body is no data",
    "broken_reply": "the frame does not begin with the line that says what was asked",
    "missing_field": "a field that the venue documents is absent",
    "wrong_type": "a value of another JSON type than documented, such as a number where text is due",
    "not_a_decimal": "text that is not a plain decimal number (exponent, blank, `_`, plus sign, other digits than 0-9)",
    "not_finite": "NaN or Infinity where a number is due",
    "too_many_digits": "more than 20 digits before the point or 18 after it",
    "negative": "a number below zero that cannot be below zero",
    "zero": "a price or size of zero where that cannot be",
    "id_out_of_range": "an id below zero or beyond a signed 64-bit integer",
    "count_out_of_range": "a count below zero or beyond a signed 64-bit integer",
    "time_in_seconds": "a time that makes sense only as seconds, where milliseconds are due",
    "time_in_microseconds": "a time that makes sense only as microseconds, where milliseconds are due",
    "time_in_nanoseconds": "a time that makes sense only as nanoseconds, where milliseconds are due",
    "time_too_early": "a time before 2009, when nothing we record existed",
    "time_too_late": "a time beyond the year 2262, where 64-bit nanoseconds end",
    "future": "a time more than 60 s later than its receipt: a wrong clock, or local time read as UTC",
    "bad_instrument": "an instrument name that is empty, longer than 64, or not printable ASCII without blanks",
    "bad_interval": "a candle interval that the venue does not offer",
    "bad_side": "a side that the venue does not document",
    "impossible_candle": "low above open, high or close; high below them; or times that do not span the interval",
    "uneven_lists": "two lists that must be of equal length are not",
    "too_many_refused": "more than 1,000 items of one frame were refused; this one counts the others",
    "conflict": "a trade that we hold came again with another price, size or side: the first is kept",
    "audit_mismatch": "a trade that the venue names, in time called complete, was not held, or held otherwise",
    "candle_revised": "the venue changed a closed candle: the new values stand, these are the old ones",
    "candle_disagrees": "a closed candle is not what our trades make of its interval, though all are held",
    "unasked_stream": "an event of a stream that nobody had asked for",
    "store_refused": "a value that no column of a store can hold, or that the database refused by a rule of its own",
    "unknown_venue": "a frame of a venue that this program does not know",
    "unsupported": "a documented message that carries less than the record needs (a spot pair's context)",
}

# 20 + 18 digits fill a DECIMAL(38, 18), the widest exact column that Arrow, Parquet and DuckDB share. The
# longest numbers seen at a venue have 10 digits before the point and 16 after it.
WHOLE_DIGITS_MAX: Final = 20
FRACTION_DIGITS_MAX: Final = 18
assert WHOLE_DIGITS_MAX + FRACTION_DIGITS_MAX == 38  # the width of decimal128

INT64_MAX: Final = 2**63 - 1
INSTRUMENT_LENGTH_MAX: Final = 64
VALUE_LENGTH_MAX: Final = 120  # of a refused value that is quoted in quarantine

TIME_MS_MIN: Final = 1_230_940_800_000  # 2009-01-03: the first block; no venue we record is older
TIME_MS_MAX: Final = TS_NS_MAX // NS_PER_MS
# Venues' clocks and ours differ by seconds at worst (1.3 s seen); an hour's error of zone is 3,600 s.
FUTURE_TOLERANCE_NS: Final = 60 * NS_PER_S

# A leading zero is refused too: Decimal would drop it, and the stored text would differ from the venue's.
_DECIMAL = re.compile(
    rf"-?(?:0|[1-9][0-9]{{0,{WHOLE_DIGITS_MAX - 1}}})(?:\.[0-9]{{1,{FRACTION_DIGITS_MAX}}})?",
    re.ASCII,
)
_UNBOUNDED_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_NOT_FINITE = frozenset({"nan", "snan", "inf", "infinity"})
_INSTRUMENT = re.compile(rf"[!-~]{{1,{INSTRUMENT_LENGTH_MAX}}}", re.ASCII)


class Invalid(ValueError):
    """A value that cannot be true. `reason` is one of REASONS; `value` is the value as text, cut short.

    `path` says where it stood, outermost step first; each level that knows more puts its step in front.
    """

    def __init__(self, reason: str, value: object = "", path: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = excerpt(value)
        self.path = path

    def within(self, step: str) -> Invalid:
        """The same finding seen from one level further out: `px` within `[3]` is `[3].px`."""
        glue = "" if not self.path or self.path[0] in "[." else "."
        self.path = f"{step}{glue}{self.path}"
        return self


def excerpt(value: object) -> str:
    """The value as text for a person, at most VALUE_LENGTH_MAX characters, control characters escaped."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, list | dict):
        return f"{'an array' if isinstance(value, list) else 'an object'} of {len(value)}"
    text = value[:VALUE_LENGTH_MAX] if isinstance(value, str) else repr(value)[:VALUE_LENGTH_MAX]
    if not text.isprintable():
        text = ascii(text)[1:-1][:VALUE_LENGTH_MAX]
    return text


def decimal_text(value: Decimal) -> str:
    """The plain decimal text of a finite value: no exponent, zeros at the end kept."""
    text = str(value)
    return text if "E" not in text else format(value, "f")


def positive(value: object) -> Decimal:
    """An exact decimal above zero, from text: prices, traded sizes. Raises Invalid."""
    number = signed(value)
    if number > 0:
        return number
    raise Invalid("negative" if number.is_signed() else "zero", value)


def non_negative(value: object) -> Decimal:
    """An exact decimal of zero or more, from text: sizes of a book level, volumes. Raises Invalid."""
    number = signed(value)
    if number.is_signed():
        raise Invalid("negative", value)
    return number


def signed(value: object) -> Decimal:
    """An exact decimal from text, where below zero is a fact (funding rates, premiums). Raises Invalid.

    `decimal_text` of the result is the text again, whatever was accepted.
    """
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise Invalid(_why_no_decimal(value), value)


def identity(value: object) -> int:
    """A venue's integer id in [0, 2**63). Raises Invalid; never accepts a bool, a float or text."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid("wrong_type", value)
    if not 0 <= value <= INT64_MAX:
        raise Invalid("id_out_of_range", value)
    return value


def count(value: object) -> int:
    """How many of something, in [0, 2**63). Raises Invalid."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid("wrong_type", value)
    if not 0 <= value <= INT64_MAX:
        raise Invalid("count_out_of_range", value)
    return value


def latest_ms(ts_recv_ns: int) -> int:
    """The last event time in milliseconds that a frame received at `ts_recv_ns` may state."""
    return (ts_recv_ns + FUTURE_TOLERANCE_NS) // NS_PER_MS


def event_time_ns(value: object, ts_recv_ns: int) -> int:
    """Nanoseconds UTC from a venue's integer milliseconds. Raises Invalid.

    A time in another unit is named as such and refused, never converted: one wrong guess would move a
    trade by years and look like data.
    """
    ts_ns = any_time_ns(value)
    if ts_ns // NS_PER_MS > latest_ms(ts_recv_ns):
        raise Invalid("future", value)
    return ts_ns


def any_time_ns(value: object) -> int:
    """Like `event_time_ns` for a time that may lie ahead, such as the end of a candle's interval."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid("wrong_type", value)
    if TIME_MS_MIN <= value <= TIME_MS_MAX:
        return value * NS_PER_MS
    raise Invalid(_why_not_ms(value), value)


def check_candle(candle: Candle, interval_ms: int, *, is_fixed: bool) -> None:
    """Raises Invalid where a candle cannot be true: its prices, or its length against its interval's in ms.

    An interval of no fixed length (a month) is measured at its longest.
    """
    if not candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high:
        prices = f"open {candle.open} high {candle.high} low {candle.low} close {candle.close}"
        raise Invalid("impossible_candle", prices)
    length_ns = candle.ts_close_ns - candle.ts_open_ns
    due_ns = interval_ms * NS_PER_MS
    if not 0 < length_ns <= due_ns or (is_fixed and length_ns != due_ns):
        raise Invalid("impossible_candle", f"{length_ns // NS_PER_MS} ms in a candle of {candle.stream.interval}")


def instrument(value: object) -> str:
    """An instrument name: 1 to 64 printable ASCII characters without blanks (`kPEPE`, `dex:COIN`, `PURR/USDC`,
    `@107`, `#5`), case kept. Raises Invalid."""
    if not isinstance(value, str):
        raise Invalid("wrong_type", value)
    if not _INSTRUMENT.fullmatch(value):
        raise Invalid("bad_instrument", value)
    return value


def _why_no_decimal(value: object) -> str:
    if not isinstance(value, str):
        return "wrong_type"
    if value.lstrip("+-").casefold() in _NOT_FINITE:
        return "not_finite"
    return "too_many_digits" if _UNBOUNDED_DECIMAL.fullmatch(value) else "not_a_decimal"


def _why_not_ms(value: int) -> str:
    # The four units' plausible ranges do not touch, so at most one unit makes sense of a number.
    if TIME_MS_MIN <= value * 1_000 <= TIME_MS_MAX:
        return "time_in_seconds"
    if TIME_MS_MIN <= value // 1_000 <= TIME_MS_MAX:
        return "time_in_microseconds"
    if TIME_MS_MIN <= value // 1_000_000 <= TIME_MS_MAX:
        return "time_in_nanoseconds"
    return "time_too_early" if value < TIME_MS_MIN else "time_too_late"


# TIME_MS_MAX is about 7.5 * TIME_MS_MIN: below 1,000, or the ranges above would touch.
assert TIME_MS_MAX < 1_000 * TIME_MS_MIN
