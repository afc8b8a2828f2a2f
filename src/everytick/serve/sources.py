"""Where answers come from: one store reader, what the running parts say, a clock, dice for error ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from prometheus_client import generate_latest

from everytick.ports import Clock, Ids
from everytick.serve.refusal import RequestRefused, StoreUnanswered
from everytick.stores.protocol import Reader
from everytick.supervise.health import Facts, Health, HealthLimits, health
from everytick.supervise.progress import Progress

T = TypeVar("T")


def _unreported(_error_id: str, _path: str, _error: BaseException) -> None:
    return None


@dataclass
class Sources:
    """What the routes read. Belongs to the thread of the API's loop, where its reader is opened on first use.

    `report(error_id, path, error)` is told the details of each 5xx, which the caller never hears.
    """

    open_reader: Callable[[], Reader]
    progress: Progress
    clock: Clock
    ids: Ids
    report: Callable[[str, str, BaseException], None] = _unreported
    facts: Callable[[], Facts] = Facts
    limits: HealthLimits = field(default_factory=HealthLimits)
    metrics: Callable[[], bytes] = generate_latest
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
        return health(self.progress, self.facts(), self.clock.wall_ns(), self.limits)

    def close(self) -> None:
        """Let the reader go."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
