"""SIGTERM and SIGINT: the first asks for a graceful end, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from types import FrameType

from everytick.supervise.threads import Wedged

# The one that interrupts whatever blocks the main thread; sent by the watchdog only.
INTERRUPT = signal.SIGUSR2 if hasattr(signal, "SIGUSR2") else None


class Signals:
    """Handlers in the interpreter itself, so that they run also while the event loop is blocked.

    Set and restored on the main thread. `on_end` is called on the loop; `is_wedged` says whether an interruption
    is still wanted when it arrives.
    """

    def __init__(self, on_end: Callable[[], None], on_stopping: Callable[[], None], is_wedged: Callable[[], bool]):
        self._on_end = on_end
        self._on_stopping = on_stopping
        self._is_wedged = is_wedged
        self._asked = 0
        self._before: dict[int, object] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def take(self) -> None:
        """Take the signals over. Only in a running loop on the main thread."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._end)
        if INTERRUPT is not None:
            self._before[INTERRUPT] = signal.signal(INTERRUPT, self._interrupt)

    def restore(self) -> None:
        """Give them back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself handed out
        self._before.clear()

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._asked += 1
        if self._asked > 1 or self._loop is None:
            os._exit(128 + number)
        self._on_stopping()
        self._loop.call_soon_threadsafe(self._on_end)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_wedged():
            raise Wedged
