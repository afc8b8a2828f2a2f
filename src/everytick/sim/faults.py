"""Every kind of fault, and the plan of a run: drawn before it begins, so that one can be taken out alone."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

# kind -> (how often relative to the others, shortest and longest in seconds, what it does)
KINDS: Final[Mapping[str, tuple[float, float, float, str]]] = MappingProxyType(
    {
        # the line to a venue (B.1, B.2 of the catalogue of faults)
        "cut": (4, 0, 0, "a connection ends in the middle of what was under way"),
        "close": (2, 0, 0, "the venue closes a connection in order"),
        "outage": (3, 1, 300, "nobody can connect, and nothing is answered"),
        "half_open": (2, 0, 0, "a line stays open and carries nothing any more"),
        "mute": (2, 5, 200, "the whole line is dark: what is open stays open, nothing passes"),
        "slow": (2, 5, 120, "everything takes up to ten seconds longer"),
        "twice": (2, 10, 120, "messages come twice"),
        "stall": (2, 20, 400, "one stream says nothing, the others flow"),
        "busy": (2, 5, 60, "429 for connects and questions, with a wish to be left alone"),
        "http": (2, 30, 300, "answers are 503, 422, a page for people, or do not come"),
        "kept_back": (3, 0, 0, "trades that are sent to nobody; the venue's history has them"),
        "hole": (2, 0, 0, "ids that never were: the venue itself has no such trades"),
        "poison": (4, 0, 0, "a message that must not be stored"),
        # the disk (B.6)
        "full": (2, 5, 120, "no room on the disk"),
        "sync_fails": (2, 0, 0, "a datasync fails and loses what it should confirm"),
        "short_writes": (2, 20, 300, "writes take less than they were given"),
        "rot": (1, 0, 0, "a bit of the tape turns over"),
        "slow_disk": (2, 1, 20, "the committer is held up"),
        # the store (B.6)
        "store_away": (3, 1, 300, "the store answers nobody"),
        "commit_lost_before": (2, 0, 0, "the store is lost before a commit"),
        "commit_lost_after": (3, 0, 0, "the store has committed, and nobody is told"),
        "slow_store": (2, 1, 30, "the projector is held up"),
        # the process and its machine (B.4, B.5)
        "power_cut": (3, 1, 30, "the machine dies between two steps"),
        "power_cut_in_io": (4, 1, 30, "the machine dies in the middle of a file operation"),
        "kill_in_io": (2, 1, 20, "the process dies in the middle of a file operation, the machine does not"),
        "kill": (3, 1, 20, "the process dies between two steps"),
        "stop": (2, 1, 20, "the process is asked to stop, and started again"),
        "crash_in_start": (2, 1, 10, "the machine dies, and once more while it recovers"),
        "task_dies": (2, 0, 0, "a task dies of an error that nobody expected"),
        "stand_still": (2, 1, 90, "the machine sleeps"),
        "clock_step": (1, 0, 0, "somebody sets the wall clock"),
    }
)
# What must have happened for a run to have met a kind of fault is counted by the world, not by the plan.


class Fault(msgspec.Struct, frozen=True):
    """One fault: when (seconds from the start of the safety phase), what, to whom, for how long.

    `dice` is a number in [0, 1) for whatever else it chooses, and `count` a small number: steps, trades, operations.
    """

    at_s: float
    kind: str
    venue: str
    seconds: float
    dice: float
    count: int


def draw_plan(
    dice: random.Random, kinds: Sequence[str], venues: Sequence[str], seconds: float, pace_s: float
) -> list[Fault]:
    """A plan of faults of these kinds, one about every `pace_s`."""
    weights = [KINDS[kind][0] for kind in kinds]
    plan = []
    at_s = dice.expovariate(1 / pace_s)
    while at_s < seconds:
        kind = dice.choices(kinds, weights)[0]
        shortest, longest = KINDS[kind][1:3]
        # Most are short, some are long: drawn evenly on a scale of ratios.
        length_s = shortest * (longest / shortest) ** dice.random() if shortest else 0.0
        count = int(2 ** (dice.random() * 7))
        plan.append(Fault(round(at_s, 3), kind, dice.choice(venues), round(length_s, 3), dice.random(), count))
        at_s += dice.expovariate(1 / pace_s)
    return plan
