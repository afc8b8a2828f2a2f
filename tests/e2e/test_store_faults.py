"""The script of faults of `make faults`, our side and a bounded share: a real server, the real program as a process."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench.children import Child
from bench.faults import script
from bench.faults.hooks import Hook, hook
from bench.faults.outcome import Outcome, add_watched, outcome_of
from bench.faults.script import Run
from bench.faults.sides import Ours
from bench.faults.watch import Watch

from tests.stores.server import Server, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

RATE = 600.0
SEED = 5
WAIT_S = 20.0


@contextmanager
def running(folder: Path) -> Iterator[tuple[Run, Hook]]:
    """A venue, a server and `everytick run`, its first rows stored."""
    order = {"seed": SEED, "rate": RATE}
    with Server() as server, hook() as taker, Child("bench.faults.venue", order, seconds_max=120) as venue:
        program = Ours(server, venue.line()["port"], folder, taker.url)
        program.start()
        try:
            with Watch(program, venue) as watch:
                run = Run(program, server, watch, random.Random(SEED), RATE, stop_s=2.0)
                until(lambda: bool(watch.stored and watch.stored[-1][1]), "the first rows")
                run.mark("warm")
                run.mark("fault")
                yield run, taker
        finally:
            program.end()


def until(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_true():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {WAIT_S} s in vain for {what}")
        time.sleep(0.05)


def until_stored(run: Run, newest: object) -> None:
    assert isinstance(newest, dict)
    until(lambda: all(run.watch.stored[-1][1].get(symbol, 0) > last for symbol, last in newest.items()), "new rows")


def counted(run: Run, taker: Hook) -> Outcome:
    """What is held once the venue is quiet and nothing is missing any more, or after a while."""
    run.mark("end")
    run.watch.tell(quiet=True)
    truth = run.watch.tell(truth=True)
    due = sum(truth["newest"][symbol] - truth["first"][symbol] + 1 for symbol in truth["first"])
    until(lambda: run.program.ask("SELECT count(*) FROM trades")[0][0] >= due, f"{due} rows")
    until(lambda: not run.program.ask("SELECT 1 FROM gaps WHERE state = 'open'"), "the last gap to be closed")
    outcome = outcome_of("test", "test", run, 1, truth, run.program.held())
    add_watched(outcome, run, taker)
    return outcome


def test_poison_cuts_a_deadlock_and_an_outage_lose_nothing_and_health_stays_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "CUTS", 2)
    with running(tmp_path) as (run, taker):
        poisons = (script.nan, script.quote_price, script.quote_id, script.quote_symbol, script.repeat)
        assert [poison(run) for poison in poisons] == [1] * len(poisons)
        run.mark("fault")
        assert script.cut(run) == 2
        assert script.deadlock(run) == 1
        script.stop(run)
        outcome = counted(run, taker)
    assert (outcome.lost, outcome.duplicates, outcome.unsent, outcome.stored) == (0, 0, 0, outcome.made)
    assert outcome.made > 5_000 + 2 * script.BURST
    assert outcome.quarantined == 4  # every poison but the repeat, which is known
    assert (outcome.gaps, outcome.health_lies) == ([], 0)
    assert outcome.alerts >= 1
    assert outcome.alert_s < 5.0
    assert outcome.health_slowest_ms < 500  # beside other tests; 50 ms is measured by the script itself


def test_a_killed_and_a_stopped_process_get_back_what_they_missed(tmp_path: Path) -> None:
    with running(tmp_path) as (run, taker):
        for fault in (script.kill, script.graceful):
            fault(run)
            # Only a trade that comes after them shows what was missed.
            until_stored(run, run.watch.tell(newest=True)["newest"])
        outcome = counted(run, taker)
    assert (outcome.lost, outcome.duplicates, outcome.false_gaps) == (0, 0, 0)
    assert outcome.stored == outcome.made
    assert outcome.regained == outcome.unsent > 0
    assert outcome.gaps, "trades were made while nobody listened"
