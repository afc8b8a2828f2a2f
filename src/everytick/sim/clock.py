"""Time and dice of a simulated machine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from everytick.sim.loop import SimLoop

# The simulated world begins on a day of our own; nothing depends on which.
WALL_NS = 1_757_020_000_000_000_000


class SimClock:
    """A ports.Clock on the loop's time. `step_ns` is by how much the machine's wall clock is wrong."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.step_ns = 0
        self.before_sleep: Callable[[str], None] = lambda _: None  # told the name of the task that goes to sleep

    def wall_ns(self) -> int:
        """What the machine's clock on the wall says."""
        return WALL_NS + self._loop.now_ns + self.step_ns

    def mono_ns(self) -> int:
        """Nanoseconds since the world began, and a little."""
        return self._loop.now_ns + 1

    async def sleep(self, seconds: float) -> None:
        """Wait that long; 0 or less only lets other work run."""
        task = asyncio.current_task()
        self.before_sleep(task.get_name() if task is not None else "")
        await self._loop.pause(max(0.0, seconds))


class SimIds:
    """A ports.Ids fed by a seed."""

    def __init__(self, seed: str) -> None:
        self._dice = random.Random(seed)

    def token(self, byte_count: int) -> bytes:
        """That many bytes."""
        return self._dice.randbytes(byte_count)

    def jitter(self) -> float:
        """A number in [0, 1)."""
        return self._dice.random()
