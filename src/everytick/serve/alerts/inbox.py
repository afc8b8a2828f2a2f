"""The handoff from whoever reports a fact to the alerts' own thread: bounded, never waited on, folded by key."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import msgspec

from everytick.model.alert import MORE, Severity, Signal
from everytick.serve.alerts.signals import of_fact

# Between two looks (a quarter of a second) more keys than this are one flood; its rules still stand out.
KEYS_MAX = 2_000


class Inbox:
    """Signals that wait for the next look. Safe from any thread; `put` takes microseconds and never blocks on I/O."""

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._keys_max = keys_max
        self._waiting: dict[str, Signal] = {}
        self._lock = threading.Lock()
        self.overflowed = 0  # signals that lost their subject to the bound; they are counted under their rule

    def hear(self, fact: str, fields: Mapping[str, object]) -> None:
        """Take what a fact raises."""
        for signal in of_fact(fact, fields):
            self.put(signal)

    def put(self, signal: Signal) -> None:
        """Take one signal; one more of a key that waits is counted into it."""
        with self._lock:
            known = self._waiting.get(signal.key)
            if known is None and len(self._waiting) >= self._keys_max:
                self.overflowed += 1
                signal = msgspec.structs.replace(signal, subject=MORE)
                known = self._waiting.get(signal.key)
            self._waiting[signal.key] = signal if known is None else _folded(known, signal)

    def drain(self) -> list[Signal]:
        """Everything that waited."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        return list(waiting.values())


def _folded(known: Signal, signal: Signal) -> Signal:
    is_critical = Severity.CRITICAL in (known.severity, signal.severity)
    return msgspec.structs.replace(
        signal,
        severity=Severity.CRITICAL if is_critical else signal.severity,
        count=known.count + signal.count,
        mark=max(known.mark, signal.mark),
    )
