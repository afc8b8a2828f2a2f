"""What Binance is asked for, at which price, and which requests fill which gap."""

from __future__ import annotations

import msgspec
import pytest

from everytick.errors import Refused
from everytick.model.ledger import Gap, GapKind, GapState
from everytick.model.stream import Kind, Stream
from everytick.venues import binance
from everytick.venues.binance.requests import PAGES_MAX

MS = 1_000_000


def gap(kind: Kind, first_id: int = -1, last_id: int = -1, from_ms: int = 0, to_ms: int = 0) -> Gap:
    stream = Stream("binance", kind, "BTCUSDT", "1m" if kind is Kind.CANDLES else "")
    return Gap(
        stream, from_ms * MS, to_ms * MS, 1, GapKind.PROVED, "cut", GapState.OPEN, -1, first_id, last_id, to_ms * MS
    )


def paths(found: Gap) -> list[str]:
    return [request.path.removeprefix("/api/v3/") for request in binance.history(found) or ()]


def test_missing_trades_are_asked_for_by_exactly_their_ids():
    assert paths(gap(Kind.TRADES, 7, 7)) == ["historicalTrades?symbol=BTCUSDT&fromId=7&limit=1"]
    assert paths(gap(Kind.TRADES, 1, 2_500)) == [
        "historicalTrades?symbol=BTCUSDT&fromId=1&limit=1000",
        "historicalTrades?symbol=BTCUSDT&fromId=1001&limit=1000",
        "historicalTrades?symbol=BTCUSDT&fromId=2001&limit=500",
    ]
    assert paths(gap(Kind.AGG_TRADES, 7, 9)) == ["aggTrades?symbol=BTCUSDT&fromId=7&limit=3"]


def test_missing_candles_are_asked_for_by_time_in_pages_of_a_thousand():
    start = 1_723_161_240_000
    assert paths(gap(Kind.CANDLES, from_ms=start, to_ms=start + 120_000)) == [
        f"klines?symbol=BTCUSDT&interval=1m&startTime={start}&endTime={start + 120_000}&limit=1000"
    ]
    assert len(paths(gap(Kind.CANDLES, from_ms=start, to_ms=start + 2_500 * 60_000))) == 3


def test_what_the_venue_does_not_keep_has_no_history():
    assert binance.history(gap(Kind.QUOTES)) is None
    assert binance.history(gap(Kind.BOOKS)) is None
    assert binance.history(gap(Kind.TRADES)) is None


def test_a_huge_gap_is_asked_for_in_part_and_never_without_bound():
    assert len(paths(gap(Kind.TRADES, 0, 10**12))) == PAGES_MAX


def test_the_tape_keeps_the_question_of_a_request_without_a_body():
    request = binance.historical_trades("BTCUSDT", 5, 10)
    assert (request.method, request.weight, request.said) == ("GET", 25, "symbol=BTCUSDT&fromId=5&limit=10")
    assert msgspec.structs.replace(request, body=b'{"a":1}').said == '{"a":1}'


def test_each_request_costs_what_is_documented():
    found = [binance.recent_trades("X"), binance.agg_trades("X", 1), binance.klines("X", "1m", 0, 1)]
    assert [request.weight for request in (*found, binance.depth("X"), binance.server_time())] == [25, 4, 2, 5, 1]
    assert binance.exchange_info("X").weight == 20


@pytest.mark.parametrize(
    "ask",
    [
        lambda: binance.historical_trades("BTCUSDT", -1),
        lambda: binance.historical_trades("BTCUSDT", 1, 1_001),
        lambda: binance.historical_trades("BTCUSDT", 1, 0),
        lambda: binance.klines("BTCUSDT", "7m", 0, 1),
        lambda: binance.klines("BTCUSDT", "1m", 2, 1),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_before_it_is_sent(ask):
    with pytest.raises(Refused):
        ask()


def test_the_used_weight_is_read_from_the_headers_whatever_their_case():
    assert binance.used_weight({"x-mbx-used-weight-1m": "2399", "Date": "x"}) == 2399
    for headers in ({}, {"X-MBX-USED-WEIGHT-1M": "many"}, {"X-MBX-USED-WEIGHT-1M": "9" * 40}):
        assert binance.used_weight(headers) == -1
