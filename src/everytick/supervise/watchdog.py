"""The watchdog: a thread outside the event loop that looks at everything twice a second, heals first, and ends the
process only when nothing else is left.

It takes no lock that a worker could hold, asks no store and sends no message: nothing that hangs can hang it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from everytick.host.systemd import Systemd
from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.supervise.monitor import Monitor, Seen
from everytick.supervise.progress import Progress
from everytick.supervise.settings import SuperviseSettings
from everytick.supervise.signals import INTERRUPT
from everytick.supervise.stacks import Stacks, modules_of, places
from everytick.supervise.threads import OwnedThread
from everytick.supervise.wedge import Worker, waits_for, wedged
from everytick.telemetry import Telemetry

LOOK_S = 0.5
EXIT_GAVE_UP = 1  # after N failed recoveries: whoever starts the process starts it again

# A process beyond help is in no hurry: a second later it is started again all the same.
LAST_WORDS_S = 1.0
EXIT_STOP_TOO_LONG = 70
# A wall clock that moved against the other one by more than this between two looks was set.
CLOCK_STEP_NS_MIN = NS_PER_S

# Two looks that lie further apart than this were not the watchdog's choice.
UNWATCHED_NS_MIN = 3 * NS_PER_S


async def beat(progress: Progress, clock: Clock, received: Callable[[], int]) -> None:
    """The event loop's sign of life, for ever; with it comes the next offset that `received` would give."""
    while True:
        progress.offset_received = received()
        progress.loop_beats += 1
        await clock.sleep(LOOK_S)


@dataclass(slots=True)
class _Case:
    """A worker that was found wedged: how often healing was tried, and when last."""

    tries: int
    tried_ns: int


def leave_after_last_words(code: int) -> None:
    """End the process hard, once the alerts have had time to write down and send why: they look four times a second."""
    time.sleep(LAST_WORDS_S)
    os._exit(code)


