"""Content by Accept (RFC 9110 §12.5.1) and the writers of each format."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
from collections.abc import Sequence
from typing import Any, get_type_hints

import msgspec

from everytick.serve.refusal import RequestRefused

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
TEXT = "text/plain"

# What goes on the wire for each; CSV as RFC 4180 has it, with a header line.
CONTENT_TYPES = {
    JSON: b"application/json",
    CSV: b"text/csv; charset=utf-8; header=present",
    ARROW: ARROW.encode(),
    TEXT: b"text/plain; version=0.0.4; charset=utf-8",
}

HAS_ARROW = importlib.util.find_spec("pyarrow") is not None

_ARROW_TYPES = {int: "int64", int | None: "int64", str: "string", str | None: "string", bool: "bool_"}


def choose(accept: str, offered: Sequence[str], *, has_arrow: bool = HAS_ARROW) -> str:
    """The best offered format for this Accept header; the first one offered where the caller has no wish.

    Raises RequestRefused (406) naming what is offered, or the extra to install for Arrow.
    """
    if not accept or accept == "*/*":
        return offered[0]
    ranges = _ranges(accept)
    here = [name for name in offered if name != ARROW or has_arrow]
    best, best_q = _best(ranges, here)
    if best_q > 0:
        return best
    if len(here) < len(offered) and _best(ranges, offered)[1] > 0:
        raise RequestRefused(
            406,
            "Arrow needs pyarrow, which is not installed here: pip install 'everytick[arrow]'",
            parameter="Accept",
            value=accept,
            expected=", ".join(here),
        )
    raise RequestRefused(
        406, f"this is offered as {', '.join(here)}", parameter="Accept", value=accept, expected=", ".join(here)
    )


def _best(ranges: dict[str, float], offered: Sequence[str]) -> tuple[str, float]:
    return max(((name, _quality(ranges, name)) for name in offered), key=lambda pair: pair[1])  # the first of equals


def _quality(ranges: dict[str, float], name: str) -> float:
    # The most specific range decides: text/csv;q=0 beside */* means anything but CSV.
    for wanted in (name, name.split("/")[0] + "/*", "*/*"):
        if wanted in ranges:
            return ranges[wanted]
    return 0.0


def _ranges(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, text = parameter.partition("=")
            if name.strip() == "q":
                # Weights have at most three decimals; what is not a weight is no wish at all.
                quality = float(text) if text.replace(".", "", 1).isdecimal() and text.isascii() else 0.0
        ranges[media] = max(ranges.get(media, 0.0), min(quality, 1.0))
    return ranges


def csv_bytes(row_type: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> bytes:
    """The rows as CSV with a header line, quoted where needed; None is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(row_type.__struct_fields__)
    writer.writerows(map(msgspec.structs.astuple, rows))
    return text.getvalue().encode()


def arrow_bytes(row_type: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> bytes:
    """The rows as one Arrow IPC stream, columns named and typed as the Struct's fields."""
    # By name and only when first asked for: pyarrow is an extra, and costs 50 MB that a recorder need not pay.
    pa: Any = importlib.import_module("pyarrow")
    hints = get_type_hints(row_type)
    names = row_type.__struct_fields__
    schema = pa.schema([(name, getattr(pa, _ARROW_TYPES[hints[name]])()) for name in names])
    columns = zip(*map(msgspec.structs.astuple, rows), strict=True) if rows else [()] * len(names)
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(pa.record_batch(arrays, schema=schema))
    result: bytes = sink.getvalue().to_pybytes()
    return result
