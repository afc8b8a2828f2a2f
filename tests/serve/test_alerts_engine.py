"""From a fact to a message that was taken: within seconds, once, across crashes, full disks and dead channels."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from tests.serve.loopback import http_taker

from everytick.errors import Refused, Retryable
from everytick.host.clock import HostClock
from everytick.host.guarded import GuardedHttp
from everytick.model.alert import Message, Mute, Severity, Signal, State
from everytick.model.secret import Secret
from everytick.model.units import NS_PER_S
from everytick.ports import Clock, Notifier
from everytick.serve import notify
from everytick.serve.alerts import memory as memory_module
from everytick.serve.alerts.engine import Alerts, Inputs, Ping
from everytick.serve.alerts.inbox import Inbox
from everytick.serve.alerts.memory import Memory
from everytick.serve.alerts.outbox import PARCELS_MAX, Outbox
from everytick.serve.alerts.signals import FACT_SIGNALS, Room, of_fact, of_gap, of_room
from everytick.supervise.health import Health, Reason, Status
from everytick.supervise.threads import Stop
from everytick.telemetry import FACTS, LogSettings, Telemetry


class HandClock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 1_790_000_000 * NS_PER_S

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)

    def move(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)


class Still:
    """Dice that always fall in the middle."""

    def token(self, byte_count: int) -> bytes:
        return b"\0" * byte_count

    def jitter(self) -> float:
        return 0.5


class Taker:
    """A channel that keeps what it takes, or fails as it is told."""

    def __init__(self) -> None:
        self.took: list[Message] = []
        self.fault: Exception | None = None

    async def notify(self, message: Message) -> None:
        if self.fault is not None:
            raise self.fault
        self.took.append(message)


class Bench:
    """The engine over a folder, with a clock moved by hand and channels that can fail."""

    def __init__(self, folder: Path, clock: Clock | None = None, channels: dict[str, Notifier] | None = None) -> None:
        self.clock = HandClock()
        self.out = io.BytesIO()
        used: Clock = clock or self.clock
        self.telemetry = Telemetry(
            used, msgspec.convert({"format": "json", "level": "debug"}, LogSettings), out=self.out
        )
        self.inbox = Inbox()
        self.telemetry.listen(self.inbox.hear)
        self.verdict = Health(Status.OK)
        self.room = Room(50, 100)
        self.ledger: Sequence[Signal] = ()
        self.first, self.second = Taker(), Taker()
        self.channels: dict[str, Notifier] = channels or {"first": self.first, "second": self.second}
        self.pinged = 0
        inputs = Inputs(self.inbox, lambda: self.verdict, lambda: self.room, "data", lambda _since: self.ledger)
        self.alerts = Alerts(
            inputs,
            lambda: Memory(folder / "alerts.sqlite"),
            self.channels,
            [Ping("dead_man", 60, self._ping, only_well=True)],
            used,
            Still(),
            self.telemetry,
        )

    async def _ping(self) -> None:
        self.pinged += 1

    def look(self, seconds: float = 0.25) -> list[Message]:
        self.clock.move(seconds)
        return self.alerts.look()

    def deliver(self) -> None:
        """Every channel sends what it can now."""

        async def all_of_them() -> None:
            for channel in self.channels:
                while await self.alerts.deliver(channel):
                    continue

        asyncio.run(all_of_them())

    @property
    def facts(self) -> list[str]:
        return [msgspec.json.decode(line)["fact"] for line in self.out.getvalue().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def reason(code: str, status: Status = Status.DEGRADED, subject: str = "store") -> Reason:
    return Reason(status, code, subject, f"{code} happened", 0, "look")


def test_a_fact_is_on_its_way_within_one_look(bench: Bench) -> None:
    bench.look()
    bench.telemetry.store_unavailable("disk gone")
    (message,) = bench.look()
    bench.deliver()
    assert message.rule == "store_unreachable"
    assert [m.id for m in bench.first.took] == [m.id for m in bench.second.took] == [message.id]  # critical: to all


def test_a_warning_goes_to_the_first_channel_that_takes_it(bench: Bench) -> None:
    bench.look()
    bench.telemetry.gap_found("v/trades/BTC", "suspected", "cut", 1, 2, 3)
    bench.look()
    bench.deliver()
    assert (len(bench.first.took), len(bench.second.took)) == (1, 0)
    bench.first.fault = Retryable("away")
    bench.telemetry.gap_found("v/trades/ETH", "suspected", "cut", 1, 2, 3)
    bench.look()
    bench.deliver()
    assert (len(bench.first.took), len(bench.second.took)) == (1, 1)


def test_recovery_is_told_with_its_length(bench: Bench) -> None:
    bench.verdict = Health(Status.DEGRADED, (reason("store_trouble"),))
    for _ in range(192):
        bench.look(1)
    bench.verdict = Health(Status.OK)
    told = [message for _ in range(15) for message in bench.look(1)]
    assert [(m.state, m.text) for m in told] == [(State.RECOVERED, "recovered after 3 m 11 s")]


def test_every_reason_of_health_finds_its_rule(bench: Bench) -> None:
    codes = ["store_trouble", "tape_trouble", "loop_wedged", "watchdog_dead", "something_new"]
    stale = [reason("stream_mute", Status.STALE, "BTC"), reason("something_else", Status.STALE, "x")]
    bench.verdict = Health(Status.DEGRADED, (*(reason(code) for code in codes), *stale))
    rules = {message.rule for message in bench.look(1)}
    assert rules == {"store_unreachable", "tape_stuck", "wedged", "degraded", "stale"}


@pytest.mark.parametrize("name", sorted(FACT_SIGNALS))
def test_every_fact_that_raises_an_alert_exists_with_the_fields_it_reads(name: str) -> None:
    fields = {field: f"<{field}>" for field in FACTS[name].fields}
    reads: set[str] = set()

    class Watched(dict[str, object]):
        def get(self, key: str, default: object = None) -> object:  # type: ignore[override] # narrower on purpose
            reads.add(key)
            return super().get(key, default)

    assert list(of_fact(name, Watched(fields)))
    words = {"store", "tape", "watchdog", "stop", "clock", "switch"}  # subjects that are no field
    assert reads - words <= set(fields), f"{name} has no field {reads - words - set(fields)}"


@pytest.mark.parametrize(
    ("used", "severity"),
    [(79, None), (80, Severity.INFO), (90, Severity.WARNING), (95, Severity.CRITICAL), (100, Severity.CRITICAL)],
)
def test_the_disk_is_told_at_three_levels(used: int, severity: Severity | None) -> None:
    assert [signal.severity for signal in of_room(Room(100 - used, 100), "data")] == ([severity] if severity else [])


def test_ten_thousand_gaps_in_a_minute_fold_without_keeping_the_reporter(bench: Bench) -> None:
    bench.look()
    raised = []
    for second in range(60):
        for n in range(167):
            bench.telemetry.gap_found(f"v/trades/{n % 40}", "suspected", "cut", second, second, second * 1_000 + n)
        if second % 20 == 5:
            bench.telemetry.task_died("projector", ValueError("broken"), is_final=True)
            found = bench.look(1)
            assert found[0].severity is Severity.CRITICAL
            raised += found
        else:
            raised += bench.look(1)
    for _ in range(700):
        raised += bench.look(1)
    gaps = [message for message in raised if message.rule == "gap"]
    assert sum(message.count for message in gaps) == 60 * 167
    assert len(gaps) <= 14
    assert sum(message.severity is Severity.CRITICAL for message in raised) == 3
    assert bench.facts.count("gap_found") == 60 * 167  # the log and the ledger have every one


def test_the_inbox_folds_a_flood_of_keys_and_loses_no_critical() -> None:
    inbox = Inbox(keys_max=10)
    for n in range(1_000):
        inbox.put(Signal("gap", str(n)))
    for n in range(5):
        inbox.put(Signal("worker_crashed", str(n), severity=Severity.CRITICAL))
    drained = inbox.drain()
    assert len(drained) == 12
    assert sum(signal.count for signal in drained) == 1_005
    (critical,) = [signal for signal in drained if signal.severity is Severity.CRITICAL]
    assert (critical.rule, critical.count) == ("worker_crashed", 5)
    assert inbox.overflowed == 995


def test_many_threads_lose_no_signal() -> None:
    inbox, total = Inbox(), 0

    def report(name: str) -> None:
        for _ in range(2_000):
            inbox.put(Signal("gap", name))

    threads = [threading.Thread(target=report, args=(str(n % 3),)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        total += sum(signal.count for signal in inbox.drain())
    assert total + sum(signal.count for signal in inbox.drain()) == 8_000


def test_a_listener_that_fails_does_not_stop_who_reports(bench: Bench) -> None:
    def broken(_fact: str, _fields: dict[str, object]) -> None:
        raise ValueError("broken")

    bench.telemetry.listen(broken)
    bench.telemetry.store_back()
    assert b"everytick_listener_failures_total 1.0" in bench.telemetry.exposition()


def test_a_crash_between_detection_and_sending_loses_nothing(tmp_path: Path) -> None:
    before = Bench(tmp_path)
    before.look()
    before.telemetry.gap_found("v/trades/BTC", "suspected", "cut", 1, 2, 3)
    before.telemetry.store_unavailable("gone")
    before.look()  # raised, durable, not sent: the process dies here
    after = Bench(tmp_path)
    after.look()
    after.deliver()
    assert {m.rule for m in after.first.took} == {"gap", "store_unreachable"}
    assert not any(m.may_repeat for m in after.first.took)


def test_a_crash_while_sending_means_one_marked_repeat(tmp_path: Path) -> None:
    before = Bench(tmp_path)
    before.look()
    before.telemetry.gap_found("v/trades/BTC", "suspected", "cut", 1, 2, 3)
    before.look()
    before.first.fault = KeyboardInterrupt()  # stands for a death in the middle of the request
    with pytest.raises(KeyboardInterrupt):
        before.deliver()
    after = Bench(tmp_path)
    after.look()
    after.deliver()
    (message,) = after.first.took
    assert message.may_repeat
    assert "may be a repeat" in notify.body_of(message)
    again = Bench(tmp_path)
    again.look()
    again.deliver()
    assert again.first.took == []


def test_a_gap_on_record_that_was_never_heard_is_told_at_the_next_start_once(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    first.look()
    first.telemetry.gap_found("v/trades/BTC", "suspected", "cut", 1, 2, 30)
    first.look()
    first.deliver()
    second = Bench(tmp_path)
    second.clock.move(1_000)
    second.ledger = [
        of_gap("v/trades/BTC", "suspected", "cut", 1, 2, 30),  # told before the crash
        of_gap("v/trades/BTC", "restart", "restart", 5, 9, 77),  # stored, and then the process died
    ]
    second.look()
    second.deliver()
    assert [(m.subject, m.count) for m in second.first.took] == [("v/trades/BTC", 1)]
    assert "restart" in second.first.took[0].text
    third = Bench(tmp_path)
    third.clock.move(5_000)
    third.ledger = second.ledger
    third.look()
    third.deliver()
    assert third.first.took == []


def test_a_cooldown_survives_a_restart(tmp_path: Path) -> None:
    for _ in range(3):
        bench = Bench(tmp_path)
        bench.look()
        bench.telemetry.gap_found("v/trades/BTC", "suspected", "cut", 1, 2, 3)
        bench.look()
        bench.deliver()
    assert bench.first.took == []


def _told_of_starts(folder: Path, *, is_after_crash: bool) -> list[str]:
    told: list[str] = []
    for n in range(4):
        bench = Bench(folder)
        bench.clock.move(60 * n)
        bench.telemetry.recorder_started(f"run{n}", "1", 0, is_after_crash=is_after_crash)
        told += [message.rule for message in bench.look()]
    return told


def test_three_starts_after_crashes_in_ten_minutes_are_a_crash_loop(tmp_path: Path) -> None:
    told = _told_of_starts(tmp_path, is_after_crash=True)
    assert told.count("crash_loop") == 1
    assert told.count("started") == 1


def test_a_process_that_is_stopped_and_started_in_order_is_no_crash_loop(tmp_path: Path) -> None:
    assert "crash_loop" not in _told_of_starts(tmp_path, is_after_crash=False)


def test_a_full_disk_keeps_no_alert_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.look()

    def full(*_: object) -> None:
        raise Retryable("disk full")

    monkeypatch.setattr(Memory, "save", full)
    bench.telemetry.tape_full("no room")
    bench.look()
    bench.deliver()
    assert [m.rule for m in bench.first.took] == ["tape_stuck"]
    assert "alert_memory_failed" in bench.facts
    monkeypatch.undo()
    bench.look()
    assert bench.alerts.outbox.changed == {}


def test_a_memory_that_cannot_be_opened_keeps_no_alert_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "no such folder")
    bench.telemetry.tape_full("no room")
    bench.look()
    bench.deliver()
    assert [m.rule for m in bench.first.took] == ["tape_stuck"]


def test_a_damaged_memory_is_set_aside_and_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "alerts.sqlite").write_bytes(b"no database" * 1_000)
    bench = Bench(tmp_path)
    bench.telemetry.tape_full("no room")
    bench.look()
    bench.deliver()
    assert len(bench.first.took) == 1
    assert (tmp_path / "alerts.damaged").exists()


def test_a_mute_from_another_process_is_heeded_within_a_second(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.look()
    other = Memory(tmp_path / "alerts.sqlite")
    other.mute(Mute("gap", bench.clock.wall_ns() + 3_600 * NS_PER_S))
    bench.look(1)
    bench.telemetry.gap_found("v/trades/BTC", "suspected", "cut", 1, 2, 3)
    assert bench.look(1) == []
    assert other.unmute("gap")
    assert not other.unmute("gap")
    other.close()
    assert [m.rule for m in bench.look(1)] == ["gap"]


def test_the_memory_is_for_its_owner_only(tmp_path: Path) -> None:
    Bench(tmp_path).look()
    assert (tmp_path / memory_module.FILE_NAME).stat().st_mode & 0o077 == 0


def test_dead_channels_lose_nothing_and_are_told_when_they_are_back(bench: Bench) -> None:
    bench.look()
    bench.first.fault = bench.second.fault = Retryable("away")
    for n in range(20):
        bench.telemetry.gap_found(f"v/trades/{n}", "suspected", "cut", 1, 2, 3)
        bench.telemetry.task_died(f"task {n}", ValueError("broken"), is_final=True)
        bench.look(1)
        bench.deliver()
    waiting = len(bench.alerts.outbox)
    assert waiting > 20
    bench.first.fault = bench.second.fault = None
    for _ in range(200):
        bench.look(1)
        bench.deliver()
    assert len(bench.alerts.outbox) == 0
    for taker in (bench.first, bench.second):
        assert {m.subject for m in taker.took if m.rule == "worker_crashed"} == {f"task {n}" for n in range(20)}


def test_retry_after_is_honoured_to_the_second(bench: Bench) -> None:
    bench.look()
    bench.first.fault = Retryable("slow down", retry_after_s=30)
    bench.telemetry.task_died("x", ValueError("broken"), is_final=True)
    bench.look()
    bench.deliver()
    bench.first.fault = None
    for _ in range(29):
        bench.look(1)
        bench.deliver()
    assert bench.first.took == []
    assert len(bench.second.took) == 1
    bench.look(1.1)
    bench.deliver()
    assert len(bench.first.took) == 1


def test_a_channel_that_keeps_failing_is_told_by_another(bench: Bench) -> None:
    bench.look()
    bench.first.fault = Refused("401")
    for n in range(4):
        bench.telemetry.task_died(f"t{n}", ValueError("broken"), is_final=True)
        for _ in range(61):
            bench.look(1)
        bench.deliver()
    assert "channel_failing" in {m.rule for m in bench.second.took}
    assert bench.facts.count("alert_not_sent") >= 3


def test_waiting_messages_are_bounded_and_criticals_stay() -> None:
    dropped: list[Message] = []
    outbox = Outbox(["only"], lambda: 0.5, lambda message, _cause: dropped.append(message))
    critical = Message("c", 0, "disk", "data", Severity.CRITICAL, State.OPENED, "t", "x")
    outbox.add(critical, 0)
    for n in range(PARCELS_MAX + 50):
        outbox.add(Message(str(n), 0, "gap", "x", Severity.WARNING, State.OPENED, "t", "x"), n)
    assert len(outbox) == PARCELS_MAX
    assert len(dropped) == 51
    first = outbox.take("only", 10)
    assert first is not None
    assert first.message is critical


def test_news_of_yesterday_is_given_up_and_counted() -> None:
    dropped: list[str] = []
    outbox = Outbox(["only"], lambda: 0.5, lambda _message, cause: dropped.append(cause))
    outbox.add(Message("c", 0, "disk", "data", Severity.CRITICAL, State.OPENED, "t", "x"), 0)
    assert outbox.take("only", 25 * 3_600 * NS_PER_S) is None
    assert dropped == ["too old"]


def test_the_dead_mans_switch_is_silent_while_anything_is_wrong(bench: Bench) -> None:
    (ping,) = bench.alerts._pings

    def ask() -> int:
        asyncio.run(bench.alerts.ping(ping))
        return bench.pinged

    bench.look()
    assert ask() == 1
    bench.verdict = Health(Status.STALE, (reason("stream_mute", Status.STALE),))
    bench.look(1)
    assert ask() == 1
    bench.verdict = Health(Status.OK)
    bench.first.fault = bench.second.fault = Retryable("away")
    bench.look(1)
    bench.telemetry.task_died("x", ValueError("broken"), is_final=True)
    for _ in range(310):
        bench.look(1)
    assert ask() == 1, "alerts that reach nobody for five minutes must let the switch fall"


def live(alerts: Alerts, until: Callable[[], bool], within_s: float) -> bool:
    """Run the engine's own thread body until something is so; False if it is not within that long."""

    async def run() -> bool:
        stop = Stop()
        running = asyncio.create_task(alerts.run(stop))
        try:
            async with asyncio.timeout(within_s):
                while not until() and not running.done():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        finally:
            stop.ask()
            await running
        return until()

    return asyncio.run(run())


