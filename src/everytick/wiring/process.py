"""A recording process: built from settings, taken up in order and down in order.

Start is recovery: there is one way up, whatever happened before. Nothing runs before `run` is awaited.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator

from everytick import __version__
from everytick.config import Settings, tape_folder
from everytick.errors import Retryable
from everytick.model.control import Started, control_payload
from everytick.model.frame import FrameKind, Source
from everytick.model.stream import Stream
from everytick.recorder.candle_check import CandleCheck
from everytick.recorder.committer import Committer
from everytick.recorder.connection import Connection
from everytick.recorder.governor import Governor
from everytick.recorder.looking import Wanted
from everytick.recorder.projector import Projector
from everytick.serve.server import ApiServer
from everytick.stores.protocol import Reader, Store
from everytick.supervise.health import Facts
from everytick.supervise.progress import ConnectionProgress, Progress
from everytick.supervise.threads import OwnedThread, Stop, Work
from everytick.supervise.tree import Restarts, Tree
from everytick.tape.reader import TapeReader
from everytick.tape.recovery import RecoveryReport
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry
from everytick.venues.registry import VENUES
from everytick.wiring.alerting import alerts_of
from everytick.wiring.parts import Ports, open_projector, streams_of
from everytick.wiring.polling import poller_of
from everytick.wiring.repairs import Repairs
from everytick.wiring.storing import StoreKeeper
from everytick.wiring.watching import Watch

# The process's own frames (start, stop) carry this in place of a venue.
PROCESS_VENUE, PROCESS_CHANNEL = "everytick", "process"


class Process:
    """A running everytick over one data folder: it records, and projects and serves unless told not to."""

    def __init__(
        self, settings: Settings, ports: Ports, telemetry: Telemetry, *, projects: bool = True, serves: bool = True
    ) -> None:
        self.settings = settings
        self.progress = Progress()
        self.address = ""  # of the API, once it listens
        self.recovery: RecoveryReport | None = None
        self._telemetry = telemetry
        self._ports = ports
        self._projects = projects
        self._serves = serves
        self._tree = Tree(ports.clock, ports.ids, telemetry)
        self._writer = TapeWriter(
            ports.disk(tape_folder(settings)), ports.clock, ports.ids, settings.tape, f"pid {os.getpid()}"
        )
        self._keeper = StoreKeeper(settings, telemetry, self.progress)
        self._api: ApiServer | None = None
        self._threads: dict[str, OwnedThread] = {}
        self._governors: dict[str, Governor] = {}
        self._http = ports.http()
        self._receivers: list[str] = []  # the tasks that put what venues say on the tape
        facts = Facts(projects=projects)
        self.watch = Watch(
            settings, ports, telemetry, self.progress, self._tree, self._threads, facts, judges_streams=projects
        )

    async def run(
        self,
        *,
        for_s: float | None = None,
        on_ready: Callable[[], None] = lambda: None,
        heeds_signals: bool = True,
    ) -> None:
        """Start, record until a signal, `stop` or `for_s` seconds, then drain and say so.

        Raises Refused when a start is refused (settings, a second writer, a port in use), and what killed a
        part that could not be rebuilt.
        """
        self.watch.begin(heeds_signals=heeds_signals, received=lambda: self._writer.next_offset)
        try:
            await self._run(for_s, on_ready)
        finally:
            self.watch.end()

    async def _run(self, for_s: float | None, on_ready: Callable[[], None]) -> None:
        try:
            source = self._start()
        except BaseException:
            await self._tree.end()
            self._let_go()
            raise
        try:
            self.watch.ready()
            on_ready()
            await self._tree.run(for_s)
        finally:
            self.watch.ending()
            await self._end(source)

    def stop(self) -> None:
        """Ask for a graceful end; `run` returns when it is done."""
        self._tree.stop()

    def reader(self) -> Reader:
        """A reader of the store, for the calling thread. Raises Retryable while there is none."""
        return self._keeper.reader()

    def _start(self) -> Source:
        ports, progress = self._ports, self.progress
        # Everything that can refuse a start does so before anything is recorded or told.
        self.recovery = self._writer.open()
        if self._serves:
            self._api = self._listen()
            self.address = self._api.address
        if self._projects and not self._keeper.is_networked:
            self._keeper.open()  # a file that cannot be used is the start's business; a server's absence is not
        self._report_recovery(self.recovery)
        is_after_crash = self._was_cut_off()
        progress.run = ports.ids.token(4).hex()
        progress.started_ns = ports.clock.wall_ns()
        progress.offset_appended = progress.offset_durable = self._writer.watermark
        source = Source(PROCESS_VENUE, PROCESS_CHANNEL, self._writer.next_offset)
        self._writer.append(source, FrameKind.START, control_payload(Started(progress.run, __version__)))
        # First up and last down: what happens to the others in between is told.
        alerts = alerts_of(self.settings, ports, self._telemetry, self.watch.health, self.reader)
        self._own("alerts", alerts.work)
        self._telemetry.recorder_started(progress.run, __version__, source.epoch, is_after_crash=is_after_crash)
        committer = Committer(
            self._writer, ports.clock, self._telemetry, progress, self._writer.settings.commit_interval_min_s
        )
        self._own("committer", committer.work)
        if self._projects:
            self._own("projector", self._project)
            self._writer.subscribe(lambda _: self._threads["projector"].stop.wake())
        if self._serves:
            self._own("api", self._answer)
        for venue, streams in streams_of(self.settings).items():
            self._record(venue, streams)
        if self._projects:
            self._own("candle check", CandleCheck(self.reader, self._telemetry, self._put_audit()).work)
            self._receivers.append("candle check")
        if self._projects and self.settings.backfill.enabled:
            self._tree.spawn("backfill", self.repairs().run, Restarts())
        return source

    def _was_cut_off(self) -> bool:
        """Whether the last process on this tape ended without its STOP."""
        reader, end = TapeReader(self._ports.disk(tape_folder(self.settings))), self._writer.next_offset
        last = reader.read(end - 1, 1, end) if end else []
        return bool(last) and last[-1].kind is not FrameKind.STOP

    def _put_audit(self) -> Callable[[str, bytes], None]:
        """Puts what an audit found on the tape, from any thread: appending is the loop's alone."""
        loop, epoch = asyncio.get_running_loop(), self._writer.next_offset

        def put(venue: str, payload: bytes) -> None:
            source = Source(venue, "audit", epoch)
            loop.call_soon_threadsafe(self._writer.append, source, FrameKind.COMPARED, payload)
            loop.call_soon_threadsafe(self._threads["committer"].stop.wake)

        return put

    def repairs(self, wanted: Wanted | None = None) -> Repairs:
        """A new backfill over this process's tape and store. Call it on the event loop, once the process is up."""
        return Repairs(
            self.settings,
            self._ports,
            self._telemetry,
            self._writer,
            self._threads["committer"].stop.wake,
            self.reader,
            lambda: self.progress.offset_applied,
            governors=self._governors,
            wanted=wanted,
        )

    def _listen(self) -> ApiServer:
        serve = self.settings.serve
        return ApiServer(
            self.watch.sources(self.reader, self.settings.store.kind),
            host=serve.host,
            port=serve.port,
            token=serve.token.reveal(),
            control_token=serve.control_token.reveal(),
        )

    def _own(self, name: str, work: Work) -> None:
        thread = self._threads[name] = OwnedThread(name, work)
        self._tree.spawn(name, thread.run, Restarts())

    def _project(self, stop: Stop) -> Iterator[float] | None:
        projector = self._keeper.until_open(stop, self._open_projector)
        return projector.work(stop) if projector is not None else None

    def _open_projector(self, store: Store) -> Projector:
        reader = TapeReader(self._ports.disk(tape_folder(self.settings)), self._writer.tail)
        projector = open_projector(store, reader, self._ports.clock, self._telemetry, self.progress)
        self.watch.learn(store.reader())
        return projector

    def _project_the_rest(self, watermark: int) -> None:
        # A store that is away now is caught up with by the next start.
        store = self._keeper.store
        if store is not None and not self.progress.store_trouble:
            try:
                self._open_projector(store).catch_up(watermark)
            except Retryable as trouble:
                self._telemetry.store_unavailable(str(trouble))

    def _answer(self, stop: Stop) -> None:
        api, self._api = self._api or self._listen(), None  # a server has one life: a second needs a new one
        api.run(lambda: stop.is_asked)

    def _record(self, name: str, streams: list[Stream]) -> None:
        venue, ports = VENUES[name], self._ports
        governor = self._governors[name] = Governor(name, venue.LIMITS, ports.clock, self._telemetry)
        wake_committer = self._threads["committer"].stop.wake
        progress = self.progress.connections[f"{name}/ws"] = ConnectionProgress(name, "ws")
        connection = Connection(
            venue,
            "ws",
            self.settings.venues.by_name()[name].ws_url,
            streams,
            tape=self._writer,
            wake_committer=wake_committer,
            backlog_bytes_max=self.settings.tape.backlog_bytes_max,
            sockets=ports.sockets,
            clock=ports.clock,
            ids=ports.ids,
            pace=governor.pace,
            telemetry=self._telemetry,
            progress=progress,
        )
        self._tree.spawn(f"{name}/ws", connection.run, Restarts())
        self._receivers.append(f"{name}/ws")
        poller = poller_of(
            *(self.settings, name, streams, governor, self._http, ports),
            *(self._telemetry, self._writer, wake_committer, self.progress),
        )
        if poller is not None:
            self._tree.spawn(f"{name}/info", poller.run, Restarts())
            self._receivers.append(f"{name}/info")

    async def _end(self, source: Source) -> None:
        """Take the parts down in the order in which data flows, so that each can finish what it was given."""
        await self._tree.end(*self._receivers)
        await self._http.close()
        self._writer.append(source, FrameKind.STOP, control_payload(Started(self.progress.run, __version__)))
        await self._tree.end("committer")
        watermark = self._writer.watermark
        await self._tree.end("projector")
        await OwnedThread("last projection", lambda _: self._project_the_rest(watermark)).run()
        await self._tree.end()
        self._let_go()
        self._telemetry.recorder_stopped(self.progress.run, watermark, "asked")

    def _let_go(self) -> None:
        self._writer.abandon()
        if self._api is not None:
            self._api.close()
        self._keeper.close()

    def _report_recovery(self, report: RecoveryReport) -> None:
        for cut in report.cuts:
            self._telemetry.tape_recovered(cut.file, cut.position, cut.length, cut.reason)
        for damage in report.damage:
            self._telemetry.tape_damaged(damage.file, damage.position, damage.reason)
