"""The conversation with Binance: few messages, known confirmations, a mute line given up, renewal in time."""

from __future__ import annotations

import json

import pytest

from everytick.errors import Refused
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.venues import binance
from everytick.venues.binance.conversation import ASK_AFTER_NS, ASK_AGAIN_AFTER_NS, MUTE_AFTER_NS
from everytick.venues.binance.rules import LIMITS, RENEW_AFTER_NS, SENDS_PER_SECOND

STREAMS = [
    Stream("binance", Kind.TRADES, "BTCUSDT"),
    Stream("binance", Kind.CANDLES, "BTCUSDT", "1m"),
    Stream("binance", Kind.BOOKS, "ETHUSDT"),
]
NAMES = ["btcusdt@trade", "btcusdt@kline_1m", "ethusdt@depth20@100ms"]


def opened(streams=STREAMS):
    session = binance.session(streams)
    (said,) = session.open(0)
    return session, json.loads(said)


def test_one_message_asks_for_all_streams_and_its_answer_confirms_them():
    session, said = opened()
    assert said == {"method": "SUBSCRIBE", "params": NAMES, "id": 1}
    session.receive([b'{"result":null,"id":9}'], 1)
    assert list(session.unconfirmed()) == STREAMS
    session.receive([b'{"result":null,"id":1}'], 2)
    assert list(session.unconfirmed()) == []


def test_a_thousand_streams_stay_within_five_messages_a_second():
    streams = [Stream("binance", Kind.TRADES, f"C{number}USDT") for number in range(LIMITS.subscriptions_max)]
    session = binance.session(streams)
    said = [json.loads(message) for message in session.open(0)]
    assert len(said) < SENDS_PER_SECOND
    assert [name for message in said for name in message["params"]] == [
        f"{s.instrument.lower()}@trade" for s in streams
    ]
    assert len(session.tick(MUTE_AFTER_NS - 1).send) <= SENDS_PER_SECOND
    with pytest.raises(Refused, match="1024"):
        binance.session([*streams, Stream("binance", Kind.TRADES, "ONEMORE")])


def test_an_error_confirms_nothing_and_the_streams_are_asked_for_again():
    session, _ = opened()
    session.receive([b'{"code":2,"msg":"Invalid request","id":1}'], 1)
    assert session.tick(ASK_AGAIN_AFTER_NS - 1).send == []
    (again,) = session.tick(ASK_AGAIN_AFTER_NS).send
    assert json.loads(again) == {"method": "SUBSCRIBE", "params": NAMES, "id": 2}
    session.receive([b'{"result":null,"id":2}'], ASK_AGAIN_AFTER_NS + 1)
    assert list(session.unconfirmed()) == []


def test_a_silence_is_met_with_a_question_whose_answer_shows_a_lost_stream():
    session, _ = opened()
    session.receive([b'{"result":null,"id":1}'], 0)
    (question,) = session.tick(ASK_AFTER_NS).send
    assert json.loads(question) == {"method": "LIST_SUBSCRIPTIONS", "id": 2}
    session.receive([b'{"result":["btcusdt@trade","ethusdt@depth20@100ms"],"id":2}'], ASK_AFTER_NS + 1)
    assert list(session.unconfirmed()) == [STREAMS[1]]


def test_a_mute_line_is_given_up():
    session, _ = opened()
    assert session.tick(MUTE_AFTER_NS - 1).close == ""
    assert session.tick(MUTE_AFTER_NS).close == "mute"


def test_renewal_is_asked_for_well_before_the_24_hours_and_stays_asked_for():
    session, _ = opened()
    session.receive([b"{}"], RENEW_AFTER_NS - 1)
    assert session.tick(RENEW_AFTER_NS - 1).renew == ""
    session.receive([b"{}"], RENEW_AFTER_NS)
    assert "24 hours" in session.tick(RENEW_AFTER_NS).renew
    assert session.tick(RENEW_AFTER_NS + NS_PER_S).renew
    assert RENEW_AFTER_NS < 24 * 3_600 * NS_PER_S


@pytest.mark.parametrize(
    "notice",
    [
        b'{"e":"serverShutdown","E":1770123456789}',
        b'{"stream":"serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
    ],
)
def test_a_server_that_says_it_goes_is_left_at_once(notice: bytes):
    session, _ = opened()
    session.receive([notice], 5)
    assert session.tick(6).renew


@pytest.mark.parametrize(
    "stream",
    [
        Stream("hyperliquid", Kind.TRADES, "BTCUSDT"),
        Stream("binance", Kind.MIDS, "BTCUSDT"),
        Stream("binance", Kind.CONTEXTS, "BTCUSDT"),
        Stream("binance", Kind.TRADES, "btcusdt"),
        Stream("binance", Kind.TRADES, "BTC/USDT"),
        Stream("binance", Kind.TRADES, ""),
        Stream("binance", Kind.CANDLES, "BTCUSDT", "7m"),
    ],
)
def test_a_stream_that_the_venue_cannot_carry_is_refused(stream: Stream):
    with pytest.raises(Refused):
        binance.session([stream])
