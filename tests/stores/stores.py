"""The stores that the contract suite runs over. A new one joins with one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from everytick.stores.open import open_store
from everytick.stores.protocol import Store

Opener = Callable[[Path], Store]

STORES: dict[str, Opener] = {
    "memory": lambda _folder: open_store("memory:"),
    "sqlite": lambda folder: open_store(f"sqlite:///{folder}/store.sqlite"),
}
