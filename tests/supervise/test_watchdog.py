"""The watchdog acts on a wedge and on nothing else, heals first, and tells systemd only what it can prove."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from everytick.host.systemd import Systemd, systemd
from everytick.model.units import NS_PER_S
from everytick.supervise.asking import Asking, Busy
from everytick.supervise.monitor import Monitor, Seen
from everytick.supervise.progress import ConnectionProgress, Progress
from everytick.supervise.settings import SuperviseSettings
from everytick.supervise.threads import OwnedThread, Stop, Wedged
from everytick.supervise.watchdog import Watchdog
from everytick.supervise.wedge import ACTIVE_NS, STORE_WAIT_FACTOR, Worker, waits_for, wedged
from everytick.telemetry import LogSettings, Telemetry

BOUND = 20 * NS_PER_S
LONG = BOUND + 1


@pytest.mark.parametrize(
    ("worker", "is_wedged"),
    [
        (Worker("w", True, LONG, LONG, 0), True),
        (Worker("w", True, BOUND, LONG, 0), False),  # progress is not stale yet
        (Worker("w", True, LONG, BOUND, 0), False),  # the backlog is not sustained yet
        (Worker("w", True, LONG, 0, 0), False),  # idle: nothing waits
        (Worker("w", True, LONG, LONG, ACTIVE_NS + 1), False),  # upstream brings nothing: the venue's trouble
        (Worker("w", True, LONG, LONG, 0, "disk"), False),
        (Worker("w", True, 10**15, 10**15, 0, "disk"), False),  # however slow
        (Worker("w", True, LONG, LONG, 0, "", True), False),  # it says itself what is wrong, and tries again
        (Worker("w", True, LONG, LONG, 0, "store"), False),
        (Worker("w", True, STORE_WAIT_FACTOR * LONG, STORE_WAIT_FACTOR * LONG, 0, "store"), True),
        (Worker("w", False, LONG, 0, 10**15), True),  # dead
        (Worker("w", False, BOUND, 0, 0), False),  # dead, and its owner has its time to start it again
    ],
)
def test_only_a_worker_with_work_and_an_active_upstream_that_stands_still_is_wedged(
    worker: Worker, is_wedged: bool
) -> None:
    assert bool(wedged(worker, BOUND)) is is_wedged


def test_what_a_thread_waits_for_is_told_by_our_innermost_module() -> None:
    assert waits_for(iter(["everytick.host.disk", "everytick.tape.writer"])) == "disk"
    assert waits_for(iter(["apsw.ext", "everytick.stores.sqlite.writer"])) == "disk"
    assert waits_for(iter(["psycopg.connection", "everytick.stores.postgres.writer"])) == "store"
    assert waits_for(iter(["everytick.recorder.pipeline", "everytick.host.disk"])) == ""
    assert waits_for(iter(["threading"])) == ""


class FakeClock:
    """Both clocks stand until a test moves them."""

    def __init__(self) -> None:
        self.mono = 1_000 * NS_PER_S
        self.wall = 1_757_000_000 * NS_PER_S

    def wall_ns(self) -> int:
        return self.wall

    def mono_ns(self) -> int:
        return self.mono

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the watchdog waits for no clock")


class FakeThread(OwnedThread):
    """A worker that is said to live."""

    def __init__(self, name: str) -> None:
        super().__init__(name, lambda _: None)
        self.number = 1
        self.interrupted = 0

    @property
    def ident(self) -> int:
        return self.number

    def interrupt(self) -> None:
        self.interrupted += 1


class Heard(Systemd):
    """What systemd was told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def tell(self, *lines: str) -> bool:
        self.lines += lines
        return True


