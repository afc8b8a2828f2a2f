"""Running seeds: one or many, on all cores, and shrinking what breaks."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec

from everytick.sim import report
from everytick.sim.faults import KINDS
from everytick.sim.invariants import Broken
from everytick.sim.report import Failure, Outcome, Summary
from everytick.sim.swarm import Swarm, draw
from everytick.sim.world import World

# How often, and for how long, a failing plan is run again with fewer faults.
TRIES_MAX = 200
SHRINK_S_MAX = 60.0


def run_seed(swarm: Swarm) -> Outcome:
    """One run. What breaks is in the outcome; whatever the simulation itself dies of is told the same way."""
    world = World(swarm)
    try:
        judge = world.run()
        broken = detail = ""
    except Broken as found:
        judge, broken, detail = world.judge, found.invariant, found.detail
    except Exception as error:  # noqa: BLE001 - a death of the simulation is a failure of the seed, with its events
        judge, broken, detail = world.judge, "I-SIM", f"{type(error).__name__}: {error}"
    judge.met, judge.steps = dict(sorted(world.met.items())), world.loop.steps
    outcome = report.outcome_of(swarm, judge)
    if broken:
        outcome.broken, outcome.detail = broken, detail
        outcome.at_s = world.loop.now_ns / 1e9
        outcome.trace = world.trace
        outcome.events = list(world.events)
    return outcome


def run_many(swarms: Sequence[Swarm], processes: int) -> Iterator[Outcome]:
    """Run them on so many processes, in order."""
    if processes == 1:
        yield from map(run_seed, swarms)
        return
    # Fresh interpreters: a run must not depend on what ran before it in the same one.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(run_seed, swarms)


def keep(swarm: Swarm, places: Sequence[int]) -> Swarm:
    """The same run with only these faults of its plan."""
    plan = tuple(swarm.plan[place] for place in places if place < len(swarm.plan))
    return msgspec.structs.replace(swarm, plan=plan)


def shrink(swarm: Swarm, broken: str, run: Callable[[Swarm], Outcome] = run_seed) -> tuple[list[int], int]:
    """The fewest faults found that still break the same invariant (delta debugging), and how many tries it took."""
    tries, began = 0, time.monotonic()

    def may_try() -> bool:
        return tries < TRIES_MAX and time.monotonic() - began < SHRINK_S_MAX

    def breaks(places: list[int]) -> bool:
        nonlocal tries
        tries += 1
        return run(keep(swarm, places)).broken == broken

    places = list(range(len(swarm.plan)))
    pieces = 2
    while len(places) > 1 and may_try():
        size = -(-len(places) // pieces)
        parts = [places[at : at + size] for at in range(0, len(places), size)]
        for part in parts:
            rest = [place for place in places if place not in part]
            if may_try() and breaks(rest):
                places, pieces = rest, max(pieces - 1, 2)
                break
        else:
            if size == 1:
                break
            pieces = min(pieces * 2, len(places))
    return places, tries


def explain(swarm: Swarm, outcome: Outcome, folder: Path) -> Path:
    """Shrink a failure and leave its file. A failure that does not come again is one of its own class."""
    again = run_seed(swarm)
    if (again.broken, again.trace) != (outcome.broken, outcome.trace):
        outcome.broken, outcome.detail = "I-DET", f"{outcome.broken}, then {again.broken or 'nothing'}"
        places, tries = list(range(len(swarm.plan))), 1
    else:
        places, tries = shrink(swarm, outcome.broken)
    failure = Failure(
        seed=swarm.seed,
        broken=outcome.broken,
        detail=outcome.detail,
        at_s=outcome.at_s,
        command=report.command_of(swarm, places),
        version=report.VERSION,
        python=report.python_name(),
        hash_seed=report.hash_seed(),
        trace=outcome.trace,
        swarm=swarm,
        plan=list(swarm.plan),
        plan_shrunk=places,
        tries=tries,
        events=outcome.events,
    )
    return report.write_failure(folder, failure)


def simulate(
    seeds: Sequence[int],
    hours: float,
    *,
    only: tuple[str, ...] = (),
    processes: int = 1,
    tell: Callable[[Outcome], None] = lambda _: None,
) -> tuple[Summary, list[tuple[Swarm, Outcome]]]:
    """Run these seeds, each for so many hours of faults; the summary, and the seeds that broke something."""
    began = time.monotonic()
    swarms = [draw(seed, hours, only) for seed in seeds]
    outcomes, broken = [], []
    for swarm, outcome in zip(swarms, run_many(swarms, processes), strict=True):
        tell(outcome)
        outcomes.append(outcome)
        if outcome.broken:
            broken.append((swarm, outcome))
    expected = only or (tuple(KINDS) if len(seeds) * hours >= MANY_HOURS else ())
    summary = report.summary_of(outcomes, expected)
    summary.took_s = time.monotonic() - began
    return summary, broken


# From this many fault-hours on a run must have met every kind of fault there is.
MANY_HOURS = 20.0
