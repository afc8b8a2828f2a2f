"""The stores that the contract suite runs over. A new one joins with one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from everytick.stores.open import open_store
from everytick.stores.protocol import Store
from tests.stores.server import Server, missing

Opener = Callable[[Path], Store]


@cache
def server() -> Server:
    """The server that the tests of one process share; tests/stores/conftest.py ends it."""
    started = Server()
    started.start()
    return started


def _postgres(_folder: Path) -> Store:
    if reason := missing():
        pytest.skip(reason)
    return open_store(server().schema())


STORES: dict[str, Opener] = {
    "memory": lambda _folder: open_store("memory:"),
    "sqlite": lambda folder: open_store(f"sqlite:///{folder}/store.sqlite"),
    "postgres": _postgres,
}
