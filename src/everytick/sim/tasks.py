"""Tasks with an owner, for simulated venues: none is forgotten, and a dead one is heard of."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Tasks:
    """Runs tasks and keeps them. `ended` fails as soon as one of them does; `finish` lets it succeed."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # An owner that never asks for the end should not be told twice: `stop` raises the same error.
        self.ended.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._running: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def start(self, work: Coroutine[object, object, None], name: str) -> None:
        """Run `work` until it ends or `stop` is called."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._gone)

    async def ended_shielded(self) -> None:
        """Wait for the end; giving up the wait does not end anything. Raises what a task died of."""
        await asyncio.shield(self.ended)

    def finish(self) -> None:
        """Say that everything that was to be done is done."""
        if not self.ended.done():
            self.ended.set_result(None)

    async def stop(self) -> None:
        """End all tasks. Raises what a task died of, if one did."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self.finish()
        if self._failure is not None:
            raise self._failure

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._failure = self._failure or failure
            if not self.ended.done():
                self.ended.set_exception(failure)
