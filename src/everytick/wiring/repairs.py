"""Backfill put together: for a recorder that repairs by itself, and for one run as a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from everytick.config import Settings, tape_folder
from everytick.errors import Refused
from everytick.host.archives import open_archive
from everytick.host.http import HostHttp
from everytick.ports import Archive
from everytick.recorder.archive import ArchiveImport, ImportProgress
from everytick.recorder.backfill import Backfill, BackfillProgress, Left
from everytick.recorder.governor import Governor
from everytick.recorder.looking import Wanted
from everytick.recorder.questions import Questions
from everytick.serve.alerts.settings import AlertSettings
from everytick.stores.protocol import Reader
from everytick.tape.writer import LOCK_NAME, TapeWriter
from everytick.telemetry import Telemetry
from everytick.venues.hyperliquid import archive as hyperliquid_archive
from everytick.venues.registry import VENUES
from everytick.wiring.parts import Ports


class Repairs:
    """The backfill of one process, over its tape and store. Made on the event loop that appends to the tape."""

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        telemetry: Telemetry,
        tape: TapeWriter,
        wake_committer: Callable[[], None],
        open_reader: Callable[[], Reader],
        applied: Callable[[], int],
        *,
        governors: Mapping[str, Governor] | None = None,
        wanted: Wanted | None = None,
    ) -> None:
        """Raises Refused where the archive of the settings cannot be opened."""
        self._http = HostHttp()
        self._import: ArchiveImport | None = None
        if settings.backfill.archive:
            files: Archive = open_archive(settings.backfill.archive)
            self._import = ArchiveImport(
                hyperliquid_archive,
                files,
                open_reader,
                tape=tape,
                wake_committer=wake_committer,
                clock=ports.clock,
                telemetry=telemetry,
            )
        self._backfill = Backfill(
            {
                name: Questions(
                    VENUES[name],
                    section.http_url,
                    self._http,
                    (governors or {}).get(name) or Governor(name, VENUES[name].LIMITS, ports.clock, telemetry),
                )
                for name, section in settings.venues.by_name().items()
            },
            open_reader,
            applied,
            tape=tape,
            wake_committer=wake_committer,
            clock=ports.clock,
            ids=ports.ids,
            telemetry=telemetry,
            settings=settings.backfill,
            filler=self._import,
            wanted=wanted,
        )

    @property
    def progress(self) -> BackfillProgress:
        """What it has done so far."""
        return self._backfill.progress

    @property
    def importing(self) -> ImportProgress | None:
        """What of the archive it has read so far, where there is one."""
        return None if self._import is None else self._import.progress

    async def run(self) -> None:
        """Repair until cancelled."""
        try:
            await self._backfill.run()
        finally:
            await self._http.close()

    async def once(self) -> list[Left]:
        """Repair what can be repaired now; what is left, and why."""
        try:
            await self._backfill.reopen()
            return await self._backfill.once()
        finally:
            await self._http.close()


def require_alone(settings: Settings, ports: Ports) -> None:
    """Raises Refused where there is no tape, or a recorder writes it: that one repairs by itself."""
    folder = tape_folder(settings)
    if not folder.is_dir():
        raise Refused(
            "there is no tape", path="data.dir", value=str(folder), suggestion="record one first: everytick run"
        )
    try:
        ports.disk(folder).lock(LOCK_NAME, "everytick backfill").release()
    except Refused as held:
        raise Refused(
            f"{held}. A recorder that projects closes gaps by itself",
            path="data.dir",
            value=str(folder),
            suggestion="let it, with [backfill] enabled = true, or stop it first; --dry-run shows what is open",
        ) from held


def for_repairs(settings: Settings, archive: str) -> Settings:
    """The settings of a process that records nothing and repairs at once."""
    replace = msgspec.structs.replace
    venues = settings.venues
    for name, section in venues.by_name().items():
        venues = replace(venues, **{name: replace(section, enabled=False)})
    backfill = replace(settings.backfill, enabled=False, gap_age_s=0.0, archive=archive or settings.backfill.archive)
    return replace(settings, venues=venues, backfill=backfill, alerts=AlertSettings())
