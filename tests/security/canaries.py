"""Canary secrets, and the search for every trace of them. Written apart from the program's own masking on purpose."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable, Iterator
from urllib.parse import quote

PART = 8  # so many characters in a row of a canary are a find
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
AWKWARD = "-_+/=%&ü \"'\\"


def canaries(count: int, seed: int, *, awkward: bool = False) -> list[str]:
    """Different random texts of 24 characters; with `awkward`, of characters that encodings must escape as well."""
    dice = random.Random(seed)
    letters = ALPHABET + (AWKWARD if awkward else "")
    return ["".join(dice.choices(letters, k=24)) for _ in range(count)]


class Search:
    """Finds canaries in text: raw, base64, URL, hex and JSON, whole or any eight characters in a row."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._traces: dict[int, dict[str, str]] = {}
        for secret in secrets:
            for start in range(len(secret) - PART + 1):
                for form in _forms(secret[start : start + PART]):
                    self._traces.setdefault(len(form), {})[form] = secret

    def found(self, text: str | bytes) -> set[str]:
        """The canaries of which there is a trace."""
        seen = text if isinstance(text, str) else text.decode("latin-1") + text.decode(errors="ignore")
        hits: set[str] = set()
        for length, traces in self._traces.items():
            for start in range(len(seen) - length + 1):
                secret = traces.get(seen[start : start + length])
                if secret is not None:
                    hits.add(secret)
        return hits


def _forms(part: str) -> Iterator[str]:
    raw = part.encode()
    yield part
    yield quote(part, safe="")
    yield quote(part)
    yield json.dumps(part)[1:-1]
    yield json.dumps(part, ensure_ascii=False)[1:-1]
    yield raw.hex()
    yield raw.hex().upper()
    for pad in range(3):  # where the part stands decides how base64 shows it; only whole sextets count
        coded = base64.b64encode(b"x" * pad + raw + b"x" * ((-pad - len(raw)) % 3)).decode()
        whole = coded[-(-pad * 8 // 6) : (pad + len(raw)) * 8 // 6]
        yield whole
        yield whole.replace("+", "-").replace("/", "_")
