"""What every kind of process is put together from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from everytick.config import Settings
from everytick.config.settings import VenueSettings
from everytick.host.clock import HostClock
from everytick.host.disk import FolderDisk
from everytick.host.http import HostHttp
from everytick.host.ids import HostIds
from everytick.host.websocket import HostSockets
from everytick.model.stream import Kind, Stream
from everytick.ports import Clock, Disk, Http, Ids, Sockets
from everytick.recorder.pipeline import Pipeline
from everytick.recorder.projector import Projector
from everytick.serve.sources import Sources
from everytick.stores.protocol import Reader, Store
from everytick.supervise.progress import Progress
from everytick.tape.reader import TapeReader
from everytick.telemetry import Telemetry
from everytick.venues.registry import TRADE_RUNS, VENUES


@dataclass(frozen=True)
class Ports:
    """The world as a process touches it."""

    clock: Clock
    ids: Ids
    sockets: Sockets
    disk: Callable[[Path], Disk]
    http: Callable[[], Http] = HostHttp


def host_ports() -> Ports:
    """The real world."""
    return Ports(HostClock(), HostIds(), HostSockets(), FolderDisk)


def streams_of(settings: Settings) -> dict[str, list[Stream]]:
    """Which streams are recorded, by venue."""
    return {name: _streams_of(name, section) for name, section in settings.venues.by_name().items() if section.enabled}


def _streams_of(venue: str, section: VenueSettings) -> list[Stream]:
    streams = []
    for instrument in section.instruments:
        for kind in section.streams:
            intervals: tuple[str, ...] = section.candle_intervals if kind is Kind.CANDLES else ("",)
            streams += [Stream(venue, kind, instrument, interval) for interval in intervals]
    return streams


def open_projector(
    store: Store, reader: TapeReader, clock: Clock, telemetry: Telemetry, progress: Progress
) -> Projector:
    """A projector that goes on where the store's checkpoint is."""
    asking = store.reader()
    checkpoint = asking.checkpoint()
    asking.close()
    return Projector(reader, Pipeline(VENUES, store, TRADE_RUNS), store, clock, telemetry, progress, checkpoint)


def api_sources(open_reader: Callable[[], Reader], progress: Progress, ports: Ports, telemetry: Telemetry) -> Sources:
    """What the API answers from."""
    return Sources(
        open_reader=open_reader,
        progress=progress,
        clock=ports.clock,
        ids=ports.ids,
        report=lambda error_id, path, error: telemetry.api_error(path, error_id, repr(error)),
        answered=telemetry.api_request,
        metrics=telemetry.exposition,
    )
