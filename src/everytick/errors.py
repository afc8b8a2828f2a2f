"""The three families of errors. The family decides what the program does; the text tells a person what to do."""

from __future__ import annotations


class EverytickError(Exception):
    """The root of every error that this program raises on purpose."""


class Retryable(EverytickError):
    """Something outside failed and may work again: a cut socket, a 429, a busy database.

    The program tries again by the owner's policy (capped, jittered, budgeted). A person need do nothing
    unless it lasts; then an alert says so. `retry_after_s` is the outside's own wish, where it gave one.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(EverytickError):
    """The caller's mistake: a bad setting, parameter, name or file.

    The program does nothing and says which value, where, and what would be right. Never retried.
    `path` is where the value stands (`tape.block_bytes_max`, `limit`), `suggestion` the way out.
    """

    def __init__(self, message: str, *, path: str = "", value: object = None, suggestion: str = "") -> None:
        where = f"{path}: " if path else ""
        way_out = f" ({suggestion})" if suggestion else ""
        super().__init__(f"{where}{message}{way_out}")
        self.path = path
        self.value = value
        self.suggestion = suggestion


class Fatal(EverytickError):
    """Going on could lose or falsify data: a second writer, a store ahead of its tape, a broken invariant.

    The program stops that part, says why, and exits non-zero if the part cannot be rebuilt. A person acts.
    """
