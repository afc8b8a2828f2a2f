"""How much happened lately: what a simulated venue counts its callers by."""

from __future__ import annotations

from collections import deque


class Window:
    """Weights with their moments, as far back as `span_ns`."""

    def __init__(self, span_ns: int) -> None:
        self._span_ns = span_ns
        self._held: deque[tuple[int, int]] = deque()
        self._total = 0

    def total(self, now_ns: int) -> int:
        """The weight within the last `span_ns`."""
        while self._held and now_ns - self._held[0][0] >= self._span_ns:
            self._total -= self._held.popleft()[1]
        return self._total

    def add(self, now_ns: int, weight: int = 1) -> int:
        """One more; the total with it."""
        self._held.append((now_ns, weight))
        self._total += weight
        return self.total(now_ns)
