"""One connection to one venue: it moves bytes to the tape and knows no market meaning.

It never gives up: a lost connection is asked for again, later and later up to a cap, within the venue's budget of
connects. What it does and suffers goes on the tape as control frames, so that a reader of the tape alone can say
what may be missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from everytick.core.pacing import Backoff, VenuePace
from everytick.errors import Retryable
from everytick.model.control import Connected, Disconnected, Subscribed, control_payload
from everytick.model.frame import FrameKind, Source
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_S
from everytick.ports import Clock, Closed, Ids, Socket, Sockets
from everytick.supervise.progress import ConnectionProgress
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry
from everytick.venues.protocol import Session, Venue

CONNECT_TIMEOUT_S = 10.0
TICK_S = 1.0
# Between pausing and reading again the backlog must fall to half, or the socket would flutter.
RESUME_SHARE = 0.5
RESUME_LOOK_S = 0.02
# The first knock after a cut comes quickly, since every moment away may cost a proof; the budget of connects
# bounds how often that can happen.
RECONNECT_FIRST_NS = NS_PER_S // 4


class Connection:
    """Holds one connection open and its bytes flowing. One per (venue, channel); runs on the event loop."""

    def __init__(
        self,
        venue: Venue,
        channel: str,
        url: str,
        streams: Sequence[Stream],
        *,
        tape: TapeWriter,
        wake_committer: Callable[[], None],
        backlog_bytes_max: int,
        sockets: Sockets,
        clock: Clock,
        ids: Ids,
        pace: VenuePace,
        telemetry: Telemetry,
        progress: ConnectionProgress,
    ) -> None:
        self._venue = venue
        self._channel = channel
        self._url = url
        self._streams = streams
        self._tape = tape
        self._wake_committer = wake_committer
        self._pressure = _Pressure(backlog_bytes_max, venue.NAME, channel, telemetry)
        self._sockets = sockets
        self._clock = clock
        self._ids = ids
        self._pace = pace
        self._telemetry = telemetry
        self._progress = progress

    async def run(self) -> None:
        """Connect, record, and connect again, until cancelled."""
        backoff = Backoff(first_ns=RECONNECT_FIRST_NS)
        while True:
            await self._wait_for_budget()
            try:
                if await self._one_life():
                    backoff.reset()
            except Retryable as refusal:
                self._progress.failures += 1
                self._progress.last_cause = str(refusal)
                self._telemetry.connection_refused(self._venue.NAME, self._channel, str(refusal))
                if refusal.retry_after_s:
                    self._pace.hold(self._clock.mono_ns(), int(refusal.retry_after_s * NS_PER_S))
            await self._clock.sleep(backoff.next_ns(self._ids.jitter()) / NS_PER_S)

    async def _wait_for_budget(self) -> None:
        while (wait_ns := self._pace.connects.take(self._clock.mono_ns())) > 0:
            self._telemetry.connect_budget_wait(self._venue.NAME, wait_ns / NS_PER_S)
            await self._clock.sleep(wait_ns / NS_PER_S)

    async def _one_life(self) -> bool:
        """One connection from its first byte to its last; whether it brought more than acknowledgements."""
        session = self._venue.session(self._streams)
        life = _Life(self._tape, session, self._clock, self._wake_committer, self._pressure)
        socket = await self._sockets.connect(
            self._url,
            life.on_messages,
            message_bytes_max=self._venue.LIMITS.message_bytes_max,
            timeout_s=CONNECT_TIMEOUT_S,
        )
        closed = Closed("stopping")
        try:
            source = self._tape.connect(self._venue.NAME, self._channel, control_payload(Connected(self._url)))
            self._tape.append(source, FrameKind.SUBSCRIBE, control_payload(Subscribed([s.key for s in self._streams])))
            for message in session.open(self._clock.mono_ns()):
                socket.send(message)
            life.begin(source, socket)
            self._up()
            closed = await self._watch(socket, session, life)
        except Retryable as lost:
            closed = Closed("cut", detail=str(lost))
        finally:
            life.end()
            socket.close()
            if life.source is not None:
                self._down(life.source, closed)
        return life.messages > len(self._streams) + 1

    async def _watch(self, socket: Socket, session: Session, life: _Life) -> Closed:
        ending = asyncio.ensure_future(socket.closed())  # noqa: TID251 - owned right here: awaited or cancelled below
        messages_seen = 0
        try:
            while True:
                await asyncio.wait({ending}, timeout=TICK_S)
                if ending.done():
                    return ending.result()
                if life.messages != messages_seen:
                    messages_seen = life.messages
                    self._progress.last_message_ns = self._clock.wall_ns()
                tick = session.tick(self._clock.mono_ns())
                for message in tick.send:
                    socket.send(message)
                self._note_unconfirmed(session)
                if tick.close and not life.is_paused:
                    return Closed("mute", detail=tick.close)
        finally:
            ending.cancel()

    def _note_unconfirmed(self, session: Session) -> None:
        waiting = session.unconfirmed()
        if self._progress.unconfirmed != len(waiting):
            self._progress.unconfirmed = len(waiting)
            for stream in waiting:
                self._telemetry.subscription_unconfirmed(self._venue.NAME, self._channel, stream.key)

    def _up(self) -> None:
        self._progress.up = True
        self._progress.connects += 1
        self._progress.since_ns = self._clock.wall_ns()
        self._wake_committer()
        self._telemetry.connection_up(self._venue.NAME, self._channel, self._url, len(self._streams))

    def _down(self, source: Source, closed: Closed) -> None:
        self._tape.append(source, FrameKind.DISCONNECT, control_payload(Disconnected(closed.cause, closed.detail)))
        self._wake_committer()
        self._progress.up = False
        self._progress.since_ns = self._clock.wall_ns()
        self._progress.last_cause = closed.cause
        self._telemetry.connection_down(self._venue.NAME, self._channel, closed.cause, closed.detail)


class _Pressure(msgspec.Struct, frozen=True):
    """Policy `block`: above the backlog's bound the socket is not read, so the venue feels it, not memory."""

    backlog_bytes_max: int
    venue: str
    channel: str
    telemetry: Telemetry


