"""The machine's clocks."""

from __future__ import annotations

import asyncio
import time


class HostClock:
    """A ports.Clock that tells the machine's time."""

    def wall_ns(self) -> int:
        """Nanoseconds UTC since 1970; may step when the machine's clock is set."""
        return time.time_ns()

    def mono_ns(self) -> int:
        """Nanoseconds since some fixed moment; never goes back."""
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait that long; 0 or less only lets other work run."""
        await asyncio.sleep(max(0.0, seconds))
