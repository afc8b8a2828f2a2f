"""Processes and jobs that only read the tape: rebuild a store, keep one up with another process's tape, serve one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from everytick import __version__
from everytick.config import Settings, store_address, tape_folder
from everytick.errors import Refused, Retryable
from everytick.model.frame import Frame
from everytick.serve.server import ApiServer
from everytick.stores.open import open_reader, open_store
from everytick.stores.protocol import Reader
from everytick.supervise.health import Facts
from everytick.supervise.progress import Progress
from everytick.supervise.threads import OwnedThread, Stop
from everytick.supervise.tree import Restarts, Tree
from everytick.tape.reader import TapeReader
from everytick.tape.writer import LOCK_NAME
from everytick.telemetry import Telemetry
from everytick.wiring.parts import Ports, open_projector
from everytick.wiring.storing import StoreKeeper
from everytick.wiring.watching import Watch

FRAMES_PER_READ = 5_000
# How often another process's tape is looked at: well under what a person or an API caller notices.
LOOK_S = 0.05


def rebuild(
    settings: Settings, target: Path, ports: Ports, telemetry: Telemetry, on_step: Callable[[int, int], None]
) -> int:
    """Project the whole tape into a new store at `target`; returns the checkpoint. Blocks until done.

    `on_step(applied, watermark)` is told after each batch. Raises Refused if `target` is there already.
    """
    if target.exists():
        raise Refused("a file is there already", path=str(target), suggestion="name another, or remove it")
    return catch_up(settings, target, ports, telemetry, readable_end(settings, ports), on_step)


def catch_up(
    settings: Settings,
    target: Path,
    ports: Ports,
    telemetry: Telemetry,
    watermark: int,
    on_step: Callable[[int, int], None],
) -> int:
    """Bring the store at `target`, made if it is not there, to where the tape is at `watermark`; see rebuild."""
    reader = TapeReader(ports.disk(tape_folder(settings)))
    store = open_store(str(target))
    try:
        projector = open_projector(store, reader, ports.clock, telemetry, Progress())
        stop = Stop()
        while projector.checkpoint < watermark:
            projector.step(watermark, stop)
            on_step(projector.checkpoint, watermark)
        return projector.checkpoint
    finally:
        store.close()


def readable_end(settings: Settings, ports: Ports) -> int:
    """Up to where the tape may be read: all of it at rest, what is surely durable while a recorder writes it."""
    disk = ports.disk(tape_folder(settings))
    reader = TapeReader(disk)
    try:
        disk.lock(LOCK_NAME, "a reader").release()
    except Refused:
        return reader.durable()
    return reader.end()


def frames(settings: Settings, ports: Ports, from_offset: int, until: int | None) -> Iterator[Frame]:
    """The tape's frames from an offset on, up to where it now ends or `until`."""
    reader = TapeReader(ports.disk(tape_folder(settings)))
    end = readable_end(settings, ports)
    end = end if until is None else min(until, end)
    offset = max(from_offset, reader.first_offset())
    while offset < end:
        found = reader.read(offset, FRAMES_PER_READ, end)
        if not found:
            return
        yield from found
        offset = found[-1].offset + 1


class View:
    """A process beside a recording one: it projects that one's tape, or only serves the store, or both."""

    def __init__(self, settings: Settings, ports: Ports, telemetry: Telemetry, *, projects: bool, serves: bool) -> None:
        self.progress = Progress()
        self.address = ""
        self._settings = settings
        self._ports = ports
        self._telemetry = telemetry
        self._projects = projects
        self._serves = serves
        self._tree = Tree(ports.clock, ports.ids, telemetry)
        self._keeper = StoreKeeper(settings, telemetry, self.progress)
        self._api: ApiServer | None = None
        self._threads: dict[str, OwnedThread] = {}
        facts = Facts(records=False, projects=projects)
        self._watch = Watch(settings, ports, telemetry, self.progress, self._tree, self._threads, facts)

    async def run(self, *, for_s: float | None = None, on_ready: Callable[[], None] = lambda: None) -> None:
        """Follow until a signal or for `for_s` seconds. Raises Refused when a start is refused."""
        self._watch.begin(heeds_signals=True)
        try:
            await self._run(for_s, on_ready)
        finally:
            self._watch.end()

    async def _run(self, for_s: float | None, on_ready: Callable[[], None]) -> None:
        self.progress.run = self._ports.ids.token(4).hex()
        self.progress.started_ns = self._ports.clock.wall_ns()
        self._telemetry.view_started(self.progress.run, __version__, self._projects, self._serves)
        try:
            if self._projects:
                if not self._keeper.is_networked:
                    self._keeper.open()
                self._own("projector", self._project)
            else:
                self._own("look", self._look)
            if self._serves:
                self._api = self._listen()
                self.address = self._api.address
                self._own("api", self._answer)
            self._watch.ready()
            on_ready()
            await self._tree.run(for_s)
        finally:
            self._watch.ending()
            await self._tree.end()
            if self._api is not None:
                self._api.close()
            self._keeper.close()

    def _own(self, name: str, work: Callable[[Stop], None]) -> None:
        thread = self._threads[name] = OwnedThread(name, work)
        self._tree.spawn(name, thread.run, Restarts())

    def _tape(self) -> TapeReader:
        return TapeReader(self._ports.disk(tape_folder(self._settings)))

    def _project(self, stop: Stop) -> None:
        tape, follower = self._tape(), self._tape()
        clock, progress = self._ports.clock, self.progress
        projector = self._keeper.until_open(
            stop, lambda store: open_projector(store, tape, clock, self._telemetry, progress)
        )
        while projector is not None and not stop.is_asked:
            watermark = self.progress.offset_durable = self.progress.offset_appended = follower.durable()
            self.progress.last_commit_ns = self.progress.last_apply_ns = self._ports.clock.wall_ns()
            if projector.checkpoint < watermark:
                projector.step(watermark, stop)
            else:
                stop.wait(LOOK_S)

    def _look(self, stop: Stop) -> None:
        tape = self._tape()
        reader: Reader | None = None
        try:
            while not stop.is_asked:
                self.progress.offset_durable = self.progress.offset_appended = tape.durable()
                try:
                    reader = reader or open_reader(store_address(self._settings))
                    self.progress.offset_applied = reader.checkpoint()
                    self.progress.newest = {stream.key: times for stream, times in reader.latest().items()}
                    self.progress.store_trouble = ""
                except Retryable as trouble:
                    self.progress.store_trouble = str(trouble)
                    if reader is not None:
                        reader.close()
                    reader = None
                self.progress.last_commit_ns = self.progress.last_apply_ns = self._ports.clock.wall_ns()
                stop.wait(LOOK_S * 10)
        finally:
            if reader is not None:
                reader.close()

    def _listen(self) -> ApiServer:
        serve = self._settings.serve
        address = store_address(self._settings)
        sources = self._watch.sources(lambda: open_reader(address), self._settings.store.kind)
        return ApiServer(
            sources,
            host=serve.host,
            port=serve.port,
            token=serve.token.reveal(),
            control_token=serve.control_token.reveal(),
        )

    def _answer(self, stop: Stop) -> None:
        api, self._api = self._api or self._listen(), None
        api.run(lambda: stop.is_asked)
