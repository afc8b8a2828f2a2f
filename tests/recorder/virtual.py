"""Time that passes only when everybody waits, and a venue's HTTP that answers from a script."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from everytick.errors import Retryable
from everytick.model.units import NS_PER_S
from everytick.ports import HttpAnswer

WALL_NS = 1_757_020_000_000_000_000


class VirtualClock:
    """`pass_time` lets the waiting go on in the order of their times, as fast as they can."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._tickets = itertools.count()

    def wall_ns(self) -> int:
        return WALL_NS + self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self.now_ns + max(int(seconds * NS_PER_S), 0), next(self._tickets), future))
        await future

    async def pass_time(self, seconds: float) -> None:
        until_ns = self.now_ns + int(seconds * NS_PER_S)
        await settle()
        while self._waiting and self._waiting[0][0] <= until_ns:
            self.now_ns, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
            await settle()
        self.now_ns = until_ns


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


class Dice:
    def token(self, byte_count: int) -> bytes:
        return bytes(byte_count)

    def jitter(self) -> float:
        return 0.0


Script = Callable[[bytes], HttpAnswer | None]


class ScriptedHttp:
    """Answers each request by `script(body)`; None is no answer at all. Remembers what was asked, and when."""

    def __init__(self, clock: VirtualClock, script: Script, *, takes_s: float = 0.0) -> None:
        self._clock = clock
        self.script = script
        self.takes_s = takes_s
        self.asked: list[tuple[float, bytes]] = []

    async def ask(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float, body_bytes_max: int
    ) -> HttpAnswer:
        self.asked.append((self._clock.now_ns / NS_PER_S, body))
        if self.takes_s:
            await self._clock.sleep(self.takes_s)
        answer = self.script(body)
        if answer is None:
            raise Retryable("the line is cut")
        return answer

    async def close(self) -> None:
        return None


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)
