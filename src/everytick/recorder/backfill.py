"""Backfill: open gaps are taken to the venue's history, oldest first, and the answers go on the tape.

The ledger drives it and proof ends it: an answer closes a gap only by what it shows, once the projector has applied
it. What brought no proof is tried again later and later; what no source keeps is left open, and given up with its
reason after a long while. It may be stopped at any moment and begun again: all it knows is in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from everytick.core.pacing import Backoff, Priority
from everytick.errors import Retryable
from everytick.model.control import Asked, Connected, Judged, RequestFailed, control_payload, reply_payload
from everytick.model.frame import FrameKind, Source
from everytick.model.ledger import Gap, GapState
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_S
from everytick.ports import Clock, Ids
from everytick.recorder.backfill_settings import BackfillSettings
from everytick.recorder.looking import Situation, Wanted, look, on_thread
from everytick.recorder.plans import Plan, identity_of, plans_of
from everytick.recorder.questions import Failure, Questions
from everytick.recorder.repair import CAUSE_NO_HISTORY
from everytick.stores.protocol import Reader
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry

T = TypeVar("T")

CAUSE_REOPENED: Final = "reopened"  # it was given up before a source was there that may know it

# Between two looks at a ledger that had nothing to do; a gap has waited `gap_age_s` already.
LOOK_S: Final = 5.0
POLL_S: Final = 0.02
# A gap that an answer did not close is asked for again after half a minute, then ever later, to an hour.
RETRY_FIRST_NS: Final = 30 * NS_PER_S
RETRY_CAP_NS: Final = 3_600 * NS_PER_S
# In a single run, as a command: failures in a row after which a venue counts as away.
FAILURES_MAX: Final = 4


class BackfillProgress(msgspec.Struct):
    """What the job has done, for whoever watches. Plain numbers, written by the job alone."""

    gaps_open: int = 0
    gaps_seen: int = 0
    gaps_left_alone: int = 0
    requests: int = 0
    failures: int = 0
    bytes: int = 0
    given_up: int = 0
    working_on: str = ""


class Left(msgspec.Struct, frozen=True):
    """A gap that is still open, and why."""

    stream: str
    from_ns: int
    to_ns: int
    first_id: int
    last_id: int
    reason: str


class Filler(Protocol):
    """Another source than the venue's own history: an archive."""

    def has(self, stream: Stream) -> bool:
        """Whether it may know the stream's past."""
        ...

    async def fill(self, gaps: Sequence[Gap]) -> str:
        """Put what it has of these gaps on the tape; why some of it is not there, or nothing."""
        ...


