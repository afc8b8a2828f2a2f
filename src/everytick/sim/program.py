"""One life of the simulated program: the recorder's own parts, on simulated ports, put together as a process does.

Connections, committer, projector, polls, backfill, the candle audit, health's monitor and the supervision tree are the
product's. Threads become steps of the loop; the API and the watchdog's signals are left out.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from everytick.errors import Retryable
from everytick.model.control import Started, control_payload
from everytick.model.frame import FrameKind, Source
from everytick.model.stream import Kind, Stream
from everytick.ports import Clock, Disk, Http, Ids, Sockets
from everytick.recorder.backfill import Backfill, Left
from everytick.recorder.backfill_settings import BackfillSettings
from everytick.recorder.candle_check import CandleCheck
from everytick.recorder.committer import Committer
from everytick.recorder.connection import Connection
from everytick.recorder.governor import Governor
from everytick.recorder.habits import habits_of
from everytick.recorder.pipeline import Pipeline
from everytick.recorder.poller import Poller
from everytick.recorder.projector import Projector
from everytick.recorder.questions import Questions
from everytick.sim.store import Database, SimStore
from everytick.stores.protocol import Reader
from everytick.supervise.health import Facts, Health, HealthLimits, health
from everytick.supervise.monitor import Monitor
from everytick.supervise.progress import ConnectionProgress, PollProgress, Progress
from everytick.supervise.threads import OwnedThread, Stop, Work
from everytick.supervise.tree import Restarts, Tree
from everytick.supervise.watchdog import beat
from everytick.tape.reader import TapeReader
from everytick.tape.recovery import RecoveryReport
from everytick.tape.settings import TapeSettings
from everytick.tape.writer import TapeWriter
from everytick.telemetry import LogSettings, Telemetry
from everytick.venues.registry import TRADE_RUNS, VENUES

RETRY_S = 0.5
LOOK_S = 0.5
POLL_EVERY_S = 60.0


@dataclass(frozen=True)
class Made:
    """What every life of one simulated program is made from. `urls` are (ws, http) of each venue."""

    clock: Clock
    ids: Ids
    sockets: Sockets
    http: Http
    disk: Disk
    database: Database
    streams: Mapping[str, list[Stream]]
    urls: Mapping[str, tuple[str, str]]
    tape: TapeSettings
    backfill: BackfillSettings
    polls: bool
    hears: Callable[[str, dict[str, object]], None]
    recovered: Callable[[RecoveryReport], None]


class Program:
    """One process. `run` is its whole life; `stop` asks for a graceful end."""

    def __init__(self, made: Made) -> None:
        self.made = made
        self.progress = Progress()
        self.recovery: RecoveryReport | None = None
        self.telemetry = Telemetry(made.clock, LogSettings(level="critical", format="json"), out=io.BytesIO())
        self.telemetry.listen(made.hears)
        self.writer = TapeWriter(made.disk, made.clock, made.ids, made.tape, "a simulated process")
        self.is_recording = False
        self._tree = Tree(made.clock, made.ids, self.telemetry)
        self._threads: dict[str, OwnedThread] = {}
        self._governors: dict[str, Governor] = {}
        self._store: SimStore | None = None
        self._receivers: list[str] = []
        self._monitor = Monitor({s.key: f"{s.venue}/ws" for found in made.streams.values() for s in found})
        self._limits = HealthLimits()

    async def run(self) -> None:
        """Start, record until asked to stop, and drain. Raises what a part died of for good."""
        try:
            source = self._start()
            self.is_recording = True
            await self._tree.run()
        finally:
            self.is_recording = False
        await self._end(source)

    def stop(self) -> None:
        """Ask for a graceful end."""
        self._tree.stop()

    def look(self) -> None:
        """The watchdog's look, twice a second."""
        self._seen = self._monitor.look(self.progress, self.made.clock.mono_ns())

    def health(self) -> Health:
        """What the program says of itself now."""
        return health(self.progress, self._seen, Facts(), self.made.clock.mono_ns(), self._limits)

    def reader(self) -> Reader:
        """A reader of the store. Raises Retryable."""
        if self._store is None:
            raise Retryable("the store is not open")
        return self._store.reader()

    @property
    def is_drained(self) -> bool:
        """Whether everything received is durable and applied."""
        return self.progress.offset_applied == self.writer.watermark == self.writer.next_offset

    @property
    def is_connected(self) -> bool:
        """Whether every connection is up with all its streams confirmed."""
        return all(one.up and not one.unconfirmed for one in self.progress.connections.values())

    async def repair(self) -> list[Left]:
        """Close what can be closed now, as `everytick backfill` does."""
        return await self._backfill(BackfillSettings(gap_age_s=0.0)).once()

    # --- as wiring.process has it ---

    def _start(self) -> Source:
        made, progress = self.made, self.progress
        self.look()
        self.recovery = self.writer.open()
        made.recovered(self.recovery)
        progress.run = made.ids.token(4).hex()
        progress.started_ns = made.clock.wall_ns()
        progress.offset_appended = progress.offset_durable = self.writer.watermark
        source = Source("everytick", "process", self.writer.next_offset)
        self.writer.append(source, FrameKind.START, control_payload(Started(progress.run, "simulated")))
        committer = Committer(self.writer, made.clock, self.telemetry, progress, made.tape.commit_interval_min_s)
        self._own("committer", committer.work)
        self._own("projector", self._project)
        self.writer.subscribe(lambda _: self._threads["projector"].stop.wake())
        self._tree.spawn("heartbeat", lambda: beat(progress, made.clock, lambda: self.writer.next_offset), Restarts())
        for venue, streams in made.streams.items():
            self._record(venue, streams)
        self._own("candle check", CandleCheck(self.reader, self.telemetry, self._put_audit).work)
        self._tree.spawn("backfill", self._backfill(made.backfill).run, Restarts())
        self._receivers += ["backfill", "candle check"]
        return source

    def _own(self, name: str, work: Work) -> None:
        thread = self._threads[name] = OwnedThread(name, work)
        self._tree.spawn(name, thread.run, Restarts())

    def _project(self, stop: Stop) -> Iterator[float]:
        while not stop.is_asked:
            try:
                store = self._store = self._store or self.made.database.open()
                projector = self._projector(store)
            except Retryable as trouble:
                self.progress.store_trouble = str(trouble)
                yield RETRY_S
                continue
            self.progress.store_trouble = ""
            yield from projector.work(stop)

    def _projector(self, store: SimStore) -> Projector:
        asking = store.reader()
        checkpoint = asking.checkpoint()
        trades = [s for found in self.made.streams.values() for s in found if s.kind is Kind.TRADES]
        self._monitor.know(habits_of(asking, trades))
        reader = TapeReader(self.made.disk, self.writer.tail)
        pipeline = Pipeline(VENUES, store, TRADE_RUNS)
        return Projector(reader, pipeline, store, self.made.clock, self.telemetry, self.progress, checkpoint)

    def _put_audit(self, venue: str, payload: bytes) -> None:
        self.writer.append(Source(venue, "audit", 0), FrameKind.COMPARED, payload)
        self._threads["committer"].stop.wake()

    def _record(self, name: str, streams: list[Stream]) -> None:
        made, venue = self.made, VENUES[name]
        governor = self._governors[name] = Governor(name, venue.LIMITS, made.clock, self.telemetry)
        wake_committer = self._threads["committer"].stop.wake
        progress = self.progress.connections[f"{name}/ws"] = ConnectionProgress(name, "ws")
        ws_url, http_url = made.urls[name]
        connection = Connection(
            venue,
            "ws",
            ws_url,
            streams,
            tape=self.writer,
            wake_committer=wake_committer,
            backlog_bytes_max=made.tape.backlog_bytes_max,
            sockets=made.sockets,
            clock=made.clock,
            ids=made.ids,
            pace=governor.pace,
            telemetry=self.telemetry,
            progress=progress,
        )
        self._tree.spawn(f"{name}/ws", connection.run, Restarts())
        self._receivers.append(f"{name}/ws")
        polls = list(venue.polls(streams, (), POLL_EVERY_S)) if made.polls else []
        if polls:
            poller = Poller(
                Questions(venue, http_url, made.http, governor),
                "info",
                polls,
                tape=self.writer,
                wake_committer=wake_committer,
                clock=made.clock,
                ids=made.ids,
                telemetry=self.telemetry,
                progress={poll.name: PollProgress(name, poll.name, poll.every_s) for poll in polls},
            )
            self._tree.spawn(f"{name}/info", poller.run, Restarts())
            self._receivers.append(f"{name}/info")

    def _backfill(self, settings: BackfillSettings) -> Backfill:
        made = self.made
        questions = {
            name: Questions(VENUES[name], made.urls[name][1], made.http, self._governors[name]) for name in made.streams
        }
        return Backfill(
            questions,
            self.reader,
            lambda: self.progress.offset_applied,
            tape=self.writer,
            wake_committer=self._threads["committer"].stop.wake,
            clock=made.clock,
            ids=made.ids,
            telemetry=self.telemetry,
            settings=settings,
        )

    async def _end(self, source: Source) -> None:
        await self._tree.end(*self._receivers)
        self.writer.append(source, FrameKind.STOP, control_payload(Started(self.progress.run, "simulated")))
        await self._tree.end("committer")
        watermark = self.writer.watermark
        await self._tree.end("projector")
        await OwnedThread("last projection", lambda _: self._project_the_rest(watermark)).run()
        await self._tree.end()
        self.writer.abandon()
        self.telemetry.recorder_stopped(self.progress.run, watermark, "asked")

    def _project_the_rest(self, watermark: int) -> None:
        if self._store is not None and not self.progress.store_trouble:
            try:
                self._projector(self._store).catch_up(watermark)
            except Retryable as trouble:
                self.telemetry.store_unavailable(str(trouble))


async def until_dead(task: asyncio.Task[None]) -> BaseException | None:
    """Wait for a task's end; what it died of."""
    await asyncio.wait({task})
    return None if task.cancelled() else task.exception()
