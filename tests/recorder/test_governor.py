"""One allowance for everything that knocks at a venue: by priority, settled by what it cost, held when told so."""

from __future__ import annotations

import asyncio

import pytest

from everytick.core.pacing import Budget, Priority
from everytick.model.units import NS_PER_S
from everytick.recorder.governor import Governor
from everytick.telemetry import Telemetry
from everytick.venues import hyperliquid
from everytick.venues.protocol import Request
from tests.recorder.virtual import VirtualClock, run, settle


def a_request(weight: int, name: str = "x") -> Request:
    return Request(name, "POST", "/info", b"{}", weight)


def governor(clock: VirtualClock) -> tuple[Governor, Telemetry]:
    telemetry = Telemetry(clock)
    return Governor("hyperliquid", hyperliquid.LIMITS, clock, telemetry), telemetry


def test_what_an_answer_really_cost_is_settled_from_its_items() -> None:
    clock = VirtualClock()
    guard, _ = governor(clock)

    async def work() -> None:
        request = hyperliquid.recent_trades("BTC")
        await guard.request(request, Priority.LIVE)
        assert guard.pace.requests.left(0) == 600 - 21
        guard.settle(request, 2_000)  # 20 + 100: the venue sent far more than was due
        assert guard.pace.requests.left(0) == 600 - 120
        await guard.request(request, Priority.LIVE)
        guard.settle(request, 0)  # an empty answer costs 20
        assert guard.pace.requests.left(0) == 600 - 140

    run(work())


def test_no_minute_costs_more_than_1200_whatever_the_answers_hold() -> None:
    """A10 item 20: no weight budget."""
    clock = VirtualClock()
    guard, _ = governor(clock)
    spent: list[tuple[int, int]] = []

    async def ask(number: int) -> None:
        request = hyperliquid.recent_trades("BTC")
        await guard.request(request, Priority.LIVE)
        items = 10 + number % 7 * 60
        guard.settle(request, items)
        spent.append((clock.now_ns, request.weight_of(items)))

    async def work() -> None:
        tasks = [asyncio.ensure_future(ask(number)) for number in range(200)]
        await clock.pass_time(1_200)
        await asyncio.gather(*tasks)

    run(work())
    assert len(spent) == 200
    for at_ns, _ in spent:
        # The last answers before a pause may have cost up to their surplus more than was known when asked.
        assert sum(cost for when, cost in spent if at_ns - 60 * NS_PER_S < when <= at_ns) <= 1_200 + 18


def test_who_matters_goes_first_and_equals_in_turn() -> None:
    clock = VirtualClock()
    guard, _ = governor(clock)
    order: list[str] = []

    async def ask(name: str, priority: Priority) -> None:
        await guard.request(a_request(100), priority)
        order.append(name)

    async def work() -> None:
        while guard.pace.requests.take(0, 100) == 0:
            pass
        waiting = [("audit", Priority.AUDIT), ("fill 1", Priority.BACKFILL), ("fill 2", Priority.BACKFILL)]
        tasks = [asyncio.ensure_future(ask(*one)) for one in waiting]
        await settle()
        tasks.append(asyncio.ensure_future(ask("live", Priority.LIVE)))
        await clock.pass_time(300)
        await asyncio.gather(*tasks)

    run(work())
    assert order == ["live", "fill 1", "fill 2", "audit"]


def test_a_small_request_does_not_starve_a_large_one_that_came_first() -> None:
    clock = VirtualClock()
    guard, _ = governor(clock)
    order: list[int] = []

    async def ask(weight: int) -> None:
        await guard.request(a_request(weight), Priority.LIVE)
        order.append(weight)

    async def work() -> None:
        assert guard.pace.requests.take(0, 600) == 0
        tasks = [asyncio.ensure_future(ask(weight)) for weight in (500, 2, 3)]
        await clock.pass_time(49.9)
        assert order == []
        await clock.pass_time(10)
        await asyncio.gather(*tasks)

    run(work())
    assert order == [500, 2, 3]


def test_a_live_poll_never_waits_behind_backfill_that_asks_without_end() -> None:
    clock = VirtualClock()
    guard, _ = governor(clock)
    waits: list[int] = []

    async def fill() -> None:
        while True:
            await guard.request(a_request(104), Priority.BACKFILL)

    async def live() -> None:
        while True:
            began = clock.now_ns
            await guard.request(a_request(21), Priority.LIVE)
            waits.append(clock.now_ns - began)
            await clock.sleep(10)

    async def work() -> None:
        tasks = [asyncio.ensure_future(fill()), asyncio.ensure_future(live())]
        await clock.pass_time(600)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(work())
    assert len(waits) > 50
    assert max(waits) == 0


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [("7", 7), ("Thu, 04 Sep 2025 21:06:48 GMT", 8), (None, 60), ("soon", 60), ("-5", 60), ("99999999", 600)],
)
def test_a_venue_that_says_wait_is_left_alone_that_long_by_all(header: str | None, wait_s: int) -> None:
    """A10 item 20: no Retry-After."""
    clock = VirtualClock()
    guard, telemetry = governor(clock)

    async def work() -> None:
        guard.told_to_wait(header, 60 * NS_PER_S)
        assert b'everytick_budget_left{kind="requests",venue="hyperliquid"} 0.0' in telemetry.exposition()
        request = asyncio.ensure_future(guard.request(a_request(2), Priority.LIVE))
        connect = asyncio.ensure_future(guard.connect())
        await clock.pass_time(wait_s - 0.001)
        assert not request.done()
        assert not connect.done()
        await clock.pass_time(0.002)
        assert request.done()
        assert connect.done()

    run(work())


def test_a_cancelled_request_lets_the_next_one_go() -> None:
    clock = VirtualClock()
    guard, _ = governor(clock)

    async def work() -> None:
        assert guard.pace.requests.take(0, 600) == 0
        first = asyncio.ensure_future(guard.request(a_request(50), Priority.LIVE))
        second = asyncio.ensure_future(guard.request(a_request(50), Priority.LIVE))
        await settle()
        first.cancel()
        await clock.pass_time(5.1)
        assert second.done()

    run(work())


def test_the_budget_left_is_seen_in_the_metrics_as_time_passes() -> None:
    clock = VirtualClock()
    guard, telemetry = governor(clock)
    for kind, full in (("requests", 600), ("connects", 15), ("sends", 1_000)):
        line = f'everytick_budget_left{{kind="{kind}",venue="hyperliquid"}} {float(full)}'
        assert line.encode() in telemetry.exposition()
    guard.pace.requests.take(0, 600)
    assert b'kind="requests",venue="hyperliquid"} 0.0' in telemetry.exposition()
    clock.now_ns = 6 * NS_PER_S
    assert b'kind="requests",venue="hyperliquid"} 60.0' in telemetry.exposition()


def test_a_debt_is_paid_before_anything_is_given() -> None:
    budget = Budget(1_200)
    budget.charge(0, 700)
    assert budget.left(0) == -100
    assert budget.take(0, 10) == 11 * NS_PER_S
    budget.charge(0, -5_000)
    assert budget.left(0) == 600  # giving back never makes more than a full budget
