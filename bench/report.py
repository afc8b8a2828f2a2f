"""Rows of the result, the table for people and the file for programs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

_WIDTH_ELSEWHERE = 160


@dataclass(frozen=True)
class Row:
    """One line of the result. `ratio` is how many times better we are than `peer`: above 1 is good for us.

    `peer` is another program, or a limit (of the machine, or one that we promised); `goal` is the ratio that
    we promise, 0 where the row only informs.
    """

    name: str
    what: str
    ours: float
    peer: str
    peer_value: float
    ratio: float
    unit: str
    conditions: str
    goal: float = 0.0

    @property
    def is_met(self) -> bool:
        """True where there is no goal, or it is reached."""
        return self.ratio >= self.goal


def ratio_of(ours: Sequence[float], peer: Sequence[float]) -> float:
    """The median over passes of ours / peer, each pair taken side by side."""
    return statistics.median(mine / theirs for mine, theirs in zip(ours, peer, strict=True))


def spread(values: Sequence[float]) -> str:
    """The range over passes, for the conditions: `1,020-1,150`."""
    return f"{min(values):,.0f}-{max(values):,.0f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(title="everytick bench", title_justify="left", show_lines=True)
    for heading, justify in (("what", "left"), ("ours", "right"), ("peer or limit", "right"), ("ratio", "right")):
        table.add_column(heading, justify="left" if justify == "left" else "right")
    table.add_column("conditions", ratio=1)
    for row in rows:
        goal = f"\n(goal ≥ {row.goal:g})" if row.goal else ""
        colour = "" if not row.goal else "[green]" if row.is_met else "[red]"
        table.add_row(
            f"[bold]{row.name}[/bold]\n{row.what}",
            f"{_number(row.ours)}\n{row.unit}",
            f"{_number(row.peer_value)}\n{row.peer}",
            f"{colour}{row.ratio:.2f}×{goal}",
            row.conditions,
        )
    console = Console()
    # Into a file or a pipe there is no width to fit: use one at which the conditions stay readable.
    (console if console.is_terminal else Console(width=_WIDTH_ELSEWHERE)).print(table)


def write(rows: Sequence[Row], path: Path) -> str:
    """Write the rows as JSON and return that text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(row) for row in rows], indent=1)
    path.write_text(text + "\n")
    return text
