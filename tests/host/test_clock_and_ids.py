"""The machine's clocks and dice."""

from __future__ import annotations

import asyncio
import time

from everytick.host.clock import HostClock
from everytick.host.ids import HostIds


def test_wall_and_monotonic_time_are_nanoseconds_and_go_on() -> None:
    clock = HostClock()
    assert abs(clock.wall_ns() - time.time() * 1e9) < 5e9
    before = clock.mono_ns()
    asyncio.run(clock.sleep(0.01))
    assert 10_000_000 <= clock.mono_ns() - before < 5_000_000_000
    asyncio.run(clock.sleep(-1))


def test_tokens_differ_and_jitter_stays_below_one() -> None:
    ids = HostIds()
    assert len({ids.token(16) for _ in range(1000)}) == 1000
    assert all(len(ids.token(n)) == n for n in range(5))
    assert all(0 <= ids.jitter() < 1 for _ in range(1000))
