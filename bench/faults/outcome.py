"""What came of one side under one fault, counted from the database and from what the venue made."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bench.faults.hooks import Hook
from bench.faults.script import Run
from bench.faults.sides import Held, Ours
from bench.machine import percentile


@dataclass
class Outcome:
    """One side's line of the table. Counts are of trades; times in seconds; -1 where it does not apply.

    `made` are the venue's distinct valid trades from the first to the last that it made, `sent` those of them that
    left on a socket to this program. `lost` are sent and not stored; `silent` of them are in no gap that the program
    has on record. `regained` were never sent (nobody was listening) and are stored all the same.
    """

    fault: str
    title: str
    side: str
    struck: int
    made: int
    sent: int
    stored: int
    duplicates: int
    lost: int
    silent: int
    unsent: int
    regained: int
    quarantined: int
    gaps: list[tuple[str, int, int, str, str]]
    false_gaps: int
    is_alive: bool
    said: list[str]
    growth_mb: float
    bytes_per_trade: float
    bytes_per_trade_late: float
    away_trades: int
    conditions: dict[str, float] = field(default_factory=dict)
    alert_s: float = -1.0
    alerts: int = 0
    clear_s: float = -1.0
    clears: int = 0
    health_503_s: float = -1.0
    health_ok_s: float = -1.0
    health_lies: int = -1
    health_false_alarms: int = -1
    health_looks: int = 0
    health_p99_ms: float = -1.0
    health_slowest_ms: float = -1.0
    catch_up_trades: int = 0
    catch_up_s: float = 0.0


def outcome_of(
    name: str, title: str, run: Run, struck: int, truth: dict[str, dict[str, object]], held: Held
) -> Outcome:
    """Count. Call it when nothing changes any more, before the program is ended."""
    made = sent = lost = silent = unsent = regained = false_gaps = 0
    for symbol, first in truth["first"].items():
        assert isinstance(first, int)
        newest, wired = truth["newest"][symbol], truth["wired"][symbol]
        assert isinstance(newest, int)
        assert isinstance(wired, list)
        ids, named = held.ids.get(symbol, set()), held.named.get(symbol, set())
        on_wire = {identity for low, high in wired for identity in range(low, high + 1)}
        everything = set(range(first, newest + 1))
        missing = on_wire - ids
        made += len(everything)
        sent += len(on_wire)
        lost += len(missing)
        silent += len(missing - named)
        unsent += len(everything - on_wire)
        regained += len((everything - on_wire) & ids)
        # What was sent to a program that never went away is no gap, and what the venue has is no hole of its own.
        doubtful = set() if "ended" in run.marks else on_wire
        for of, low, high, state, _ in held.gaps:
            named_ids = set(range(low, high + 1)) if of == symbol and low >= 0 else set()
            false_gaps += bool(named_ids & doubtful) or (state == "permanent" and bool(named_ids & everything))
        if ids - everything:
            raise RuntimeError(f"{run.program.name} stores {len(ids - everything)} trades of {symbol} that never were")
    from_s, to_s = run.away or (run.marks["fault"], run.marks["fault"])
    growth_mb, per_trade, late, away = _memory(run, from_s, to_s)
    return Outcome(
        fault=name,
        title=title,
        side=run.program.name,
        struck=struck,
        made=made,
        sent=sent,
        stored=held.distinct,
        duplicates=held.rows - held.distinct,
        lost=lost,
        silent=silent,
        unsent=unsent,
        regained=regained,
        quarantined=held.quarantined,
        gaps=held.gaps,
        false_gaps=false_gaps,
        is_alive=run.program.is_alive,
        said=run.program.said(),
        growth_mb=growth_mb,
        bytes_per_trade=per_trade,
        bytes_per_trade_late=late,
        away_trades=away,
        conditions={"rate": run.rate, "stop_s": run.stop_s if run.away else 0.0},
    )


def add_watched(outcome: Outcome, run: Run, hook: Hook) -> None:
    """What our side said of itself: alerts, /health, and how fast it caught up."""
    assert isinstance(run.program, Ours)
    watch, fault_s = run.watch, run.marks["fault"]
    outcome.alerts = hook.count("store_unreachable", "opened", fault_s)
    outcome.clears = hook.count("store_unreachable", "recovered", fault_s)
    if outcome.alerts:
        outcome.alert_s = hook.first("store_unreachable", "opened", fault_s) - fault_s
    if outcome.clears:
        outcome.clear_s = hook.first("store_unreachable", "recovered", fault_s) - run.marks.get("back", fault_s)
    seen = watch.health
    ready_s = run.marks["warm"]
    outcome.health_looks = len([one for one in seen if one.at_s >= ready_s])
    outcome.health_lies = len([one for one in watch.lies(run.away) if one.at_s >= ready_s])
    outcome.health_false_alarms = len([one for one in seen if ready_s <= one.at_s < fault_s and one.status != "ok"])
    after = [one for one in seen if one.at_s >= fault_s]
    bad = [one for one in after if one.status != "ok"]
    if bad:
        outcome.health_503_s = bad[0].at_s - fault_s
        well = [one.at_s for one in after if one.status == "ok" and one.at_s > bad[0].at_s]
        back_s = run.marks.get("back", run.marks.get("ended", fault_s))
        outcome.health_ok_s = next((at_s for at_s in well if at_s > back_s), time.time()) - back_s
    from_s, to_s = run.away or (fault_s, run.marks["end"])
    times = [one.took_ms for one in seen if one.code and from_s <= one.at_s <= to_s]
    if times:
        outcome.health_p99_ms, outcome.health_slowest_ms = percentile(times, 0.99), max(times)
    if run.away:
        outcome.catch_up_trades, outcome.catch_up_s = watch.catch_up(run.marks["back"], run.rate)


def _memory(run: Run, from_s: float, to_s: float) -> tuple[float, float, float, int]:
    """Growth over the outage in MB; bytes a trade over all of it, and over its second half; trades meanwhile."""
    if run.away is None:
        return 0.0, 0.0, 0.0, 0
    watch = run.watch
    half_s = (from_s + to_s) / 2
    before, half, after = (
        watch.resident_mb(from_s - 1.0, from_s),
        watch.resident_mb(half_s - 1.0, half_s),
        watch.resident_mb(to_s - 1.0, to_s),
    )
    away, late = watch.made_between(from_s, to_s), watch.made_between(half_s, to_s)
    return after - before, (after - before) * 1e6 / max(away, 1), (after - half) * 1e6 / max(late, 1), away
