"""The tables as this program writes and dumps them: columns with their types, in the order of `stores.rows`."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple


class Table(NamedTuple):
    """A table: its columns with their types, and how many of the first make its key."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]

    @property
    def names(self) -> str:
        """The columns, for a statement."""
        return ", ".join(name for name, _ in self.columns)

    @property
    def copy(self) -> str:
        """The statement that takes rows as text lines."""
        return f"COPY {self.name} ({self.names}) FROM STDIN"

    @property
    def insert(self) -> str:
        """The statement that takes one row."""
        values = ", ".join(f"%s::{kind}" for _, kind in self.columns)
        return f"INSERT INTO {self.name} ({self.names}) VALUES ({values})"

    @property
    def insert_new(self) -> str:
        """The statement that takes one array for each column, and leaves rows that are there as they are."""
        return f"INSERT INTO {self.name} ({self.names}) SELECT * FROM {self._arrays} ON CONFLICT DO NOTHING"

    @property
    def put(self) -> str:
        """The statement that takes one array for each column, and replaces rows that are there."""
        rest = ", ".join(f"{name} = excluded.{name}" for name, _ in self.columns if name not in self.key)
        return (
            f"INSERT INTO {self.name} ({self.names}) SELECT * FROM {self._arrays} "
            f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {rest}"
        )

    @property
    def drop(self) -> str:
        """The statement that takes one array for each key column, and removes those rows."""
        kinds = dict(self.columns)
        arrays = ", ".join(f"%s::{kinds[name]}[]" for name in self.key)
        return f"DELETE FROM {self.name} WHERE ({', '.join(self.key)}) IN (SELECT * FROM unnest({arrays}))"

    @property
    def _arrays(self) -> str:
        return "unnest({})".format(", ".join(f"%s::{kind}[]" for _, kind in self.columns))


def _columns(kind: str, names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, kind) for name in names.split())


_STREAM = ("stream", "integer")
_SIDE = (("side", "text"),)
_PLACE = _columns("bigint", "ts_recv_ns tape_offset")

STREAMS: Final = Table(
    "streams", (("number", "integer"), *_columns("text", "venue kind instrument interval")), ("number",)
)
TRADES: Final = Table(
    "trades",
    (_STREAM, *_columns("bigint", "ts_ns trade_id"), *_columns("numeric", "price size"), *_SIDE, *_PLACE),
    ("stream", "ts_ns", "trade_id"),
)
CANDLES: Final = Table(
    "candles",
    (
        *(_STREAM, *_columns("bigint", "ts_open_ns ts_close_ns"), *_columns("numeric", "open high low close volume")),
        *(("trade_count", "bigint"), ("state", "text"), *_PLACE),
    ),
    ("stream", "ts_open_ns"),
)
QUOTES: Final = Table(
    "quotes",
    (
        *(_STREAM, *_columns("bigint", "ts_ns tape_offset")),
        *(*_columns("numeric", "bid_price bid_size ask_price ask_size"), ("ts_recv_ns", "bigint")),
    ),
    ("stream", "ts_ns", "tape_offset"),
)
BOOKS: Final = Table(
    "books",
    (_STREAM, *_columns("bigint", "ts_ns tape_offset"), *_columns("json", "bids asks"), ("ts_recv_ns", "bigint")),
    ("stream", "ts_ns", "tape_offset"),
)
VAULTS: Final = Table(
    "vaults",
    (_STREAM, *_columns("bigint", "ts_ns tape_offset"), ("positions", "json"), ("ts_recv_ns", "bigint")),
    ("stream", "ts_ns", "tape_offset"),
)
MIDS: Final = Table(
    "mids",
    (_STREAM, *_columns("bigint", "ts_recv_ns tape_offset"), ("price", "numeric")),
    ("stream", "ts_recv_ns", "tape_offset"),
)
CONTEXT_NUMBERS: Final = (
    "open_interest",
    "funding_rate",
    "mark_price",
    "oracle_price",
    "mid_price",
    "premium",
    "day_notional_volume",
    "previous_day_price",
)
CONTEXTS: Final = Table(
    "contexts",
    (
        *(_STREAM, *_columns("bigint", "ts_recv_ns tape_offset")),
        *(*((name, "numeric") for name in CONTEXT_NUMBERS), ("minus_zeros", "integer")),
    ),
    ("stream", "ts_recv_ns", "tape_offset"),
)
QUARANTINE: Final = Table(
    "quarantine",
    (
        *(*_columns("bigint", "tape_offset item"), *_columns("text", "venue channel reason path value")),
        *(("ts_recv_ns", "bigint"), ("excerpt", "bytea")),
    ),
    ("tape_offset", "item"),
)
SEAMS: Final = Table(
    "seams",
    (
        *(_STREAM, *_columns("bigint", "tape_offset epoch"), *_columns("text", "verdict cause")),
        *_columns("bigint", "shared ts_before_ns ts_after_ns ts_recv_ns"),
    ),
    ("stream", "tape_offset"),
)
GAPS: Final = Table(
    "gaps",
    (
        *(_STREAM, *_columns("bigint", "from_ns tape_offset to_ns"), *_columns("text", "kind cause state")),
        *_columns("bigint", "estimated_missing first_id last_id ts_recv_ns"),
    ),
    ("stream", "from_ns", "tape_offset", "first_id"),
)
COVERAGE: Final = Table(
    "coverage",
    (_STREAM, *_columns("bigint", "from_ns to_ns"), ("cover", "text"), ("tape_offset", "bigint")),
    ("stream", "from_ns"),
)
STATES: Final = Table("states", (("key", "text"), ("state", "bytea")), ("key",))


def signed(name: str) -> str:
    """The expression that gives a context's number as it was written, its sign on a zero too."""
    bit = 1 << CONTEXT_NUMBERS.index(name)
    return f"CASE WHEN minus_zeros & {bit} <> 0 THEN '-' ELSE '' END || {name}::text"


# Columns of the dump that are spelled otherwise here: (table, column of the dump) -> expression.
_SPELLED: Final = MappingProxyType(
    {
        **{("contexts", f"{name}_text"): signed(name) for name in CONTEXT_NUMBERS},
        ("books", "bids"): "bids::text",
        ("books", "asks"): "asks::text",
        ("vaults", "positions"): "positions::text",
    }
)

ESCAPED: Final = frozenset(("venue", "channel", "reason", "path", "value"))  # texts of quarantine, see `escaped`


def dumped(table: str, column: str) -> str:
    """The expression that gives this column of the dump."""
    if (table, column) in _SPELLED:
        return _SPELLED[table, column]
    if column == "offset":
        return "tape_offset"
    return f"{column.removesuffix('_text')}::text" if column.endswith("_text") else column


def escaped(text: str) -> str:
    """Text from outside as TEXT can hold it: NUL as `\\0`, a backslash as two."""
    return text.replace("\\", "\\\\").replace("\0", "\\0")


def unescaped(text: str) -> str:
    """What `escaped` was given."""
    return "\\".join(part.replace("\\0", "\0") for part in text.split("\\\\"))
