"""One simulated run: venues, network, disk, store and clock around the program, from a seed and its plan of faults.

Phases: a warm-up without faults, the safety phase, healing, liveness (well and drained within a bound), an audit, a
graceful restart, and the audit again. The first broken invariant ends the run.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import random
from collections import Counter, deque
from contextvars import copy_context

import msgspec

from everytick.core.validate import REASONS
from everytick.errors import Fatal, Retryable
from everytick.model.units import NS_PER_S
from everytick.sim import invariants
from everytick.sim.clock import SimClock, SimIds
from everytick.sim.disk import PowerCut, SimDisk
from everytick.sim.evidence import Evidence
from everytick.sim.faults import Fault
from everytick.sim.inmemory import venue_of
from everytick.sim.invariants import Broken, Judge
from everytick.sim.loop import LIFE, Stuck, new_loop
from everytick.sim.network import OnMessages, Place, SimNet
from everytick.sim.program import Made, Program
from everytick.sim.store import Database
from everytick.sim.strikes import InjectedDeath, strike
from everytick.sim.swarm import Swarm
from everytick.sim.truth import Truth
from everytick.supervise.health import Status
from everytick.tape.recovery import RecoveryReport

WARM_UP_S = 60.0
# A mute line is given up after 50 s, a reconnect waits up to 60 s, and a quiet stream must speak again.
HEAL_S_MAX = 300.0
STOP_S_MAX = 120.0
PROD_S = 30
REST_NS = 60 * NS_PER_S
LOOK_S = 0.5
# One read of the network, the answers to polls and backfill, and control frames go beyond the bound of the backlog.
PENDING_SLACK_BYTES = 96 * 1024
EVENTS_KEPT = 200
START_S = 0.5  # from the system's restart to the program's first step


class Event(msgspec.Struct, frozen=True):
    """Something that happened, for whoever reads a failure."""

    at_s: float
    life: int
    what: str
    detail: str


class World:
    """One run. `run` returns the judge's tally, or raises Broken, Stuck, or what the simulation itself died of."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        seed = swarm.seed
        self.loop = new_loop(random.Random(f"{seed}/schedule"))
        self.clock = SimClock(self.loop)
        self.disk = SimDisk(seed)
        self.database = Database(self.loop)
        self.net = SimNet(self.loop, random.Random(f"{seed}/network"), swarm.latency_ms)
        self.ids = SimIds(f"{seed}/ids")
        self.met: Counter[str] = Counter()
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.truths: dict[str, Truth] = {}
        self.judge = Judge()
        self.life = 0
        self.deaths_due: list[str] = []  # tasks in which the next sleep dies
        self._died_ns: dict[str, int] = {}
        self.held: dict[str, int] = {}  # worker -> until when it is held up, ns
        self.is_rotten = False
        self.program: Program | None = None
        self._main: asyncio.Task[None] | None = None
        self._restart_s = 0.0
        self._takes_power = True  # whether a death in a file operation takes the machine with it
        self._is_stopping = False
        self._is_over = False
        self._is_quiet = False  # the venues make no news, so that an audit has an end
        self._trace = hashlib.blake2b(digest_size=16)
        self.evidence = Evidence()
        self._watched: Program | None = None
        self._since_ns = 0  # when the watched program began
        self._wire()

    def _wire(self) -> None:
        self.loop.on_work_error = self._work_died
        self.loop.before_step = self._hold
        self.clock.before_sleep = self._before_sleep
        self.net.hand_over = self._hand_over
        for name in self.swarm.streams:
            self.truths[name] = Truth(name, self.loop)
            self.net.put(f"{name}.sim", name, venue_of(name, self.swarm, self.clock, self.truths[name].happened))
        self._made = Made(
            clock=self.clock,
            ids=self.ids,
            sockets=self.net,
            http=self.net,
            disk=self.disk,
            database=self.database,
            streams=self.swarm.streams,
            urls={name: (f"ws://{name}.sim/ws", f"http://{name}.sim") for name in self.swarm.streams},
            tape=self.swarm.tape,
            backfill=self.swarm.backfill,
            polls=self.swarm.polls,
            hears=self._hear,
            recovered=self._recovered,
        )

    # --- running ---

    def run(self) -> Judge:
        """The whole run. Raises Broken."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            self.loop.run(self._all())
        except Stuck as stuck:
            raise Broken("I-LOOP", str(stuck)) from stuck
        finally:
            self._is_over = True  # what is torn down now says nothing any more
            self.loop.finish()
            gc.collect()
            if was_enabled:
                gc.enable()
        if self.loop.failures:
            raise Broken("I-TASK", "; ".join(self.loop.failures[:3]))
        self.judge.met = dict(sorted(self.met.items()))
        self.judge.trace = self.trace
        self.judge.steps = self.loop.steps
        return self.judge

    async def _all(self) -> None:
        loop = self.loop
        world = [
            loop.create_task(self._keep_alive(), name="lives"),
            loop.create_task(self._turn_venues(), name="venues"),
            loop.create_task(self._watch(), name="watch"),
        ]
        phases = loop.create_task(self._phases(), name="phases")
        await asyncio.wait({phases, *world}, return_when=asyncio.FIRST_COMPLETED)
        for task in [*world, phases]:
            if task.done():
                task.result()

    async def _phases(self) -> None:
        loop, swarm = self.loop, self.swarm
        await loop.pause(WARM_UP_S)
        began_ns = loop.now_ns
        for fault in swarm.plan:
            await self._pause_until(began_ns + int(fault.at_s * NS_PER_S))
            self._strike(fault)
        await self._pause_until(began_ns + int(swarm.hours * 3_600 * NS_PER_S))
        self.judge.hours = swarm.hours
        self._heal()
        await self._until_well("after healing")
        await self._repair()
        await self._last_words()
        self._audit("the first audit")
        self._is_quiet = False
        await self.stop(START_S)
        await self._until_well("after the last restart")
        await self._last_words()
        self._audit("the audit after the restart")

    async def _pause_until(self, at_ns: int) -> None:
        if at_ns > self.loop.now_ns:
            await self.loop.pause((at_ns - self.loop.now_ns) / NS_PER_S)

    async def _turn_venues(self) -> None:
        while True:
            await self.loop.pause(self.swarm.tick_s)
            for place in self.net.places.values():
                if not self._is_quiet:
                    place.venue.turn()

    # --- lives ---

    async def _keep_alive(self) -> None:
        """Start the program, and start it again whenever it has ended."""
        while True:
            self.life += 1
            program = self.program = Program(self._made)
            context = copy_context()
            context.run(LIFE.set, self.life)
            life = self.life
            self._main = self.loop.create_task(program.run(), name=f"life {life}", context=context)
            self._ended: asyncio.Future[str] = self.loop.create_future()
            self._main.add_done_callback(self._ended_by_itself)
            await self._ended
            self._note_end(program)
            leaked = [task.get_name() for task in self.loop.tasks_of(life) if not task.done()]
            if leaked:
                raise Broken("I-TASK", f"tasks outlive their process: {', '.join(leaked)}")
            await self.loop.pause(self._restart_s)

    def _ended_by_itself(self, task: asyncio.Task[None]) -> None:
        if not self._ended.done():
            self._ended.set_result("ended")

    def _note_end(self, program: Program) -> None:
        main = self._main
        error = main.exception() if main is not None and main.done() and not main.cancelled() else None
        was_asked, self._is_stopping = self._is_stopping, False
        self.evidence.ended(program.writer.watermark)
        self.tell("life_ended", repr(error) if error else "")
        if error is None:
            if main is not None and main.done() and not was_asked:
                raise Broken("I-TASK", "the program ended without being asked to")
            return
        self.die(power=isinstance(error, PowerCut) and self._takes_power)
        # A full disk refuses a start, and whoever starts the program tries again. A tape that has lost what was
        # confirmed must stop it; a person would look, here it goes on.
        is_refused_start = isinstance(error, Retryable) and program.recovery is None
        is_lost_tape = self.is_rotten and isinstance(error, Fatal) and "confirmed" in str(error)
        if not isinstance(error, PowerCut) and not is_refused_start and not is_lost_tape:
            raise Broken("I-TASK", f"the program ended by itself: {type(error).__name__}: {error}") from error
        self._restart_s = max(self._restart_s, START_S)

    def die(self, *, power: bool) -> None:
        """The process, or the whole machine, is dead at once."""
        program = self.program
        if program is not None:
            self.evidence.ended(program.writer.watermark)
        self.loop.kill(self.life)
        self.net.drop_life(self.life)
        if power:
            self.disk.power_cut()
        else:
            self.disk.kill()
        self.held.clear()
        self.deaths_due.clear()
        if not self._ended.done():
            self._ended.set_result("died")

    def die_after(self, steps: int, *, power: bool, down_s: float) -> None:
        """Die before the step of the program that many from now."""
        self._restart_s = down_s
        self.loop.doom(self.life, steps, lambda: self.die(power=power))

    def die_in_io(self, operations: int, *, power: bool, down_s: float) -> None:
        """Die in the middle of the file operation that many from now."""
        self._restart_s, self._takes_power = down_s, power
        self.disk.cut_power_after(operations)

    async def stop(self, down_s: float) -> None:
        """Ask for a graceful end, and see that it comes."""
        program, main = self.program, self._main
        if program is None or main is None or not program.is_recording:
            return
        self._restart_s, self._is_stopping = down_s, True
        is_disk_well = self.disk.is_well
        program.stop()
        life = self.life
        for _ in range(int(STOP_S_MAX)):
            await self.loop.pause(1.0)
            if self.life != life or main.done() or self._ended.done():
                has_ended = main.done() and not main.cancelled() and main.exception() is None
                if has_ended and is_disk_well and self.disk.is_well and not program.writer.is_drained:
                    raise Broken("I-STOP", "a graceful stop has left frames behind that the disk would have taken")
                return
        raise Broken("I-LIVE1", f"a graceful stop has not ended after {STOP_S_MAX} s")

    def _work_died(self, error: BaseException) -> bool:
        if isinstance(error, PowerCut):
            self.die(power=self._takes_power)
            return True
        return False

    def _hold(self, worker: str) -> float:
        return max(0, self.held.get(worker, 0) - self.loop.now_ns) / NS_PER_S

    def _before_sleep(self, task: str) -> None:
        # The wait before a dead task is started again is its owner's own, and no place for another death.
        rests_ns = self.loop.now_ns - self._died_ns.get(task, -REST_NS)
        if task in self.deaths_due and LIFE.get() == self.life and rests_ns >= REST_NS:
            self.deaths_due.remove(task)
            self._died_ns[task] = self.loop.now_ns
            self.met["task_dies"] += 1
            raise InjectedDeath(f"{task} was made to die")

    # --- faults ---

    def _strike(self, fault: Fault) -> None:
        self.tell("fault", f"{fault.kind} {fault.venue} {fault.seconds} s, {fault.count}")
        if strike(self, fault):
            self.met[fault.kind] += 1

    def _heal(self) -> None:
        """Nothing is wrong from now on; what was broken stays broken until the program mends it."""
        self.disk.capacity_bytes, self.disk.short_writes = None, False
        self.disk.heal()
        self.database.away_until_ns = 0
        self.database.due.clear()
        self.held.clear()
        self.deaths_due.clear()
        self.clock.step_ns = 0
        for place in self.net.places.values():
            weather = place.weather
            weather.down_until_ns = weather.busy_until_ns = weather.slow_until_ns = weather.mute_until_ns = 0
            weather.twice_until_ns = weather.http_until_ns = 0
            place.venue.hub.flow_all()
        self.tell("healed", "")

    async def _until_well(self, when: str) -> None:
        began_ns = self.loop.now_ns
        for second in itertools.count():
            await self.loop.pause(1.0)
            if second % PROD_S == 0:
                self._prod()
            program = self.program
            is_up = program is not None and program.is_recording and program.is_connected and program.is_drained
            if program is not None and is_up and not self._is_deceived():
                program.look()
                if program.health().status is Status.OK:
                    break
            if self.loop.now_ns - began_ns > HEAL_S_MAX * NS_PER_S:
                raise Broken("I-LIVE1", f"{when}: not well after {HEAL_S_MAX} s: {self._state()}")
        self.judge.heal_s = max(self.judge.heal_s, (self.loop.now_ns - began_ns) / NS_PER_S)

    def _prod(self) -> None:
        """One more trade everywhere: what is mute is well again when it has spoken, and a quiet market may not."""
        for place in self.net.places.values():
            place.venue.last_words()

    def _is_deceived(self) -> bool:
        """Whether a line is open that carries nothing: the program has not found out yet."""
        now_ns = self.loop.now_ns
        return any(line.is_deceiving(now_ns) for place in self.net.places.values() for line in place.lines.values())

    def _state(self) -> str:
        program = self.program
        if program is None or not program.is_recording:
            return "no program runs"
        codes = [f"{reason.code} {reason.subject}" for reason in program.health().reasons]
        return f"connected {program.is_connected}, drained {program.is_drained}, health {codes}"

    async def _repair(self) -> None:
        """Everything that the venues' history can close is closed."""
        program = self.program
        assert program is not None
        context = copy_context()
        context.run(LIFE.set, self.life)
        done = self.loop.create_task(program.repair(), name="repair", context=context)
        for _ in range(900):
            await self.loop.pause(1.0)
            if done.done():
                self.judge.left = [left for left in done.result() if left.first_id >= 0]
                return
        raise Broken("I-LIVE1", "backfill has not ended after 900 s")

    async def _last_words(self) -> None:
        """One more trade everywhere, so that what was lost before it can show, and time to take it in."""
        self._prod()
        self._is_quiet = True
        await self.loop.pause(20.0)
        await self._repair()
        await self.loop.pause(5.0)

    # --- looking ---

    async def _watch(self) -> None:
        """What is checked as it runs: health, durability's counters, bounds and manners."""
        while True:
            await self.loop.pause(LOOK_S)
            program = self.program
            if program is None or not program.is_recording:
                continue
            self._take_applied()
            program.look()
            self._check_counters(program)
            self._check_health(program)

    def _check_health(self, program: Program) -> None:
        """Health must not say ok while data that is due does not arrive."""
        is_right = self.clock.step_ns == 0
        late = [one for truth in self.truths.values() for one in truth.late(self._since_ns, is_clock_right=is_right)]
        judge = self.judge
        judge.watched_s += LOOK_S
        if late:
            judge.late_s += LOOK_S
            if program.health().status is Status.OK:
                judge.lie_s += LOOK_S
                raise Broken("I-HEALTH1", f"health says ok, and late are {late}")

    def _check_counters(self, program: Program) -> None:
        watermark = program.writer.watermark
        if program is not self._watched:
            self._watched, self._since_ns = program, self.loop.now_ns
        self.evidence.watch(watermark)
        if program.progress.offset_applied > watermark:
            raise Broken("I-CHECK", f"applied up to {program.progress.offset_applied}, durable up to {watermark}")
        pending, limit = program.writer.pending_bytes, self.swarm.backlog_bytes + PENDING_SLACK_BYTES
        if pending > limit:
            raise Broken("I-BND", f"{pending} bytes wait for the disk, and {limit} may")
        for place in self.net.places.values():
            if place.told.broken_bans:
                raise Broken("I-MANNERS", place.told.broken_bans[0])
        if self.judge.strange_deaths:
            raise Broken("I-TASK", f"a task died: {self.judge.strange_deaths[0]}")

    def _take_applied(self) -> None:
        applied, self.database.applied = self.database.applied, []
        for batch in applied:
            self._note(f"applied {batch.offset_from} {batch.offset_to} {len(batch.trades)} {len(batch.gaps)}")
            for row in batch.trades:
                truth = self.truths.get(row[0].venue)
                if truth is not None:
                    truth.applied(row[0].instrument, row[1])

    def _audit(self, when: str) -> None:
        """Everything that can be compared with the truth is."""
        self.tell("audit", when)
        self._take_applied()
        program, judge = self.program, self.judge
        assert program is not None
        watermark = program.writer.watermark
        reader = self.database.store.reader()
        invariants.check_store(reader, watermark, self._reasons())
        frames, tape = invariants.read_tape(self.disk, watermark)
        is_rotten = self.met["rot"] > 0
        invariants.check_tape(frames, self.evidence.received, self.evidence.acked, is_rotten=is_rotten)
        if tape.damage and not is_rotten and any(one.offset_to != one.offset_from for one in tape.damage):
            raise Broken("I-DUR", f"the tape is damaged: {tape.damage[0]}")
        stores = [reader]
        if is_rotten:
            stores.append(invariants.rebuilt(self.disk, watermark).reader())
        else:
            invariants.check_same(reader, invariants.rebuilt(self.disk, watermark).reader())
        for store in stores:
            refused = invariants.refused_keys(store, frames)
            replay = 0 if self.met["clock_step"] else self.swarm.replay_trades
            found = [
                invariants.audit_stream(
                    stream, self.place(stream.venue).venue.ledger, store, refused, replay, is_exact=not is_rotten
                )
                for stream in invariants.trade_streams(self.swarm.streams)
            ]
            judge.take(found, when)
            invariants.check_seams(store, self.swarm.streams)
        judge.check_left()

    def _reasons(self) -> set[str]:
        """What may stand in quarantine, given what this run has met."""
        if self.met["rot"] or self.met["clock_step"]:
            return set(REASONS)
        return set(REASONS) - invariants.OUR_OWN_REASONS if self.met["poison"] else set()

    def _hand_over(self, take: OnMessages, messages: list[bytes]) -> None:
        assert self.program is not None
        self.evidence.hand_over(self.program.writer, take, messages)

    def _recovered(self, report: RecoveryReport) -> None:
        self.evidence.recovered(report)
        self.judge.restarts += 1

    @property
    def trace(self) -> str:
        """A hash of everything that has happened so far."""
        return self._trace.hexdigest()

    def place(self, name: str) -> Place:
        """A venue on the network."""
        return self.net.places[f"{name}.sim"]

    # --- telling ---

    def _hear(self, fact: str, fields: dict[str, object]) -> None:
        plain = {k: v if isinstance(v, (str, int, float, bool)) else type(v).__name__ for k, v in fields.items()}
        if fact == "task_died" and not isinstance(fields.get("error"), (InjectedDeath, PowerCut)):
            error = fields.get("error")
            self.judge.strange_deaths.append(f"{fields.get('task')}: {type(error).__name__}: {error}")
        self.tell(fact, " ".join(f"{name}={value}" for name, value in plain.items()))

    def tell(self, what: str, detail: str) -> None:
        """Remember an event, and make it part of the trace."""
        if self._is_over:
            return
        self.events.append(Event(self.loop.now_ns / NS_PER_S, self.life, what, detail[:300]))
        self._note(f"{what} {detail}")

    def _note(self, text: str) -> None:
        self._trace.update(f"{self.loop.now_ns} {self.loop.steps} {self.life} {text}\n".encode())
