"""A simulated venue and a real recorder, end to end over real sockets, with the truth known: demo and drill."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator

import msgspec

from everytick.config import Settings, store_address
from everytick.config.settings import HyperliquidSettings
from everytick.model.secret import Secret
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.recorder.audit import AuditReport
from everytick.recorder.looking import Wanted
from everytick.serve.alerts.settings import AlertSettings
from everytick.sim.oracle import Audit, audit
from everytick.sim.registry import SimulatedVenue
from everytick.stores.open import open_reader
from everytick.stores.protocol import Reader, Row, RowQuery
from everytick.telemetry import Telemetry
from everytick.venues.protocol import Rule
from everytick.venues.registry import VENUES
from everytick.wiring.parts import Ports
from everytick.wiring.process import Process
from everytick.wiring.repair_job import audit as audit_store

PAGE_ROWS = 5_000
GAPS_MAX = 1_000_000
LOOK_S = 0.05
# The simulated venues' outages end well within it.
OUTAGE_NS_MAX = 15 * NS_PER_S
# A replay follows a subscription over loopback within milliseconds.
SETTLED_NS = NS_PER_S // 2


def turned_to(
    settings: Settings,
    venue: str,
    sim: SimulatedVenue,
    *,
    data_dir: str,
    port: int,
    coins: tuple[str, ...],
    kinds: tuple[Kind, ...],
    intervals: tuple[str, ...] = (),
) -> Settings:
    """The settings turned to one simulated venue, a folder and an API port of the rehearsal's own."""
    replace = msgspec.structs.replace
    venues = settings.venues
    for name, section in venues.by_name().items():
        venues = replace(venues, **{name: replace(section, enabled=False)})
    section = venues.by_name()[venue]
    changes: dict[str, object] = {
        "enabled": True,
        "ws_url": sim.ws_url,
        "http_url": sim.url,
        "streams": kinds,
        "candle_intervals": intervals or section.candle_intervals,
        "coins" if isinstance(section, HyperliquidSettings) else "symbols": coins,
    }
    venues = replace(venues, **{venue: replace(section, **changes)})
    return replace(
        settings,
        data=replace(settings.data, dir=data_dir),
        store=replace(settings.store, url=type(settings.store.url)("")),
        serve=replace(settings.serve, host="127.0.0.1", port=port, token=Secret("")),
        venues=venues,
        alerts=AlertSettings(),  # a rehearsal calls nobody
        # What is lost must first be named; a rehearsal that repairs does so in a phase of its own.
        backfill=replace(settings.backfill, enabled=False, gap_age_s=0.0, archive=""),
        health=replace(settings.health, external_url=""),
    )


class Rehearsal:
    """One recording of one simulated venue, from start to audit."""

    def __init__(
        self,
        settings: Settings,
        venue: str,
        sim: SimulatedVenue,
        ports: Ports,
        telemetry: Telemetry,
        *,
        repairs: bool = False,
    ) -> None:
        """`repairs`: once the venue is quiet, close gaps from its history; `before` is then the audit before that."""
        self.sim = sim
        self.before: Audit | None = None
        self.told: AuditReport | None = None  # what the venue itself says of the record after that
        self._world = settings, ports, telemetry
        self._repairs = repairs
        self._venue = venue
        self._settings = settings
        self.process = Process(settings, ports, telemetry)
        self.is_ready = asyncio.Event()
        self._clock = ports.clock
        self._ending = asyncio.Event()

    def reader(self) -> Reader:
        """A reader of what is held, while recording and after. Raises Refused before there is a store."""
        return open_reader(store_address(self._settings))

    def end(self) -> None:
        """Ask for the end: the venue falls silent, the recorder drains, the audit follows."""
        self._ending.set()

    async def run(self, *, for_s: float | None, watch: Callable[[Rehearsal], None] | None = None) -> Audit:
        """Record until everything recorded was played, `end`, Ctrl-C or `for_s` seconds; then compare.

        `watch` is called about twice a second once the recorder is up. Raises what a part died of.
        """
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, self.end)
        try:
            await self._rehearse(for_s, watch)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # the first death is the cause, the others are its wake
        return self._audit()

    async def _rehearse(self, for_s: float | None, watch: Callable[[Rehearsal], None] | None) -> None:
        async with asyncio.TaskGroup() as group:
            recording = group.create_task(self.process.run(on_ready=self.is_ready.set, heeds_signals=False))
            timing = group.create_task(self._end_after(for_s))
            watching = group.create_task(self._watch(watch))
            await self._ending.wait()
            timing.cancel()
            watching.cancel()
            await self._line_is_up()
            await self.sim.quiesce()
            if self._repairs:
                self.before = await self._repair()
            await self.sim.stop()
            while any(connection.up for connection in self.process.progress.connections.values()):
                await self._clock.sleep(LOOK_S)
            self.process.stop()
            await recording

    async def _line_is_up(self) -> None:
        """Wait for the end of an outage that is under way: what the recorder missed in it is known only by the replay.

        Without it, an end in the middle of an outage leaves trades that nobody could have known of.
        """
        connections = self.process.progress.connections.values
        give_up_ns = self._clock.mono_ns() + OUTAGE_NS_MAX
        while self._clock.mono_ns() < give_up_ns:
            settled_ns = self._clock.wall_ns() - SETTLED_NS
            if all(one.up and one.since_ns < settled_ns and not one.unconfirmed for one in connections()):
                return
            await self._clock.sleep(LOOK_S)

    async def _repair(self) -> Audit:
        """Close what the venue's history can close; returns the audit of before."""
        settled = self.process.progress
        while settled.offset_applied < settled.offset_appended or settled.bytes_pending:
            await self._clock.sleep(LOOK_S)
        before = self._audit()
        await self.process.repairs().once()
        settings, ports, telemetry = self._world
        self.told = await audit_store(settings, ports, telemetry, Wanted())
        return before

    async def _end_after(self, for_s: float | None) -> None:
        if for_s is not None:
            await self._clock.sleep(for_s)
        else:
            await self.sim.finished()
        self._ending.set()

    async def _watch(self, watch: Callable[[Rehearsal], None] | None) -> None:
        await self.is_ready.wait()
        while watch is not None:
            watch(self)
            await self._clock.sleep(0.5)

    @property
    def _has_dense_ids(self) -> bool:
        return VENUES[self._venue].SEQUENCING[Kind.TRADES] is Rule.DENSE

    def _audit(self) -> Audit:
        reader = self.reader()
        try:
            streams = list(reader.streams())
            gaps = reader.gaps(streams, open_only=False, limit=GAPS_MAX)
            rows = all_trades(reader, streams)
            return audit(self._venue, self.sim.ledger, rows, gaps, dense_ids=self._has_dense_ids)
        finally:
            reader.close()


def all_trades(reader: Reader, streams: list[Stream]) -> Iterator[Row]:
    """Every stored trade of the streams, in order, page by page."""
    trades = tuple(stream for stream in streams if stream.kind is Kind.TRADES)
    query = RowQuery(trades, descending=False, limit=PAGE_ROWS)
    while rows := reader.trades(query):
        yield from rows
        last = rows[-1]
        query = msgspec.structs.replace(query, after=(last.ts_event_ns, last.number, last.trade_id))
