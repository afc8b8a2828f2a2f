"""Threads with an owner: each has a name, a way to be told to stop, and a death that cannot go unnoticed."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable

from everytick.errors import EverytickError


class Wedged(EverytickError):
    """The watchdog interrupted this worker: it had work and made no progress. Its owner starts it again.

    A person need do nothing; if it repeats, stacks.txt in the data folder shows where it stood.
    """

    def __init__(self) -> None:
        super().__init__("interrupted by the watchdog: there was work and nothing moved")


class Stop:
    """Asked by the owner, looked at by the thread; `wake` ends a wait early without asking to stop."""

    def __init__(self) -> None:
        self._wake = threading.Event()
        self.is_asked = False

    def ask(self) -> None:
        """Ask the thread to end at its next look."""
        self.is_asked = True
        self._wake.set()

    def wake(self) -> None:
        """There is something to do. Called for every message, so it looks before it takes the lock."""
        if not self._wake.is_set():
            self._wake.set()

    def wait(self, seconds: float) -> None:
        """Wait for work, for the request to stop, or for that long."""
        self._wake.wait(seconds)
        self._wake.clear()


class OwnedThread:
    """Runs `work(stop)` on a thread of its own; its end, good or bad, is awaited on the event loop."""

    def __init__(self, name: str, work: Callable[[Stop], None]) -> None:
        self.name = name
        self.stop = Stop()
        self._work = work
        self._error: BaseException | None = None
        self._done: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def ident(self) -> int:
        """The thread's number, 0 while it does not run."""
        thread = self._thread
        return thread.ident or 0 if thread is not None and thread.is_alive() else 0

    def interrupt(self) -> None:
        """Let `Wedged` be raised in the thread at its next step. What waits in the system stays there."""
        if self.ident:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(Wedged))

    async def run(self) -> None:
        """Start the thread and wait for its end. Raises what the thread raised.

        Cancelled, it asks the thread to stop and waits for it all the same: a thread is never abandoned.
        """
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self._error = None
        self.stop.is_asked = False
        # A daemon thread cannot keep a process alive that has decided to die; a graceful end waits below.
        self._thread = threading.Thread(target=self._body, name=self.name, daemon=True)
        self._thread.start()
        try:
            await self._done.wait()
        except asyncio.CancelledError:
            self.stop.ask()
            await self._done.wait()
            raise
        if self._error is not None:
            raise self._error

    def _body(self) -> None:
        try:
            self._work(self.stop)
        except BaseException as error:  # noqa: BLE001 - carried to the owner, who decides
            self._error = error
        finally:
            if self._loop is not None and self._done is not None:
                self._loop.call_soon_threadsafe(self._done.set)
