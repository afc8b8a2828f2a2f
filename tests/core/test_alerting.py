"""The alert engine: nothing twice, nothing lost, criticals at once, ends told, floods folded."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core.alerting import RECOVERED, RULE_MESSAGES_MAX, resumed, step
from everytick.model.alert import ALL, Book, Message, Mute, Rule, Severity, Signal, State
from everytick.model.units import NS_PER_S

WALL_S = 1_790_000_000
GAP = Rule("gap", Severity.WARNING, "w", "data may be missing", is_condition=False, cooldown_s=300)
BROKEN = Rule("broken", Severity.CRITICAL, "w", "a part is broken", is_condition=False, cooldown_s=300)
DOWN = Rule("down", Severity.CRITICAL, "w", "it is down", True, cooldown_s=300, hold_s=10, escalate_s=(600, 3600))
LATE = Rule("late", Severity.WARNING, "w", "it is late", True, cooldown_s=300, hold_s=10, escalate_s=(900,))
SLOW = Rule("slow", Severity.WARNING, "w", "it is slow", True, cooldown_s=60, hold_s=5, after_s=30)
JUMPY = Rule("jumpy", Severity.WARNING, "w", "it jumps", True, cooldown_s=0, hold_s=5)
MANY = Rule("many", Severity.WARNING, "w", "too many", False, cooldown_s=600, times_min=100, within_s=60)
ENDS = Rule(RECOVERED, Severity.INFO, "w", "it is over", is_condition=False)
RULES = {rule.name: rule for rule in (GAP, BROKEN, DOWN, LATE, SLOW, JUMPY, MANY, ENDS)}


class Bench:
    """The engine with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.book = resumed(Book(), WALL_S * NS_PER_S)
        self.now_s = float(WALL_S)
        self.mutes: list[Mute] = []
        self.told: list[tuple[float, Message]] = []

    def at(self, seconds: float, *signals: Signal) -> list[Message]:
        """Step at so many seconds after the start."""
        self.now_s = WALL_S + seconds
        now_ns = int(self.now_s * NS_PER_S)
        self.book, messages = step(self.book, RULES, signals, self.mutes, now_ns, now_ns)
        self.told += [(seconds, message) for message in messages]
        return messages

    def hold(self, from_s: int, to_s: int, *signals: Signal) -> list[Message]:
        """A condition seen each second of [from_s, to_s)."""
        return [message for second in range(from_s, to_s) for message in self.at(second, *signals)]

    def states(self) -> list[tuple[float, State]]:
        return [(at, message.state) for at, message in self.told]


def test_a_gap_each_second_is_one_message_per_cooldown_with_the_count() -> None:
    bench = Bench()
    told = bench.hold(0, 900, Signal("gap", "v/trades/BTC", "a gap"))
    assert [message.count for message in told] == [1, 300, 300]
    assert "300 times since" in told[1].text
    assert [message.state for message in told] == [State.OPENED, State.AGAIN, State.AGAIN]


def test_ten_thousand_gaps_in_a_minute_are_all_counted_in_few_messages() -> None:
    bench = Bench()
    signals = [Signal("gap", f"v/trades/{index % 50}", "a gap") for index in range(10_000)]
    for second in range(60):
        bench.at(second, *signals[second::60])
    for second in range(60, 1_000):
        bench.at(second)
    per_key: dict[str, list[float]] = {}
    for at, message in bench.told:
        per_key.setdefault(message.key, []).append(at)
    for times in per_key.values():
        assert all(later - earlier >= GAP.cooldown_s for earlier, later in itertools.pairwise(times))
    assert sum(message.count for _, message in bench.told) == 10_000
    assert len(bench.told) <= 2 * (RULE_MESSAGES_MAX + 2)
    assert any(message.state is State.FOLDED for _, message in bench.told)


def test_a_critical_is_told_at_once_in_the_middle_of_a_storm() -> None:
    bench = Bench()
    told = []
    for second in range(60):
        storm = [Signal("gap", f"v/trades/{n}", "a gap") for n in range(170)]
        critical = [Signal("broken", f"part {second}", "dead")] if second % 7 == 0 else []
        found = bench.at(second, *storm, *critical)
        assert [m.subject for m in found if m.severity is Severity.CRITICAL] == [s.subject for s in critical]
        if critical:
            assert found[0].severity is Severity.CRITICAL, "criticals go first"
        told += found
    assert sum(message.severity is Severity.CRITICAL for message in told) == 9


