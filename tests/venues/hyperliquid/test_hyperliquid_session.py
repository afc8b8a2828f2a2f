"""A connection's conversation: everything asked once, every ack understood, no line kept that is mute."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hyperliquid_samples import good_messages, message
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.errors import Refused
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.venues import hyperliquid


def stream(kind: Kind, coin: str = "BTC", interval: str = "") -> Stream:
    return Stream("hyperliquid", kind, coin, interval)


ALL = [
    stream(Kind.TRADES),
    stream(Kind.TRADES, "kPEPE"),
    stream(Kind.CANDLES, interval="1m"),
    stream(Kind.CANDLES, interval="5m"),
    stream(Kind.QUOTES),
    stream(Kind.BOOKS),
    stream(Kind.MIDS),
    stream(Kind.MIDS, "ETH"),
    stream(Kind.CONTEXTS),
]


def ack(**subscription: object) -> bytes:
    return message("subscriptionResponse", {"method": "subscribe", "subscription": subscription})


def asked(messages) -> list[dict]:
    documents = [json.loads(text) for text in messages]
    assert {document["method"] for document in documents} <= {"subscribe"}
    return [document["subscription"] for document in documents]


def opened(*streams: Stream, mono_ns: int = 0):
    session = hyperliquid.session(streams)
    session.open(mono_ns)
    return session


def test_each_distinct_subscription_is_asked_for_once():
    assert asked(hyperliquid.session([*ALL, *ALL]).open(0)) == [
        {"type": "trades", "coin": "BTC"},
        {"type": "trades", "coin": "kPEPE"},
        {"type": "candle", "coin": "BTC", "interval": "1m"},
        {"type": "candle", "coin": "BTC", "interval": "5m"},
        {"type": "bbo", "coin": "BTC"},
        {"type": "l2Book", "coin": "BTC"},
        {"type": "allMids"},
        {"type": "activeAssetCtx", "coin": "BTC"},
    ]


def test_the_wire_form_is_the_documented_one():
    assert hyperliquid.session([stream(Kind.TRADES)]).open(0) == [
        b'{"method":"subscribe","subscription":{"type":"trades","coin":"BTC"}}'
    ]


def test_acks_confirm_by_type_coin_and_interval_whatever_else_they_echo():
    session = opened(*ALL)
    assert session.unconfirmed() == ALL
    session.receive([ack(type="l2Book", coin="BTC", nSigFigs=None, mantissa=None, fast=False)], 1)
    session.receive([ack(type="candle", coin="BTC", interval="5m")], 2)
    session.receive([ack(coin="BTC", type="trades")], 3)
    assert session.unconfirmed() == [ALL[1], ALL[2], ALL[4], ALL[6], ALL[7], ALL[8]]
    session.receive([ack(type="allMids", dex=None)], 4)
    assert ALL[6] not in session.unconfirmed()
    assert ALL[7] not in session.unconfirmed()


def test_names_differ_by_case():
    session = opened(stream(Kind.TRADES, "kPEPE"))
    session.receive([ack(type="trades", coin="KPEPE")], 1)
    assert len(session.unconfirmed()) == 1


def test_a_repeated_subscribe_is_a_confirmed_one():
    session = opened(stream(Kind.TRADES), stream(Kind.CANDLES, interval="1m"))
    session.receive([message("error", 'Already subscribed: {"type":"trades","coin":"BTC"}')], 1)
    session.receive([message("error", 'Already subscribed: {"coin":"BTC","interval":"1m","type":"candle"}')], 2)
    assert session.unconfirmed() == []


@pytest.mark.parametrize(
    "payload",
    [
        b"Websocket connection established.",
        b'{"channel":"pong"}',
        b"",
        b"\xff",
        b"[" * 100_000,
        message("error", "Error parsing JSON into valid websocket request: {}"),
        message("error", "Already subscribed: nonsense"),
        message("error", "Already subscribed: "),
        message("error", {"text": "no text"}),
        message("subscriptionResponse", {"method": "unsubscribe", "subscription": {"type": "trades", "coin": "BTC"}}),
        message("subscriptionResponse", None),
        ack(type="trades"),
        ack(type="trades", coin="ETH"),
        ack(type="candle", coin="BTC", interval="1m"),
        message("trades", []),
        message("new", {"type": "trades", "coin": "BTC"}),
    ],
    ids=range(16),
)
def test_nothing_else_confirms_a_subscription_and_nothing_raises(payload):
    session = opened(stream(Kind.TRADES))
    session.receive([payload], 1)
    assert session.unconfirmed() == [stream(Kind.TRADES)]


def test_unconfirmed_subscriptions_are_asked_again_and_confirmed_ones_are_not():
    session = opened(*ALL[:3])
    session.receive([ack(type="trades", coin="BTC")], NS_PER_S)
    assert session.tick(9 * NS_PER_S).send == []
    again = session.tick(10 * NS_PER_S).send
    assert asked(again) == [
        {"type": "trades", "coin": "kPEPE"},
        {"type": "candle", "coin": "BTC", "interval": "1m"},
    ]
    assert session.tick(11 * NS_PER_S).send == []


def test_asking_again_is_bounded_and_starves_nobody():
    coins = [stream(Kind.TRADES, f"C{number}") for number in range(250)]
    session = opened(*coins)
    seen: set[str] = set()
    for turn in range(1, 4):
        now_ns = turn * 10 * NS_PER_S
        session.receive([b'{"channel":"pong"}'], now_ns)
        again = asked(session.tick(now_ns).send)
        assert len(again) == 100
        seen |= {subscription["coin"] for subscription in again}
    assert len(seen) == 250


def test_a_silent_line_is_pinged_and_the_pong_keeps_it():
    session = opened(*ALL, mono_ns=100 * NS_PER_S)
    for subscription in asked(hyperliquid.session(ALL).open(0)):
        session.receive([ack(**subscription)], 100 * NS_PER_S)
    assert session.unconfirmed() == []
    pings = []
    for second in range(100, 400):
        tick = session.tick(second * NS_PER_S)
        assert tick.close == ""
        if tick.send:
            assert tick.send == [b'{"method":"ping"}']
            pings.append(second)
            session.receive([b'{"channel":"pong"}'], second * NS_PER_S + 40_000_000)
    assert 10 <= len(pings) <= 15
    assert max(after - before for before, after in pairwise(pings)) < 60


def test_a_busy_line_is_never_pinged():
    session = opened(stream(Kind.TRADES))
    session.receive([ack(type="trades", coin="BTC")], 0)
    for second in range(200):
        session.receive([good_messages()[0]], second * NS_PER_S)
        assert session.tick(second * NS_PER_S + 1).send == []


def test_a_mute_line_is_given_up_before_the_venue_would_close_it():
    session = opened(stream(Kind.TRADES))
    pings, closed_at_s = [], 0
    for second in range(1, 100):
        tick = session.tick(second * NS_PER_S)
        if tick.close:
            closed_at_s = second
            break
        if b'{"method":"ping"}' in tick.send:
            pings.append(second)
    assert tick.close == "mute"
    assert closed_at_s == 50
    assert pings == [20, 40]


def test_opening_again_begins_anew():
    session = opened(stream(Kind.TRADES))
    session.receive([ack(type="trades", coin="BTC")], 1)
    assert session.unconfirmed() == []
    assert len(session.open(500 * NS_PER_S)) == 1
    assert session.unconfirmed() == [stream(Kind.TRADES)]
    assert session.tick(501 * NS_PER_S).close == ""


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30 * NS_PER_S), st.binary(max_size=30) | st.sampled_from(good_messages()))))
def test_no_bytes_at_any_time_upset_a_session(arrivals):
    session = opened(*ALL)
    now_ns = 0
    for pause_ns, payload in arrivals:
        now_ns += pause_ns
        session.receive([payload], now_ns)
        tick = session.tick(now_ns)
        assert tick.close == ""
        assert len(tick.send) <= len(ALL) + 1
    assert session.unconfirmed() == ALL


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Stream("coinbase", Kind.TRADES, "BTC-USD"), "not a stream of hyperliquid"),
        (stream(Kind.TRADES, ""), "no instrument's name"),
        (stream(Kind.TRADES, "B TC"), "no instrument's name"),
        (stream(Kind.MIDS, "B\nTC"), "no instrument's name"),
        (stream(Kind.CANDLES, interval="2m"), "one of 1m, 3m"),
        (stream(Kind.CANDLES), "one of 1m, 3m"),
        (stream(Kind.CONTEXTS, "@107"), "spot pair"),
        (stream(Kind.CONTEXTS, "PURR/USDC"), "spot pair"),
    ],
)
def test_a_stream_that_cannot_be_carried_is_refused_with_the_way_out(wrong, words):
    with pytest.raises(Refused, match=words):
        hyperliquid.session([stream(Kind.TRADES), wrong])


def test_more_subscriptions_than_the_venue_allows_are_refused():
    coins = [stream(Kind.TRADES, f"C{number}") for number in range(1_001)]
    assert len(hyperliquid.session(coins[:1_000]).open(0)) == 1_000
    with pytest.raises(Refused, match="1001 subscriptions, and the venue allows 1000"):
        hyperliquid.session(coins)
