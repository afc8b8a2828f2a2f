"""One connection to one venue: it moves bytes to the tape and knows no market meaning.

It never gives up: a lost connection is asked for again, later and later up to a cap, within the venue's budget of
connects; and where the venue is going to end one, another is up before it does (`succession`). What it does and
suffers goes on the tape as control frames, so that a reader of the tape alone can say what may be missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from everytick.core.pacing import Backoff, VenuePace
from everytick.errors import Retryable
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_S
from everytick.ports import Clock, Closed, Ids, Sockets
from everytick.recorder.life import Life, Line
from everytick.recorder.succession import Succession
from everytick.supervise.progress import ConnectionProgress
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry
from everytick.venues.protocol import Session, Venue

TICK_S = 1.0
# The first knock after a cut comes quickly, since every moment away may cost a proof; the budget of connects
# bounds how often that can happen.
RECONNECT_FIRST_NS = NS_PER_S // 4
RENEWED = Closed("renewed", detail="another connection had taken over")


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
        self._line = Line(
            venue, channel, url, streams, tape, wake_committer, backlog_bytes_max, sockets, clock, telemetry
        )
        self._venue = venue
        self._channel = channel
        self._clock = clock
        self._ids = ids
        self._pace = pace
        self._telemetry = telemetry
        self._progress = progress
        self._messages_seen = 0

    async def run(self) -> None:
        """Connect, record, and connect again, until cancelled."""
        backoff = Backoff(first_ns=RECONNECT_FIRST_NS)
        while True:
            try:
                life = await self._open()
            except Retryable as refusal:
                self._refused(refusal)
            else:
                if await self._keep(life):
                    backoff.reset()
            await self._clock.sleep(backoff.next_ns(self._ids.jitter()) / NS_PER_S)

    async def _open(self) -> Life:
        """A new life, within the budget of connects. Raises Retryable."""
        while (wait_ns := self._pace.connects.take(self._clock.mono_ns())) > 0:
            self._telemetry.connect_budget_wait(self._venue.NAME, wait_ns / NS_PER_S)
            await self._clock.sleep(wait_ns / NS_PER_S)
        return await Life(self._line).open()

    def _refused(self, refusal: Retryable) -> None:
        self._progress.failures += 1
        self._progress.last_cause = str(refusal)
        self._telemetry.connection_refused(self._venue.NAME, self._channel, str(refusal))
        if refusal.retry_after_s:
            self._pace.hold(self._clock.mono_ns(), int(refusal.retry_after_s * NS_PER_S))

    async def _keep(self, life: Life) -> bool:
        """Keep the line up through one life and its heirs; whether more came than acknowledgements."""
        succession = Succession(self._open, self._refused, self._clock, self._ids)
        closed: Closed | None = None
        has_brought_data = False
        self._up()
        try:
            while True:
                await asyncio.wait(
                    {life.ending, *succession.waits()}, timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED
                )
                succession.look()
                closed = self._look(life, succession)
                has_brought_data = has_brought_data or life.has_brought_data
                if closed is None and succession.is_settled:
                    closed = RENEWED
                if closed is None:
                    continue
                if not succession.has_heir:
                    return has_brought_data
                life.end(closed)
                life, closed = succession.take(), None
                self._up()
        finally:
            closed = closed or Closed("stopping")
            succession.give_up(closed)
            life.end(closed)
            self._down(closed)

    def _look(self, life: Life, succession: Succession) -> Closed | None:
        """One look at a life: why it is over, or None."""
        if life.ending.done():
            return life.ending.result()
        if life.messages != self._messages_seen:
            self._messages_seen = life.messages
            self._progress.last_message_ns = self._clock.wall_ns()
        try:
            tick = life.tick()
        except Retryable as lost:
            return Closed("cut", detail=str(lost))
        self._note_unconfirmed(life.session)
        if tick.renew:
            succession.ask()
        return Closed("mute", detail=tick.close) if tick.close and not life.is_paused else None

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
        self._telemetry.connection_up(self._venue.NAME, self._channel, self._line.url, len(self._line.streams))

    def _down(self, closed: Closed) -> None:
        self._progress.up = False
        self._progress.since_ns = self._clock.wall_ns()
        self._progress.last_cause = closed.cause
        self._telemetry.connection_down(self._venue.NAME, self._channel, closed.cause, closed.detail)