class Backfill:
    """Works on the gaps of one store. Runs on the event loop of the process that writes the tape."""

    def __init__(
        self,
        questions: Mapping[str, Questions],
        open_reader: Callable[[], Reader],
        applied: Callable[[], int],
        *,
        tape: TapeWriter,
        wake_committer: Callable[[], None],
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        settings: BackfillSettings,
        filler: Filler | None = None,
        wanted: Wanted | None = None,
    ) -> None:
        """`applied` tells up to which offset the store has the tape."""
        self._questions = questions
        self._open_reader = open_reader
        self._applied = applied
        self._tape = tape
        self._wake_committer = wake_committer
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._settings = settings
        self._filler = filler
        self._wanted = wanted or Wanted()
        self._sources: dict[str, Source] = {}
        self._trouble: dict[str, Backoff] = {}  # venue -> its failures in a row
        self._not_before: dict[str, int] = {}  # venue -> monotonic ns
        self._tries: dict[tuple[str, int, int, int], Backoff] = {}
        self._due: dict[tuple[str, int, int, int], int] = {}  # gap -> monotonic ns before which it is left alone
        self._reasons: dict[tuple[str, int, int, int], str] = {}
        self.progress = BackfillProgress()

    async def run(self) -> None:
        """Work until cancelled."""
        is_reopened = False
        while True:
            try:
                is_reopened = is_reopened or await self.reopen() >= 0
                if await self.step():
                    continue
            except Retryable as trouble:
                # The store is away: the projector says so and waits for it too. Nothing is lost by waiting here.
                self.progress.working_on = str(trouble)
            await self._clock.sleep(LOOK_S)

    async def once(self) -> list[Left]:
        """Work until nothing more can be closed now; what is left, and why. Venues that are away are not waited for."""
        await self._until_applied()
        while await self.step() or await self._waited():
            pass  # each step waits for its own work
        return [_left(gap, self._reasons) for gap in (await self._look()).gaps]

    async def reopen(self) -> int:
        """Take up again the gaps that were given up and that another source may know now; how many."""
        gaps = [
            gap
            for gap in await self._all_gaps()
            if gap.state is GapState.PERMANENT and gap.cause == CAUSE_NO_HISTORY and self._is_archived(gap)
        ]
        for gap in gaps:
            self._judge(gap, GapState.OPEN, CAUSE_REOPENED)
        await self._until_applied()
        return len(gaps)

    async def step(self) -> bool:
        """Look, and work on everything that is due; whether there was anything."""
        situation = await self._look()
        self._forget(situation)
        now_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        due = [
            gap
            for gap in situation.gaps
            if self._is_old_enough(now_ns - gap.ts_recv_ns) and self._due.get(identity_of(gap), 0) <= mono_ns
        ]
        self.progress.gaps_open = len(situation.gaps)
        self.progress.gaps_seen = max(self.progress.gaps_seen, len(situation.gaps))
        self.progress.gaps_left_alone = len(situation.gaps) - len(due)
        has_worked = await self._fill(due)
        venues = {name: questions.venue for name, questions in self._questions.items()}
        for plan in plans_of(venues, due, self._tried):
            if plan.requests is None:
                self._without_history(plan)
            elif await self._work(plan):
                has_worked = True
        self.progress.working_on = ""
        await self._until_applied()
        return has_worked

    def _is_old_enough(self, age_ns: int) -> bool:
        # Below zero the wall clock was set back since: how old the gap is nobody knows, and waiting helps nobody.
        return age_ns < 0 or age_ns >= self._settings.gap_age_s * NS_PER_S

    # One plan

    async def _work(self, plan: Plan) -> bool:
        """Ask what the plan asks, wait until it is applied, and see what is left; whether anything was asked."""
        venue = plan.stream.venue
        if self._not_before.get(venue, 0) > self._clock.mono_ns():
            return False
        self.progress.working_on = plan.stream.key
        questions, source = self._questions[venue], self._source(venue)
        reason = "the venue's answer proved nothing about it"
        for request in plan.requests or ():
            answer = await questions.ask(request, Priority.BACKFILL)
            self.progress.requests += 1
            if isinstance(answer, Failure):
                reason = self._failed(
                    venue, source, RequestFailed(request.name, request.said, answer.cause, answer.status)
                )
                break
            self._trouble.pop(venue, None)
            self.progress.bytes += len(answer.body)
            asked = Asked(request.name, request.said, answer.status)
            self._put(source, FrameKind.REPLY, reply_payload(asked, answer.body))
            self._telemetry.request_answered(venue, request.name)
            await self._room()
        await self._until_applied()
        await self._see(plan.gaps, reason, was_answered=venue not in self._trouble)
        return True

    def _failed(self, venue: str, source: Source, failed: RequestFailed) -> str:
        self._put(source, FrameKind.FAILED, control_payload(failed))
        self._telemetry.request_failed(venue, failed.name, failed.cause, failed.status)
        self.progress.failures += 1
        backoff = self._trouble.setdefault(venue, Backoff())
        self._not_before[venue] = self._clock.mono_ns() + backoff.next_ns(self._ids.jitter())
        return f"the venue did not answer: {failed.cause}" + (f" ({failed.status})" if failed.status else "")

    async def _see(self, gaps: Sequence[Gap], reason: str, *, was_answered: bool) -> None:
        """Of what was tried, what did not move waits, longer each time; what moved may be tried again at once."""
        left = (await self._look()).gaps
        by_key = {identity_of(gap): gap for gap in left}
        closed = 0
        for gap in gaps:
            still = by_key.get(identity_of(gap))
            closed += still is None
            if still is not None and (still.to_ns, still.estimated_missing) == (gap.to_ns, gap.estimated_missing):
                self._rest(still, reason)
                if was_answered and gap.first_id < 0:
                    self._give_up_if_old(still)
            elif gap.first_id < 0:
                # What an answer left of a gap in time, it did not know: asking again at once would bring the same.
                for piece in left:
                    if piece.stream == gap.stream and gap.from_ns <= piece.from_ns <= gap.to_ns:
                        self._rest(piece, reason)
        self.progress.gaps_open = len(left)
        self._telemetry.backfill_step(gaps[0].stream.key, len(gaps), closed, len(left))

    def _rest(self, gap: Gap, reason: str) -> None:
        key = identity_of(gap)
        backoff = self._tries.setdefault(key, Backoff(RETRY_FIRST_NS, RETRY_CAP_NS))
        self._due[key] = self._clock.mono_ns() + backoff.next_ns(self._ids.jitter())
        self._reasons[key] = reason

    def _without_history(self, plan: Plan) -> None:
        """The venue keeps no history of these: they are left open, and given up once they are old."""
        for gap in plan.gaps:
            key = identity_of(gap)
            self._reasons.setdefault(key, "the venue keeps no history of it")
            self._due[key] = self._clock.mono_ns() + RETRY_CAP_NS
            self._give_up_if_old(gap)

    def _give_up_if_old(self, gap: Gap) -> None:
        age_ns = self._clock.wall_ns() - gap.ts_recv_ns
        if age_ns >= self._settings.permanent_after_s * NS_PER_S and not self._is_archived(gap):
            self._judge(gap, GapState.PERMANENT, CAUSE_NO_HISTORY)
            self.progress.given_up += 1

    def _judge(self, gap: Gap, state: GapState, cause: str) -> None:
        said = Judged(gap.stream.key, gap.from_ns, gap.offset, gap.first_id, state.value, cause)
        self._put(self._source(gap.stream.venue), FrameKind.JUDGED, control_payload(said))

    async def _fill(self, due: Sequence[Gap]) -> bool:
        filler = self._filler
        gaps = [gap for gap in due if self._is_archived(gap)]
        if filler is None or not gaps:
            return False
        self.progress.working_on = "archive"
        reason = await filler.fill(gaps) or "the archive's files do not cover it"
        await self._until_applied()
        await self._see(gaps, reason, was_answered=False)
        return True

    def _is_archived(self, gap: Gap) -> bool:
        return self._filler is not None and gap.first_id < 0 and self._filler.has(gap.stream)

    # Waiting and looking

    async def _look(self) -> Situation:
        return await self._read(lambda reader: look(reader, self._wanted))

    async def _all_gaps(self) -> Sequence[Gap]:
        return await self._read(lambda reader: look(reader, self._wanted, open_only=False).gaps)

    async def _read(self, question: Callable[[Reader], T]) -> T:
        def work() -> T:
            reader = self._open_reader()
            try:
                return question(reader)
            finally:
                reader.close()

        return await on_thread("backfill look", work)

    async def _room(self) -> None:
        """History never crowds out what is live: it waits while more than half the backlog's bound is pending."""
        while self._tape.pending_bytes > self._tape.settings.backlog_bytes_max // 2:
            await self._clock.sleep(POLL_S)

    async def _until_applied(self) -> None:
        end = self._tape.next_offset
        while self._applied() < end:
            await self._clock.sleep(POLL_S)

    async def _waited(self) -> bool:
        """Whether a venue that failed was waited for and may be asked again."""
        waits = [
            self._not_before[venue] - self._clock.mono_ns()
            for venue, backoff in self._trouble.items()
            if backoff.failures < FAILURES_MAX
        ]
        if not waits:
            return False
        await self._clock.sleep(max(0, min(waits)) / NS_PER_S)
        # What failed with the venue is due again with it.
        self._due = {key: due for key, due in self._due.items() if key[0].partition("/")[0] not in self._trouble}
        return True

    def _tried(self, gap: Gap) -> bool:
        return identity_of(gap) in self._tries

    def _forget(self, situation: Situation) -> None:
        present = {identity_of(gap) for gap in situation.gaps}
        for kept in (self._tries, self._due, self._reasons):
            for key in [key for key in kept if key not in present]:
                kept.pop(key, None)

    def _source(self, venue: str) -> Source:
        if venue not in self._sources:
            url = self._questions[venue].url if venue in self._questions else ""
            self._sources[venue] = self._tape.connect(venue, "history", control_payload(Connected(url)))
        return self._sources[venue]

    def _put(self, source: Source, kind: FrameKind, payload: bytes) -> None:
        self._tape.append(source, kind, payload)
        self._wake_committer()


def _left(gap: Gap, reasons: Mapping[tuple[str, int, int, int], str]) -> Left:
    reason = reasons.get(identity_of(gap), "too young: late trades may still close it")
    return Left(gap.stream.key, gap.from_ns, gap.to_ns, gap.first_id, gap.last_id, reason)
