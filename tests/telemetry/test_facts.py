"""Every fact writes its line and moves its metrics, in one call, and never a secret."""

from __future__ import annotations

import inspect
import io
import threading
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everytick.model.secret import Secret
from everytick.model.units import NS_PER_S
from everytick.telemetry import FACTS, METRICS, Fact, LogSettings, Telemetry
from everytick.telemetry.metrics import CHILDREN_MAX

CANARY = "canary-7f3a9d"


class StillClock:
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.now_ns = 1_790_000_000 * NS_PER_S

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)


class Bench:
    """A Telemetry with its output at hand."""

    def __init__(self, format: str = "json", level: str = "debug", secrets: tuple[Secret, ...] = ()) -> None:
        self.clock = StillClock()
        self.out = io.BytesIO()
        settings = msgspec.convert({"format": format, "level": level}, LogSettings)
        self.telemetry = Telemetry(self.clock, settings, out=self.out, secrets=secrets)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.out.getvalue().splitlines()]

    @property
    def metrics(self) -> dict[str, float]:
        """Every sample but those that stand for a moment or a process."""
        samples = {}
        for line in self.telemetry.exposition().decode().splitlines():
            if line.startswith("everytick_") and "_created" not in line:
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples


def sample(fact: Fact, name: str) -> object:
    """A value for a field, by its type; where only some words mean anything, one of those."""
    kind = typing.get_type_hints(inspect.unwrap(getattr(Telemetry, fact.name)))[name]
    if (fact.name, name) == ("trading_switched", "state"):
        return "armed"
    samples = {int: 7, float: 7.0, bool: False, BaseException: ValueError("broken"), list[str]: ["DATABASE_URL"]}
    if kind in samples:
        return samples[kind]
    return "hyperliquid/trades/BTC" if name == "stream" else f"some_{name}"


@pytest.mark.parametrize("fact", FACTS.values(), ids=lambda f: f.name)
def test_one_call_writes_the_line_and_moves_the_metrics(fact: Fact) -> None:
    bench = Bench()
    # Gauges that begin at their quiet value must be seen to change.
    bench.telemetry.meter.set("store_up", 0.5)
    bench.telemetry.meter.set("tape_full", 0.5)
    if fact.name in {"recorder_stopped", "backpressure_off", "connection_down"}:
        first = {"recorder_stopped": "recorder_started", "backpressure_off": "backpressure_on"}
        report(bench, FACTS[first.get(fact.name, "connection_up")])
    before, lines_before = bench.metrics, len(bench.lines)
    report(bench, fact)
    after = bench.metrics
    moved = {name.partition("{")[0] for name in after if after[name] != before.get(name)}
    for metric in fact.metrics:
        assert any(name.startswith(metric) for name in moved), f"{fact.name} does not move {metric}"
    undeclared = {name for name in moved if not name.startswith(fact.metrics)} if fact.metrics else moved
    assert not undeclared, f"{fact.name} also moves {undeclared}: declare it"
    new = bench.lines[lines_before:]
    if fact.level is None:
        assert new == []
    else:
        assert len(new) == 1
        assert new[0]["fact"] == fact.name
        assert new[0]["level"] == fact.level
        assert set(new[0]) == {"ts", "level", "fact", *fact.fields}


def report(bench: Bench, fact: Fact) -> None:
    getattr(bench.telemetry, fact.name)(*[sample(fact, name) for name in fact.fields])


def test_names_and_positions_say_the_same() -> None:
    one, two = Bench(), Bench()
    one.telemetry.gap_found("v/trades/X", "proved", "cut", 1, 2)
    two.telemetry.gap_found("v/trades/X", kind="proved", cause="cut", from_ns=1, to_ns=2)
    assert one.lines == two.lines


def test_every_public_method_of_telemetry_is_a_fact() -> None:
    others = {"exposition", "listen", "meter", "line"}
    public = {name for name, _ in inspect.getmembers(Telemetry) if not name.startswith("_")}
    assert public - others == set(FACTS)


def test_every_metric_belongs_to_a_fact_or_is_named_here() -> None:
    named = {metric for fact in FACTS.values() for metric in fact.metrics}
    assert named <= {metric.name for metric in METRICS}
    of_no_fact = {
        "everytick_budget_left",  # read when it is asked for
        "everytick_log_lines_lost_total",
        "everytick_log_lines_held_total",
        "everytick_listener_failures_total",
    }
    assert {metric.name for metric in METRICS} - named == of_no_fact


def test_two_telemetries_in_one_process_do_not_mix() -> None:
    one, two = Bench(), Bench()
    one.telemetry.frames_durable(5, 0.01)
    assert one.metrics["everytick_frames_durable_total"] == 5
    assert two.metrics["everytick_frames_durable_total"] == 0


