"""What commands print: tables and colours in a terminal, plain lines in a pipe, JSON when asked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from everytick.model.secret import encode_secret, redact

# The options that most commands share, spelt once.
ConfigOption = Annotated[
    str | None, Parameter(name="--config", help="Settings file; else EVERYTICK_CONFIG, else ./everytick.toml.")
]
JsonOption = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]

PIPE_COLUMNS = 1_000  # a pipe has no width: nothing is cut or wrapped in it

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def say(text: str = "", *, style: str = "") -> None:
    """One line or more of plain text."""
    terminal().print(Text(printable(text), style=style), soft_wrap=True)


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table. A cell that is a key of STYLES is coloured; nothing else is interpreted."""
    console = terminal()
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        cells = [printable(str(cell)) for cell in row]
        table.add_row(*[Text(cell, style=STYLES.get(cell, "")) for cell in cells])
    console.print(table)


def say_json(value: object) -> None:
    """One JSON document, indented, with secrets masked."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, enc_hook=encode_secret), indent=2).decode() + "\n")


def terminal(**options: Any) -> Console:
    """A console on stdout as it is now; colours only in a terminal, and never with NO_COLOR."""
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    return _Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False, **options)


class _Console(Console):
    """Leaves it to `root.run` what a reader who left early means; rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def printable(text: str) -> str:
    """The text without secrets, and with control characters spelt out: outside text moves no cursor."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in redact(text))
