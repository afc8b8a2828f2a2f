"""A store that goes away under a running recorder: an alert within five seconds, one on recovery, nothing lost."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from everytick.cli.session import World, world
from everytick.errors import Retryable
from everytick.model.secret import Secret
from everytick.model.stream import Kind
from everytick.serve.alerts import engine
from everytick.serve.alerts.rules import RULES
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.market import MarketTraits
from everytick.stores.sqlite import writer
from everytick.wiring.rehearsal import Rehearsal, turned_to
from tests.serve.loopback import HttpTaker, http_taker

WAIT_S = 20.0


async def until(is_true: object, what: str) -> float:
    """Wait until `is_true()`; how long it took, in seconds."""
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(WAIT_S):
            while not is_true():  # type: ignore[operator] # any callable
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {WAIT_S} s in vain for {what}") from None
    return time.monotonic() - began_s


async def outage(folder: Path, here: World, taker: HttpTaker, monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
    """Record, take the store away, bring it back. How long the alert and the all-clear took."""
    sim = HyperliquidSim(seed=3, market=MarketTraits(coins=("BTC",), trades_per_s=200.0))
    await sim.start()
    settings = turned_to(
        here.settings, "hyperliquid", sim, data_dir=str(folder), port=0, coins=("BTC",), kinds=(Kind.TRADES,)
    )
    hook = Secret(f"{taker.url}/hook")
    settings = msgspec.structs.replace(settings, alerts=msgspec.structs.replace(settings.alerts, webhook_url=hook))
    rehearsal = Rehearsal(settings, "hyperliquid", sim, here.ports, here.telemetry)
    progress = rehearsal.process.progress
    times: list[float] = []

    def told(rule: str, state: str) -> bool:
        return any((asked.json["rule"], asked.json["state"]) == (rule, state) for asked in list(taker.asked))

    def gone(*_: object) -> None:
        raise Retryable("the store is away")

    async def take_away() -> None:
        await rehearsal.is_ready.wait()
        await until(lambda: progress.offset_applied > 20, "the first rows")
        await until(lambda: told("started", "opened"), "the message of the start")
        with monkeypatch.context() as patch:
            patch.setattr(writer.SqliteStore, "apply", gone)
            times.append(await until(lambda: told("store_unreachable", "opened"), "the alert"))
            durable = progress.offset_durable
            await until(lambda: progress.offset_durable > durable + 20, "recording that goes on")
        times.append(await until(lambda: told("store_unreachable", "recovered"), "the all-clear"))
        rehearsal.end()

    breaking = asyncio.create_task(take_away())
    audit = await rehearsal.run(for_s=3 * WAIT_S)
    await breaking
    assert all(stream.sent == stream.stored for stream in audit.streams)
    return times[0], times[1]


def test_a_store_that_goes_away_is_told_within_five_seconds_and_so_is_its_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The rule waits ten seconds before it calls a condition over; the test has better things to do.
    quick = {name: msgspec.structs.replace(rule, hold_s=1) for name, rule in RULES.items()}
    monkeypatch.setattr(engine, "RULES", quick)
    with http_taker() as taker:
        alert_s, clear_s = asyncio.run(outage(tmp_path, world(None, is_quiet=True), taker, monkeypatch))
    assert alert_s < 5.0
    assert clear_s < 10.0
    subjects = [(asked.json["rule"], asked.json["state"]) for asked in taker.asked]
    assert subjects.count(("store_unreachable", "opened")) == 1
    assert subjects.count(("store_unreachable", "recovered")) == 1
