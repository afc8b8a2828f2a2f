from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from everytick.stores.protocol import Reader, Store
from tests.stores.stores import STORES


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = STORES[request.param](tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def read(store: Store) -> Iterator[Callable[[], Reader]]:
    """Opens readers and closes them at the end."""
    opened: list[Reader] = []

    def one_more() -> Reader:
        opened.append(store.reader())
        return opened[-1]

    yield one_more
    for reader in opened:
        reader.close()
