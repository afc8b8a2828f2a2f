"""Refusals as the caller sees them: one sentence, the parameter, its value and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec

from everytick.errors import EverytickError, Refused
from everytick.model.secret import MASK, redact

# Long enough to recognise a value, short enough that an answer never carries a caller's megabyte back.
VALUE_CHARS_MAX = 120

# A refusal lists what is known, unless that would be a catalogue: venues have hundreds of instruments.
KNOWN_LISTED_MAX = 20


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was refused. `value` is what was given, cut to 120 characters."""

    error: str
    parameter: str = ""
    value: str = ""
    expected: str = ""


class Trouble(msgspec.Struct, frozen=True):
    """The fault is ours. `error_id` finds the details in our log."""

    error: str
    error_id: str


class RequestRefused(Refused):
    """The caller's mistake, as an HTTP status and a body; nothing was done."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        parameter: str = "",
        value: str = "",
        expected: str = "",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message, value=value)
        self.status = status
        self.headers = headers
        # What is sent as a token, wherever, is not sent back: answers end up in other people's logs.
        is_secret = redact(f"{parameter}={value}") != f"{parameter}={value}"
        self.body = Refusal(redact(message), parameter, MASK if is_secret else shorten(value), expected)


class StoreUnanswered(EverytickError):
    """The store did not answer. The caller hears a fixed sentence; the cause (`__cause__`) goes to our log."""


def shorten(value: str) -> str:
    """The value, cut where it is too long to send back."""
    return value if len(value) <= VALUE_CHARS_MAX else value[: VALUE_CHARS_MAX - 1] + "…"


def nearest(value: str, known: Iterable[str]) -> str:
    """The known name most like `value`, upper and lower case aside; empty if none is like it."""
    by_fold = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(value.casefold()[:VALUE_CHARS_MAX], by_fold, n=1)
    return by_fold[found[0]] if found else ""


def not_known(what: str, parameter: str, value: str, known: Iterable[str]) -> RequestRefused:
    """A 404 for a name that we do not have, with the nearest one that we do."""
    names = sorted(known)
    near = nearest(value, names)
    hint = f"; did you mean {near}?" if near else ""
    more = f" and {len(names) - KNOWN_LISTED_MAX} more" if len(names) > KNOWN_LISTED_MAX else ""
    listed = ", ".join(names[:KNOWN_LISTED_MAX]) + more if names else "nothing has been recorded yet"
    return RequestRefused(
        404, f"there is no {what} {shorten(value)!r}{hint}", parameter=parameter, value=value, expected=listed
    )
