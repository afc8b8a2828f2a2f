"""Backfill and audit as jobs of their own: one over a tape that nobody writes, the other beside anyone."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from everytick.config import Settings, store_address
from everytick.model.units import ms_from_ns
from everytick.recorder.archive import has_files_of
from everytick.recorder.audit import Auditing, AuditReport, StreamReport
from everytick.recorder.backfill import Left
from everytick.recorder.governor import Governor
from everytick.recorder.looking import Wanted, look
from everytick.recorder.plans import Plan, plans_of
from everytick.recorder.questions import Questions
from everytick.stores.open import open_reader
from everytick.tape.segment import write_all
from everytick.telemetry import Telemetry
from everytick.venues.archived import Hour
from everytick.venues.hyperliquid import archive as hyperliquid_archive
from everytick.venues.registry import VENUES
from everytick.wiring.parts import Ports
from everytick.wiring.process import Process
from everytick.wiring.repairs import Repairs, for_repairs, require_alone

LOOK_S = 0.2
AUDITS_FOLDER = "audits"


class RepairJob:
    """One run of backfill with the tape's lock held: tape and projector are up for as long as it takes."""

    def __init__(self, settings: Settings, ports: Ports, telemetry: Telemetry, wanted: Wanted, archive: str) -> None:
        """Raises Refused where there is no tape, or a recorder writes it."""
        require_alone(settings, ports)
        self._process = Process(for_repairs(settings, archive), ports, telemetry, serves=False)
        self._clock = ports.clock
        self._wanted = wanted
        self.repairs: Repairs | None = None

    async def run(self, watch: Callable[[Repairs], None]) -> list[Left] | None:
        """Close what can be closed; what is left and why, or None if it was stopped by a signal before its end.

        `watch` is called a few times a second. Raises what a part died of.
        """
        try:
            return await self._run(watch)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # the first death is the cause, the others are its wake

    async def _run(self, watch: Callable[[Repairs], None]) -> list[Left] | None:
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._process.run(on_ready=ready.set, heeds_signals=False))
            await ready.wait()
            self.repairs = self._process.repairs(self._wanted)
            working = group.create_task(self.repairs.once())
            watching = group.create_task(self._watch(self.repairs, watch))
            loop = asyncio.get_running_loop()
            for name in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(name, working.cancel)
            await asyncio.wait({working})
            watching.cancel()
            watch(self.repairs)
            self._process.stop()
            await running
        return None if working.cancelled() else working.result()

    async def _watch(self, repairs: Repairs, watch: Callable[[Repairs], None]) -> None:
        while True:
            watch(repairs)
            await self._clock.sleep(LOOK_S)


class Prospect(msgspec.Struct, frozen=True):
    """What a run of backfill would do: the plans for the venues, and the archive's hours that it would read."""

    plans: list[Plan]
    hours: list[Hour]
    archived: frozenset[str]  # streams that the archive is asked for


def prospect(settings: Settings, wanted: Wanted, archive: str) -> Prospect:
    """Look, and change nothing. Raises Refused where there is no store."""
    reader = open_reader(store_address(settings))
    try:
        gaps = look(reader, wanted).gaps
    finally:
        reader.close()
    has_archive = bool(archive or settings.backfill.archive)
    archived = [
        gap for gap in gaps if has_archive and gap.first_id < 0 and has_files_of(hyperliquid_archive, gap.stream)
    ]
    hours = {hour.from_ns: hour for gap in archived for hour in hyperliquid_archive.hours(gap.from_ns, gap.to_ns + 1)}
    plans = plans_of(VENUES, gaps, lambda _: False)
    return Prospect(plans, [hours[at] for at in sorted(hours)], frozenset(gap.stream.key for gap in archived))


async def audit(
    settings: Settings,
    ports: Ports,
    telemetry: Telemetry,
    wanted: Wanted,
    *,
    every: int = 1,
    on_step: Callable[[StreamReport], None] = lambda _: None,
) -> AuditReport:
    """Compare the store with the venues; a report with differences is kept in the data folder."""
    http = ports.http()
    address = store_address(settings)
    try:
        questions = {
            name: Questions(
                VENUES[name], section.http_url, http, Governor(name, VENUES[name].LIMITS, ports.clock, telemetry)
            )
            for name, section in settings.venues.by_name().items()
        }
        work = Auditing(
            questions,
            lambda: open_reader(address),
            clock=ports.clock,
            telemetry=telemetry,
            wanted=wanted,
            every=every,
            on_step=on_step,
        )
        report = await work.run()
    finally:
        await http.close()
    if not report.clean:
        _keep(report, settings, ports)
    return report


def _keep(report: AuditReport, settings: Settings, ports: Ports) -> None:
    disk = ports.disk(Path(settings.data.dir) / AUDITS_FOLDER)
    file = disk.create(f"audit-{ms_from_ns(ports.clock.wall_ns())}.json")
    try:
        write_all(file, msgspec.json.format(msgspec.json.encode(report), indent=1))
        file.datasync()
    finally:
        file.close()
