"""A store that hangs holds up whoever asks it, and nobody else."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.serve.asking import CountingIds, FixedClock, filled_store

from everytick.errors import Retryable
from everytick.serve.server import ApiServer
from everytick.serve.sources import Sources
from everytick.supervise.progress import Progress

ANSWERED_S_MAX = 0.05


class Hanging:
    """A store whose readers wait for ever while it is told to hang, or fail while it is told to be down."""

    def __init__(self) -> None:
        self.store = filled_store()
        self.lets_go = threading.Event()
        self.lets_go.set()
        self.is_down = False

    def open(self) -> Any:
        reader = self.store.reader()
        hanging = self

        class Held:
            def __getattr__(self, name: str) -> Any:
                if name != "close":
                    hanging.lets_go.wait(20)
                    if hanging.is_down:
                        raise Retryable("the store is down")
                return getattr(reader, name)

        return Held()


@contextmanager
def served(hanging: Hanging) -> Iterator[int]:
    server = ApiServer(Sources(hanging.open, Progress(started_ns=1), FixedClock(), CountingIds()), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.port
    finally:
        hanging.lets_go.set()
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


def get(port: int, path: str) -> tuple[int, float]:
    """The status, and how long it took."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    began = time.perf_counter()
    try:
        line.request("GET", path)
        answer = line.getresponse()
        answer.read()
        return answer.status, time.perf_counter() - began
    finally:
        line.close()


def fastest(port: int, path: str) -> tuple[int, float]:
    """The best of three: the machine of a test may be busy, the answer may not be."""
    return min((get(port, path) for _ in range(3)), key=lambda found: found[1])


def test_health_is_answered_at_once_while_the_store_hangs() -> None:
    hanging = Hanging()
    with served(hanging) as port:
        assert get(port, "/trades?limit=2")[0] == 200
        hanging.lets_go.clear()
        stuck = threading.Thread(target=get, args=(port, "/trades?limit=2"))
        stuck.start()
        for path in ("/health", "/livez", "/trading", "/metrics"):
            status, seconds = fastest(port, path)
            assert status == 200
            assert seconds < ANSWERED_S_MAX, path
        status, seconds = get(port, "/readyz")
        assert status == 503
        assert seconds < 2
        # The thread that hangs takes no more questions: they are refused at once instead of piling up.
        status, seconds = fastest(port, "/trades")
        assert status == 503
        assert seconds < ANSWERED_S_MAX
        hanging.lets_go.set()
        stuck.join(10)
        assert _eventually(port, "/trades?limit=2") == 200
        assert get(port, "/readyz")[0] == 200


def test_health_is_answered_at_once_while_the_store_is_down() -> None:
    hanging = Hanging()
    hanging.is_down = True
    with served(hanging) as port:
        assert get(port, "/trades")[0] == 503
        assert get(port, "/readyz")[0] == 503
        status, seconds = fastest(port, "/health")
        assert status == 200
        assert seconds < ANSWERED_S_MAX
        hanging.is_down = False
        assert get(port, "/trades")[0] == 200


def _eventually(port: int, path: str) -> int:
    status = 0
    for _ in range(200):
        status, _ = get(port, path)
        if status == 200:
            break
        time.sleep(0.01)
    return status
