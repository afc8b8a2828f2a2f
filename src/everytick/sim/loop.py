"""An asyncio loop without a world: time jumps to the next timer, and what is ready runs in an order drawn by a seed.

Every task belongs to a *life* (a process of the simulated program, or 0: the world itself), which its context
carries. `kill` ends a life between two steps, as a power cut does: none of its code ever runs again. Whatever asyncio
would only log (a dead task, an exception that nobody took) is a failure here, and so are a deadlock and a livelock.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple

from everytick.model.units import NS_PER_S
from everytick.supervise.threads import Stop, Work

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LIFE: ContextVar[int] = ContextVar("LIFE", default=0)
LIVELOCK_STEPS = 1_000_000


class Stuck(AssertionError):
    """The simulated program waits for nothing that can come, or runs without time passing."""


class SimHandle(asyncio.TimerHandle):
    """A callback that waits for its turn, or for its time."""

    __slots__ = ("at_ns", "call", "given", "is_cancelled", "number", "within")

    def __init__(self, call: Callable[..., object], given: tuple[Any, ...], within: Context, at_ns: int, number: int):
        self.call = call
        self.given = given
        self.within = within
        self.at_ns = at_ns
        self.number = number
        self.is_cancelled = False

    def __repr__(self) -> str:
        return f"<SimHandle {self.number} at {self.at_ns} ns of {self.call!r}>"

    def __lt__(self, other: object) -> bool:
        assert isinstance(other, SimHandle)
        return (self.at_ns, self.number) < (other.at_ns, other.number)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other

    def cancel(self) -> None:
        """Never call it."""
        self.is_cancelled = True
        self.given = ()

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.is_cancelled

    def when(self) -> float:
        """Its time, in the loop's seconds."""
        return self.at_ns / NS_PER_S


