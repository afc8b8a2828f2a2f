"""The network of a simulated machine: ports.Sockets and ports.Http against venues in memory.

A connection delivers in order and later than sent, as one read of the network would: several messages at once. What
it can suffer is chosen by whoever holds it (`sim.faults`): a cut with part of what was under way, a line that is open
and carries nothing, delay, refusal, a venue that answers 429, 503, a page for people, or not at all.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from everytick.errors import Retryable
from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.ports import Closed, HttpAnswer, Socket
from everytick.sim.inmemory import MemoryConnection, MemoryVenue
from everytick.sim.loop import LIFE, SimLoop
from everytick.venues.registry import VENUES

LATE_NS = 10 * NS_PER_S
OnMessages = Callable[[list[bytes]], None]


@dataclass
class Weather:
    """What a venue's line suffers now; each until a loop's nanosecond, 0: not."""

    down_until_ns: int = 0  # nobody can connect, nothing is answered
    busy_until_ns: int = 0  # connects and requests get 429
    slow_until_ns: int = 0
    mute_until_ns: int = 0  # new connections carry nothing either
    twice_until_ns: int = 0  # messages come twice
    http_until_ns: int = 0
    http_kind: str = ""  # server_error, page, refused, hangs
    delay_ns: int = 0
    retry_after_s: int = 0


@dataclass
class Told:
    """What the other side of the machine saw, for the invariants: in the loop's ns."""

    connects: deque[tuple[int, int]] = field(default_factory=deque)  # (life, at)
    asked: int = 0
    banned: dict[int, int] = field(default_factory=dict)  # life -> until when it was told to leave us alone
    broken_bans: list[str] = field(default_factory=list)


class Line:
    """A simulated ports.Socket and the venue's side of it."""

    def __init__(self, net: SimNet, place: Place, on_messages: OnMessages) -> None:
        self.life = LIFE.get()
        self.is_open = True
        self.is_mute = False
        self._net = net
        self._place = place
        self._on_messages = on_messages
        self._context = copy_context()
        self._under_way: deque[tuple[int, list[bytes]]] = deque()
        self._is_paused = False
        self._ending = net.loop.create_future()
        self._arrives_ns = 0
        net.numbers += 1
        self.connection = MemoryConnection(net.numbers, self._deliver)

    def is_deceiving(self, now_ns: int) -> bool:
        """Whether it looks open, and what was sent will not be there for long, or never."""
        return self.is_mute or self._arrives_ns > now_ns + LATE_NS

    # --- the client's side: ports.Socket ---

    def send(self, message: bytes) -> None:
        """Send. Raises Retryable when the line is known to be gone."""
        if not self.is_open:
            raise Retryable("the connection is gone")
        self._net.loop.call_later(self._net.delay_s(self._place), self._arrive, message, context=self._net.world)

    def pause(self) -> None:
        """Read no more."""
        self._is_paused = True

    def resume(self) -> None:
        """Read again."""
        self._is_paused = False
        self._net.loop.call_soon(self._read, context=self._context)

    async def closed(self) -> Closed:
        """Wait for the end."""
        closed = await self._ending
        assert isinstance(closed, Closed)
        return closed

    def close(self) -> None:
        """The client goes."""
        self._end(Closed("closed", 1000))

    # --- the venue's side ---

    def cut(self, cause: str, code: int, share: float) -> None:
        """End it; of what is under way that share still arrives."""
        if not self.is_open:
            return
        kept = int(len(self._under_way) * share)
        while len(self._under_way) > kept:
            self._under_way.pop()
        self.connection.has_left = True
        self._place.venue.hub.leave(self.connection)
        at_ns = max(self._net.loop.now_ns, self._arrives_ns)
        self._net.loop.call_at_ns(at_ns, self._end, Closed(cause, code, "simulated"), context=self._context)

    def drop(self) -> None:
        """Its process is no more."""
        self.is_open = False
        self.connection.has_left = True
        self._place.venue.hub.leave(self.connection)
        self._place.lines.pop(self.connection.number, None)

    def _arrive(self, message: bytes) -> None:
        if self._net.is_dark(self._place):
            at_ns = self._place.weather.mute_until_ns + 1
            self._net.loop.call_at_ns(at_ns, self._arrive, message, context=self._net.world)
        elif self.is_open and not self.is_mute:
            self._place.venue.hear(self.connection, message)

    def _deliver(self, messages: list[bytes]) -> None:
        net, place = self._net, self._place
        if not self.is_open or self.is_mute:
            return
        if place.weather.twice_until_ns > net.loop.now_ns:
            messages = [one for message in messages for one in [message] * (1 + (net.dice.random() < 0.3))]
        arrives_ns = max(self._arrives_ns, net.loop.now_ns + int(net.delay_s(place) * NS_PER_S))
        if net.is_dark(place):
            # The network sends again what was not confirmed: late, in order, once the line is back.
            arrives_ns = max(arrives_ns, place.weather.mute_until_ns + 1)
        self._arrives_ns = arrives_ns
        self._under_way.append((arrives_ns, messages))
        net.loop.call_at_ns(arrives_ns, self._read, context=self._context)

    def _read(self) -> None:
        now_ns = self._net.loop.now_ns
        while self.is_open and not self._is_paused and self._under_way and self._under_way[0][0] <= now_ns:
            _, messages = self._under_way.popleft()
            self._net.hand_over(self._on_messages, messages)

    def _end(self, closed: Closed) -> None:
        if not self.is_open:
            return
        while not self._is_paused and self._under_way and closed.cause != "closed":
            _, messages = self._under_way.popleft()
            self._net.hand_over(self._on_messages, messages)
        self.drop()
        if not self._ending.done():
            self._ending.set_result(closed)


