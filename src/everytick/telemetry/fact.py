"""What makes a method a fact: its level, its metrics, and the log line that goes out with every call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import msgspec

from everytick.telemetry.log import Level

P = ParamSpec("P")


class Reporter(Protocol):
    """Who has facts: it can write a line, and may hold one back."""

    def line(self, fact: Fact, fields: dict[str, object]) -> None:
        """Write the fact's line, unless one like it was just written."""
        ...


R = TypeVar("R", bound=Reporter)


class Fact(msgspec.Struct, frozen=True):
    """One entry of the table of facts. Without a level it only moves metrics.

    `limited_by` names the field of which each value is written at most once in a while, the rest counted.
    """

    name: str
    level: Level | None
    meaning: str
    fields: tuple[str, ...]
    metrics: tuple[str, ...]
    limited_by: str | None


def fact(
    level: Level | None, *metrics: str, limited_by: str | None = None
) -> Callable[[Callable[Concatenate[R, P], None]], Callable[Concatenate[R, P], None]]:
    """Make a method that moves `metrics` a fact: its name and docstring are the table's, its parameters the fields."""

    def wrap(method: Callable[Concatenate[R, P], None]) -> Callable[Concatenate[R, P], None]:
        names = tuple(name for name in inspect.signature(method).parameters if name != "self")
        entry = Fact(
            method.__name__,
            level,
            " ".join((method.__doc__ or "").split()),
            names,
            tuple(f"everytick_{name}" for name in metrics),
            limited_by,
        )
        if level is None:
            FACTS[entry.name] = entry
            return method

        def report(self: R, /, *args: P.args, **named: P.kwargs) -> None:
            method(self, *args, **named)
            self.line(entry, {**dict(zip(names, args, strict=False)), **named})

        functools.update_wrapper(report, method)
        FACTS[entry.name] = entry
        return report

    return wrap


# The table, in the order of definition. Filled while the class of facts is defined, and only then.
FACTS: dict[str, Fact] = {}
