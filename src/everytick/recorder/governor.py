"""One governor per venue and process: everything that knocks at the venue from this address asks here first.

The venue counts by address, so connections, polls and backfill share one allowance. Who may go first is decided by
priority, then by who came first; what an answer really cost is settled once it was seen.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from everytick.core.pacing import Budget, Priority, VenuePace, retry_after_ns
from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.telemetry import Telemetry
from everytick.venues.protocol import Limits, Request

# Backfill leaves a quarter of what can be spent at once, audit a half: a live poll then never waits for them.
KEPT_SHARE: Final[Mapping[Priority, float]] = MappingProxyType(
    {Priority.LIVE: 0.0, Priority.BACKFILL: 0.25, Priority.AUDIT: 0.5}
)


class Governor:
    """The allowance of one venue. Belongs to the event loop; `pace` is what connections take from."""

    def __init__(self, venue: str, limits: Limits, clock: Clock, telemetry: Telemetry) -> None:
        self.pace: Final = VenuePace(
            connects_per_minute=limits.connects_per_minute,
            sends_per_minute=limits.sends_per_minute,
            request_weight_per_minute=limits.request_weight_per_minute,
        )
        self._venue = venue
        self._clock = clock
        self._telemetry = telemetry
        self._waiting: list[tuple[Priority, int, asyncio.Event]] = []
        self._tickets = itertools.count()
        for kind, budget in (
            ("connects", self.pace.connects),
            ("sends", self.pace.sends),
            ("requests", self.pace.requests),
        ):
            telemetry.meter.watch("budget_left", partial(_left, budget, clock), venue, kind)

    async def connect(self) -> None:
        """Wait for leave to connect."""
        while (wait_ns := self.pace.connects.take(self._clock.mono_ns())) > 0:
            self._telemetry.connect_budget_wait(self._venue, wait_ns / NS_PER_S)
            await self._clock.sleep(wait_ns / NS_PER_S)

    async def request(self, request: Request, priority: Priority) -> None:
        """Wait for leave to send this request, and pay the most that it should cost; see `settle`.

        Raises ValueError for a request that costs more than the venue allows at once.
        """
        budget = self.pace.requests
        keep = int(budget.burst * KEPT_SHARE[priority])
        turn = asyncio.Event()
        ticket = (priority, next(self._tickets), turn)
        heapq.heappush(self._waiting, ticket)
        began_ns = self._clock.mono_ns()
        try:
            while True:
                if self._waiting[0] is not ticket:
                    await turn.wait()
                    turn.clear()
                    continue
                wait_ns = budget.take(self._clock.mono_ns(), request.weight, keep)
                if wait_ns == 0:
                    break
                await self._clock.sleep(wait_ns / NS_PER_S)
        finally:
            self._waiting.remove(ticket)
            heapq.heapify(self._waiting)
            if self._waiting:
                self._waiting[0][2].set()
        waited_ns = self._clock.mono_ns() - began_ns
        if waited_ns > 0:
            self._telemetry.request_budget_wait(self._venue, priority.name.lower(), waited_ns / NS_PER_S)

    def settle(self, request: Request, items: int) -> None:
        """The answer held `items`: charge what it cost beyond what was paid, or give back what it did not cost."""
        more = request.weight_of(items) - request.weight
        if more:
            self.pace.requests.charge(self._clock.mono_ns(), more)

    def told_to_wait(self, header: str | None, otherwise_ns: int) -> int:
        """The venue answered 429: nobody knocks until its Retry-After, or for `otherwise_ns`. Gives the wait in ns."""
        wait_ns = retry_after_ns(header, self._clock.wall_ns()) or otherwise_ns
        self.pace.hold(self._clock.mono_ns(), wait_ns)
        self._telemetry.told_to_wait(self._venue, wait_ns / NS_PER_S)
        return wait_ns


def _left(budget: Budget, clock: Clock) -> int:
    return budget.left(clock.mono_ns())
