"""The supervision tree: every task has an owner, a dead task is an event, and a task that keeps dying takes its
owner with it, until the process ends and the system starts it again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from everytick.errors import Fatal
from everytick.model.units import NS_PER_S
from everytick.ports import Clock, Ids
from everytick.telemetry import Telemetry


class Restarts(msgspec.Struct, frozen=True):
    """How often a task may die before its owner falls: `deaths_max` within `window_s`.

    Five deaths in a minute is no passing fault: whoever starts the process sees its exit code then.
    """

    deaths_max: int = 5
    window_s: float = 60.0
    backoff_s: float = 0.5
    backoff_max_s: float = 10.0


class Tree:
    """Owns tasks. `run` returns when asked to stop, and raises when a task is beyond help."""

    def __init__(self, clock: Clock, ids: Ids, telemetry: Telemetry) -> None:
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._fallen: Exception | None = None
        self._ending = asyncio.Event()
        self.deaths = 0  # of all tasks so far

    def spawn(self, name: str, work: Callable[[], Awaitable[None]], restarts: Restarts | None = None) -> None:
        """Own a task that runs `work` for ever: an end without being asked is a death like any other.

        Without `restarts` one death is enough to fall.
        """
        self._tasks[name] = asyncio.create_task(self._keep(name, work, restarts), name=name)

    def stop(self) -> None:
        """Ask for a graceful end."""
        self._ending.set()

    async def run(self, for_s: float | None = None) -> None:
        """Wait until asked to stop, for at most `for_s` seconds. Raises what killed a task for good."""
        if for_s is not None:
            self._tasks["timer"] = asyncio.create_task(self._stop_after(for_s), name="timer")
        await self._ending.wait()
        if self._fallen is not None:
            raise self._fallen

    async def _stop_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._ending.set()

    async def end(self, *names: str) -> None:
        """Cancel these tasks (all, without names), the last spawned first, and wait for each."""
        for name in reversed(names or list(self._tasks)):
            task = self._tasks.pop(name, None)
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]], restarts: Restarts | None) -> None:
        deaths: deque[int] = deque()
        backoff_s = restarts.backoff_s if restarts else 0.0
        while True:
            try:
                await work()
                error: Exception = Fatal(f"{name} ended without being asked to")
            except Exception as caught:  # noqa: BLE001 - a death of any kind is this loop's business
                error = caught
            now_ns = self._clock.mono_ns()
            deaths.append(now_ns)
            self.deaths += 1
            while restarts and now_ns - deaths[0] > restarts.window_s * NS_PER_S:
                deaths.popleft()
                backoff_s = restarts.backoff_s
            is_final = restarts is None or isinstance(error, Fatal) or len(deaths) > restarts.deaths_max
            self._telemetry.task_died(name, error, is_final=is_final)
            if restarts is None or is_final:
                self._fallen = self._fallen or error
                self._ending.set()
                return
            await self._clock.sleep(backoff_s * (0.5 + self._ids.jitter()))
            backoff_s = min(backoff_s * 2, restarts.backoff_max_s)
