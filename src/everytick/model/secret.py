"""Values that must never be printed, and the cutting out of secrets from text that came from outside.

A `Secret` shows itself as `***` however it is printed; only `reveal` gives the text. msgspec refuses to encode
one unless it is told how, so a forgotten hook is an error and never a leak: pass `encode_secret` as `enc_hook`.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterable, Iterator
from typing import NoReturn
from urllib.parse import quote, unquote

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


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.IGNORECASE)


class SecretUrl(Secret):
    """An address that may carry a password: shown with that part masked."""

    __slots__ = ()

    def shown(self) -> str:
        """The address, its user, password and tokens masked; of what is no address, nothing."""
        scheme, separator, rest = self._text.partition("://")
        if not separator or not _SCHEME.fullmatch(scheme):
            return super().shown()  # it may be a password, put where the address should be
        # To the last @: a password may hold one, or a slash, that nobody escaped.
        _, has_user, host = rest.rpartition("@")
        return redact(f"{scheme}://{MASK}@{host}" if has_user else self._text)

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


PART = 8  # characters of a secret in a row that must not be seen; fewer would mask ordinary words
SHORT_MIN = 6  # a shorter secret is masked only whole, one below this not at all
_LETTERS = re.compile(r"[a-z]+")


class Redactor:
    """Cuts known secrets out of text: whole or any eight characters in a row of them, as they are and as base64, hex,
    URL or JSON would write them; and whatever has the shape of a secret besides."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._short: list[str] = []
        parts: set[str] = set()
        for secret in secrets:
            for text in _secret_texts(secret):
                if len(text) >= PART:
                    parts.update(form[i : i + PART] for form in _forms(text) for i in range(len(form) - PART + 1))
                elif len(text) >= SHORT_MIN:
                    self._short.append(text)
        # `00000000` and the like stand in ordinary numbers.
        self._parts = frozenset(part for part in parts if len(set(part)) > 2)

    def clean(self, text: str) -> str:
        """The text without secrets."""
        for short in self._short:
            text = text.replace(short, MASK)
        return redact(self._without_parts(text) if self._parts else text)

    def _without_parts(self, text: str) -> str:
        parts = self._parts
        found = [i for i in range(len(text) - PART + 1) if text[i : i + PART] in parts]
        if not found:
            return text
        pieces: list[str] = []
        end = 0
        for start in found:
            if start >= end:
                pieces += (text[end:start], MASK)
            end = start + PART
        return "".join((*pieces, text[end:]))


def _secret_texts(secret: Secret) -> Iterator[str]:
    """What of a secret is secret: of an address not its host, of a plain address not its path."""
    text = secret.reveal()
    scheme, separator, rest = text.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        yield text
        return
    person, _, place = rest.rpartition("@")
    user, _, password = person.partition(":")
    path, _, query = place.partition("?")
    # A user alone is a token (`https://token@host`).
    parts = [password or user, *(pair.partition("=")[2] for pair in query.split("&"))]
    if not isinstance(secret, SecretUrl):
        parts += (segment for segment in path.split("/")[1:] if not _LETTERS.fullmatch(segment))
    for part in parts:
        yield part
        yield unquote(part)


def _forms(text: str) -> Iterator[str]:
    raw = text.encode(errors="surrogatepass")
    yield text
    yield quote(text, safe="", errors="replace")
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield raw.hex()
    yield raw.hex().upper()
    # In base64 a text looks different by where it begins; the characters that its neighbours share are left out.
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        inner = coded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        yield inner
        yield inner.translate(str.maketrans("+/", "-_"))
