"""Questions to POST /info: their bytes, and a weight that the answer can never exceed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core.validate import Invalid
from everytick.errors import Refused
from everytick.model.ledger import Gap, GapKind, GapState
from everytick.model.stream import Kind, Stream
from everytick.venues import hyperliquid

MINUTE_MS = 60_000
START_MS = 1_737_918_840_000


def gap(kind: Kind, from_ms: int, to_ms: int, interval: str = "") -> Gap:
    stream = Stream("hyperliquid", kind, "BTC", interval)
    return Gap(
        stream, from_ms * 1_000_000, to_ms * 1_000_000, 5, GapKind.SUSPECTED, "cut", GapState.OPEN, -1, -1, -1, 0
    )


@pytest.mark.parametrize(
    ("request_", "body", "weight"),
    [
        (hyperliquid.recent_trades("BTC"), {"type": "recentTrades", "coin": "BTC"}, 21),
        (hyperliquid.meta(), {"type": "meta"}, 20),
        (hyperliquid.meta_and_asset_ctxs(), {"type": "metaAndAssetCtxs"}, 20),
        (hyperliquid.all_mids(), {"type": "allMids"}, 2),
        (hyperliquid.l2_book("@107"), {"type": "l2Book", "coin": "@107"}, 2),
        (
            hyperliquid.candle_snapshot("BTC", "1m", START_MS, START_MS + 99 * MINUTE_MS),
            {
                "type": "candleSnapshot",
                "req": {"coin": "BTC", "interval": "1m", "startTime": START_MS, "endTime": START_MS + 99 * MINUTE_MS},
            },
            22,
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_request_is_the_documented_question_at_the_documented_price(request_, body, weight):
    assert json.loads(request_.body) == body
    assert (request_.name, request_.method, request_.path, request_.weight) == (body["type"], "POST", "/info", weight)


def test_a_full_page_of_candles_costs_what_the_venue_says():
    assert hyperliquid.candle_snapshot("BTC", "1m", 0, START_MS).weight == 20 + 84


@settings(derandomize=True, max_examples=200)
@given(st.integers(0, 2 * 10**12), st.integers(0, 10**9))
def test_the_weight_covers_every_bar_the_answer_can_hold(start_ms, length_ms):
    request = hyperliquid.candle_snapshot("BTC", "1m", start_ms, start_ms + length_ms)
    first_bar, last_bar = start_ms // MINUTE_MS, (start_ms + length_ms) // MINUTE_MS
    bars = min(last_bar - first_bar + 1, 5_000)
    assert request.weight >= 20 + bars / 60
    assert request.weight <= 20 + 84


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CANDLES])
def test_the_venue_keeps_no_history_but_candles(kind):
    assert hyperliquid.history(gap(kind, START_MS, START_MS + MINUTE_MS)) is None


def test_a_gap_of_candles_is_asked_for_from_end_to_end():
    (request,) = hyperliquid.history(gap(Kind.CANDLES, START_MS, START_MS + 10 * MINUTE_MS, "1m"))
    asked = json.loads(request.body)["req"]
    assert (asked["startTime"], asked["endTime"]) == (START_MS, START_MS + 10 * MINUTE_MS)
    assert (asked["coin"], asked["interval"]) == ("BTC", "1m")


def test_no_more_candles_are_asked_for_than_the_venue_keeps():
    (request,) = hyperliquid.history(gap(Kind.CANDLES, 0, START_MS, "1m"))
    asked = json.loads(request.body)["req"]
    assert asked["endTime"] == START_MS
    assert (asked["endTime"] - asked["startTime"]) // MINUTE_MS + 1 == 5_000


@pytest.mark.parametrize(
    ("interval", "start_ms", "end_ms"), [("2m", 0, 1), ("", 0, 1), ("1m", 2, 1), ("1m", -1, 1), ("1m", 0, 10**30)]
)
def test_a_question_without_sense_is_refused_before_it_is_sent(interval, start_ms, end_ms):
    with pytest.raises(Refused):
        hyperliquid.candle_snapshot("BTC", interval, start_ms, end_ms)


def test_a_coin_is_checked_before_it_is_sent():
    with pytest.raises(Invalid):
        hyperliquid.l2_book("B TC")