def test_a_critical_event_waits_for_no_cooldown() -> None:
    bench = Bench()
    assert len(bench.hold(0, 30, Signal("broken", "worker", "dead"))) == 30


def test_what_lasts_is_told_again_louder_and_its_end_once() -> None:
    bench = Bench()
    bench.hold(0, 2_000, Signal("late", "BTC", "nothing for long"))
    bench.hold(2_000, 2_100)
    assert bench.states() == [(0, State.OPENED), (900, State.STILL), (1_800, State.STILL), (2_010, State.RECOVERED)]
    severities = [message.severity for _, message in bench.told]
    assert severities == [Severity.WARNING, Severity.CRITICAL, Severity.CRITICAL, Severity.INFO]
    assert bench.told[-1][1].text == "recovered after 33 m 19 s"


def test_what_grows_worse_is_told_before_its_next_step() -> None:
    bench = Bench()
    bench.hold(0, 60, Signal("late", "disk", "80 %"))
    found = bench.at(60, Signal("late", "disk", "95 %", Severity.CRITICAL))
    assert [(m.state, m.severity) for m in found] == [(State.STILL, Severity.CRITICAL)]
    assert bench.at(61, Signal("late", "disk", "80 %")) == []
    assert bench.at(62, Signal("late", "disk", "95 %", Severity.CRITICAL)) == []


def test_what_lasts_shorter_than_it_must_is_not_told_at_all() -> None:
    bench = Bench()
    bench.hold(0, 25, Signal("slow", "line"))
    bench.hold(25, 200)
    assert bench.told == []
    bench.hold(200, 240, Signal("slow", "line"))
    assert bench.states() == [(230, State.OPENED)]


@settings(max_examples=50)
@given(st.sampled_from(["late", "jumpy"]), st.lists(st.integers(1, 90), min_size=4, max_size=40))
def test_flapping_shows_at_most_two_turns_in_five_minutes(rule: str, spans: list[int]) -> None:
    bench = Bench()
    second = 0
    for index, span in enumerate(spans):
        bench.hold(second, second + span, *([Signal(rule, "BTC")] if index % 2 == 0 else []))
        second += span
    bench.hold(second, second + 700)
    turns = [at for at, state in bench.states() if state in (State.OPENED, State.RECOVERED)]
    for first, third in zip(turns, turns[2:], strict=False):
        assert third - first >= 300
    assert not turns or bench.states()[-1][1] is State.RECOVERED


def test_a_critical_that_comes_back_is_told_at_once_even_when_it_flaps() -> None:
    bench = Bench()
    for start in range(0, 100, 30):
        bench.hold(start, start + 5, Signal("down", "store"))
        bench.hold(start + 5, start + 30)
    opened = [at for at, state in bench.states() if state is State.OPENED]
    assert opened[:2] == [0, 30]
    bench.hold(100, 900)
    assert bench.states()[-1][1] is State.RECOVERED
    assert len([1 for at, _ in bench.told if at <= 300]) <= 3


def test_a_rate_is_told_only_when_it_is_reached() -> None:
    bench = Bench()
    assert bench.hold(0, 300, Signal("many", "venue")) == []  # sixty a minute
    found = bench.hold(300, 310, Signal("many", "venue", count=20))
    assert len(found) == 1
    assert "times since" in found[0].text


def test_a_mute_keeps_back_and_its_end_tells_what_is_still_open() -> None:
    bench = Bench()
    bench.mutes = [Mute("down", (WALL_S + 100) * NS_PER_S)]
    assert bench.hold(0, 100, Signal("down", "store"), Signal("broken", "x"))[0].rule == "broken"
    assert all(message.rule == "broken" for _, message in bench.told)
    assert [m.rule for m in bench.at(100, Signal("down", "store"))] == ["down"]


def test_a_muted_flood_is_counted_and_told_when_the_mute_ends() -> None:
    bench = Bench()
    bench.mutes = [Mute(ALL, (WALL_S + 50) * NS_PER_S)]
    bench.hold(0, 50, Signal("gap", "BTC"))
    found = bench.hold(50, 60)
    assert [message.count for message in found] == [50]


