"""The API on a socket: uvicorn, on whatever thread and loop its owner gives it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import uvicorn

from everytick.errors import Fatal, Refused
from everytick.host.listen import is_loopback, listen, port_of
from everytick.serve.app import Api
from everytick.serve.receipt import BoundedReceipt
from everytick.serve.route import Thread
from everytick.serve.sources import Sources
from everytick.supervise.asking import Asking

# Each connection costs some 50 kB; beyond this many, callers get 503 and should share one.
CONNECTIONS_MAX = 512

# An answer is ready within milliseconds: five seconds are for slow readers of the last page.
STOP_S_MAX = 5


def _never() -> bool:
    return False


class _Uvicorn(uvicorn.Server):
    """uvicorn without a hand on the process's signals: those belong to whoever owns the process."""

    def __init__(self, config: uvicorn.Config, is_asked: Callable[[], bool]) -> None:
        super().__init__(config)
        self._is_asked = is_asked

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        return await super().on_tick(counter) or self._is_asked()


class ApiServer:
    """Listens as soon as it is made; answers while `serve` or `run` runs. One use: make another to start again.

    Without a token only loopback is served. Raises Refused when that is asked otherwise, and when the port
    cannot be had.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        token: str = "",
        control_token: str = "",
        protocol: type[BoundedReceipt] = BoundedReceipt,
    ) -> None:
        if not token and not is_loopback(host):
            raise Refused(
                f"{host} can be reached from other machines, and no token is set",
                path="serve.host",
                value=host,
                suggestion="set serve.token, or serve.host to 127.0.0.1",
            )
        self._listener = listen(host, port, setting="serve")
        self.port = port_of(self._listener)
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        threads = {thread: Asking(f"api {thread}") for thread in (Thread.STORE, Thread.CONTROL)}
        self._config = uvicorn.Config(
            Api(sources, token=token, control_token=control_token, threads=threads),
            http=protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=STOP_S_MAX,
        )
        self._server: _Uvicorn | None = None
        self._is_stopped = False
        self._is_ended = False

    @property
    def is_answering(self) -> bool:
        """Whether requests are being answered."""
        return self._server is not None and self._server.started and not self._is_ended

    async def serve(self, is_asked: Callable[[], bool] = _never) -> None:
        """Answer on the running loop until `stop` is called or `is_asked()`, looked at ten times a second."""
        if self._server is not None:
            raise Fatal("this ApiServer has served before: make a new one")
        self._server = _Uvicorn(self._config, lambda: self._is_stopped or is_asked())
        try:
            await self._server.serve(sockets=[self._listener])
        finally:
            self._is_ended = True
            self._listener.close()

    def run(self, is_asked: Callable[[], bool] = _never) -> None:
        """`serve` on a loop of its own, for a thread that has none; uvloop's where it is installed."""
        with asyncio.Runner(loop_factory=self._config.get_loop_factory()) as runner:
            runner.run(self.serve(is_asked))

    def stop(self) -> None:
        """Ask `serve` to end, from any thread: no new connections, answers under way are finished."""
        self._is_stopped = True

    def close(self) -> None:
        """Let go of the port of a server that never ran."""
        if self._server is None:
            self._listener.close()
