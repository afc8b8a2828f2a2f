"""The facts of supervision: what the watchdog saw and did, and the kill switch."""

from __future__ import annotations

from everytick.telemetry.fact import Fact, fact
from everytick.telemetry.metrics import Meter


class WatchFacts:
    """A part of Telemetry."""

    _meter: Meter

    def line(self, fact: Fact, fields: dict[str, object]) -> None:
        """As Telemetry has it."""
        raise NotImplementedError

    @fact("critical", "worker_wedges_total")
    def worker_wedged(self, worker: str, why: str, idle_s: float, tries: int) -> None:
        """A worker had work and made no progress. All stacks are dumped; it is interrupted and started again."""
        self._meter.count("worker_wedges_total", 1, worker)

    @fact("info")
    def worker_recovered(self, worker: str, tries: int) -> None:
        """A worker that was wedged makes progress again, after so many tries."""

    @fact("critical")
    def watchdog_gave_up(self, worker: str, why: str, tries: int) -> None:
        """A worker could not be brought back: the process ends with 1, for whoever starts it to start it again."""

    @fact("error", "watchdog_failures_total", limited_by="detail")
    def watchdog_failed(self, detail: str) -> None:
        """One look of the watchdog failed by a mistake of ours. It goes on watching."""
        self._meter.count("watchdog_failures_total", 1)

    @fact("warning", "stack_dumps_total")
    def stacks_dumped(self, why: str, path: str, places: str) -> None:
        """All stacks were written to a file; `places` says where each thread stood."""
        self._meter.count("stack_dumps_total", 1)

    @fact("critical")
    def stop_too_long(self, stop_s_max: float, watermark: int) -> None:
        """A graceful stop did not end in time: the process ends with 70. What was below the watermark is safe."""

    @fact("warning", "clock_steps_total")
    def clock_stepped(self, step_s: float) -> None:
        """The wall clock was set by so much while we ran. Ages and health do not depend on it; receive times do."""
        self._meter.count("clock_steps_total", 1)

    @fact("info", "trading_armed")
    def trading_switched(self, state: str, who: str, reason: str) -> None:
        """The kill switch stands differently now. Who, when and why is on record in switch.jsonl."""
        self._meter.set("trading_armed", 1 if state == "armed" else 0)

    @fact("error")
    def switch_unreadable(self, detail: str) -> None:
        """The kill switch's latch cannot be trusted, which means halted. `everytick halt` or `arm` writes a new one."""
