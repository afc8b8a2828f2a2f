"""The polls of one venue: questions asked over HTTP at a steady beat, each answer and each failure put on the tape.

A failed request is a FAILED frame and never an empty answer. What failed is asked again by its class: a busy venue
after the wait that it asks for, a broken line later and later, a refused question not before its next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from everytick.core.pacing import Backoff
from everytick.errors import Retryable
from everytick.model.control import (
    Asked,
    Connected,
    Disconnected,
    RequestFailed,
    Subscribed,
    control_payload,
    reply_payload,
)
from everytick.model.frame import FrameKind, Source
from everytick.model.units import NS_PER_S
from everytick.ports import Clock, Http, HttpAnswer, Ids
from everytick.recorder.governor import Governor
from everytick.supervise.progress import PollProgress
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry
from everytick.venues.protocol import Poll, Request, Venue

# A slow answer is late data; the largest takes about a second on a poor line.
TIMEOUT_S: Final = 10.0
# The first cycles are spread over this much, so that a start does not spend the whole allowance at once.
SPREAD_NS: Final = 5 * NS_PER_S
# Where a venue says "too many" and not for how long: its minute has gone by then.
BUSY_WAIT_NS: Final = 60 * NS_PER_S
# A question that is refused again and again is asked ever more rarely, but at least once in this time.
REFUSED_REST_NS_MAX: Final = 3_600 * NS_PER_S

_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Failure(msgspec.Struct, frozen=True):
    """Why a request brought nothing usable. `wait_ns`: before it may be asked again; -1: not in this cycle."""

    cause: str
    status: int = 0
    wait_ns: int = 0
    is_refused: bool = False


class Poller:
    """Asks one venue's polls. One per (venue, channel); runs on the event loop."""

    def __init__(
        self,
        venue: Venue,
        channel: str,
        url: str,
        polls: Sequence[Poll],
        *,
        tape: TapeWriter,
        wake_committer: Callable[[], None],
        http: Http,
        governor: Governor,
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        progress: Mapping[str, PollProgress],
    ) -> None:
        """`url` is the address that requests' paths go behind; `progress` has an entry for each poll by its name."""
        self._venue = venue
        self._channel = channel
        self._url = url.rstrip("/")
        self._polls = polls
        self._tape = tape
        self._wake_committer = wake_committer
        self._http = http
        self._governor = governor
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._progress = progress

    async def run(self) -> None:
        """Ask until cancelled. Raises what any of the polls died of."""
        source = self._tape.connect(self._venue.NAME, self._channel, control_payload(Connected(self._url)))
        feeds = dict.fromkeys(stream.key for poll in self._polls for stream in poll.feeds)
        self._put(source, FrameKind.SUBSCRIBE, control_payload(Subscribed(list(feeds))))
        try:
            async with asyncio.TaskGroup() as group:
                for poll in self._polls:
                    group.create_task(self._keep(poll, source), name=poll.name)
        finally:
            self._put(source, FrameKind.DISCONNECT, control_payload(Disconnected("stopping")))
            await self._http.close()

    async def _keep(self, poll: Poll, source: Source) -> None:
        """One poll at its beat: turns are counted from the first one, so the work in between shifts nothing."""
        every_ns = int(poll.every_s * NS_PER_S)
        due_ns = self._clock.mono_ns() + int(self._ids.jitter() * min(every_ns, SPREAD_NS))
        rest_ns = 0
        while True:
            await self._sleep_until(due_ns)
            is_refused = await self._cycle(poll, source, due_ns + every_ns)
            rest_ns = min(max(every_ns, 2 * rest_ns), REFUSED_REST_NS_MAX) if is_refused else 0
            due_ns += every_ns
            late_ns = self._clock.mono_ns() - due_ns
            skipped = max(late_ns // every_ns + 1 if late_ns >= 0 else 0, rest_ns // every_ns)
            if skipped:
                due_ns += skipped * every_ns
                self._telemetry.polls_skipped(self._venue.NAME, poll.name, skipped)

    async def _cycle(self, poll: Poll, source: Source, deadline_ns: int) -> bool:
        """Ask one turn's requests in order until all are answered or the next turn is near; whether one was refused."""
        requests = poll.ask(self._clock.wall_ns())
        progress = self._progress[poll.name]
        backoff = Backoff()
        for part, request in enumerate(requests, 1):
            while (failure := await self._ask(poll, request, (part, len(requests)), source)) is not None:
                wait_ns = failure.wait_ns or backoff.next_ns(self._ids.jitter())
                is_over = failure.is_refused or self._clock.mono_ns() + wait_ns >= deadline_ns
                self._fail(poll, request, failure, source, is_over=is_over)
                if is_over:
                    return failure.is_refused
                await self._clock.sleep(wait_ns / NS_PER_S)
        progress.answered_ns, progress.failures, progress.last_cause = self._clock.wall_ns(), 0, ""
        return False

    async def _ask(self, poll: Poll, request: Request, part: tuple[int, int], source: Source) -> _Failure | None:
        """Ask once. A usable answer goes on the tape; otherwise why there was none."""
        await self._governor.request(request, poll.priority)
        self._progress[poll.name].tried_ns = self._clock.wall_ns()
        headers = {"Content-Type": "application/json"} if request.body else {}
        try:
            answer = await self._http.ask(
                request.method,
                self._url + request.path,
                request.body,
                headers,
                timeout_s=TIMEOUT_S,
                body_bytes_max=self._venue.LIMITS.decode_bytes_max,
            )
        except Retryable:
            return _Failure("no_answer")
        if not 200 <= answer.status <= 299:
            return self._refusal(answer)
        self._governor.settle(request, _count(answer.body))
        asked = Asked(request.name, request.said, answer.status, *part)
        self._put(source, FrameKind.REPLY, reply_payload(asked, answer.body))
        if answer.body.lstrip()[:1] not in (b"[", b"{"):
            # A page for people, as proxies send with a 200: kept on the tape, where the decoder refuses it.
            return _Failure("no_json", answer.status)
        self._telemetry.request_answered(self._venue.NAME, request.name)
        return None

    def _refusal(self, answer: HttpAnswer) -> _Failure:
        if answer.status == 429:
            header = next((value for name, value in answer.headers.items() if name.lower() == "retry-after"), None)
            return _Failure("busy", answer.status, self._governor.told_to_wait(header, BUSY_WAIT_NS))
        if answer.status >= 500 or answer.status == 408:
            return _Failure("venue_failed", answer.status)
        return _Failure("refused", answer.status, is_refused=True)

    def _fail(self, poll: Poll, request: Request, failure: _Failure, source: Source, *, is_over: bool) -> None:
        lost = tuple(stream.key for stream in poll.feeds) if is_over else ()
        said = RequestFailed(request.name, request.said, failure.cause, failure.status, lost)
        self._put(source, FrameKind.FAILED, control_payload(said))
        progress = self._progress[poll.name]
        progress.failures += 1
        progress.last_cause = failure.cause
        self._telemetry.request_failed(self._venue.NAME, request.name, failure.cause, failure.status)

    def _put(self, source: Source, kind: FrameKind, payload: bytes) -> None:
        self._tape.append(source, kind, payload)
        self._wake_committer()

    async def _sleep_until(self, due_ns: int) -> None:
        while (left_ns := due_ns - self._clock.mono_ns()) > 0:
            await self._clock.sleep(left_ns / NS_PER_S)


def _count(body: bytes) -> int:
    """How many items an answer holds; what is no list holds none that are counted."""
    try:
        return len(_items(body))
    except (msgspec.MsgspecError, ValueError):
        return 0
