"""`everytick backfill` and `everytick audit`: close what can be closed, and check what is held with the venues."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from everytick.cli import times
from everytick.cli.console import ConfigOption, JsonOption, say, say_json, say_table, terminal
from everytick.cli.exits import Exit
from everytick.cli.session import World, world
from everytick.host import loop
from everytick.model.units import NS_PER_S
from everytick.recorder.audit import AuditReport, StreamReport
from everytick.recorder.backfill import Left
from everytick.recorder.looking import Wanted
from everytick.wiring.repair_job import Prospect, RepairJob, prospect
from everytick.wiring.repair_job import audit as audit_store
from everytick.wiring.repairs import Repairs

LEFT_SHOWN_MAX = 50
DIFFERENCES_SHOWN_MAX = 20

CoinsOption = Annotated[list[str] | None, Parameter(name="--coin", help="Only this instrument; may be given again.")]
FromOption = Annotated[str | None, Parameter(name="--from", help="Only from this moment on, UTC or ms.")]
ToOption = Annotated[str | None, Parameter(name="--to", help="Only before this moment, UTC or ms.")]


def backfill(
    *,
    coin: CoinsOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    archive: Annotated[str, Parameter(help="Hyperliquid's archive: a folder, or s3://bucket (you pay).")] = "",
    dry_run: Annotated[bool, Parameter(negative=(), help="Only say what would be asked and read.")] = False,
    config_file: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Take open gaps to the venues' history and to the archive, oldest first, and close them with proof.

    Safe to stop (Ctrl-C) and to repeat. Refused while a recorder runs: that one closes gaps by itself. Exit code 0 if
    no gap is left open, 1 if some are, 3 if a venue did not answer.

    Example: everytick backfill --coin BTC --dry-run
    """
    here = world(config_file, is_quiet=True)
    wanted = _wanted(coin, from_, to)
    if dry_run:
        return _say_prospect(prospect(here.settings, wanted, archive), json=json)
    began_ns = here.ports.clock.mono_ns()
    with _Bar(is_quiet=json) as bar:
        job = RepairJob(here.settings, here.ports, here.telemetry, wanted, archive)
        left = loop.run(job.run(bar.show))
    seconds = (here.ports.clock.mono_ns() - began_ns) / NS_PER_S
    return _say_done(job, left, seconds, json=json)


