"""What an answer means in the light of its question: whose it is, what it proves, and what it is only compared with."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hyperliquid_samples import (
    ADDRESS,
    RECORDINGS,
    RECV_NS,
    TIME_MS,
    WITHOUT_RECORDINGS,
    account,
    candle,
    decode_reply,
    position,
    trade,
)

from everytick.core.pacing import Priority
from everytick.errors import Refused
from everytick.model.event import Answered, RecentTrades, VaultState
from everytick.model.stream import Kind, Stream
from everytick.venues import hyperliquid

MINUTE_MS = 60_000
NOW_MS = RECV_NS // 1_000_000


def span(start_ms: int, end_ms: int, interval: str = "1m") -> str:
    req = {"coin": "BTC", "interval": interval, "startTime": start_ms, "endTime": end_ms}
    return json.dumps({"type": "candleSnapshot", "req": req})


def answered(body: str, asked: str) -> list[Answered]:
    events = decode_reply("candleSnapshot", body, asked=asked).events
    return [event for event in events if isinstance(event, Answered)]


def test_an_account_is_read_with_its_signs_its_own_time_and_its_worth():
    (state,) = decode_reply(
        "clearinghouseState", json.dumps(account(position(), position("ETH", "2", "3000.5")))
    ).events
    assert isinstance(state, VaultState)
    assert (state.vault, state.ts_event_ns) == (ADDRESS, TIME_MS * 1_000_000)
    btc, eth, none = state.of("BTC"), state.of("ETH"), state.of("SOL")
    assert (btc.size, btc.notional) == (Decimal("-0.00785"), Decimal("-211.64542"))
    assert (eth.size, eth.notional) == (Decimal(2), Decimal("3000.5"))
    assert (none.size, none.notional, none.account_value) == (0, 0, Decimal("1182.312496"))


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (account(worth="lots"), "body.marginSummary.accountValue"),
        (account(marginSummary=...), "body.marginSummary"),
        (account(marginSummary={}), "body.marginSummary.accountValue"),
        (account(time=...), "body.time"),
        (account(position(), position("ETH", "NaN")), "body.assetPositions[1].position.szi"),
        (account(position(), position()), "body.assetPositions"),
    ],
)
def test_an_account_with_one_bad_number_is_refused_whole_and_never_reads_zero(body, path):
    """A10 item 8: a malformed account value became a genuine-looking 0.0."""
    decoded = decode_reply("clearinghouseState", json.dumps(body))
    assert decoded.events == []
    assert [refusal.path for refusal in decoded.refusals] == [path]


def test_recent_trades_are_for_comparing_and_no_part_of_the_record():
    (recent,) = decode_reply("recentTrades", json.dumps([trade(0), trade(1)])).events
    assert isinstance(recent, RecentTrades)
    assert [one.trade_id for one in recent.trades] == [trade(0)["tid"], trade(1)["tid"]]


def test_a_stretch_of_candles_answered_in_full_says_so():
    (found,) = answered(json.dumps([candle()]), span(NOW_MS - 10 * MINUTE_MS, NOW_MS - MINUTE_MS))
    assert found.stream.key == "hyperliquid/candles/BTC/1m"
    assert (found.from_ns, found.to_ns) == (
        (NOW_MS - 10 * MINUTE_MS) * 1_000_000,
        (NOW_MS - MINUTE_MS + 1) * 1_000_000 - 1,
    )


def test_an_answer_proves_nothing_beyond_the_newest_5000_bars_nor_of_what_has_not_happened():
    (found,) = answered("[]", span(0, NOW_MS + 60 * MINUTE_MS))
    assert found.from_ns // 1_000_000 == NOW_MS - 4_999 * MINUTE_MS
    assert found.to_ns < (NOW_MS + 1) * 1_000_000
    assert answered("[]", span(0, NOW_MS - 6_000 * MINUTE_MS)) == []


def test_an_answer_with_a_refused_bar_proves_nothing():
    assert answered(json.dumps([candle(), candle(v="x")]), span(NOW_MS - MINUTE_MS, NOW_MS)) == []


STREAMS = [
    Stream("hyperliquid", Kind.TRADES, "BTC"),
    Stream("hyperliquid", Kind.CANDLES, "BTC", "5m"),
    Stream("hyperliquid", Kind.QUOTES, "BTC"),
    Stream("hyperliquid", Kind.CONTEXTS, "BTC"),
    Stream("hyperliquid", Kind.VAULTS, "BTC"),
]


def test_every_stream_that_can_be_checked_has_its_poll_and_accounts_are_asked_together():
    polls = hyperliquid.polls(STREAMS, [ADDRESS, "0x" + "cd" * 20, ADDRESS], 60)
    assert [poll.name for poll in polls] == [
        "clearinghouseState", "recentTrades BTC", "candleSnapshot BTC 5m", "metaAndAssetCtxs",
    ]  # fmt: skip
    vaults, *checks = polls
    assert [json.loads(one.body)["user"] for one in vaults.ask(RECV_NS)] == [ADDRESS, "0x" + "cd" * 20]
    assert [stream.key for stream in vaults.feeds] == ["hyperliquid/vaults/BTC"]
    assert vaults.priority is Priority.LIVE
    assert all(poll.feeds == () for poll in checks)


def test_the_prices_are_the_venues_own():
    """A10 item 20: the table of weights was wrong: metaAndAssetCtxs is 20, clearinghouseState 2."""
    weights = {poll.name.split()[0]: poll.ask(RECV_NS)[0].weight for poll in hyperliquid.polls(STREAMS, [ADDRESS], 60)}
    assert weights == {"clearinghouseState": 2, "recentTrades": 21, "candleSnapshot": 21, "metaAndAssetCtxs": 20}
    recent = hyperliquid.recent_trades("BTC")
    assert [recent.weight_of(items) for items in (0, 1, 20, 21, 1_000)] == [20, 21, 21, 22, 70]


def test_polls_of_many_coins_stay_within_half_of_the_allowance_and_vaults_are_not_stretched():
    streams = [Stream("hyperliquid", kind, f"C{n}", "") for n in range(200) for kind in (Kind.TRADES, Kind.VAULTS)]
    vaults, *checks = hyperliquid.polls(streams, [ADDRESS], 10)
    assert vaults.every_s == 10
    assert sum(60 / poll.every_s * poll.ask(RECV_NS)[0].weight for poll in checks) <= 600.001


def test_without_accounts_nobody_asks_for_positions():
    assert all(poll.feeds == () for poll in hyperliquid.polls(STREAMS, [], 60))


@pytest.mark.parametrize("address", ["", "0x", "0x" + "g" * 40, "ab" * 20, ADDRESS + " "])
def test_what_is_no_address_is_refused_with_the_way_out(address):
    with pytest.raises(Refused, match="40 hexadecimal digits"):
        hyperliquid.polls(STREAMS, [address], 60)


@pytest.mark.recordings
@pytest.mark.skipif(not RECORDINGS.is_dir(), reason=WITHOUT_RECORDINGS)
def test_a_recorded_account_is_read_once_it_carries_a_time():
    recorded = json.loads((RECORDINGS / "sdk_cassettes" / "get_user_state.json").read_bytes())["response"]
    assert decode_reply("clearinghouseState", json.dumps(recorded)).refusals[0].path == "body.time"  # of March 2023
    (state,) = decode_reply("clearinghouseState", json.dumps({**recorded, "time": TIME_MS})).events
    assert len(state.holdings) == len(recorded["assetPositions"])
    assert state.of("BTC").notional == Decimal("-211.64542")
