"""Threads with an owner: each has a name, a way to be told to stop, and a death that cannot go unnoticed."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias, runtime_checkable

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
        self._is_resting = False
        self.on_wake: Callable[[], None] | None = None  # told as well: whoever waits without a thread

    def ask(self) -> None:
        """Ask the thread to end at its next look."""
        self.is_asked = True
        self._wake.set()
        if self.on_wake is not None:
            self.on_wake()

    def wake(self) -> None:
        """There is something to do. Called for every message, so it looks before it takes the lock."""
        if not self._wake.is_set() and not self._is_resting:
            self._wake.set()
            if self.on_wake is not None:
                self.on_wake()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """A wait in here is for something that new work does not bring: only the request to stop ends it early."""
        self._is_resting = True
        self._wake.clear()
        if self.is_asked:
            self._wake.set()
        try:
            yield
        finally:
            self._is_resting = False

    def take(self) -> bool:
        """Whether there was a wake since the last wait; it is forgotten. For whoever waits without a thread."""
        is_awake = self._wake.is_set()
        self._wake.clear()
        return is_awake

    def wait(self, seconds: float) -> None:
        """Wait for work, for the request to stop, or for that long."""
        self._wake.wait(seconds)
        self._wake.clear()


# What a thread does. One that works in steps yields the seconds for which it has nothing to do unless it is woken; what
# blocks for good reasons of its own (a server, a question to a store) returns nothing when it is done.
Work: TypeAlias = Callable[[Stop], Iterator[float] | None]


@runtime_checkable
class Worker(Protocol):
    """An event loop that has another way to work than threads: a simulated one, where every step is a task's."""

    def start_work(self, name: str, work: Work, stop: Stop, ended: Callable[[BaseException | None], None]) -> None:
        """Begin `work(stop)`; `ended` is called on the loop with what it died of, or None."""
        ...


def work_through(steps: Iterator[float] | None, stop: Stop) -> None:
    """Take every step, waiting in between for as long as each says. Blocking: for a thread of its own."""
    for wait_s in steps or ():
        if wait_s > 0:
            stop.wait(wait_s)


# A thread that has told its end needs no time at all to be gone; on a machine that stands still, at most this.
ENDING_S_MAX = 1.0


class OwnedThread:
    """Runs `work(stop)` on a thread of its own; its end, good or bad, is awaited on the event loop."""

    def __init__(self, name: str, work: Work) -> None:
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
        loop = self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self._error = None
        self.stop.is_asked = False
        if isinstance(loop, Worker):
            loop.start_work(self.name, self._work, self.stop, self._ended)
        else:
            # A daemon thread cannot keep a process alive that has decided to die; a graceful end waits below.
            self._thread = threading.Thread(target=self._body, name=self.name, daemon=True)
            self._thread.start()
        try:
            await self._done.wait()
        except asyncio.CancelledError:
            self.stop.ask()
            await self._done.wait()
            raise
        if self._thread is not None:
            self._thread.join(ENDING_S_MAX)  # its last act was to tell us: microseconds, and then it is surely gone
        if self._error is not None:
            raise self._error

    def _body(self) -> None:
        try:
            work_through(self._work(self.stop), self.stop)
        except BaseException as error:  # noqa: BLE001 - carried to the owner, who decides
            self._error = error
        finally:
            if self._loop is not None and self._done is not None:
                self._loop.call_soon_threadsafe(self._done.set)

    def _ended(self, error: BaseException | None) -> None:
        self._error = error
        if self._done is not None:
            self._done.set()