class Dog:
    """A watchdog over workers that a test moves by hand."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock()
        self.progress = Progress(started_ns=1)
        self.progress.connections["v/ws"] = ConnectionProgress("v", "ws", up=True)
        self.log = io.BytesIO()
        self.committer, self.projector = FakeThread("committer"), FakeThread("projector")
        self.heard = Heard()
        self.left: list[int] = []
        self.dog = Watchdog(
            self.progress,
            Monitor(),
            self.clock,
            Telemetry(self.clock, LogSettings(format="json"), out=self.log),
            SuperviseSettings(**settings),
            systemd=self.heard,
            threads={"committer": self.committer, "projector": self.projector},
            leave=self.left.append,
        )
        self.dog.ready()
        self.moving = {"loop", "committer", "projector", "venue"}

    def run(self, seconds: float) -> None:
        progress = self.progress
        for _ in range(int(seconds * 2)):
            self.clock.mono += NS_PER_S // 2
            self.clock.wall += NS_PER_S // 2
            progress.loop_beats += "loop" in self.moving
            if "venue" in self.moving:
                progress.offset_received += 1
                progress.connections["v/ws"].last_message_ns = self.clock.wall
            if "committer" in self.moving:
                progress.offset_durable = progress.offset_appended = progress.offset_received
                progress.last_commit_ns = self.clock.wall
                progress.commit_tries += 1
            if "projector" in self.moving:
                progress.offset_applied = progress.offset_durable
                progress.last_apply_ns = self.clock.wall
            self.dog.look()

    def count(self, fact: str) -> int:
        return self.log.getvalue().count(f'"fact":"{fact}"'.encode())


def test_a_process_that_works_is_left_alone_and_fed() -> None:
    dog = Dog()
    dog.run(120)
    assert (dog.committer.interrupted, dog.projector.interrupted, dog.left) == (0, 0, [])
    assert dog.heard.lines.count("WATCHDOG=1") == 240
    assert dog.heard.lines[0] == "READY=1"


@pytest.mark.parametrize("name", ["committer", "projector"])
def test_a_wedged_worker_is_interrupted_first_and_the_process_ends_only_after_that_failed(name: str) -> None:
    dog = Dog(recoveries_max=3)
    dog.run(60)
    dog.moving.discard(name)
    dog.run(19)
    assert getattr(dog, name).interrupted == 0
    dog.run(3)
    assert (getattr(dog, name).interrupted, dog.left) == (1, [])
    dog.run(60)
    assert getattr(dog, name).interrupted == 3
    assert dog.left[0] == 1
    assert dog.count("worker_wedged") == 3
    assert dog.count("watchdog_gave_up") >= 1
    assert dog.count("stacks_dumped") >= 4


def test_a_worker_that_was_healed_starts_with_a_clean_slate() -> None:
    dog = Dog(recoveries_max=1)
    dog.run(60)
    for _ in range(3):
        dog.moving.discard("projector")
        dog.run(23)
        dog.moving.add("projector")
        dog.run(60)
    assert (dog.projector.interrupted, dog.left) == (3, [])
    assert dog.count("worker_recovered") == 3


def test_a_full_disk_and_a_store_that_is_away_trip_nothing() -> None:
    dog = Dog()
    dog.run(60)
    dog.moving -= {"committer", "projector"}
    dog.progress.tape_trouble, dog.progress.store_trouble = "no room", "away"
    dog.run(3_600)
    assert (dog.committer.interrupted, dog.projector.interrupted, dog.left) == (0, 0, [])


def test_a_venue_that_says_nothing_trips_nothing() -> None:
    dog = Dog()
    dog.run(60)
    dog.moving.discard("venue")
    dog.run(3_600)
    assert (dog.committer.interrupted, dog.projector.interrupted, dog.left) == (0, 0, [])


def test_a_process_that_was_stopped_for_an_hour_is_not_taken_for_wedged() -> None:
    dog = Dog()
    dog.run(60)
    dog.clock.mono += 3_600 * NS_PER_S
    dog.dog.look()
    dog.run(60)
    assert (dog.committer.interrupted, dog.projector.interrupted, dog.left) == (0, 0, [])


def test_systemd_is_fed_by_a_rising_watermark_or_provable_idleness_and_by_nothing_else() -> None:
    dog = Dog(wedge_s=3_600)
    dog.run(10)
    dog.moving -= {"committer"}
    dog.run(5)
    fed = len(dog.heard.lines)
    dog.run(60)  # frames come, and none of them becomes durable
    assert len(dog.heard.lines) == fed
    dog.moving.add("committer")
    dog.run(5)
    assert len(dog.heard.lines) == fed + 10
    dog.moving.discard("venue")  # nothing comes and the committer looks: idle
    dog.run(5)
    assert len(dog.heard.lines) == fed + 20


def test_a_disk_that_refuses_again_and_again_keeps_systemd_from_killing_what_waits() -> None:
    dog = Dog()
    dog.run(10)
    dog.moving -= {"committer", "projector"}
    dog.progress.tape_trouble = "no room"
    dog.run(3)
    fed = len(dog.heard.lines)
    for _ in range(10):
        dog.progress.commit_tries += 1
        dog.run(0.5)
    assert len(dog.heard.lines) == fed + 10


def test_a_stop_has_its_time_and_no_more() -> None:
    dog = Dog(stop_s_max=15)
    dog.run(10)
    dog.dog.stopping()
    dog.dog.stopping()  # asked twice is asked once
    dog.moving.clear()
    dog.run(15)
    assert dog.left == []
    dog.run(1)
    assert dog.left[0] == 70
    assert dog.heard.lines.count("STOPPING=1") == 1


def test_a_clock_that_was_set_is_told_once() -> None:
    dog = Dog()
    dog.run(5)
    dog.clock.wall -= 3_600 * NS_PER_S
    dog.run(5)
    assert dog.count("clock_stepped") == 1
    assert b'"step_s":-3600.0' in dog.log.getvalue()


def test_the_watchdog_outlives_its_own_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    dog = Dog()
    looks = []

    look = dog.dog.monitor.look

    def fail(progress: Progress, mono_ns: int) -> Seen:
        looks.append(1)
        if len(looks) < 3:
            raise ValueError("a mistake")
        dog.dog._ending.set()
        return look(progress, mono_ns)

    monkeypatch.setattr(dog.dog.monitor, "look", fail)
    dog.dog.start()
    assert dog.dog._thread is not None
    dog.dog._thread.join(10)
    assert len(looks) == 3
    assert dog.count("watchdog_failed") == 1  # the second line like it is held back


def test_an_interrupted_thread_dies_of_it_and_can_be_started_again() -> None:
    async def play() -> None:
        started = threading.Event()

        def spin(stop: Stop) -> None:
            started.set()
            while not stop.is_asked:
                threading.Event().wait(0.001)

        thread = OwnedThread("spinner", spin)
        for _ in range(2):
            started.clear()
            running = asyncio.ensure_future(thread.run())
            while not started.is_set():
                await asyncio.sleep(0.001)
            assert thread.ident
            thread.interrupt()
            with pytest.raises(Wedged):
                await running
            assert thread.ident == 0
        thread.interrupt()  # of a thread that is gone it does nothing

    asyncio.run(play())


def test_a_question_that_takes_too_long_is_given_up_and_the_next_is_refused_at_once() -> None:
    async def play() -> None:
        asking = Asking("asker")
        asking.start()
        lets_go = threading.Event()
        with pytest.raises(Busy, match="no answer within"):
            await asking.ask(lambda: lets_go.wait(10), 0.02)
        with pytest.raises(Busy, match="held up"):
            await asking.ask(lambda: 1, 5)
        lets_go.set()
        while asking.is_late:
            await asyncio.sleep(0.001)
        assert await asking.ask(lambda: 7, 5) == 7
        with pytest.raises(ZeroDivisionError):
            await asking.ask(lambda: 1 // 0, 5)
        asking.end(lambda: None, 5)

    asyncio.run(play())


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_hears_datagrams_at_the_address_it_gave(tmp_path: Path, is_abstract: bool) -> None:
    name = f"@everytick-test-{tmp_path.name}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name[1:] if is_abstract else name)
        ear.settimeout(5)
        told = systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
        assert told.tell("READY=1", "STATUS=recording")
        assert ear.recv(1_000) == b"READY=1\nSTATUS=recording"
        assert told.watchdog_s == 30.0
    assert not told.tell("WATCHDOG=1")  # nobody listens any more: no reason to fail
    assert not systemd({}).tell("READY=1")
    assert systemd({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}).watchdog_s == 0
