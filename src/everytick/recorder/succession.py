"""Make before break: a second connection is opened, confirmed and delivering before the first one is let go.

What both deliver is stored once, by the identity of each event, so that an overlap costs bytes and never a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from everytick.core.pacing import Backoff
from everytick.errors import Retryable
from everytick.model.units import NS_PER_S
from everytick.ports import Clock, Closed, Ids
from everytick.recorder.life import Life

# The first connection may lag behind the second: for this long both deliver, so that it can catch up with where the
# second one began.
OVERLAP_NS = 2 * NS_PER_S
# Where nothing trades nothing is delivered either: a confirmed connection is trusted after this long.
QUIET_NS = 15 * NS_PER_S


class Succession:
    """The heir of one life, from the wish for it to its taking over."""

    def __init__(
        self, open_life: Callable[[], Awaitable[Life]], refused: Callable[[Retryable], None], clock: Clock, ids: Ids
    ) -> None:
        self._open_life = open_life
        self._refused = refused
        self._clock = clock
        self._ids = ids
        self._backoff = Backoff()
        self._opening: asyncio.Future[Life] | None = None
        self._heir: Life | None = None
        self._rests_until_ns = 0
        self._confirmed_ns = -1
        self._delivering_ns = -1

    def ask(self) -> None:
        """An heir is wanted: begin to open one, unless there is one or the last try was just refused."""
        if self._heir is None and self._opening is None and self._clock.mono_ns() >= self._rests_until_ns:
            self._opening = asyncio.ensure_future(self._open_life())  # noqa: TID251 - owned: `give_up` cancels it

    def waits(self) -> set[asyncio.Future[Life] | asyncio.Future[Closed]]:
        """What is worth waking up for."""
        found: set[asyncio.Future[Life] | asyncio.Future[Closed]] = set()
        if self._opening is not None:
            found.add(self._opening)
        if self._heir is not None:
            found.add(self._heir.ending)
        return found

    def look(self) -> None:
        """Take up an heir that was opened, give up one that died, and note how far it has come."""
        if self._opening is not None and self._opening.done():
            opening, self._opening = self._opening, None
            try:
                self._heir = opening.result()
            except Retryable as refusal:
                self._refused(refusal)
                self._rest()
        heir = self._heir
        if heir is None:
            return
        closed = _end_of(heir)
        if closed is not None:
            heir.end(closed)
            self._forget()
            self._rest()
            return
        now_ns = self._clock.mono_ns()
        if heir.session.unconfirmed():
            self._confirmed_ns = self._delivering_ns = -1
            return
        if self._confirmed_ns < 0:
            self._confirmed_ns = now_ns
        if heir.has_brought_data and self._delivering_ns < 0:
            self._delivering_ns = now_ns

    @property
    def has_heir(self) -> bool:
        """Whether a second connection is up."""
        return self._heir is not None

    @property
    def is_settled(self) -> bool:
        """Whether the heir has delivered, or at least listened, for long enough to take over."""
        now_ns = self._clock.mono_ns()
        return (0 <= self._delivering_ns <= now_ns - OVERLAP_NS) or (0 <= self._confirmed_ns <= now_ns - QUIET_NS)

    def take(self) -> Life:
        """The heir, which is the life from now on."""
        heir = self._heir
        assert heir is not None
        self._forget()
        self._backoff.reset()
        return heir

    def give_up(self, closed: Closed) -> None:
        """End the heir and whatever is under way."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._heir is not None:
            self._heir.end(closed)
        self._forget()

    def _forget(self) -> None:
        self._heir = None
        self._confirmed_ns = self._delivering_ns = -1

    def _rest(self) -> None:
        self._rests_until_ns = self._clock.mono_ns() + self._backoff.next_ns(self._ids.jitter())


def _end_of(heir: Life) -> Closed | None:
    if heir.ending.done():
        return heir.ending.result()
    try:
        tick = heir.tick()
    except Retryable as lost:
        return Closed("cut", detail=str(lost))
    return Closed("mute", detail=tick.close) if tick.close and not heir.is_paused else None
