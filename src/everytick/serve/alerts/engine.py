"""The alerts' own thread: it looks four times a second at what was heard and at health, remembers, and delivers.

Nothing here is waited for by anyone: the recorder only leaves facts in the inbox. When the memory cannot be written,
which is likely when the disk is full, the engine goes on without it, because that is when alerts matter most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from everytick.core import alerting
from everytick.errors import Refused, Retryable
from everytick.model.alert import Book, Message, Mute, Signal
from everytick.model.units import NS_PER_S
from everytick.ports import Clock, Ids, Notifier
from everytick.serve.alerts import signals
from everytick.serve.alerts.inbox import Inbox
from everytick.serve.alerts.memory import Memory
from everytick.serve.alerts.outbox import Outbox, Parcel
from everytick.serve.alerts.rules import RULES
from everytick.serve.alerts.signals import Room
from everytick.supervise.health import Health, Status
from everytick.supervise.threads import Stop
from everytick.telemetry import Telemetry

LOOK_S = 0.25  # detection to transport is promised within 5 s; this is its first part
POLL_NS = NS_PER_S  # health, disk and mutes are looked at once a second
FAREWELL_S = 3.0  # a stopping process gives its last messages this long; the rest waits in the memory
FAILURES_TOLD = 3
TEXT_MAX = 1_000  # of a signal's words: an error may carry a page of them, a message is for a phone
STUCK_NS = 300 * NS_PER_S  # a message that waits longer: the pipeline is broken, and the outside must hear silence


@dataclass(frozen=True)
class Ping:
    """An outside address to be asked every `every_s`; `only_well`: only while all is well, as a dead man's switch."""

    name: str
    every_s: float
    ask: Callable[[], Awaitable[None]]
    only_well: bool


@dataclass
class Inputs:
    """What the engine looks at by itself.

    `ledger(since)` gives a signal for every gap on record that was received since then (wall time); it is read once,
    as soon as it can be, so that a crash between a gap and its message loses neither. Raises Retryable.
    """

    inbox: Inbox
    health: Callable[[], Health]
    room: Callable[[], Room]
    folder: str = ""
    ledger: Callable[[int], Sequence[Signal]] = field(default=lambda _: ())


async def _nothing() -> None:
    return None


