"""The simulation itself: a bounded share of its seeds, the same run twice, and that it sees what is broken."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from everytick.sim import loop as sim_loop
from everytick.sim import report
from everytick.sim.faults import KINDS, Fault, draw_plan
from everytick.sim.loop import LIFE, Stuck, new_loop
from everytick.sim.simulate import keep, run_seed, shrink
from everytick.sim.strikes import STRIKES
from everytick.sim.swarm import draw
from everytick.supervise.threads import OwnedThread, Stop
from tests.mutants.patch import mutated
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("seed", range(1, 11))
def test_every_invariant_holds_in_a_share_of_the_seeds(seed: int) -> None:
    outcome = run_seed(draw(seed, 0.3))
    assert not outcome.broken, f"{outcome.broken}: {outcome.detail}; everytick simulate --seed {seed} --hours 0.3"
    assert outcome.emitted
    assert outcome.met


TRACE = """
from everytick.sim.simulate import run_seed
from everytick.sim.swarm import draw
print([run_seed(draw(seed, 0.1)).trace for seed in (3, 4, 5)])
"""


def test_the_same_seed_is_the_same_run_whatever_the_hashes() -> None:
    traces = set()
    for hash_seed in ("1", "2", "2"):
        done = subprocess.run(
            [sys.executable, "-c", TRACE],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        traces.add(done.stdout)
    assert len(traces) == 1
    assert run_seed(draw(3, 0.1)).trace != run_seed(draw(4, 0.1)).trace


def test_every_kind_of_fault_can_strike_and_is_planned() -> None:
    assert set(STRIKES) == set(KINDS)
    plan = draw_plan(random.Random(1), tuple(KINDS), ("hyperliquid",), 3_600 * 20, 20)
    assert {fault.kind for fault in plan} == set(KINDS)
    assert all(earlier.at_s <= later.at_s for earlier, later in itertools.pairwise(plan))


def test_a_run_that_never_met_a_fault_is_invalid_and_not_green() -> None:
    outcome = run_seed(msgspec.structs.replace(draw(3, 0.05), plan=()))
    assert not outcome.broken
    summary = report.summary_of([outcome], ("cut",))
    assert (summary.valid, summary.unmet, summary.is_good) == (False, ["cut"], False)
    assert "INVALID" in report.line_of(summary)


def test_shrinking_leaves_the_faults_that_matter() -> None:
    plan = tuple(Fault(float(n), "cut", "hyperliquid", 0.0, 0.5, n) for n in range(40))
    swarm = msgspec.structs.replace(draw(1, 0.1), plan=plan)
    whole = run_seed(keep(swarm, []))

    def run(tried: object) -> report.Outcome:
        assert isinstance(tried, type(swarm))
        counts = {fault.count for fault in tried.plan}
        return msgspec.structs.replace(whole, broken="I-CONS" if {7, 31} <= counts else "")

    places, tries = shrink(swarm, "I-CONS", run)
    assert places == [7, 31]
    assert tries <= 200


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_still_has_its_place_in_the_product(mutant: object) -> None:
    one = next(known for known in MUTANTS if known is mutant)
    path = ROOT / "src" / (one.module.replace(".", "/") + ".py")
    compile(mutated(one, path.read_text()), str(path), "exec")


def test_a_recorder_that_confirms_nothing_is_caught_within_a_few_seeds() -> None:
    command = [sys.executable, "-m", "tests.mutants.hunt", "no_fsync", "--seeds", "10", "--hours", "0.25"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    assert 1 <= found["seed"] <= 10
    assert found["by"].startswith("I-")


def test_a_life_that_is_killed_runs_nothing_more_not_even_its_finally() -> None:
    loop = new_loop(random.Random(1))
    done: list[str] = []

    async def life() -> None:
        LIFE.set(1)
        try:
            await loop.pause(10)
        finally:
            done.append("finally")

    async def main() -> None:
        task = loop.create_task(life())
        loop._alive[task] = 1
        await loop.pause(1)
        loop.kill(1)
        await loop.pause(100)

    loop.run(main())
    assert done == []
    loop.finish()


def test_waiting_for_what_cannot_come_is_a_failure_and_so_is_running_without_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    async def spin() -> None:
        while True:
            await looping.pause(0)

    with pytest.raises(Stuck, match="deadlock"):
        new_loop(random.Random(1)).run(wait())
    looping = new_loop(random.Random(1))
    monkeypatch.setattr(sim_loop, "LIVELOCK_STEPS", 1_000)
    with pytest.raises(Stuck, match="livelock"):
        looping.run(spin())


def test_a_simulated_worker_waits_in_virtual_time_and_is_woken() -> None:
    loop = new_loop(random.Random(1))
    seen: list[float] = []

    def work(stop: Stop):
        while not stop.is_asked:
            seen.append(loop.time())
            yield 100.0

    async def main() -> None:
        thread = OwnedThread("worker", work)
        running = loop.create_task(thread.run())
        await loop.pause(250)
        thread.stop.wake()
        await loop.pause(10)
        thread.stop.ask()
        await running

    loop.run(main())
    assert seen == [0.0, 100.0, 200.0, 250.0]
