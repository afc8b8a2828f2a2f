"""Where answers come from: one store reader, what the running parts say, a clock, dice for error ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from prometheus_client import generate_latest

from everytick.model.units import NS_PER_S
from everytick.ports import Clock, Ids
from everytick.serve.refusal import RequestRefused, StoreUnanswered
from everytick.stores.protocol import Reader, Totals
from everytick.supervise.health import Facts, Health, HealthLimits, health
from everytick.supervise.monitor import Monitor, Seen
from everytick.supervise.progress import Progress
from everytick.supervise.switch import SwitchState, Trading, initial

T = TypeVar("T")

# Totals shown by /health are at most this old while someone asks for them.
TOTALS_AGE_NS_MAX = 2 * NS_PER_S


def _unreported(_error_id: str, _path: str, _error: BaseException) -> None:
    return None


def _uncounted(_route: str, _status: int, _seconds: float) -> None:
    return None


def _cannot_change(_to: Trading, _reason: str, _who: str) -> SwitchState:
    raise RequestRefused(403, "this process does not keep the kill switch", expected="everytick halt, everytick arm")


@dataclass
class Sources:
    """What the routes read. `ask` belongs to one thread, where its reader is opened on first use; the rest to any.

    `report(error_id, path, error)` is told the details of each 5xx, which the caller never hears. `answered(route,
    status, seconds)` is told of every answer; `route` is one of the table or `other`.
    """

    open_reader: Callable[[], Reader]
    progress: Progress
    clock: Clock
    ids: Ids
    report: Callable[[str, str, BaseException], None] = _unreported
    answered: Callable[[str, int, float], None] = _uncounted
    facts: Callable[[], Facts] = Facts
    limits: HealthLimits = field(default_factory=HealthLimits)
    metrics: Callable[[], bytes] = generate_latest
    # What the watchdog last saw; without one, everything is taken as just seen.
    seen: Callable[[], Seen] | None = None
    switch: Callable[[], SwitchState] = lambda: initial(False)
    set_switch: Callable[[Trading, str, str], SwitchState] = _cannot_change
    restarts: Callable[[], int] = int
    store_kind: str = ""
    caller: str = "api"  # who asks for a change, kept by the thread that carries changes out
    totals: Totals | None = None
    _totals_ns: int = 0
    _reader: Reader | None = None

    def ask(self, question: Callable[[Reader], T]) -> T:
        """The reader's answer to `question`. Raises StoreUnanswered if it has none.

        A reader that failed is closed and the next question opens another: after a store has been
        repaired, moved or rebuilt the API heals without a restart.
        """
        try:
            if self._reader is None:
                self._reader = self.open_reader()
            return question(self._reader)
        except RequestRefused:  # the caller's mistake, found while looking at the store
            raise
        except Exception as error:
            self.close()
            raise StoreUnanswered("the store did not answer") from error

    def health(self) -> Health:
        """Data health now; asks no store, so that it is answered while one hangs or is away."""
        return health(self.progress, self.look(), self.facts(), self.clock.mono_ns(), self.limits)

    def look(self) -> Seen:
        """What the watchdog last saw."""
        return self.seen() if self.seen is not None else Monitor().look(self.progress, self.clock.mono_ns())

    def wants_totals(self) -> bool:
        """Whether the totals shown by /health are due to be read again; says so once for each time."""
        now_ns = self.clock.mono_ns()
        if self._totals_ns and now_ns - self._totals_ns < TOTALS_AGE_NS_MAX:
            return False
        self._totals_ns = now_ns
        return True

    def refresh_totals(self) -> None:
        """Read the store's totals; one that does not answer leaves the old ones. On the thread of `ask`."""
        try:
            self.totals = self.ask(lambda reader: reader.totals())
        except StoreUnanswered:
            return

    def close(self) -> None:
        """Let the reader go."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