class _Life:
    """One life of a connection: its messages, in order, behind the CONNECT frame that names its epoch."""

    def __init__(
        self,
        tape: TapeWriter,
        session: Session,
        clock: Clock,
        wake_committer: Callable[[], None],
        pressure: _Pressure,
    ) -> None:
        self._tape = tape
        self._receive = session.receive
        self._mono_ns = clock.mono_ns
        self._wake = wake_committer
        self._pressure = pressure
        self._early: list[bytes] = []
        self._socket: Socket | None = None
        self._is_over = False
        self.source: Source | None = None
        self.is_paused = False
        self.messages = 0

    def on_messages(self, payloads: list[bytes]) -> None:
        """Called by the socket with what one read brought."""
        source = self.source
        if source is None:
            # A venue may greet before `connect` has returned; the tape needs the CONNECT frame first.
            self._early += payloads
            return
        if self._is_over:
            return  # after DISCONNECT: what a dying socket still delivers was never asked for
        self._tape.append_many(source, FrameKind.MESSAGE, payloads)
        self.messages += len(payloads)
        mono_ns = self._mono_ns()
        receive = self._receive
        for payload in payloads:
            receive(payload, mono_ns)
        self._wake()
        if not self.is_paused and self._tape.pending_bytes > self._pressure.backlog_bytes_max:
            self._press_back()

    def begin(self, source: Source, socket: Socket) -> None:
        """The connection has its epoch: let the early messages through, then all others."""
        self.source, self._socket = source, socket
        early, self._early = self._early, []
        if early:
            self.on_messages(early)

    def end(self) -> None:
        """Nothing more belongs to this life."""
        self._is_over = True

    def _press_back(self) -> None:
        if self._socket is None:
            return
        self.is_paused = True
        self._socket.pause()
        pressure = self._pressure
        pressure.telemetry.backpressure_on(pressure.venue, pressure.channel, self._tape.pending_bytes)
        asyncio.get_running_loop().call_later(RESUME_LOOK_S, self._release)

    def _release(self) -> None:
        if self._is_over or self._socket is None:
            return
        pressure = self._pressure
        if self._tape.pending_bytes > pressure.backlog_bytes_max * RESUME_SHARE:
            asyncio.get_running_loop().call_later(RESUME_LOOK_S, self._release)
            return
        self.is_paused = False
        self._socket.resume()
        pressure.telemetry.backpressure_off(pressure.venue, pressure.channel)
