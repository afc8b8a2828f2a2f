"""The store of a process: opened when it can be, by the thread that writes to it, and asked only while it answers.

Recording never waits for it: a database that is away, full, misconfigured or another process's is one sentence in
`/health` and a thread that tries again.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from typing import TypeVar

from everytick.config import Settings, store_address
from everytick.errors import Fatal, Refused, Retryable
from everytick.stores.open import is_networked, open_store
from everytick.stores.protocol import Reader, Store, Taken
from everytick.supervise.progress import Progress
from everytick.supervise.threads import Stop
from everytick.telemetry import Telemetry

T = TypeVar("T")

RETRY_FIRST_S, RETRY_MAX_S = 0.1, 5.0
# What a person must mend is looked at less often: each attempt may cost a failed login on the server.
REFUSED_S = 15.0
# A standby asks this often whether the writer is gone; with connecting and the first batch it stays under ten seconds.
STANDBY_S = 1.0


class StoreKeeper:
    """Holds the one store of a process. `reader` may be called from any thread, the rest from the writer's."""

    def __init__(self, settings: Settings, telemetry: Telemetry, progress: Progress) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._progress = progress
        self._address = store_address(settings)
        self._store: Store | None = None

    @property
    def is_networked(self) -> bool:
        """Whether the store is on a server, so that a start must not wait for it."""
        return is_networked(self._address)

    @property
    def store(self) -> Store | None:
        """The store, once it is open."""
        return self._store

    def open(self) -> Store:
        """The store, opened if it is not. Raises Taken, Refused, Retryable, Fatal."""
        if self._store is None:
            settings = self._settings.store
            owner = f"process {os.getpid()} of {platform.node()}"
            self._store = open_store(self._address, owner=owner, allow_unsafe=settings.allow_unsafe)
        return self._store

    def until_open(self, stop: Stop, use: Callable[[Store], T]) -> T | None:
        """What `use` makes of the open store, tried until it can be had; None when asked to stop before.

        Raises Fatal, also for another writer unless this one is to stand by for it.
        """
        wait_s = RETRY_FIRST_S
        while not stop.is_asked:
            try:
                made = use(self.open())
            except Taken as taken:
                if self._settings.store.standby == "refuse":
                    raise Fatal(str(taken)) from taken
                self._say(f"standing by: {taken}")
                _rest(stop, STANDBY_S)
            except Refused as refusal:
                if not self.is_networked:
                    raise
                self._say(str(refusal))
                _rest(stop, REFUSED_S)
            except Retryable as trouble:
                self._say(str(trouble))
                _rest(stop, wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
            else:
                self._well()
                return made
        return None

    def reader(self) -> Reader:
        """A reader for the calling thread. Raises Retryable, at once where it is known that none can be had."""
        store, trouble = self._store, self._progress.store_trouble
        if store is None or (trouble and self.is_networked):
            raise Retryable(trouble or "the store is not open")
        return store.reader()

    def close(self) -> None:
        """Write no more. Readers can still be had."""
        if self._store is not None:
            self._store.close()

    def _say(self, trouble: str) -> None:
        if self._progress.store_trouble != trouble:
            self._telemetry.store_unavailable(trouble)
        self._progress.store_trouble = trouble

    def _well(self) -> None:
        if self._progress.store_trouble:
            self._progress.store_trouble = ""
            self._telemetry.store_back()


def _rest(stop: Stop, seconds: float) -> None:
    with stop.resting():  # new frames wake the writer's thread, and do not bring the store back
        stop.wait(seconds)