@dataclass
class Place:
    """One venue on the network, by the host of its addresses."""

    name: str
    venue: MemoryVenue
    weather: Weather = field(default_factory=Weather)
    lines: dict[int, Line] = field(default_factory=dict)
    told: Told = field(default_factory=Told)

    def note_connect(self, life: int, now_ns: int, per_minute: int) -> None:
        """Count a connect against what the venue allows an address in any minute."""
        recent = self.told.connects
        recent.append((life, now_ns))
        while now_ns - recent[0][1] > 60 * NS_PER_S:
            recent.popleft()
        count = sum(1 for of, _ in recent if of == life)
        if count > per_minute:
            self.told.broken_bans.append(f"{self.name}: {count} connects in a minute, {per_minute} are allowed")


class SimNet:
    """ports.Sockets and ports.Http. `hand_over` sees everything that reaches a program."""

    def __init__(self, loop: SimLoop, dice: random.Random, latency_ms: tuple[int, int]) -> None:
        self.loop = loop
        self.dice = dice
        self.numbers = 0
        self.places: dict[str, Place] = {}
        self.hand_over: Callable[[OnMessages, list[bytes]], None] = lambda take, messages: take(messages)
        self.world = copy_context()  # what the venues do belongs to no life
        self._latency_ms = latency_ms

    def put(self, host: str, name: str, venue: MemoryVenue) -> Place:
        """Set a venue up."""
        place = self.places[host] = Place(name, venue)
        return place

    def delay_s(self, place: Place) -> float:
        """How long one message takes now."""
        delay_ns = self.dice.randint(*self._latency_ms) * NS_PER_MS
        if place.weather.slow_until_ns > self.loop.now_ns:
            delay_ns += place.weather.delay_ns
        return delay_ns / NS_PER_S

    def is_dark(self, place: Place) -> bool:
        """Whether nothing passes, though lines look open."""
        return place.weather.mute_until_ns > self.loop.now_ns

    def drop_life(self, life: int) -> None:
        """A process is gone, and its connections with it."""
        for place in self.places.values():
            for line in list(place.lines.values()):
                if line.life == life:
                    line.drop()

    async def connect(self, url: str, on_messages: OnMessages, *, message_bytes_max: int, timeout_s: float) -> Socket:
        """A new line. Raises Retryable."""
        place = self.places[urlsplit(url).netloc]
        weather, life = place.weather, LIFE.get()
        self._note_connect(place, life)
        await self.loop.pause(self.delay_s(place))
        now_ns = self.loop.now_ns
        if weather.down_until_ns > now_ns:
            raise Retryable("connection refused")
        if weather.mute_until_ns > now_ns:
            await self.loop.pause(timeout_s)
            raise Retryable("no answer within the time")
        if weather.busy_until_ns > now_ns:
            self._ban(place, life, weather.retry_after_s)
            raise Retryable("429 too many connections", retry_after_s=float(weather.retry_after_s))
        line = Line(self, place, on_messages)
        place.lines[line.connection.number] = line
        place.venue.hub.join(line.connection)
        return line

    async def ask(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float, body_bytes_max: int
    ) -> HttpAnswer:
        """One request. Raises Retryable."""
        parts = urlsplit(url)
        place = self.places[parts.netloc]
        weather, life = place.weather, LIFE.get()
        self._note_request(place, life)
        await self.loop.pause(self.delay_s(place))
        now_ns = self.loop.now_ns
        kind = weather.http_kind if weather.http_until_ns > now_ns else ""
        if weather.down_until_ns > now_ns:
            raise Retryable("connection refused")
        if weather.mute_until_ns > now_ns or kind == "hangs":
            await self.loop.pause(timeout_s)
            raise Retryable("no answer within the time")
        if weather.busy_until_ns > now_ns:
            self._ban(place, life, weather.retry_after_s)
            named = {"Retry-After": str(weather.retry_after_s)} if weather.retry_after_s else {}
            return HttpAnswer(429, named, b"rate limited")
        if kind == "server_error":
            return HttpAnswer(503, {}, b"upstream connect error")
        if kind == "page":
            return HttpAnswer(200, {}, b"<html><body>Just a moment...</body></html>")
        if kind == "refused":
            return HttpAnswer(422, {}, b"no")
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        status, answer = place.venue.answer(path, body)
        await self.loop.pause(self.delay_s(place))
        return HttpAnswer(status, {}, answer)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _note_connect(self, place: Place, life: int) -> None:
        place.note_connect(life, self.loop.now_ns, VENUES[place.name].LIMITS.connects_per_minute)
        self._check_ban(place, life, "connected")

    def _note_request(self, place: Place, life: int) -> None:
        place.told.asked += 1
        self._check_ban(place, life, "asked")

    def _ban(self, place: Place, life: int, seconds: int) -> None:
        until_ns = self.loop.now_ns + min(seconds, 600) * NS_PER_S
        place.told.banned[life] = max(place.told.banned.get(life, 0), until_ns)

    def _check_ban(self, place: Place, life: int, what: str) -> None:
        # A knock that was under way when the venue spoke is nobody's fault: half a second is allowed for it.
        left_ns = place.told.banned.get(life, 0) - self.loop.now_ns
        if left_ns > NS_PER_S // 2:
            place.told.broken_bans.append(f"{place.name}: {what} {left_ns / NS_PER_S:.1f} s before it may")
