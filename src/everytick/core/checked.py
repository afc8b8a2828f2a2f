"""A bounded table of checked values: what repeats is checked once. Losing an entry only costs time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Checked(dict[Key, Value], Generic[Key, Value]):
    """A bounded table of values that `check` has passed."""

    def __init__(self, check: Callable[[Key], Value], entries_max: int) -> None:
        super().__init__()
        self._check = check
        self._entries_max = entries_max

    def __missing__(self, key: Key) -> Value:
        value = self._check(key)
        if len(self) >= self._entries_max:
            self.clear()
        self[key] = value
        return value
