from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from everytick.stores.protocol import Reader, Store
from tests.stores.server import Server, missing
from tests.stores.stores import STORES, server


@pytest.fixture(scope="session", autouse=True)
def _one_server() -> Iterator[None]:
    """The shared server, if any test has asked for it, ends with the session."""
    yield
    if server.cache_info().currsize:
        started = server()
        started.kill()
        shutil.rmtree(started.folder)


@pytest.fixture
def postgres() -> Server:
    """The shared server, for tests that leave it as it was."""
    if reason := missing():
        pytest.skip(reason)
    return server()


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
