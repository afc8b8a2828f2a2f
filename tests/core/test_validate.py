"""What may pass as a number, an id, a time or a name, and the reason for everything else."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core import validate
from everytick.core.validate import REASONS, Invalid
from everytick.model.units import NS_PER_MS, NS_PER_S

RECV_NS = 1_757_015_216_673_878_000  # 2025-09-04 19:46:56 UTC, a receive time of a recording
RECV_MS = RECV_NS // NS_PER_MS


def reason_of(check, *values) -> str:
    with pytest.raises(Invalid) as caught:
        check(*values)
    assert caught.value.reason in REASONS
    return caught.value.reason


def passed_or_refused(check, *values):
    """What the check gives, or None where it refuses with a documented reason."""
    try:
        return check(*values)
    except Invalid as caught:
        finding = caught
    assert finding.reason in REASONS
    return None


@pytest.mark.parametrize("text", ["105056.0", "0.00219", "1", "0.00000001", "9" * 20 + "." + "9" * 18, "10", "0.10"])
def test_a_plain_number_keeps_every_digit(text):
    number = validate.positive(text)
    assert number == Decimal(text)
    assert validate.decimal_text(number) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", "not_finite"),
        ("-NaN", "not_finite"),
        ("nan", "not_finite"),
        ("sNaN", "not_finite"),
        ("Infinity", "not_finite"),
        ("-Infinity", "not_finite"),
        ("inf", "not_finite"),
        ("1_000", "not_a_decimal"),
        ("1,000", "not_a_decimal"),
        ("1e5", "not_a_decimal"),
        ("1E-5", "not_a_decimal"),
        ("1e999", "not_a_decimal"),
        ("+1", "not_a_decimal"),
        ("--1", "not_a_decimal"),
        (" 1", "not_a_decimal"),
        ("1 ", "not_a_decimal"),
        ("1\n", "not_a_decimal"),
        ("", "not_a_decimal"),
        (".", "not_a_decimal"),
        (".5", "not_a_decimal"),
        ("5.", "not_a_decimal"),
        ("1.2.3", "not_a_decimal"),
        ("0x10", "not_a_decimal"),
        ("007", "not_a_decimal"),
        ("00.5", "not_a_decimal"),
        ("１２３", "not_a_decimal"),
        ("١٢٣", "not_a_decimal"),
        ("1\u00a0000", "not_a_decimal"),
        ("1\u2212", "not_a_decimal"),
        ("9" * 21, "too_many_digits"),
        ("0." + "0" * 18 + "1", "too_many_digits"),
        ("9" * 100_000, "too_many_digits"),
        ("-5", "negative"),
        ("-0", "negative"),
        ("-0.00", "negative"),
        ("0", "zero"),
        ("0.000", "zero"),
        (1, "wrong_type"),
        (1.5, "wrong_type"),
        (True, "wrong_type"),
        (None, "wrong_type"),
        (["1"], "wrong_type"),
        ({"px": "1"}, "wrong_type"),
        (b"1", "wrong_type"),
    ],
)
def test_what_is_no_price_is_refused_with_its_reason(value, reason):
    assert reason_of(validate.positive, value) == reason


def test_zero_passes_only_where_the_caller_allows_it():
    assert validate.non_negative("0.0") == 0
    assert reason_of(validate.non_negative, "-0.0") == "negative"
    assert reason_of(validate.positive, "0.0") == "zero"


def test_below_zero_passes_only_where_it_is_a_fact():
    assert validate.decimal_text(validate.signed("-0.0000015186")) == "-0.0000015186"
    assert reason_of(validate.signed, "-NaN") == "not_finite"
    assert reason_of(validate.non_negative, "-0.0000015186") == "negative"


digits = st.text("0123456789", min_size=1, max_size=25)
odd_text = st.text(st.sampled_from("0123456789.-+eE_, \t\n١２NaInfty"), max_size=12) | st.text(max_size=8)


@settings(derandomize=True, max_examples=400)
@given(odd_text | digits | st.builds("{}.{}".format, digits, digits))
def test_whatever_passes_is_stored_exactly_as_written(text):
    number = passed_or_refused(validate.signed, text)
    if number is None:
        return
    whole, _, fraction = text.removeprefix("-").partition(".")
    assert 1 <= len(whole) <= 20
    assert len(fraction) <= 18
    assert set(whole + fraction) <= set("0123456789")
    assert validate.decimal_text(number) == text
    assert number == Decimal(text)


@settings(derandomize=True, max_examples=200)
@given(st.integers(0, 10**20 - 1), st.integers(0, 18))
def test_every_number_within_the_bounds_passes(whole, places):
    text = f"{whole}.{'7' * places}" if places else str(whole)
    assert validate.decimal_text(validate.non_negative(text)) == text


@pytest.mark.parametrize("value", [0, 1, 121451470284048, 2**53 + 1, 2**63 - 1])
def test_ids_are_exact_up_to_the_last_bit(value):
    assert validate.identity(value) == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-1, "id_out_of_range"),
        (2**63, "id_out_of_range"),
        pytest.param(10**5_000, "id_out_of_range", id="huge"),
        (True, "wrong_type"),
        (1.0, "wrong_type"),
        ("1", "wrong_type"),
        (None, "wrong_type"),
    ],
)
def test_what_is_no_id_is_refused(value, reason):
    assert reason_of(validate.identity, value) == reason


def test_counts_have_their_own_reason():
    assert validate.count(0) == 0
    assert reason_of(validate.count, -1) == "count_out_of_range"
    assert reason_of(validate.count, False) == "wrong_type"


def test_a_time_becomes_nanoseconds_unchanged():
    assert validate.event_time_ns(RECV_MS, RECV_NS) == RECV_MS * 1_000_000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (RECV_MS // 1_000, "time_in_seconds"),
        (RECV_MS * 1_000, "time_in_microseconds"),
        (RECV_NS, "time_in_nanoseconds"),
        (RECV_MS + 8 * 3_600_000, "future"),
        (RECV_MS + 61_000, "future"),
        (9_214_646_400_000, "future"),  # 2262-01-01, still within 64-bit nanoseconds
        (9_224_323_200_000, "time_too_late"),  # later in 2262, beyond them
        (32_503_680_000_000, "time_too_late"),  # the year 3000
        (10**30, "time_too_late"),
        (0, "time_too_early"),
        (-1, "time_too_early"),
        (1_230_940_799_999, "time_too_early"),
        (-RECV_MS, "time_too_early"),
        (float(RECV_MS), "wrong_type"),
        (True, "wrong_type"),
        (str(RECV_MS), "wrong_type"),
        (None, "wrong_type"),
    ],
)
def test_what_is_no_time_in_milliseconds_is_refused_with_its_reason(value, reason):
    assert reason_of(validate.event_time_ns, value, RECV_NS) == reason


def test_a_venue_clock_may_run_ahead_by_the_tolerance_and_no_more():
    edge_ms = (RECV_NS + 60 * NS_PER_S) // NS_PER_MS
    assert validate.event_time_ns(edge_ms, RECV_NS) == edge_ms * NS_PER_MS
    assert reason_of(validate.event_time_ns, edge_ms + 1, RECV_NS) == "future"


def test_a_time_that_may_lie_ahead_is_not_held_against_the_receipt():
    assert validate.any_time_ns(RECV_MS + 31 * 86_400_000) > RECV_NS


@settings(derandomize=True, max_examples=300)
@given(st.integers(-(2**70), 2**70))
def test_no_time_is_ever_shifted(value):
    ts_ns = passed_or_refused(validate.event_time_ns, value, RECV_NS)
    if ts_ns is not None:
        assert ts_ns == value * NS_PER_MS
        assert 0 < ts_ns <= RECV_NS + 60 * NS_PER_S


@pytest.mark.parametrize(
    "name", ["BTC", "kPEPE", "xyz:TSLA", "PURR/USDC", "@107", "#5", "HK.00700", "A" * 64, "a'b%\""]
)
def test_names_pass_as_the_venue_spells_them(name):
    assert validate.instrument(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", "B TC", "BTC\n", "BTC\x00", "\x1b[2J", "BTC\x7f", "ＢＴＣ", "比特币", "B\u202eTC", "A" * 65]
)
def test_names_that_could_harm_a_reader_are_refused(name):
    assert reason_of(validate.instrument, name) == "bad_instrument"


def test_a_name_of_another_type_is_refused():
    assert reason_of(validate.instrument, 5) == "wrong_type"


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10_000,
        pytest.param(10**5_000, id="huge"),
        pytest.param(-(10**5_000), id="huge-below-zero"),
        ["y"] * 10_000,
        {"a": 10**5_000},
        "\x1b[2J\x00",
        "字" * 1_000,
        None,
    ],
)
def test_a_quoted_value_is_short_and_printable(value):
    text = validate.excerpt(value)
    assert len(text) <= validate.VALUE_LENGTH_MAX
    assert text.isprintable()
    assert text


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        (["px", "[3]", "data"], "data[3].px"),
        (["[1]", "levels", "data"], "data.levels[1]"),
        ([".BTC", "data.mids"], "data.mids.BTC"),
        (["data"], "data"),
    ],
)
def test_a_path_reads_from_the_outside_in(steps, path):
    finding = Invalid("zero", "0")
    for step in steps:
        finding = finding.within(step)
    assert finding.path == path


def test_every_reason_is_one_word_with_a_meaning():
    for reason, meaning in REASONS.items():
        assert reason.replace("_", "").isalpha()
        assert reason == reason.lower()
        assert len(meaning) > 20
