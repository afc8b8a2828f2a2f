"""Is health true? A small model of a process, its venue and its faults, against what the product says each second.

`python -m tests.supervise.health_truth --scenarios 1000` runs the sweep and prints its figures; the default test run
does a bounded share of it.

The model knows what the product cannot: what happened at the venue, and when each event reached the store. Its truth
is one sentence: an event that happened at the venue and is not in the store after the stated bound is due data that
is not arriving, unless a later event of its stream is there (then it is lost, which is the ledger's business). It
shares no code with what it judges.

The stated bounds, as in docs/HEALTH.md: 15 s for a stream of one event a second or more; else 60 of the stream's own
mean gaps. They hold once a stream has shown its habit: a dozen events.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from everytick.supervise.health import Facts, HealthLimits, Status, health
from everytick.supervise.monitor import Monitor
from everytick.supervise.progress import ConnectionProgress, Progress

S = 1_000_000_000
STEP_S = 0.5
LINE = "venue/ws"
BUSY_BOUND_S, BUSY_GAP_S = 15.0, 1.0
GAPS_BOUND = 60.0
HABIT_EVENTS = 15
HABIT_MEMORY_S = 900.0
# After a fault has ended: a reconnect, a retry of the store and two looks fit into this. Later it is a false alarm.
RECOVERY_S = 5.0
SECONDS = 1_500

FAULTS = (
    "down",  # the connection is cut; knocks are refused
    "mute",  # up, and the venue says nothing but pongs
    "dead_silent",  # up, and nothing at all comes
    "stream_mute",  # one stream of several says nothing
    "flapping",  # reconnects again and again, and is mute each time
    "disk_full",  # the tape takes no frames, and says so
    "disk_hangs",  # a sync does not return
    "committer_dead",
    "store_away",  # refuses, and says so
    "store_hangs",  # does not return
    "store_slow",  # takes fewer frames than come
    "projector_dead",
    "loop_wedged",
    "watchdog_hangs",
    "clock_back",
    "clock_forth",
)
HARMLESS = {"clock_back", "clock_forth"}  # data goes on arriving: they must not raise an alarm


@dataclass
class Stream:
    """One stream at the venue: Poisson events at a rate that drifts, now and then a quieter market."""

    key: str
    rate: float
    pace: float = 1.0
    target: float = 1.0
    events: int = 0
    applied: int = 0
    first_missed_s: float = -1.0  # when the oldest event happened that is neither applied nor followed by one that is
    waiting: deque[float] = field(default_factory=deque)  # times of events on their way
    slowest: deque[tuple[float, float]] = field(default_factory=deque)  # (until, rate)

    def drift(self, dice: random.Random, now_s: float) -> None:
        if dice.random() < STEP_S / 400:
            self.target = dice.choice((0.5, 0.7, 1.0, 1.5, 2.0))
        self.pace += (self.target - self.pace) * STEP_S / 60  # a market changes its pace over minutes
        rate = self.rate * self.pace
        while self.slowest and self.slowest[-1][1] >= rate:
            self.slowest.pop()
        self.slowest.append((now_s + HABIT_MEMORY_S, rate))
        while self.slowest[0][0] < now_s:
            self.slowest.popleft()

    def bound_s(self) -> float:
        gap_s = 1 / self.slowest[0][1]
        return BUSY_BOUND_S if gap_s <= BUSY_GAP_S else max(BUSY_BOUND_S, GAPS_BOUND * gap_s)

    def arrivals(self, dice: random.Random) -> int:
        """How many events happen in one step."""
        mean, count, left = self.rate * self.pace * STEP_S, 0, 0.0
        while True:
            left += dice.expovariate(1.0)
            if left > mean:
                return count
            count += 1


@dataclass
class Fault:
    kind: str
    from_s: float
    to_s: float
    stream: int


class World:
    """Venue, connection, tape, store and clock of one process, half a second at a time."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        rates = [dice.choice((20.0, 5.0, 2.0, 1.5)) for _ in range(dice.randint(0, 3))]
        rates += [1 / dice.uniform(2, 30) for _ in range(dice.randint(0, 2))]
        rates += [1 / dice.uniform(30, 200) for _ in range(dice.randint(0 if rates else 1, 2))]
        self.streams = [Stream(f"venue/trades/C{n}", rate) for n, rate in enumerate(rates)]
        self.faults = [self._fault() for _ in range(dice.randint(1, 5))]
        self.now_s = 0.0
        self.wall_offset = 1_757_000_000 * S
        self.stepped: set[int] = set()
        self.progress = Progress(started_ns=self.wall_offset, run="model")
        self.line = self.progress.connections[LINE] = ConnectionProgress(
            "venue", "ws", up=True, connects=1, since_ns=self.wall_offset, last_message_ns=self.wall_offset
        )
        self.received: deque[tuple[Stream | None, float]] = deque()  # in memory, not durable
        self.durable: deque[tuple[Stream | None, float]] = deque()  # on the tape, not in the store
        self.socket: deque[tuple[Stream, float]] = deque()  # sent by the venue, not yet read
        self.spoke_s = self.pong_s = 0.0
        self.well_since_s = 0.0

    def _fault(self) -> Fault:
        kind = self.dice.choice(FAULTS)
        from_s = self.dice.uniform(120, SECONDS - 60)
        return Fault(kind, from_s, from_s + self.dice.uniform(5, 240), self.dice.randrange(100))

    def active(self) -> set[str]:
        return {fault.kind for fault in self.faults if fault.from_s <= self.now_s < fault.to_s}

    def step(self) -> None:
        self.now_s += STEP_S
        active = self.active()
        self._clock(active)
        self._venue(active)
        self._loop(active)
        self._tape(active)
        self._store(active)
        if active - HARMLESS or self.received or len(self.durable) > 50 or self.socket:
            self.well_since_s = self.now_s

    @property
    def wall_ns(self) -> int:
        return int(self.now_s * S) + self.wall_offset

    def _clock(self, active: set[str]) -> None:
        for number, fault in enumerate(self.faults):
            if fault.kind in HARMLESS and fault.from_s <= self.now_s and number not in self.stepped:
                self.stepped.add(number)
                step_s = self.dice.choice((2, 60, 3_600, 86_400))
                self.wall_offset += step_s * S * (-1 if fault.kind == "clock_back" else 1)

    def _venue(self, active: set[str]) -> None:
        mutes = {f.stream % len(self.streams) for f in self.faults if f.kind == "stream_mute" and self._is_on(f)}
        is_cut = bool(active & {"down", "mute", "dead_silent", "flapping"}) or not self.line.up
        for number, stream in enumerate(self.streams):
            stream.drift(self.dice, self.now_s)
            for _ in range(stream.arrivals(self.dice)):
                stream.events += 1
                if stream.first_missed_s < 0:
                    stream.first_missed_s = self.now_s
                if not is_cut and number not in mutes:
                    self.socket.append((stream, self.now_s))
        if "down" in active:
            self._go(up=False)
            self.socket.clear()
        elif "flapping" in active:
            is_up = int(self.now_s) % 20 >= 2
            self._go(up=is_up)
            if not is_up:
                self.socket.clear()
        elif not self.line.up and "loop_wedged" not in active:
            self._go(up=True)

    def _is_on(self, fault: Fault) -> bool:
        return fault.from_s <= self.now_s < fault.to_s

    def _go(self, *, up: bool) -> None:
        if self.line.up != up and "loop_wedged" not in self.active():
            self.line.up = up
            self.line.since_ns = self.wall_ns
            self.line.connects += up

    def _loop(self, active: set[str]) -> None:
        if "loop_wedged" in active:
            return
        self.progress.loop_beats += 1
        if self.socket:
            self.received.extend(self.socket)
            self.socket.clear()
            self.spoke_s = self.now_s
        if self.line.up and "dead_silent" not in active and self.now_s - self.pong_s > 45:
            self.pong_s = self.spoke_s = self.now_s
            self.received.append((None, self.now_s))
        if self.spoke_s == self.now_s:
            self.line.last_message_ns = self.wall_ns
        self.progress.offset_received = self.progress.offset_durable + len(self.received)

    def _tape(self, active: set[str]) -> None:
        progress = self.progress
        if active & {"disk_hangs", "committer_dead"}:
            return
        if "disk_full" in active:
            if self.received:
                progress.commit_tries += 1
                progress.tape_trouble = "no room"
                return
        else:
            progress.tape_trouble = ""
        progress.offset_durable += len(self.received)
        progress.offset_appended = progress.offset_durable
        progress.last_commit_ns = self.wall_ns
        self.durable.extend(self.received)
        self.received.clear()

    def _store(self, active: set[str]) -> None:
        progress = self.progress
        if active & {"store_hangs", "projector_dead"}:
            return
        if "store_away" in active:
            if self.durable:
                progress.store_trouble = "away"
                return
        else:
            progress.store_trouble = ""
        # A slow store takes about half of what comes; a well one catches up by thousands.
        total = sum(stream.rate for stream in self.streams)
        room = max(int(total * STEP_S / 2), self.dice.randint(0, 1)) if "store_slow" in active else 5_000
        count = min(len(self.durable), room)
        for _ in range(count):
            stream, _ = self.durable.popleft()
            if stream is not None:
                stream.applied += 1
                stream.first_missed_s = -1.0
                progress.newest[stream.key] = (self.wall_ns, self.wall_ns)
        for stream, happened_s in list(self.durable) + list(self.received) + list(self.socket):
            if stream is not None and stream.first_missed_s < 0:
                stream.first_missed_s = happened_s
        progress.offset_applied += count
        if count or not self.durable:
            progress.last_apply_ns = self.wall_ns

    def late(self) -> list[str]:
        """The truth: streams of which an event is overdue."""
        return [
            stream.key
            for stream in self.streams
            if stream.applied >= HABIT_EVENTS
            and stream.first_missed_s >= 0
            and self.now_s - stream.first_missed_s > stream.bound_s()
        ]

    def is_well(self) -> bool:
        """Nothing is wrong, and nothing has been for long enough to have recovered."""
        return self.now_s - self.well_since_s > RECOVERY_S


