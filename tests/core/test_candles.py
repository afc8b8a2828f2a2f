"""Candles from trades, and when a venue's candle is the one that the trades make."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everytick.core.candles import Bar, Print, build, differences

SPAN_NS = 60
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "hyperliquid"


def prints(*items: tuple[int, str, str]) -> list[Print]:
    return [(ts, Decimal(price), Decimal(size)) for ts, price, size in items]


ONE = prints((61, "100", "1"), (61, "101", "0.5"), (70, "90", "2"), (119, "95", "0.1"), (119, "96", "0.1"))


def test_a_bar_opens_with_the_first_arrival_and_closes_with_the_last() -> None:
    (bar,) = build(ONE, SPAN_NS)
    values = (bar.ts_open_ns, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count)
    assert values == (60, 100, 101, 90, 96, Decimal("3.7"), 5)


def test_an_interval_without_trades_has_no_bar() -> None:
    bars = list(build(prints((0, "1", "1"), (59, "2", "1"), (180, "3", "1")), SPAN_NS))
    assert [(bar.ts_open_ns, bar.trade_count) for bar in bars] == [(0, 2), (180, 1)]


def told(**changes: object) -> Bar:
    values = {"ts_open_ns": 60, "open": 100, "high": 101, "low": 90, "close": 96, "volume": "3.7", "trade_count": 5}
    values.update(changes)
    numbers = {name: Decimal(str(values[name])) for name in ("open", "high", "low", "close", "volume")}
    return Bar(ts_open_ns=60, trade_count=int(str(values["trade_count"])), **numbers)


@pytest.mark.parametrize("changes", [{}, {"open": 101}, {"close": 95}, {"volume": "3.70"}])
def test_a_bar_that_the_trades_can_make_agrees(changes: dict[str, object]) -> None:
    assert differences(ONE, told(**changes)) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"open": 90}, "open 100, told 90"),
        ({"close": 90}, "close 96, told 90"),
        ({"high": 102}, "high 101, told 102"),
        ({"low": 91}, "low 90, told 91"),
        ({"volume": "3.69"}, "volume 3.7, told 3.69"),
        ({"trade_count": 4}, "trade_count 5, told 4"),
    ],
)
def test_every_value_that_differs_is_named_with_both(changes: dict[str, object], words: str) -> None:
    assert differences(ONE, told(**changes)) == words


def test_an_empty_interval_agrees_with_an_empty_bar_alone() -> None:
    assert differences([], told(volume=0, trade_count=0)) == ""
    assert "5 told" in differences([], told())


def test_sums_of_many_digits_are_exact() -> None:
    (bar,) = build(prints((0, "1", "12345678901234567890.123456789012345678"), (1, "1", "0.000000000000000001")), 60)
    assert bar.volume == Decimal("12345678901234567890.123456789012345679")


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 9), st.integers(1, 9)), max_size=40))
def test_what_is_built_agrees_with_its_own_trades_and_holds_every_trade_once(items: list[tuple[int, int, int]]) -> None:
    trades = [(ts, Decimal(price), Decimal(size)) for ts, price, size in sorted(items, key=lambda item: item[0])]
    bars = list(build(trades, SPAN_NS))
    for bar in bars:
        own = [one for one in trades if bar.ts_open_ns <= one[0] < bar.ts_open_ns + SPAN_NS]
        assert differences(own, bar) == ""
    assert sum(bar.trade_count for bar in bars) == len(trades)
    assert sum(bar.volume for bar in bars) == sum(size for _, _, size in trades)


@pytest.mark.recordings
@pytest.mark.skipif(not RECORDED.is_dir(), reason="no recordings: ../shared/data is absent beside the project")
@pytest.mark.parametrize("coin", ["BTC", "ETH", "WLFI"])
def test_recorded_trades_make_bars_that_join_where_one_ends_and_the_next_begins(coin: str) -> None:
    with (RECORDED / f"djienne_20250904_trades_{coin}.csv").open() as file:
        rows = {(row["exchange_timestamp"], row["trade_id"]): row for row in csv.DictReader(file)}
    trades = [
        (int(row["exchange_timestamp"]) * 10**6, Decimal(row["price"]), Decimal(row["size"])) for row in rows.values()
    ]
    ordered = sorted(trades, key=lambda one: one[0])  # stable: the order of arrival within a moment
    bars = list(build(ordered, 60 * 10**9))
    assert 30 <= len(bars) <= 37
    assert sum(bar.trade_count for bar in bars) == len(trades)
    for bar in bars:
        own = [one for one in ordered if bar.ts_open_ns <= one[0] < bar.ts_open_ns + 60 * 10**9]
        assert differences(own, bar) == ""
        assert differences(own[1:], bar) != ""
