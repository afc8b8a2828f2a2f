"""One life of a connection: from its CONNECT frame, which names its epoch, to its DISCONNECT."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from everytick.errors import Retryable
from everytick.model.control import Connected, Disconnected, Subscribed, control_payload
from everytick.model.frame import FrameKind, Source
from everytick.model.stream import Stream
from everytick.ports import Clock, Closed, Socket, Sockets
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry
from everytick.venues.protocol import Tick, Venue

CONNECT_TIMEOUT_S = 10.0
# Between pausing and reading again the backlog must fall to half, or the socket would flutter.
RESUME_SHARE = 0.5
RESUME_LOOK_S = 0.02


@dataclass(frozen=True)
class Line:
    """Where a connection leads, what it carries, and where its bytes go: the same for all of its lives.

    `backlog_bytes_max` is policy `block`: above it the socket is not read, so the venue feels it, not memory.
    """

    venue: Venue
    channel: str
    url: str
    streams: Sequence[Stream]
    tape: TapeWriter
    wake_committer: Callable[[], None]
    backlog_bytes_max: int
    sockets: Sockets
    clock: Clock
    telemetry: Telemetry


class Life:
    """One open connection and its conversation: its messages go to the tape in order, behind its CONNECT frame."""

    def __init__(self, line: Line) -> None:
        self.session = line.venue.session(line.streams)
        self._line = line
        self._tape = line.tape
        self._receive = self.session.receive
        self._mono_ns = line.clock.mono_ns
        self._wake = line.wake_committer
        self._early: list[bytes] = []
        self._socket: Socket | None = None
        self._source: Source | None = None
        self._ending: asyncio.Future[Closed] | None = None
        self._is_over = False
        self.is_paused = False
        self.messages = 0

    async def open(self) -> Life:
        """Connect, put it on the tape, and ask for the streams. Raises Retryable."""
        line = self._line
        socket = await line.sockets.connect(
            line.url,
            self.on_messages,
            message_bytes_max=line.venue.LIMITS.message_bytes_max,
            timeout_s=CONNECT_TIMEOUT_S,
        )
        self._socket = socket
        self._ending = asyncio.ensure_future(socket.closed())  # noqa: TID251 - owned: `end` cancels it
        source = self._tape.connect(line.venue.NAME, line.channel, control_payload(Connected(line.url)))
        self._tape.append(source, FrameKind.SUBSCRIBE, control_payload(Subscribed([s.key for s in line.streams])))
        self._source = source
        try:
            for message in self.session.open(self._mono_ns()):
                socket.send(message)
        except Retryable as lost:
            self.end(Closed("cut", detail=str(lost)))
            raise
        early, self._early = self._early, []
        if early:
            self.on_messages(early)
        self._wake()
        return self

    def on_messages(self, payloads: list[bytes]) -> None:
        """Called by the socket with what one read brought."""
        source = self._source
        if source is None:
            # A venue may greet before `connect` has returned; the tape needs the CONNECT frame first.
            self._early += payloads
            return
        if self._is_over:
            return  # after DISCONNECT: what a dying socket still delivers was never asked for
        self._tape.append_many(source, FrameKind.MESSAGE, payloads)
        self.messages += len(payloads)
        self._receive(payloads, self._mono_ns())
        self._wake()
        if not self.is_paused and self._tape.pending_bytes > self._line.backlog_bytes_max:
            self._press_back()

    @property
    def ending(self) -> asyncio.Future[Closed]:
        """Done when the connection is gone, with the cause. Only of a life that was opened."""
        assert self._ending is not None
        return self._ending

    @property
    def has_brought_data(self) -> bool:
        """Whether more came than acknowledgements."""
        return self.messages > len(self._line.streams) + 1

    def tick(self) -> Tick:
        """Let the conversation look at the clock, and send what it wants said. Raises Retryable."""
        assert self._socket is not None
        tick = self.session.tick(self._mono_ns())
        for message in tick.send:
            self._socket.send(message)
        return tick

    def end(self, closed: Closed) -> None:
        """Nothing more belongs to this life; its DISCONNECT says why. Safe to call twice: the first cause stands."""
        if self._is_over or self._source is None or self._socket is None:
            return
        self._is_over = True
        self.ending.cancel()
        self._socket.close()
        fact = control_payload(Disconnected(closed.cause, closed.detail))
        self._tape.append(self._source, FrameKind.DISCONNECT, fact)
        self._wake()

    def _press_back(self) -> None:
        if self._socket is None:
            return
        self.is_paused = True
        self._socket.pause()
        line = self._line
        line.telemetry.backpressure_on(line.venue.NAME, line.channel, self._tape.pending_bytes)
        asyncio.get_running_loop().call_later(RESUME_LOOK_S, self._release)

    def _release(self) -> None:
        if self._is_over or self._socket is None:
            return
        line = self._line
        if self._tape.pending_bytes > line.backlog_bytes_max * RESUME_SHARE:
            asyncio.get_running_loop().call_later(RESUME_LOOK_S, self._release)
            return
        self.is_paused = False
        self._socket.resume()
        line.telemetry.backpressure_off(line.venue.NAME, line.channel)