@dataclass
class Tally:
    """What a sweep found, in seconds."""

    seconds: int = 0
    late: int = 0  # due data was not arriving
    lies: int = 0  # ... and the product said ok
    well: int = 0
    false_alarms: int = 0  # all was well, and the product said otherwise
    told_s: list[float] = field(default_factory=list)  # how long after its start a fault was told
    causes: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


def run(seed: int, tally: Tally) -> None:
    """One scenario: the product is asked once a second and compared with the truth."""
    world = World(seed)
    monitor = Monitor({stream.key: LINE for stream in world.streams})
    limits, facts = HealthLimits(), Facts()
    seen = monitor.look(world.progress, 0)
    untold = sorted(world.faults, key=lambda fault: fault.from_s)
    for second in range(SECONDS):
        for _ in range(2):
            world.step()
            if "watchdog_hangs" not in world.active():
                seen = monitor.look(world.progress, int(world.now_s * S))
        found = health(world.progress, seen, facts, int(world.now_s * S), limits)
        is_ok = found.status is Status.OK
        late, is_well = world.late(), world.is_well()
        tally.seconds += 1
        tally.late += bool(late)
        tally.well += is_well
        if late and is_ok:
            tally.lies += 1
            tally.examples.append(f"seed {seed} second {second}: ok, but late: {late} {sorted(world.active())}")
        if is_well and not is_ok:
            tally.false_alarms += 1
            tally.causes.update(f"{reason.code}" for reason in found.reasons)
        while untold and untold[0].from_s < world.now_s and (not is_ok or untold[0].to_s < world.now_s):
            fault = untold.pop(0)
            if not is_ok and fault.kind not in HARMLESS:
                tally.told_s.append(world.now_s - fault.from_s)


def main() -> int:
    """Run the sweep from a shell; exit code 1 unless health was true."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    tally, began = Tally(), time.monotonic()
    for seed in range(chosen.seed, chosen.seed + chosen.scenarios):
        run(seed, tally)
    told = sorted(tally.told_s)
    print(
        {
            "scenarios": chosen.scenarios,
            "seconds": tally.seconds,
            "seconds_late": tally.late,
            "seconds_ok_while_late": tally.lies,
            "seconds_well": tally.well,
            "false_alarm_seconds": tally.false_alarms,
            "false_alarm_percent": round(100 * tally.false_alarms / tally.well, 4),
            "false_alarm_causes": dict(tally.causes.most_common(5)),
            "told_after_s": {"median": told[len(told) // 2], "p95": told[len(told) * 95 // 100]} if told else {},
            "took_s": round(time.monotonic() - began),
        }
    )
    for example in tally.examples[:10]:
        print(example)
    return 1 if tally.lies or tally.false_alarms * 1_000 >= tally.well else 0


if __name__ == "__main__":
    sys.exit(main())
