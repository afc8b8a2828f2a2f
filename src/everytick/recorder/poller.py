"""The polls of one venue: questions asked over HTTP at a steady beat, each answer and each failure put on the tape.

A failed request is a FAILED frame and never an empty answer. What failed is asked again by its class: a busy venue
after the wait that it asks for, a broken line later and later, a refused question not before its next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from everytick.core.pacing import Backoff
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
from everytick.ports import Clock, Ids
from everytick.recorder.questions import Failure, Questions
from everytick.supervise.progress import PollProgress
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry
from everytick.venues.protocol import Poll, Request

# The first cycles are spread over this much, so that a start does not spend the whole allowance at once.
SPREAD_NS: Final = 5 * NS_PER_S
# A question that is refused again and again is asked ever more rarely, but at least once in this time.
REFUSED_REST_NS_MAX: Final = 3_600 * NS_PER_S


class Poller:
    """Asks one venue's polls. One per venue and channel; runs on the event loop."""

    def __init__(
        self,
        questions: Questions,
        channel: str,
        polls: Sequence[Poll],
        *,
        tape: TapeWriter,
        wake_committer: Callable[[], None],
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        progress: Mapping[str, PollProgress],
    ) -> None:
        """`progress` has an entry for each poll by its name."""
        self._questions = questions
        self._channel = channel
        self._polls = polls
        self._tape = tape
        self._wake_committer = wake_committer
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._progress = progress

    async def run(self) -> None:
        """Ask until cancelled. Raises what any of the polls died of."""
        source = self._tape.connect(
            self._questions.venue.NAME, self._channel, control_payload(Connected(self._questions.url))
        )
        feeds = dict.fromkeys(stream.key for poll in self._polls for stream in poll.feeds)
        self._put(source, FrameKind.SUBSCRIBE, control_payload(Subscribed(list(feeds))))
        try:
            async with asyncio.TaskGroup() as group:
                for poll in self._polls:
                    group.create_task(self._keep(poll, source), name=poll.name)
        finally:
            self._put(source, FrameKind.DISCONNECT, control_payload(Disconnected("stopping")))

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
                self._telemetry.polls_skipped(self._questions.venue.NAME, poll.name, skipped)

    async def _cycle(self, poll: Poll, source: Source, deadline_ns: int) -> bool:
        """Ask one turn's requests in order until all are answered or the next turn is near; whether one was refused."""
        requests = poll.ask(self._clock.wall_ns())
        progress = self._progress[poll.name]
        backoff = Backoff()
        for part, request in enumerate(requests, 1):
            while (failure := await self._ask(poll, request, (part, len(requests)), source)) is not None:
                wait_ns = backoff.next_ns(self._ids.jitter())
                is_over = failure.is_refused or self._clock.mono_ns() + wait_ns >= deadline_ns
                self._fail(poll, request, failure, source, is_over=is_over)
                if is_over:
                    return failure.is_refused
                await self._clock.sleep(wait_ns / NS_PER_S)
        progress.answered_ns, progress.failures, progress.last_cause = self._clock.wall_ns(), 0, ""
        return False

    async def _ask(self, poll: Poll, request: Request, part: tuple[int, int], source: Source) -> Failure | None:
        """Ask once. A usable answer goes on the tape; otherwise why there was none."""
        self._progress[poll.name].tried_ns = self._clock.wall_ns()
        answer = await self._questions.ask(request, poll.priority)
        if isinstance(answer, Failure):
            return answer
        asked = Asked(request.name, request.said, answer.status, *part)
        self._put(source, FrameKind.REPLY, reply_payload(asked, answer.body))
        self._telemetry.request_answered(self._questions.venue.NAME, request.name)
        return None

    def _fail(self, poll: Poll, request: Request, failure: Failure, source: Source, *, is_over: bool) -> None:
        lost = tuple(stream.key for stream in poll.feeds) if is_over else ()
        said = RequestFailed(request.name, request.said, failure.cause, failure.status, lost)
        self._put(source, FrameKind.FAILED, control_payload(said))
        progress = self._progress[poll.name]
        progress.failures += 1
        progress.last_cause = failure.cause
        self._telemetry.request_failed(self._questions.venue.NAME, request.name, failure.cause, failure.status)

    def _put(self, source: Source, kind: FrameKind, payload: bytes) -> None:
        self._tape.append(source, kind, payload)
        self._wake_committer()

    async def _sleep_until(self, due_ns: int) -> None:
        while (left_ns := due_ns - self._clock.mono_ns()) > 0:
            await self._clock.sleep(left_ns / NS_PER_S)