def test_from_fact_to_a_real_server_takes_less_than_five_seconds(tmp_path: Path) -> None:
    with http_taker() as hanging, http_taker() as taker:
        hanging.hangs = True
        clock, http = HostClock(), GuardedHttp()
        channels: dict[str, Notifier] = {
            "discord": notify.Discord(http, Secret(f"{hanging.url}/x"), clock, str),
            "webhook": notify.Webhook(http, Secret(f"{taker.url}/y"), Secret(""), clock, str),
        }
        bench = Bench(tmp_path, clock, channels)
        bench.alerts._close = http.close
        began_ns = clock.mono_ns()
        bench.telemetry.task_died("projector", ValueError("broken"), is_final=True)

        def arrived() -> bool:
            hanging.release.set() if taker.asked else None
            return bool(taker.asked and hanging.asked)

        assert live(bench.alerts, arrived, 5.0), "the alert was not handed over within 5 s"
        assert clock.mono_ns() - began_ns < 5 * NS_PER_S
    assert taker.asked[0].json["rule"] == "worker_crashed"


def test_a_reporter_is_never_kept_while_every_channel_hangs(tmp_path: Path) -> None:
    clock = HostClock()
    with http_taker() as hanging:
        hanging.hangs = True
        http = GuardedHttp()
        bench = Bench(tmp_path, clock, {"discord": notify.Discord(http, Secret(f"{hanging.url}/x"), clock, str)})
        bench.alerts._close = http.close
        worst_ns = 0

        def reported() -> bool:
            nonlocal worst_ns
            began_ns = clock.mono_ns()
            bench.telemetry.store_unavailable("gone")
            worst_ns = max(worst_ns, clock.mono_ns() - began_ns)
            hanging.release.set() if hanging.asked else None
            return bool(hanging.asked)

        assert live(bench.alerts, reported, 5.0)
    assert worst_ns < NS_PER_S // 4
