"""Budgets that no minute can exceed, waits that a venue asks for, and retries that spread and never stop."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core.pacing import (
    BACKOFF_CAP_NS,
    NS_PER_MINUTE,
    RETRY_AFTER_S_MAX,
    Backoff,
    Budget,
    VenuePace,
    retry_after_ns,
)
from everytick.model.units import NS_PER_S

CAP_NS = RETRY_AFTER_S_MAX * NS_PER_S
WALL_NS = 1_445_412_420 * NS_PER_S  # 2015-10-21 07:27:00 UTC


@settings(derandomize=True, max_examples=100)
@given(
    st.integers(2, 2_000),
    st.lists(st.tuples(st.integers(0, 20 * NS_PER_S), st.integers(1, 150)), min_size=1, max_size=120),
)
def test_no_sixty_seconds_ever_spend_more_than_the_budget(per_minute, tries):
    budget = Budget(per_minute)
    now_ns, spent = 0, []
    for pause_ns, weight in tries:
        now_ns += pause_ns
        weight = min(weight, budget.burst)
        if budget.take(now_ns, weight) == 0:
            spent.append((now_ns, weight))
    for start_ns, _ in spent:
        in_minute = sum(weight for at_ns, weight in spent if start_ns <= at_ns < start_ns + NS_PER_MINUTE)
        assert in_minute <= per_minute


@settings(derandomize=True, max_examples=100)
@given(st.integers(2, 2_000), st.lists(st.integers(1, 1_000), min_size=1, max_size=30))
def test_the_wait_that_is_named_is_enough_and_not_a_nanosecond_too_long(per_minute, weights):
    budget = Budget(per_minute)
    now_ns = 12_345
    for weight in (min(weight, budget.burst) for weight in weights):
        wait_ns = budget.take(now_ns, weight)
        if wait_ns:
            assert budget.take(now_ns + wait_ns - 1, weight) == 1
            now_ns += wait_ns
            assert budget.take(now_ns, weight) == 0


def test_a_budget_is_used_in_the_long_run():
    budget = Budget(30)
    now_ns, taken = 0, 0
    while now_ns <= 60 * NS_PER_MINUTE:
        wait_ns = budget.take(now_ns)
        taken += wait_ns == 0
        now_ns += wait_ns
    assert taken == 15 + 60 * 15


def test_a_refused_take_spends_nothing():
    budget = Budget(10)
    for _ in range(5):
        assert budget.take(0) == 0
    waits = {budget.take(0) for _ in range(100)}
    assert waits == {NS_PER_MINUTE // 5}


def test_a_clock_that_stands_still_or_steps_back_earns_nothing():
    budget = Budget(4)
    assert budget.take(100 * NS_PER_S, 2) == 0
    assert budget.take(100 * NS_PER_S) == 30 * NS_PER_S
    assert budget.take(10 * NS_PER_S) == 30 * NS_PER_S
    assert budget.take(100 * NS_PER_S) == 30 * NS_PER_S


@pytest.mark.parametrize("weight", [0, -1, 6])
def test_a_weight_that_no_wait_can_pay_is_a_mistake_of_the_caller(weight):
    with pytest.raises(ValueError, match=r"outside 1\.\.5"):
        Budget(10).take(0, weight)


@pytest.mark.parametrize("per_minute", [1, 0, -5])
def test_a_budget_of_nothing_is_refused(per_minute):
    with pytest.raises(ValueError, match="nothing to spend"):
        Budget(per_minute)


def test_a_hold_stops_everything_until_its_end_and_a_shorter_one_never_shortens_it():
    pace = VenuePace(connects_per_minute=30, sends_per_minute=2_000, request_weight_per_minute=1_200)
    pace.hold(0, 30 * NS_PER_S)
    pace.hold(0, 5 * NS_PER_S)
    for budget in (pace.connects, pace.requests):
        assert budget.take(10 * NS_PER_S) == 20 * NS_PER_S
        assert budget.take(30 * NS_PER_S - 1) == 1
        assert budget.take(30 * NS_PER_S) == 0
    assert pace.sends.take(0) == 0


def test_retries_double_up_to_the_cap_and_never_end():
    backoff = Backoff()
    waits_s = [backoff.next_ns(0.999_999) / NS_PER_S for _ in range(1_000)]
    assert [round(wait_s) for wait_s in waits_s[:8]] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert max(waits_s) * NS_PER_S <= BACKOFF_CAP_NS
    assert backoff.failures == 1_000


@settings(derandomize=True, max_examples=100)
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 70))
def test_a_wait_is_spread_over_the_upper_half(jitter, failures):
    plain, spread = Backoff(), Backoff()
    for _ in range(failures):
        plain.next_ns(0)
        spread.next_ns(0)
    half_ns = plain.next_ns(0)
    assert half_ns <= spread.next_ns(jitter) <= 2 * half_ns
    assert half_ns > 0


def test_data_makes_the_next_wait_short_again():
    backoff = Backoff()
    for _ in range(20):
        backoff.next_ns(0.5)
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next_ns(0) == NS_PER_S // 2


@pytest.mark.parametrize("jitter", [1, 1.5, -0.1, float("nan")])
def test_dice_outside_their_range_are_refused(jitter):
    with pytest.raises(ValueError, match="jitter"):
        Backoff().next_ns(jitter)


def test_a_backoff_without_a_first_wait_is_refused():
    with pytest.raises(ValueError, match="first wait"):
        Backoff(first_ns=0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("600", 600),
        ("601", RETRY_AFTER_S_MAX),
        ("1000000000", RETRY_AFTER_S_MAX),
        ("9" * 10_000, RETRY_AFTER_S_MAX),
        ("0", 0),
        ("-5", 0),
        (None, 0),
        ("", 0),
        ("soon", 0),
        ("1.5", 0),
        ("1e9", 0),
        ("１２", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0),
        ("Fri, 21 Oct 2095 07:28:00 GMT", RETRY_AFTER_S_MAX),
        ("Wed, 31 Feb 2015 07:28:00 GMT", 0),
        ("Wed, 00 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Okt 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 25:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:61:00 GMT", 0),
        ("Wed, 21 Oct 0000 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 HKT", 0),
        ("2015-10-21T07:28:00Z", 0),
    ],
)
def test_a_venue_is_waited_for_as_long_as_it_says_within_reason(header, seconds):
    assert retry_after_ns(header, WALL_NS) == seconds * NS_PER_S


@settings(derandomize=True, max_examples=300)
@given(st.none() | st.text(max_size=40), st.integers(0, 2**63 - 1))
def test_no_header_can_stop_us_for_longer_than_the_cap(header, wall_ns):
    assert 0 <= retry_after_ns(header, wall_ns) <= CAP_NS
