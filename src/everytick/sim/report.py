"""What runs found, put together: the one line, the figures for machines, and the file that a failure leaves."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from everytick import __version__
from everytick.sim.faults import Fault
from everytick.sim.invariants import Judge
from everytick.sim.swarm import Swarm
from everytick.sim.world import Event


class Outcome(msgspec.Struct):
    """One seed's run. `broken` names the first invariant that did not hold; empty where all did."""

    seed: int
    hours: float
    faults: int
    met: dict[str, int]
    trace: str
    steps: int
    restarts: int
    emitted: int
    stored: int
    lost: int
    gaps: int
    empty_gaps: int
    unprovable: int
    silent_loss: int
    false_gaps: int
    late_s: float
    lie_s: float
    broken: str = ""
    detail: str = ""
    at_s: float = 0.0
    events: list[Event] = []


def outcome_of(swarm: Swarm, judge: Judge) -> Outcome:
    """A run's figures, as far as it got."""
    return Outcome(
        seed=swarm.seed,
        hours=judge.hours,
        faults=sum(judge.met.values()),
        met=judge.met,
        trace=judge.trace,
        steps=judge.steps,
        restarts=judge.restarts,
        emitted=judge.emitted,
        stored=judge.stored,
        lost=judge.lost,
        gaps=judge.gaps,
        empty_gaps=judge.empty_gaps,
        unprovable=judge.unprovable,
        silent_loss=judge.silent_loss,
        false_gaps=judge.false_gaps,
        late_s=judge.late_s,
        lie_s=judge.lie_s,
    )


class Summary(msgspec.Struct):
    """All seeds of one command. `valid`: every kind of fault that was to come has come, and trades were lost and found.

    `recall`: of what was emitted and is not held, the share that a gap names. `precision`: of the gaps that are not
    closed, the share that covers something lost, without those of which nobody could have known that they are empty
    (docs/decisions/0005-simulation.md); `precision_strict`: with them, and there are `gaps_unprovable`.
    """

    hours: float
    faults: int
    seeds: int
    silent_loss: int
    false_gaps: int
    recall: float
    precision: float
    precision_strict: float
    gaps_unprovable: int
    lie_seconds: float
    valid: bool
    restarts: int
    emitted: int
    late_seconds: float
    met: dict[str, int]
    unmet: list[str]
    broken: list[str]
    took_s: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether everything held, and the run means something."""
        return self.valid and not self.broken


EMITTED_MIN = 100  # trades per seed: below this a run was too quiet to mean anything


def summary_of(outcomes: Sequence[Outcome], kinds: Sequence[str]) -> Summary:
    """Add up. `kinds` are the kinds of fault that this run should have met."""
    met: dict[str, int] = {}
    for one in outcomes:
        for kind, count in one.met.items():
            met[kind] = met.get(kind, 0) + count
    lost, silent = sum(one.lost for one in outcomes), sum(one.silent_loss for one in outcomes)
    gaps, empty = sum(one.gaps for one in outcomes), sum(one.empty_gaps for one in outcomes)
    unprovable = sum(one.unprovable for one in outcomes)
    emitted = sum(one.emitted for one in outcomes)
    unmet = sorted(kind for kind in kinds if not met.get(kind))
    return Summary(
        hours=round(sum(one.hours for one in outcomes), 3),
        faults=sum(one.faults for one in outcomes),
        seeds=len(outcomes),
        silent_loss=silent,
        false_gaps=sum(one.false_gaps for one in outcomes),
        recall=_share(lost, lost + silent),
        precision=_share(gaps - empty, gaps - unprovable),
        precision_strict=_share(gaps - empty, gaps),
        gaps_unprovable=unprovable,
        lie_seconds=sum(one.lie_s for one in outcomes),
        valid=not unmet and emitted >= EMITTED_MIN * len(outcomes) // 10,
        restarts=sum(one.restarts for one in outcomes),
        emitted=emitted,
        late_seconds=sum(one.late_s for one in outcomes),
        met=dict(sorted(met.items())),
        unmet=unmet,
        broken=[f"seed {one.seed}: {one.broken}: {one.detail}" for one in outcomes if one.broken],
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 1.0


def line_of(summary: Summary) -> str:
    """The one line at the end."""
    verdict = "all held" if not summary.broken else f"{len(summary.broken)} seeds broke an invariant"
    if not summary.valid:
        what = f"never met: {', '.join(summary.unmet)}" if summary.unmet else "too little was traded"
        verdict += f", INVALID ({what})"
    return (
        f"{summary.hours:g} fault-hours, {summary.faults} faults, {summary.restarts} restarts, {summary.seeds} seeds, "
        f"{summary.emitted} trades: {verdict}; silent loss {summary.silent_loss}, false gaps {summary.false_gaps}, "
        f"recall {100 * summary.recall:g} %, precision {100 * summary.precision:g} % "
        f"(strict {100 * summary.precision_strict:g} %), "
        f"lie seconds {summary.lie_seconds:g}, in {summary.took_s:.0f} s"
    )


class Failure(msgspec.Struct):
    """What a failure leaves behind: enough to see it, and the command that shows it again."""

    seed: int
    broken: str
    detail: str
    at_s: float
    command: str
    version: str
    python: str
    hash_seed: str
    trace: str
    swarm: Swarm
    plan: list[Fault]
    plan_shrunk: list[int]  # places in the plan that suffice
    tries: int
    events: list[Event]


def command_of(swarm: Swarm, kept: Sequence[int] | None = None) -> str:
    """The command that runs this again."""
    plan = f" --faults {','.join(map(str, kept))}" if kept is not None else ""
    return f"everytick simulate --seed {swarm.seed} --hours {swarm.hours:g}{plan}"


def write_failure(folder: Path, failure: Failure) -> Path:
    """Leave the file; where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"simulate-{failure.seed}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(failure), indent=1))
    return path


def python_name() -> str:
    """Which interpreter this is."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def hash_seed() -> str:
    """By what the hashes of texts are seeded."""
    return "fixed" if not sys.flags.hash_randomization else "random"


VERSION = __version__