def test_a_critical_among_what_was_muted_is_told_as_critical() -> None:
    bench = Bench()
    bench.mutes = [Mute("gap", (WALL_S + 10) * NS_PER_S)]
    bench.at(0, Signal("gap", "BTC", severity=Severity.CRITICAL))
    bench.at(1, Signal("gap", "BTC"))
    assert [(m.severity, m.count) for m in bench.at(10)] == [(Severity.CRITICAL, 2)]


def test_what_ended_while_it_was_muted_is_never_told() -> None:
    bench = Bench()
    bench.mutes = [Mute("down:store", (WALL_S + 50) * NS_PER_S)]
    bench.hold(0, 20, Signal("down", "store"))
    bench.hold(20, 400)
    assert bench.told == []


def test_a_restart_repeats_nothing_within_the_cooldown_and_takes_no_pause_for_recovery() -> None:
    bench = Bench()
    bench.hold(0, 20, Signal("down", "store"), Signal("gap", "BTC"))
    assert len(bench.told) == 2
    bench.book = resumed(bench.book, (WALL_S + 120) * NS_PER_S)
    bench.hold(120, 125)
    bench.hold(125, 140, Signal("down", "store"), Signal("gap", "BTC"))
    assert len(bench.told) == 2
    bench.hold(140, 160)
    assert bench.states()[-1] == (150, State.RECOVERED)


@pytest.mark.parametrize("jump_s", [-86_400 * 365, -30, 30, 86_400 * 365])
def test_a_wall_clock_that_jumps_neither_repeats_nor_silences(jump_s: int) -> None:
    bench = Bench()
    book, told = bench.book, []
    for second in range(900):
        now_ns = (WALL_S + second) * NS_PER_S
        wall_ns = now_ns + (jump_s * NS_PER_S if second > 100 else 0)
        book, messages = step(book, RULES, [Signal("gap", "BTC")], [], now_ns, wall_ns)
        told += [(second, message) for message in messages]
    assert [second for second, _ in told] == [0, 300, 600]


def test_a_start_with_the_clock_set_back_still_counts_on() -> None:
    bench = Bench()
    bench.at(0, Signal("gap", "BTC"))
    book = resumed(bench.book, 5 * NS_PER_S)
    assert book.now_ns == bench.book.now_ns
    later, told = step(book, RULES, [Signal("gap", "BTC")], [], 5 * NS_PER_S, 5 * NS_PER_S)
    assert later.now_ns == book.now_ns
    assert told == []


SIGNALS = st.builds(
    Signal,
    st.sampled_from(["gap", "broken", "down", "late"]),
    st.sampled_from(["a", "b", "c"]),
    st.just("text"),
    st.sampled_from([None, Severity.CRITICAL]),
    st.integers(1, 5),
)


@settings(max_examples=60)
@given(st.lists(st.lists(SIGNALS, max_size=6), min_size=1, max_size=60))
def test_every_event_is_counted_exactly_once_whatever_comes(seconds: list[list[Signal]]) -> None:
    bench = Bench()
    for second, signals in enumerate(seconds):
        _no_critical_waits(bench.at(second * 5, *signals), signals)
    for second in range(len(seconds) * 5, len(seconds) * 5 + 1_000, 10):
        bench.at(second)
    for rule in ("gap", "broken"):
        sent = sum(signal.count for signals in seconds for signal in signals if signal.rule == rule)
        assert sum(message.count for _, message in bench.told if message.rule == rule) == sent


def _no_critical_waits(told: Sequence[Message], signals: Sequence[Signal]) -> None:
    wanted = {s.key for s in signals if s.rule == "broken"}
    assert wanted <= {message.key for message in told if message.severity is Severity.CRITICAL}


def test_more_keys_than_can_be_remembered_still_raise_their_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everytick.core.alerting.KEYS_MAX", 20)
    bench = Bench()
    bench.at(0, *[Signal("gap", str(n)) for n in range(20)])
    found = bench.at(1, *[Signal("broken", f"x{n}") for n in range(5)])
    assert sum(message.count for message in found) == 5
    assert len(bench.book.incidents) <= 21
