"""`python -m bench.faults`: the same faults against both programs, a table, and with --write docs/FAULTS.md."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.stores.server import Server

from bench.children import ROOT, Child
from bench.faults import document
from bench.faults.hooks import Hook, hook
from bench.faults.outcome import Outcome, add_watched, outcome_of
from bench.faults.script import FAULTS, Run
from bench.faults.sides import Cryptofeed, Ours, Program
from bench.faults.watch import Watch

RESULTS = ROOT / "bench" / "results"
SIDES = ("everytick", "cryptofeed")
RATE, STOP_S, SEED = 1_500.0, 20.0, 1
WARM_S = 3.0
AFTER_S = 15.0  # of load after the fault, on both sides: long enough for an all-clear, which takes ten seconds
READY_S_MAX = 20.0
SETTLE_S = 3.0
GROWTH_MB_MAX = 20.0
CATCH_UP_PER_S_MIN = 10_000
SETTLE_S_MAX = 60.0


def one(name: str, side: str, *, rate: float, stop_s: float, after_s: float = AFTER_S, seed: int = SEED) -> Outcome:
    """One side under one fault, in a database, a folder and a server of its own."""
    fault = FAULTS[name]
    rate, stop_s = fault.rate or rate, fault.stop_s or stop_s
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=_results()))
    seconds_max = 600 + 3 * stop_s
    order = {"seed": seed, "rate": rate}
    try:
        with (
            Server() as server,
            hook() as taker,
            Child("bench.faults.venue", order, seconds_max=seconds_max) as venue,
        ):
            port = venue.line()["port"]
            program: Program = (
                Ours(server, port, folder, taker.url)
                if side == SIDES[0]
                else Cryptofeed(server, port, folder, is_keyed=fault.is_keyed)
            )
            program.start()
            try:
                with Watch(program, venue) as watch:
                    run = Run(program, server, watch, random.Random(seed), rate, stop_s)
                    outcome = _played(name, run, taker, max(fault.warm_s, WARM_S), after_s)
            finally:
                program.end()
        if failures([outcome]):
            shutil.copytree(folder, kept := _results() / f"kept-{name}-{side}", dirs_exist_ok=True)
            print(f"tape and log kept in {kept.relative_to(ROOT)}", file=sys.stderr)
        return outcome
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _played(name: str, run: Run, taker: Hook, warm_s: float, after_s: float) -> Outcome:
    _until_first_row(run.program)
    time.sleep(1.0)
    run.mark("warm")
    time.sleep(warm_s)
    run.mark("fault")
    struck = FAULTS[name].strike(run)
    run.mark("over")
    time.sleep(after_s)
    run.mark("end")
    run.watch.tell(quiet=True)
    _settle(run.program)
    truth = run.watch.tell(truth=True)
    title = FAULTS[name].title.format(stop_s=run.stop_s, away=int(run.rate * run.stop_s))
    outcome = outcome_of(name, title, run, struck, truth, run.program.held())
    if isinstance(run.program, Ours):
        add_watched(outcome, run, taker)
    return outcome


def _until_first_row(program: Program) -> None:
    """A side is up when its first row is stored."""
    deadline = time.monotonic() + READY_S_MAX
    while time.monotonic() < deadline:
        try:
            if program.ask("SELECT 1 FROM trades LIMIT 1"):
                return
        except Exception:
            time.sleep(0.1)
        time.sleep(0.05)
    raise RuntimeError(f"{program.name} stored nothing within {READY_S_MAX:.0f} s:\n" + "\n".join(program.said()[-12:]))


def _settle(program: Program) -> None:
    """Wait until the number of rows has stood for a while."""
    deadline = time.monotonic() + SETTLE_S_MAX
    count, since = -1, time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < SETTLE_S:
        ((now,),) = program.ask("SELECT count(*) FROM trades")
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.2)


def _results() -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    return RESULTS


def failures(outcomes: Sequence[Outcome]) -> list[str]:
    """What our side promised and did not keep, and faults that did not strike."""
    found = []
    for o in outcomes:
        if not o.struck:
            found.append(f"{o.fault}: it never struck {o.side}")
        if o.side != SIDES[0]:
            continue
        kept = {
            "lost": not o.lost,
            "duplicates": not o.duplicates,
            "not regained": o.regained == o.unsent,
            "gaps that are none": not o.false_gaps,
            "health said ok and was wrong": o.health_lies == 0,
        }
        if o.conditions["stop_s"]:
            kept |= {
                "memory above 20 MB": o.growth_mb <= GROWTH_MB_MAX,
                "catch-up below 10 × 1,000 a second": o.catch_up_trades >= CATCH_UP_PER_S_MIN * o.catch_up_s > 0,
                "no alert within 5 s": o.alerts == 1 and o.alert_s <= 5.0,
                "not one all-clear": o.clears == 1,
                "health above 50 ms": o.health_p99_ms < 50.0,
            }
        found += [f"{o.fault}: {what}" for what, is_kept in kept.items() if not is_kept]
    return found


def main() -> int:
    """0 if our side kept every promise."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--only", choices=tuple(FAULTS), action="append", help="run this one (may be repeated)")
    parser.add_argument("--side", choices=SIDES, action="append", help="run this side (may be repeated)")
    parser.add_argument("--stop", type=float, default=STOP_S, help="how long the server is away, in seconds")
    parser.add_argument("--rate", type=float, default=RATE, help="trades a second")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON instead of the table")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/FAULTS.md")
    options = parser.parse_args()
    names = options.only or list(FAULTS)
    outcomes: list[Outcome] = []
    for name in names:
        for side in options.side or SIDES:
            print(f"{name}: {side} ...", file=sys.stderr, flush=True)
            outcomes.append(one(name, side, rate=options.rate, stop_s=options.stop, seed=options.seed))
    (_results() / "faults.json").write_text(json.dumps([asdict(o) for o in outcomes], indent=1) + "\n")
    print(json.dumps([asdict(o) for o in outcomes], indent=1) if options.json else document.text_of(outcomes))
    if options.write:
        document.write(outcomes, is_long=options.stop >= document.LONG_S)
    broken = failures(outcomes)
    for line in broken:
        print(f"not kept: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