@dataclass
class Watchdog:
    """Made before anything starts and started first, so that a start which hangs is seen as well."""

    progress: Progress
    monitor: Monitor
    clock: Clock
    telemetry: Telemetry
    settings: SuperviseSettings
    stacks: Stacks | None = None
    systemd: Systemd = field(default_factory=Systemd)
    threads: Mapping[str, OwnedThread] = field(default_factory=dict)
    leave: Callable[[int], None] = leave_after_last_words

    def __post_init__(self) -> None:
        self.seen = self.monitor.look(self.progress, self.clock.mono_ns())
        self.is_ready = False
        self._stopping_ns = 0
        self._cases: dict[str, _Case] = {}
        self._fed = (0, 0)
        self._watched_ns = self.seen.mono_ns
        self._offset_ns = self.clock.wall_ns() - self.clock.mono_ns()
        self._loop_thread = 0
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch. Called on the event loop's thread, which is the one that is watched."""
        self._loop_thread = threading.get_ident()
        self._thread = threading.Thread(target=self._body, name="watchdog", daemon=True)
        self._thread.start()

    def ready(self) -> None:
        """The start is done."""
        self.is_ready = True
        self.systemd.tell("READY=1", "STATUS=recording")

    def stopping(self) -> None:
        """A graceful end has begun; it has `stop_s_max` from now on. Safe to call from a signal handler."""
        if not self._stopping_ns:
            self._stopping_ns = self.clock.mono_ns()
            self.systemd.tell("STOPPING=1")

    def end(self) -> None:
        """Stop watching."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(2 * LOOK_S + 1)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def is_loop_wedged(self) -> bool:
        """Whether the loop has shown no life for its bound, now."""
        return self.clock.mono_ns() - self.seen.beat_mono_ns > self.settings.wedge_s * NS_PER_S

    def _body(self) -> None:
        while not self._ending.wait(LOOK_S):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the watchdog outlives its own mistakes, and says so
                self.telemetry.watchdog_failed(repr(error))

    def look(self) -> None:
        """One look, and what follows from it."""
        now_ns = self.clock.mono_ns()
        if now_ns - self.seen.mono_ns > UNWATCHED_NS_MIN:
            self._watched_ns = now_ns
        seen = self.seen = self.monitor.look(self.progress, now_ns)
        self._look_at_clock()
        if self.stacks is not None and self.stacks.was_dumped_by_signal():
            self.telemetry.stacks_dumped("SIGUSR1", str(self.stacks.path), places())
        if self._stopping_ns:
            self._end_in_time(now_ns)
            return
        bound_ns = int(self.settings.wedge_s * NS_PER_S)
        # Time in which nobody watched (a stopped process, a machine that slept) is held against nobody.
        if now_ns - self._watched_ns > bound_ns:
            for worker in self._workers(seen, now_ns):
                self._judge(worker, wedged(worker, bound_ns), now_ns, bound_ns)
        if self.is_ready and self._is_moving(seen, now_ns):
            self.systemd.tell("WATCHDOG=1")

    def _look_at_clock(self) -> None:
        offset_ns = self.clock.wall_ns() - self.clock.mono_ns()
        step_ns, self._offset_ns = offset_ns - self._offset_ns, offset_ns
        if abs(step_ns) > CLOCK_STEP_NS_MIN:
            self.telemetry.clock_stepped(step_ns / NS_PER_S)

    def _end_in_time(self, now_ns: int) -> None:
        if now_ns - self._stopping_ns > self.settings.stop_s_max * NS_PER_S:
            self._dump(f"the stop took longer than {self.settings.stop_s_max} s")
            self.telemetry.stop_too_long(self.settings.stop_s_max, self.progress.offset_durable)
            self.leave(EXIT_STOP_TOO_LONG)

    def _workers(self, seen: Seen, now_ns: int) -> list[Worker]:
        progress = self.progress
        spoke_ns = max((line.spoke_mono_ns for line in seen.lines.values()), default=seen.started_mono_ns)
        loop_ns = now_ns - seen.beat_mono_ns
        workers = [Worker("loop", True, loop_ns, loop_ns, 0, waits_for(modules_of(self._loop_thread)))]
        if "committer" in self.threads:
            tries_ns = self.monitor.moved("tries", progress.commit_tries)
            waits = progress.offset_appended > progress.offset_durable or progress.bytes_pending > 0
            # The committer itself publishes what waits; one that looks no more cannot say that anything does.
            backlog_ns = now_ns - seen.commit_mono_ns if waits or now_ns - seen.commit_mono_ns > NS_PER_S else 0
            idle_ns = now_ns - max(seen.commit_mono_ns, tries_ns)
            workers.append(
                self._worker("committer", idle_ns, backlog_ns, now_ns - spoke_ns, bool(progress.tape_trouble))
            )
        if "projector" in self.threads:
            durable_ns = self.monitor.moved("durable", progress.offset_durable)
            waits = progress.offset_durable > progress.offset_applied
            backlog_ns = now_ns - seen.lag_mono_ns if seen.lag_mono_ns and waits else 0
            idle_ns = now_ns - seen.apply_mono_ns
            workers.append(
                self._worker("projector", idle_ns, backlog_ns, now_ns - durable_ns, bool(progress.store_trouble))
            )
        return workers

    def _worker(self, name: str, idle_ns: int, backlog_ns: int, upstream_ns: int, is_trying: bool) -> Worker:
        ident = self.threads[name].ident
        waiting = waits_for(modules_of(ident)) if ident else ""
        return Worker(name, ident != 0, idle_ns, backlog_ns, upstream_ns, waiting, is_trying)

    def _judge(self, worker: Worker, why: str, now_ns: int, bound_ns: int) -> None:
        case = self._cases.get(worker.name)
        if not why:
            # Well again only after as long as it takes to tell a wedge: one that wedges at once was not healed.
            if case is not None and now_ns - case.tried_ns > 2 * bound_ns:
                del self._cases[worker.name]
                self.telemetry.worker_recovered(worker.name, case.tries)
            return
        if case is not None and now_ns - case.tried_ns <= bound_ns / 2:
            return  # the last try has not had its time yet
        tries = case.tries + 1 if case is not None else 1
        self._dump(f"{worker.name} is wedged: {why}")
        if tries > self.settings.recoveries_max:
            self.telemetry.watchdog_gave_up(worker.name, why, tries - 1)
            self.leave(EXIT_GAVE_UP)
            return
        self._cases[worker.name] = _Case(tries, now_ns)
        self.telemetry.worker_wedged(worker.name, why, worker.idle_ns / NS_PER_S, tries)
        self._heal(worker)

    def _heal(self, worker: Worker) -> None:
        """Interrupt the worker where it stands; its owner in the tree starts it again."""
        if worker.name == "loop":
            if INTERRUPT is not None and threading.main_thread().ident == self._loop_thread:
                signal.pthread_kill(self._loop_thread, INTERRUPT)
        elif worker.is_alive:
            self.threads[worker.name].interrupt()

    def _dump(self, why: str) -> None:
        if self.stacks is not None:
            self.stacks.dump(why)
        path = str(self.stacks.path) if self.stacks is not None else ""
        self.telemetry.stacks_dumped(why, path, places())

    def _is_moving(self, seen: Seen, now_ns: int) -> bool:
        """Whether systemd may be told that we live: the watermark rose, or provably nothing waits.

        A disk that is full or slow is neither, and yet no reason to be killed: a restart would throw away the
        frames that wait in memory for it. It counts as alive while the committer tries again or waits in the disk.
        """
        if now_ns - seen.beat_mono_ns > self.settings.wedge_s * NS_PER_S:
            return False
        if "committer" not in self.threads:
            return True
        progress = self.progress
        mark = (progress.offset_durable, progress.commit_tries)
        has_moved, self._fed = mark != self._fed, mark
        is_idle = progress.offset_appended == progress.offset_durable and now_ns - seen.commit_mono_ns < 2 * NS_PER_S
        waits = waits_for(modules_of(self.threads["committer"].ident)) == "disk"
        return has_moved or is_idle or waits