class Alerts:
    """The engine over its inputs, memory and channels, the latter in the order in which they are tried."""

    def __init__(
        self,
        inputs: Inputs,
        open_memory: Callable[[], Memory],
        channels: Mapping[str, Notifier],
        pings: Sequence[Ping],
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        close: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        """`close` lets the channels' connections go when the thread ends."""
        self.book = Book()
        self.outbox = Outbox(channels, ids.jitter, self._dropped)
        self._inputs = inputs
        self._open_memory = open_memory
        self._memory: Memory | None = None
        self._saved = Book()
        self._channels = channels
        self._pings = pings
        self._clock = clock
        self._telemetry = telemetry
        self._mutes: list[Mute] = []
        self._health = Health(Status.OK)
        self._polled_ns = -POLL_NS
        self._offset_ns: int | None = None  # engine's clock minus the monotonic one
        self._standing: list[Signal] = []
        self._is_reconciled = False
        self._close = close

    def open(self) -> None:
        """Take up the memory."""
        book = Book()
        parcels: list[Parcel] = []
        try:
            self._memory = self._open_memory()
            book, parcels = self._memory.load()
        except Retryable as error:
            self._telemetry.alert_memory_failed(str(error))
        wall_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        self._saved = book
        self.book = alerting.resumed(book, wall_ns)
        self._offset_ns = self.book.now_ns - mono_ns
        self.outbox.restore(parcels)

    def look(self) -> list[Message]:
        """One look: what came in, what holds, what to tell. Returns the messages, which are on their way by now."""
        now_ns = self.now_ns()
        if now_ns - self._polled_ns >= POLL_NS:
            self._polled_ns = now_ns
            self._poll()
        found = self._inputs.inbox.drain()
        if not self._is_reconciled:
            found += self._unheard(found)
        found += self._standing
        found = [self._cleaned(signal) for signal in found]  # neither the memory nor a channel ever has a secret
        self.book, messages = alerting.step(self.book, RULES, found, self._mutes, now_ns, self._clock.wall_ns())
        for message in messages:
            self.outbox.add(message, now_ns)
        self.save()
        for message in messages:
            self._telemetry.alert_raised(
                message.rule, message.severity.value, message.state.value, message.subject, message.text
            )
        return messages

    def now_ns(self) -> int:
        """The engine's clock."""
        if self._offset_ns is None:
            self.open()
        return self._clock.mono_ns() + (self._offset_ns or 0)

    def save(self) -> None:
        """Make durable what changed. A failure is told and tried again at the next look."""
        changed = dict(self.outbox.changed)
        try:
            if self._memory is None:
                self._memory = self._open_memory()
            self._memory.save(self._saved, self.book, changed)
        except Retryable as error:
            self._telemetry.alert_memory_failed(str(error))
            return
        self._saved = self.book
        self.outbox.changed.clear()

    async def deliver(self, channel: str) -> bool:
        """Send the next message of a channel, if there is one; False: there was none, or it was not taken."""
        parcel = self.outbox.take(channel, self.now_ns())
        if parcel is None:
            return False
        self.save()  # under way is durable before the send: a crash from here on means one marked repeat
        try:
            await self._channels[channel].notify(parcel.message)
        except (Retryable, Refused) as error:
            self._not_sent(parcel, channel, error)
            return False
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a notifier's own fault is a failed delivery, counted and retried
            self._not_sent(parcel, channel, Retryable(type(error).__name__))
            return False
        waited_s = (self.now_ns() - parcel.since_ns) / NS_PER_S
        self.outbox.arrived(parcel, channel)
        self.save()
        self._telemetry.alert_sent(channel, parcel.message.rule, waited_s)
        return True

    def work(self, stop: Stop) -> None:
        """The thread's body: a loop of its own until asked to stop."""
        with asyncio.Runner() as runner:
            runner.run(self.run(stop))

    async def run(self, stop: Stop) -> None:
        """Look, deliver and ping until asked to stop; then look once more and give what waits a short while."""
        try:
            async with asyncio.TaskGroup() as group:
                for channel in self._channels:
                    group.create_task(self._deliver_all(channel, stop))
                for ping in self._pings:
                    group.create_task(self._ping_all(ping, stop))
                while not stop.is_asked:
                    self.look()
                    await self._clock.sleep(LOOK_S)
            self.look()
            await self._farewell()
        finally:
            if self._memory is not None:
                memory, self._memory = self._memory, None
                memory.close()
            await self._close()

    async def _deliver_all(self, channel: str, stop: Stop) -> None:
        while not stop.is_asked:
            if not await self.deliver(channel):
                await self._clock.sleep(LOOK_S)

    async def _farewell(self) -> None:
        until_ns = self._clock.mono_ns() + int(FAREWELL_S * NS_PER_S)
        for channel in self._channels:
            while self._clock.mono_ns() < until_ns and await self.deliver(channel):
                await self._clock.sleep(0)

    async def _ping_all(self, ping: Ping, stop: Stop) -> None:
        next_ns = self._clock.mono_ns()
        while not stop.is_asked:
            if self._clock.mono_ns() >= next_ns:
                next_ns = self._clock.mono_ns() + int(ping.every_s * NS_PER_S)
                await self.ping(ping)
            await self._clock.sleep(LOOK_S)

    async def ping(self, ping: Ping) -> None:
        """Ask one outside address, if it is to be asked now."""
        is_stuck = self.outbox.oldest_ns(self.now_ns()) > STUCK_NS
        if ping.only_well and (self._health.status is not Status.OK or is_stuck):
            return
        try:
            await ping.ask()
        except (Retryable, Refused) as error:
            self._telemetry.ping_failed(ping.name, str(error))

    def _cleaned(self, signal: Signal) -> Signal:
        clean = self._telemetry.redactor.clean
        return msgspec.structs.replace(signal, subject=clean(signal.subject), text=clean(signal.text)[:TEXT_MAX])

    def _unheard(self, heard: Sequence[Signal]) -> list[Signal]:
        """Gaps on record of which no fact was heard: the process stopped between the one and the other."""
        marks = {key: incident.mark for key, incident in self.book.incidents.items()}
        marks |= {signal.key: signal.mark for signal in heard if signal.mark}
        try:
            recorded = self._inputs.ledger(self.book.began_ns)
        except Retryable:  # the store is away, which has an alert of its own; asked again at the next look
            return []
        self._is_reconciled = True
        return [signal for signal in recorded if signal.mark > marks.get(signal.key, -1)]

    def _poll(self) -> None:
        """Health, room, clocks and mutes: what holds until the next poll."""
        inputs = self._inputs
        self._health = inputs.health()
        standing = signals.of_health(self._health)
        try:
            standing += signals.of_room(inputs.room(), inputs.folder)
        except OSError as error:
            standing.append(Signal("disk", "data", f"the room in {inputs.folder} cannot be told: {error.strerror}"))
        for name, rest in self.outbox.resting.items():
            if rest.failures >= FAILURES_TOLD:
                standing.append(signals.of_channel(name, rest.failures, rest.detail))
        self._standing = standing
        try:
            if self._memory is not None:
                self._mutes = self._memory.mutes()
        except Retryable as error:
            self._telemetry.alert_memory_failed(str(error))
        is_open = sum(incident.is_open for incident in self.book.incidents.values())
        self._telemetry.alerts_waiting(len(self.outbox), is_open)

    def _not_sent(self, parcel: Parcel, channel: str, error: Retryable | Refused) -> None:
        now_ns = self.now_ns()
        wait_s = error.retry_after_s if isinstance(error, Retryable) else None
        is_refused = isinstance(error, Refused)
        rest = self.outbox.failed(parcel, channel, str(error), now_ns, retry_after_s=wait_s, is_refused=is_refused)
        self.save()
        cause = "refused" if is_refused else "retryable"
        self._telemetry.alert_not_sent(channel, cause, str(error), (rest.until_ns - now_ns) / NS_PER_S)

    def _dropped(self, message: Message, cause: str) -> None:
        self._telemetry.alert_dropped(message.rule, message.severity.value, cause)
