"""A fault in the settings, and the refusal that carries all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from everytick.errors import Refused
from everytick.model.secret import redact

VALUE_CHARACTERS_MAX = 120  # enough to recognise a slip, short enough for one line


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong: where it stands, what was given, what would be right."""

    path: str  # the setting, `serve.port`, or the name that is no setting
    origin: str  # `everytick.toml:12`, `EVERYTICK_SERVE__PORT`, `default`
    value: str  # as given; empty where it may be a secret
    problem: str
    suggestion: str = ""

    def __str__(self) -> str:
        given = f" = {self.value}" if self.value else ""
        way_out = f" ({self.suggestion})" if self.suggestion else ""
        return f"{self.path}{given} [{self.origin}]: {self.problem}{way_out}"


class BadSettings(Refused):
    """The settings cannot be used. Nothing was started; every fault is named, so that one edit mends them all."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        count = len(faults)
        lines = "".join(f"\n  {fault}" for fault in faults)
        super().__init__(f"{count} fault{'s' if count != 1 else ''} in the settings:{lines}")
        self.faults = tuple(faults)


def shown_value(value: object) -> str:
    """A given value for a message: as JSON, with secrets masked, cut to one line."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, NotImplementedError):
        # A date or an inf in TOML: a wrong type for every setting, so any spelling of it will do.
        text = str(value)
    text = redact(text)
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[: VALUE_CHARACTERS_MAX - 1] + "…"
