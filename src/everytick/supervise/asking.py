"""A thread that answers questions, so that a store which hangs never holds up the one who asks."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from everytick.errors import EverytickError

T = TypeVar("T")

# Beyond this many waiting questions the answers would come too late to be of use.
WAITING_MAX = 1_000


class Busy(EverytickError):
    """The thread has not answered in time, or still works on what it could not answer before.

    The caller hears that nothing was answered; the question is asked again later.
    """


class Asking:
    """One daemon thread that answers in order; used from one event loop.

    While a question is out of its time, further ones are refused at once: they would only wait in line.
    """

    def __init__(self, name: str) -> None:
        self._questions: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._thread = threading.Thread(target=self._body, name=name, daemon=True)
        self.is_late = False  # held up by a question that ran out of time

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def ask(self, question: Callable[[], T], timeout_s: float) -> T:
        """The answer, or what the question raised. Raises Busy."""
        if self.is_late or self._waiting >= WAITING_MAX:
            raise Busy("the thread that asks the store is held up")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        timer = loop.call_later(timeout_s, self._expire, future, timeout_s)
        self._waiting += 1
        self._questions.put(lambda: self._answer(loop, future, question))
        try:
            return await future
        finally:
            timer.cancel()
            self._waiting -= 1

    def post(self, job: Callable[[], None]) -> None:
        """Let the thread do this when it comes to it; nobody waits for it. It must not raise."""
        self._questions.put(job)

    def end(self, last: Callable[[], None], timeout_s: float) -> None:
        """Do `last` on the thread and let it end; wait for that no longer than given."""
        self._questions.put(last)
        self._questions.put(None)
        self._thread.join(timeout_s)

    def _expire(self, future: asyncio.Future[T], timeout_s: float) -> None:
        if not future.done():
            self.is_late = True
            future.set_exception(Busy(f"no answer within {timeout_s} s"))

    def _answer(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], question: Callable[[], T]) -> None:
        settle: Callable[[], None]
        try:
            result = question()
        except BaseException as error:  # noqa: BLE001 - carried to the one who asked
            failure = error

            def settle() -> None:
                self._settle(future, lambda: future.set_exception(failure))
        else:

            def settle() -> None:
                self._settle(future, lambda: future.set_result(result))

        if not loop.is_closed():
            loop.call_soon_threadsafe(settle)

    def _settle(self, future: asyncio.Future[T], how: Callable[[], None]) -> None:
        self.is_late = False
        if not future.done():
            how()

    def _body(self) -> None:
        while (question := self._questions.get()) is not None:
            question()