def test_a_flood_of_refusals_is_counted_in_full_and_written_once_in_a_while() -> None:
    bench = Bench()
    for offset in range(1_000):
        bench.telemetry.event_quarantined("v", "broken_json", offset, "", "")
    bench.telemetry.event_quarantined("v", "negative", 1_000, "", "")
    assert [line["reason"] for line in bench.lines] == ["broken_json", "negative"]
    bench.clock.now_ns += 10 * NS_PER_S
    bench.telemetry.event_quarantined("v", "broken_json", 1_001, "", "")
    assert bench.lines[-1]["held_back"] == 999
    assert bench.metrics['everytick_quarantined_total{reason="broken_json",venue="v"}'] == 1_001
    assert bench.metrics['everytick_log_lines_held_total{fact="event_quarantined"}'] == 999


def test_labels_without_bound_end_in_other() -> None:
    bench = Bench()
    for number in range(CHILDREN_MAX + 50):
        bench.telemetry.api_request(f"/{number}", 200, 0.001)
    counted = [name for name in bench.metrics if name.startswith("everytick_api_requests_total")]
    assert len(counted) == CHILDREN_MAX + 1
    assert bench.metrics['everytick_api_requests_total{route="other",status="other"}'] == 50


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize("fact", [f for f in FACTS.values() if f.level], ids=lambda f: f.name)
def test_no_fact_prints_a_secret_in_any_field(fact: Fact, format: str) -> None:
    bench = Bench(format, secrets=(Secret(CANARY),))
    shapes = [
        CANARY,
        f"Bearer {CANARY}",
        f"postgresql://u:{CANARY}@db/x",
        f"https://discord.com/api/webhooks/1/{CANARY}",
        Secret(CANARY),
        ValueError(f"password={CANARY}"),
        [CANARY],
    ]
    for shape in shapes:
        bench.clock.now_ns += 60 * NS_PER_S
        args = [
            shape if isinstance(sample(fact, name), (str, list, Exception)) else sample(fact, name)
            for name in fact.fields
        ]
        if any(name in {"stream"} for name in fact.fields):
            args = [str(arg) if isinstance(arg, (list, Exception, Secret)) else arg for arg in args]
        getattr(bench.telemetry, fact.name)(*map(_hashable, args))
    written = bench.out.getvalue().decode()
    assert written
    assert CANARY not in written


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def test_shapes_of_secrets_are_masked_though_nobody_named_them() -> None:
    bench = Bench()
    bench.telemetry.store_unavailable(f"connection to postgresql://u:{CANARY}@db failed")
    bench.telemetry.task_died("notify", ValueError(f"401 for Bearer {CANARY}"), is_final=False)
    assert CANARY not in bench.out.getvalue().decode()


def test_outside_text_moves_no_cursor_and_makes_no_second_line() -> None:
    bench = Bench("console")
    bench.telemetry.venue_notice("v", "ws", "error", "bad\x1b[2J\r\nfake info gap_closed\u2028\x07")
    written = bench.out.getvalue()
    assert written.count(b"\n") == 1
    assert b"\x1b" not in written
    assert b"\r" not in written


@given(st.text(max_size=2_000))
def test_any_text_from_a_venue_gives_one_line_of_json(text: str) -> None:
    bench = Bench()
    bench.telemetry.venue_notice("v", "ws", "error", text)
    assert len(bench.lines) == 1
    assert len(bench.lines[0]["text"]) <= 500


def test_a_lost_stderr_costs_the_line_and_is_counted() -> None:
    bench = Bench()
    bench.out.close()
    bench.telemetry.tape_full("no room")
    assert bench.metrics["everytick_log_lines_lost_total"] == 1
    assert bench.metrics["everytick_tape_full"] == 1


def test_facts_below_the_level_are_counted_and_not_written() -> None:
    bench = Bench(level="error")
    bench.telemetry.gap_found("v/trades/X", "proved", "cut", 1, 2)
    bench.telemetry.tape_damaged("0.tape", 8, "checksum")
    assert [line["fact"] for line in bench.lines] == ["tape_damaged"]
    assert bench.metrics['everytick_gaps_found_total{kind="proved",venue="v"}'] == 1


def test_a_line_carries_the_wall_time_to_the_microsecond() -> None:
    bench = Bench()
    bench.clock.now_ns = 1_757_015_891_087_123_999
    bench.telemetry.tape_resumed()
    assert bench.lines[0]["ts"] == "2025-09-04T19:58:11.087123Z"


def test_lines_of_many_threads_stay_whole() -> None:
    bench = Bench()

    def work() -> None:
        for number in range(200):
            bench.telemetry.gap_closed("v/trades/X", "closed", "proof", number, number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.lines) == 800
    assert bench.metrics['everytick_gaps_closed_total{state="closed",venue="v"}'] == 800
