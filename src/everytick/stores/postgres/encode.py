"""Rows as the text lines that COPY takes. The trades' own loop is the hot one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from everytick.errors import Fatal
from everytick.stores.protocol import Batch
from everytick.stores.rows import Numbers, Rows

# The server works on one part while we spell the next.
ROWS_PER_PART = 1_000


def trade_lines(batch: Batch, numbers: Numbers) -> Iterator[str]:
    """The batch's trades in parts. No text in them needs escaping: a side is one of three words, the rest digits."""
    trades = batch.trades
    for start in range(0, len(trades), ROWS_PER_PART):
        part = "".join(
            [
                f"{numbers[stream]}\t{ts_ns}\t{trade_id}\t{price}\t{size}\t{side}\t{ts_recv_ns}\t{offset}\n"
                for stream, ts_ns, trade_id, price, size, side, ts_recv_ns, offset in trades[
                    start : start + ROWS_PER_PART
                ]
            ]
        )
        # NUMERIC takes NaN and Infinity for numbers, and drops the sign of a zero; one look at the text finds them.
        if "N" in part or "I" in part or "\t-" in part:
            _refuse_numbers([text for trade in trades[start : start + ROWS_PER_PART] for text in trade[3:5]])
        yield part


def not_numeric(text: str) -> str:
    """Why NUMERIC would not give this number back as it is; empty if it would."""
    if not text.lstrip("-")[:1].isdigit():
        return f"{text} is no finite number"
    return f"{text} is a zero with a minus" if is_minus_zero(text) else ""


def is_minus_zero(text: str | None) -> bool:
    """Whether the text is a zero with a minus, whose sign NUMERIC would drop."""
    return text is not None and text.startswith("-") and not text.strip("-0.")


def refuse_numbers(rows: Rows, columns: slice) -> Rows:
    """The rows again. Raises ValueError if a number of these columns is one that NUMERIC cannot give back."""
    _refuse_numbers([text for row in rows for text in row[columns]])
    return rows


def lines(rows: Rows) -> str:
    """Any rows; texts are escaped, None is the null of COPY, bytes are hex."""
    return "".join(["\t".join([_cell(value) for value in row]) + "\n" for row in rows])


def columns(rows: Rows) -> list[list[object]]:
    """One list for each column of the rows. Raises Fatal if there are none: a list has no type then."""
    if not rows:
        raise Fatal("no rows have no columns")
    return [list(column) for column in zip(*rows, strict=True)]


def _refuse_numbers(numbers: Sequence[object]) -> None:
    for number in numbers:
        if isinstance(number, str) and (reason := not_numeric(number)):
            raise ValueError(reason)


def _cell(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    text = str(value)
    if "\\" in text or "\t" in text or "\n" in text or "\r" in text:
        text = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return text
