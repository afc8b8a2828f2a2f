"""`everytick simulate`: the whole recorder on a simulated machine, with faults from a seed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from everytick.cli.console import JsonOption, say, say_json
from everytick.cli.exits import Exit
from everytick.errors import Refused
from everytick.sim import report
from everytick.sim.faults import KINDS
from everytick.sim.report import Outcome
from everytick.sim.simulate import explain, keep, run_seed, simulate
from everytick.sim.swarm import draw


def command(
    *,
    seed: Annotated[int | None, Parameter(help="Run this one seed, and say what happened.")] = None,
    seeds: Annotated[str, Parameter(help="Run a range of seeds: 1..100.")] = "1..20",
    hours: Annotated[float, Parameter(help="Hours of faults, for each seed; simulated ones.")] = 1.0,
    faults: Annotated[
        str, Parameter(help="Only these kinds of fault; with --seed also places in its plan: 3,17.")
    ] = "",
    processes: Annotated[int, Parameter(help="How many at once; 0: one for each processor.")] = 0,
    folder: Annotated[str, Parameter(help="Where a failure leaves its file.")] = "simulated",
    json: JsonOption = False,
) -> int:
    """Run the recorder against simulated venues, network, disk and store that fail by plan, and check that it held.

    Everything follows from the seed: the same seed is the same run. Exit code 1 if an invariant did not hold, or if
    the run met too little to mean anything. A failure leaves a file with its seed, plan, last events and command.

    Example: everytick simulate --seed 3 --hours 0.05 --json
    """
    if not 0 < hours <= HOURS_MAX:
        raise Refused(f"outside 0 to {HOURS_MAX:g}", path="--hours", value=hours)
    kinds, places = _chosen(faults, is_one=seed is not None)
    if seed is not None and places is not None:
        return _again(seed, hours, places, as_json=json)
    chosen = [seed] if seed is not None else _range(seeds)
    at_once = min(processes or os.cpu_count() or 1, len(chosen))
    done = 0

    def tell(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if outcome.broken and not json:
            say(f"seed {outcome.seed}: {outcome.broken}: {outcome.detail}", style="bold red")

    summary, broken = simulate(chosen, hours, only=kinds, processes=at_once, tell=tell)
    files = [explain(swarm, outcome, Path(folder)) for swarm, outcome in broken[:EXPLAINED_MAX]]
    if json:
        say_json(summary)
    else:
        for path in files:
            say(f"see {path}")
        if seed is not None:
            say("met: " + ", ".join(f"{kind} {count}" for kind, count in summary.met.items()))
        say(report.line_of(summary), style="bold green" if summary.is_good else "bold red")
    return Exit.OK if summary.is_good else Exit.NO


HOURS_MAX = 10_000.0
EXPLAINED_MAX = 3  # of many failures the first few are looked at closely: shrinking takes a while


def _again(seed: int, hours: float, places: list[int], *, as_json: bool) -> int:
    """A seed with only some of its faults: how a failure is looked at."""
    outcome = run_seed(keep(draw(seed, hours), places))
    if as_json:
        say_json(outcome)
    else:
        for event in outcome.events:
            say(f"{event.at_s:12.3f}  life {event.life:<3} {event.what:<24} {event.detail}")
        verdict = f"{outcome.broken}: {outcome.detail}" if outcome.broken else "all held"
        say(f"seed {seed} with {len(places)} faults: {verdict}", style="bold red" if outcome.broken else "bold green")
    return Exit.NO if outcome.broken else Exit.OK


def _chosen(faults: str, *, is_one: bool) -> tuple[tuple[str, ...], list[int] | None]:
    names = [name.strip() for name in faults.split(",") if name.strip()]
    if is_one and names and all(name.isdigit() for name in names):
        return (), [int(name) for name in names]
    for name in names:
        if name not in KINDS:
            raise Refused("no such kind of fault", path="--faults", value=name, suggestion=", ".join(KINDS))
    return tuple(names), None


def _range(text: str) -> list[int]:
    first, dots, last = text.partition("..")
    if not first.isdigit() or (dots and not last.isdigit()):
        raise Refused("no range of seeds", path="--seeds", value=text, suggestion="1..100")
    chosen = list(range(int(first), int(last or first) + 1))
    if not chosen:
        raise Refused("an empty range", path="--seeds", value=text, suggestion="1..100")
    return chosen