def audit(
    *,
    coin: CoinsOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    every: Annotated[int, Parameter(help="Of the pages of trades by id, compare each n-th; 1 is all.")] = 1,
    config_file: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Compare what is held with what the venues say: trades by id, or candles built from trades with the venue's.

    Changes nothing, and may run beside a recorder. Differences are kept in `audits` in the data folder. Exit code 0 if
    nothing differs, 1 if something does, 3 if a venue did not answer all.

    Example: everytick audit --coin BTC --every 10
    """
    here = world(config_file, is_quiet=True)
    report = loop.run(_audit(here, _wanted(coin, from_, to), max(1, every), is_quiet=json))
    if json:
        say_json(report)
    else:
        say_table(
            ["stream", "compared by", "compared", "known missing", "differ", "note"],
            [(s.stream, s.by, s.compared, s.known_missing, s.different, s.unanswered) for s in report.streams],
        )
        for stream in report.streams:
            for one in stream.differences[:DIFFERENCES_SHOWN_MAX]:
                where = f"{stream.stream} {times.utc(one.ts_event_ns)} id {one.trade_id}"
                say(f"  {one.kind}: {where}: held {one.held or 'nothing'}, told {one.told or 'nothing'}", style="red")
        sentence, style = _verdict(report)
        say(sentence, style=style)
    if not report.clean:
        return Exit.NO
    return Exit.OK if report.complete else Exit.UNAVAILABLE


def _verdict(report: AuditReport) -> tuple[str, str]:
    """One sentence and its style. That nothing could be compared is not the same as that nothing differs."""
    if not report.clean:
        return "differences found", "red"
    if not report.complete:
        return "not all was answered: the rest does not differ", "yellow"
    if not any(stream.compared for stream in report.streams):
        return "nothing is held whole yet that the venue could be asked about: nothing was compared", "yellow"
    return "nothing differs", "bold green"


async def _audit(here: World, wanted: Wanted, every: int, *, is_quiet: bool) -> AuditReport:
    def told(stream: StreamReport) -> None:
        if not is_quiet and terminal(stderr=True).is_terminal:
            terminal(stderr=True).print(f"{stream.stream}: {stream.compared} compared", end="\r")

    return await audit_store(here.settings, here.ports, here.telemetry, wanted, every=every, on_step=told)


def _wanted(coins: list[str] | None, from_: str | None, to: str | None) -> Wanted:
    whole = Wanted()
    return Wanted(
        frozenset(coins or ()),
        times.moment_ns(from_, option="--from") if from_ else whole.from_ns,
        times.moment_ns(to, option="--to") if to else whole.to_ns,
    )


class _Bar:
    """How far it is, how fast, and how long it will take; nothing in a pipe."""

    def __init__(self, *, is_quiet: bool) -> None:
        console = terminal(stderr=True)
        self._progress = Progress(
            TextColumn("{task.fields[what]}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=is_quiet or not console.is_terminal,
        )
        self._gaps: TaskID = self._progress.add_task("", total=None, what="gaps", unit="closed", note="")
        self._files: TaskID | None = None

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, repairs: Repairs) -> None:
        """Show how it stands now."""
        done = repairs.progress
        note = f"{done.requests} requests, {done.bytes // 1_000} kB  {done.working_on}"
        closed = done.gaps_seen - done.gaps_open
        self._progress.update(self._gaps, total=done.gaps_seen or None, completed=closed, note=note)
        files = repairs.importing
        if files is None or not files.hours:
            return
        if self._files is None:
            self._files = self._progress.add_task("", total=files.hours, what="archive", unit="hours", note="")
        note = f"{files.bytes // 1_000_000} MB, {files.lines} lines  {files.file}"
        self._progress.update(self._files, total=files.hours, completed=files.hours_done, note=note)


def _say_done(job: RepairJob, left: list[Left] | None, seconds: float, *, json: bool) -> int:
    done = job.repairs.progress if job.repairs is not None else None
    closed = done.gaps_seen - done.gaps_open if done else 0
    away = [one for one in left or () if one.reason.startswith("the venue did not answer")]
    code = Exit.INTERRUPTED if left is None else Exit.UNAVAILABLE if away else Exit.NO if left else Exit.OK
    if json:
        progress = msgspec.to_builtins(done) if done else {}
        say_json({"closed": closed, "left": left or [], "stopped": left is None, "seconds": seconds, **progress})
        return code
    if done:
        say(f"{closed} gaps closed in {seconds:.1f} s with {done.requests} requests; {done.given_up} given up")
    if left is None:
        say("stopped; the same command goes on from here", style="yellow")
    for one in (left or [])[:LEFT_SHOWN_MAX]:
        ids = f" ids {one.first_id} to {one.last_id}" if one.first_id >= 0 else ""
        say(f"  open: {one.stream} {times.utc(one.from_ns)} to {times.utc(one.to_ns)}{ids}: {one.reason}")
    if left == []:
        say("no gap is open", style="bold green")
    elif left:
        say(f"{len(left)} gaps are left open", style="yellow")
    return code


def _say_prospect(found: Prospect, *, json: bool) -> int:
    gaps = sum(len(plan.gaps) for plan in found.plans)
    if json:
        plans = [
            {
                "stream": plan.stream.key,
                "gaps": len(plan.gaps),
                "requests": None if plan.requests is None else len(plan.requests),
                "weight": plan.weight,
                "archive": plan.stream.key in found.archived,
            }
            for plan in found.plans
        ]
        say_json({"gaps": gaps, "plans": plans, "archive_hours": found.hours})
        return Exit.NO if gaps else Exit.OK
    rows = []
    for plan in found.plans:
        source = "history" if plan.requests is not None else "archive" if plan.stream.key in found.archived else "none"
        rows.append((plan.stream.key, len(plan.gaps), source, len(plan.requests or ()), plan.weight))
    say_table(["stream", "gaps", "source", "requests", "weight"], rows)
    for hour in found.hours:
        files = " or ".join(" with ".join(choice) for choice in hour.choices) or "not in the archive"
        say(f"  {times.utc(hour.from_ns)}: {files}")
    say(f"{gaps} open gaps; nothing was asked or changed")
    return Exit.NO if gaps else Exit.OK
