"""Values that must never be printed, and the cutting out of secrets from text that came from outside.

A `Secret` shows itself as `***` however it is printed; only `reveal` gives the text. msgspec refuses to encode
one unless it is told how, so a forgotten hook is an error and never a leak: pass `encode_secret` as `enc_hook`.
"""

from __future__ import annotations

import hmac
import re
from typing import NoReturn

MASK = "***"


class Secret:
    """A text that prints, formats and encodes as `***`. Empty means: not set."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call it where the text is used, and keep it in no variable."""
        return self._text

    def shown(self) -> str:
        """What people may see of it: nothing when it is not set, else the mask."""
        return MASK if self._text else ""

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        # In constant time, so that a comparison with a guess tells nothing by how long it took.
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not copied out of the process: reveal it where it is used")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


class SecretUrl(Secret):
    """An address that may carry a password: shown with that part masked."""

    __slots__ = ()

    def shown(self) -> str:
        """The address, its user, password and tokens masked."""
        return redact(self._text)

    def __str__(self) -> str:
        return self.shown()

    def __repr__(self) -> str:
        return repr(self.shown())

    def __format__(self, spec: str) -> str:
        return format(self.shown(), spec)


def encode_secret(value: object) -> str:
    """msgspec's `enc_hook`: what a Secret becomes. Raises NotImplementedError for any other type."""
    if isinstance(value, Secret):
        return value.shown()
    raise NotImplementedError(f"no way to encode {type(value).__name__}")


# The shapes of secrets, each with what may stay. Order matters only for addresses: the user part goes first.
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # user:password@ and token@ in any address
    (re.compile(r"(?<=://)[^/\s@\"']+@"), f"{MASK}@"),
    # Addresses that are secrets as a whole: who has one can post.
    (re.compile(r"(discord(?:app)?\.com/api/(?:v\d+/)?webhooks/)[^\s\"'<>]+", re.IGNORECASE), rf"\g<1>{MASK}"),
    (re.compile(r"(hooks\.slack\.com/)[^\s\"'<>]+", re.IGNORECASE), rf"\g<1>{MASK}"),
    (re.compile(r"(api\.telegram\.org/(?:file/)?bot)[^/\s\"'<>]+", re.IGNORECASE), rf"\g<1>{MASK}"),
    # Authorization: Bearer ..., Basic ...
    (re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\g<1>\g<2>{MASK}"),
    # A signed token, wherever it stands
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"), MASK),
    # password=..., "api_key": "...", token: ...
    (
        re.compile(
            r"((?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signature)"
            r"[\"']?\s*[=:]\s*[\"']?)(?!\s)[^\s&\"',;}]+",
            re.IGNORECASE,
        ),
        rf"\g<1>{MASK}",
    ),
)


def redact(text: str) -> str:
    """The text with everything masked that has the shape of a secret; other text is untouched."""
    for shape, kept in _SHAPES:
        text = shape.sub(kept, text)
    return text