class SimTask(asyncio.Task[T]):
    """A task whose place in a set follows from when it was made, not from its address."""

    def __init__(self, coro: Coroutine[Any, Any, T], *, loop: SimLoop, number: int, **options: Any) -> None:
        self.number = number
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimFuture(asyncio.Future[T]):
    """A future whose place in a set follows from when it was made."""

    def __init__(self, *, loop: SimLoop, number: int) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimLoop(asyncio.AbstractEventLoop):
    """One simulated run. `on_work_error` may take what a worker died of (a power cut) out of the program's hands."""

    def __init__(self, schedule: random.Random) -> None:
        self.now_ns = 0
        self.steps = 0
        self.failures: list[str] = []  # what asyncio would have logged, and tasks that outlived their life
        self.on_work_error: Callable[[BaseException], bool] = lambda _: False
        self.before_step: Callable[[str], float] = lambda _: 0.0  # seconds for which a worker is held up
        self._schedule = schedule.random
        self._ready: list[SimHandle] = []
        self._timers: list[SimHandle] = []
        self._numbers = 0
        self._alive: dict[SimTask[Any], int] = {}  # tasks that are not done, with their life
        self._dead: set[int] = set()
        self._graves: list[SimTask[Any]] = []
        self._doom: tuple[int, int, Callable[[], None]] | None = None  # life, steps left, what then
        self._moment_ns = self._moment_step = 0  # since which step time has not moved
        self._is_closed = False

    # --- lives ---

    def kill(self, life: int) -> None:
        """No code of this life runs again, not even its `finally`."""
        self._dead.add(life)
        self._ready = [handle for handle in self._ready if handle.within.get(LIFE, 0) != life]
        self._timers = [handle for handle in self._timers if handle.within.get(LIFE, 0) != life]
        heapq.heapify(self._timers)
        for task in self.tasks_of(life):
            del self._alive[task]
            self._graves.append(task)
        if self._doom is not None and self._doom[0] == life:
            self._doom = None

    def doom(self, life: int, steps: int, then: Callable[[], None]) -> None:
        """Call `then` before the step of this life that many from now."""
        self._doom = (life, steps, then)

    def tasks_of(self, life: int) -> list[SimTask[Any]]:
        """Tasks of a life that are not done, oldest first."""
        return [task for task, of in self._alive.items() if of == life]

    def stand_still(self, seconds: float) -> None:
        """Time passes and nothing runs, as when a machine sleeps."""
        self.now_ns += int(seconds * NS_PER_S)

    # --- work that threads do elsewhere (see supervise.threads.Worker) ---

    def start_work(self, name: str, work: Work, stop: Stop, ended: Callable[[BaseException | None], None]) -> None:
        """Run every step of `work(stop)` as a step of this loop."""
        self.create_task(self._work(name, work, stop, ended), name=name)

    async def _work(self, name: str, work: Work, stop: Stop, ended: Callable[[BaseException | None], None]) -> None:
        error: BaseException | None = None
        try:
            for wait_s in work(stop) or ():
                await self.wait_for_wake(stop, wait_s)
                while (held_s := self.before_step(name)) > 0:
                    await self.pause(held_s)
        except BaseException as caught:  # noqa: BLE001 - carried to the owner, who decides, as a thread does
            if self.on_work_error(caught):
                await self.create_future()
            error = caught
        ended(error)

    async def wait_for_wake(self, stop: Stop, seconds: float) -> None:
        """Wait as a thread does on its Stop: until woken, or that long."""
        if seconds <= 0 or stop.take():
            await self.pause(0)
            return
        woken: asyncio.Future[None] = self.create_future()
        timer = self.call_at_ns(self.now_ns + int(seconds * NS_PER_S), _settle, woken)
        stop.on_wake = lambda: _settle(woken)
        try:
            await woken
        finally:
            timer.cancel()
            stop.on_wake = None
            stop.take()

    async def pause(self, seconds: float) -> None:
        """Let that much time pass; 0 lets everything else run once."""
        done: asyncio.Future[None] = self.create_future()
        self.call_at_ns(self.now_ns + int(seconds * NS_PER_S), _settle, done)
        await done

    # --- running ---

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end. Raises what it raises, and Stuck."""
        asyncio.events._set_running_loop(self)
        try:
            task = self.create_task(main, name="main")
            while not task.done():
                self._turn()
            return task.result()
        finally:
            asyncio.events._set_running_loop(None)

    def _turn(self) -> None:
        """Run everything that is ready now, or let time pass to the next timer."""
        timers, ready = self._timers, self._ready
        if not ready:
            while timers and timers[0].is_cancelled:
                heapq.heappop(timers)
            if not timers:
                raise Stuck(f"deadlock at {self.now_ns} ns: nothing is ready and no timer is set; {self._waiting()}")
            self.now_ns = max(self.now_ns, timers[0].at_ns)
        if self.now_ns != self._moment_ns:
            self._moment_ns, self._moment_step = self.now_ns, self.steps
        while timers and timers[0].at_ns <= self.now_ns:
            ready.append(heapq.heappop(timers))
        moment_ns, draw = self.now_ns, self._schedule
        while ready:
            count = len(ready)
            if count > 1:
                at = int(draw() * count)
                ready[at], ready[-1] = ready[-1], ready[at]
            handle = ready.pop()
            if handle.is_cancelled:
                continue
            if self._doom is not None or self._dead:
                life = handle.within.get(LIFE, 0)
                if life in self._dead:
                    continue
                if self._doom is not None and self._doom[0] == life and self._is_due(self._doom):
                    ready = self._ready
                    if life in self._dead:
                        continue
            self.steps += 1
            handle.within.run(handle.call, *handle.given)
            ready = self._ready
            if self.steps - self._moment_step > LIVELOCK_STEPS:
                raise Stuck(f"livelock at {moment_ns} ns: {LIVELOCK_STEPS} steps without time passing; {handle!r}")
            if self.now_ns != moment_ns:
                return

    def _is_due(self, doom: tuple[int, int, Callable[[], None]]) -> bool:
        life, left, then = doom
        if left > 0:
            self._doom = (life, left - 1, then)
            return False
        self._doom = None
        then()
        return True

    def _waiting(self) -> str:
        return "waiting: " + ", ".join(task.get_name() for task in self._alive)

    def finish(self) -> None:
        """Let go of everything, dead lives included, without letting any of it do harm."""
        for task in [*self._graves, *self._alive]:
            setattr(task, "_log_destroy_pending", False)  # noqa: B010 - asyncio's own, which no stub names
            with contextlib.suppress(BaseException):
                coroutine = task.get_coro()
                if coroutine is not None:
                    coroutine.close()
        self._graves.clear()
        self._alive.clear()
        self._ready.clear()
        self._timers.clear()

    # --- asyncio.AbstractEventLoop, as far as a program on ports uses it ---

    def time(self) -> float:
        """Seconds since the run began."""
        return self.now_ns / NS_PER_S

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> SimHandle:
        """In this moment, after what runs now."""
        self._numbers += 1
        handle = SimHandle(callback, args, context or copy_context(), self.now_ns, self._numbers)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> SimHandle:
        """After that many seconds."""
        return self.call_at_ns(self.now_ns + int(delay * NS_PER_S), callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> SimHandle:
        """At that second."""
        return self.call_at_ns(int(when * NS_PER_S), callback, *args, context=context)

    def call_at_ns(
        self, at_ns: int, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> SimHandle:
        """At that nanosecond."""
        self._numbers += 1
        handle = SimHandle(callback, args, context or copy_context(), at_ns, self._numbers)
        heapq.heappush(self._timers, handle)
        return handle

    def create_future(self) -> SimFuture[Any]:
        """A future of this loop."""
        self._numbers += 1
        return SimFuture(loop=self, number=self._numbers)

    def create_task(  # type: ignore[override]  # asyncio takes generators and awaitables as well, nobody here does
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> SimTask[T]:
        """A task of this loop, of the life of whoever starts it."""
        self._numbers += 1
        number = self._numbers
        options: dict[str, Any] = {"name": name or f"task {number}"}
        if context is not None:
            options["context"] = context
        task = SimTask(coro, loop=self, number=number, **options)
        self._alive[task] = (context or copy_context()).get(LIFE, 0)
        task.add_done_callback(self._gone)
        return task

    def _gone(self, task: asyncio.Task[Any]) -> None:
        assert isinstance(task, SimTask)
        self._alive.pop(task, None)

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """While a run lasts."""
        return not self._is_closed

    def is_closed(self) -> bool:
        """Never before the end."""
        return self._is_closed

    def close(self) -> None:
        """The end."""
        self._is_closed = True

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What asyncio would log is a failure of the program."""
        error = context.get("exception")
        self.failures.append(f"{context.get('message')}: {error!r}" if error else str(context.get("message")))


def new_loop(schedule: random.Random) -> SimLoop:
    """A loop for one run. (asyncio calls every method abstract that one may have; a program on ports needs few.)"""
    make: Any = SimLoop
    loop: SimLoop = make(schedule)
    return loop


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
