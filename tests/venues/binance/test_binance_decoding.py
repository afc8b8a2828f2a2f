"""What Binance's messages mean, what is refused of them, and that no bytes at all can stop the decoder."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from binance_samples import (
    GOOD,
    RECV_NS,
    TIME_MS,
    agg_trade,
    book,
    combined,
    decode,
    decode_reply,
    frame,
    kline,
    past_agg_trade,
    past_kline,
    past_trade,
    quote,
    trade,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core.validate import REASONS
from everytick.model.event import (
    Answered,
    BookSnapshot,
    Candle,
    CandleState,
    Decoded,
    Level,
    Notice,
    Quote,
    Side,
    Trade,
)
from everytick.model.frame import FrameKind
from everytick.model.stream import Kind, Stream
from everytick.venues import binance
from everytick.venues.binance import decoding

TRADES = Stream("binance", Kind.TRADES, "BTCUSDT")
QUESTION = "symbol=BTCUSDT&fromId=100&limit=1000"
EARLY_MS = 1_723_161_000_000


def one(decoded: Decoded) -> object:
    assert decoded.refusals == []
    (event,) = decoded.events
    return event


def refused(decoded: Decoded) -> tuple[str, str]:
    assert decoded.events == []
    (refusal,) = decoded.refusals
    return refusal.reason, refusal.path


def test_a_trade_keeps_its_exact_text_and_a_buying_maker_means_a_selling_aggressor():
    found = one(decode(combined("btcusdt@trade", trade())))
    assert found == Trade(
        TRADES, TIME_MS * 10**6, 3735683259, Decimal("61837.63000000"), Decimal("0.02000000"), Side.SELL
    )
    assert str(found.price) == "61837.63000000"
    assert one(decode(combined("btcusdt@trade", trade(m=False)))).side is Side.BUY


def test_an_aggregate_trade_is_a_trade_of_another_kind_of_stream_with_an_id_of_its_own():
    found = one(decode(combined("btcusdt@aggTrade", agg_trade())))
    assert (found.stream.kind, found.trade_id, found.side) == (Kind.AGG_TRADES, 12345, Side.BUY)


def test_an_event_without_its_wrapping_is_the_same_event():
    for data in (trade(), agg_trade(), quote(), kline()):
        name = {"trade": "trade", "aggTrade": "aggTrade", "kline": "kline_1m"}.get(data.get("e", ""), "bookTicker")
        assert decode(json.dumps(data).encode()) == decode(combined(f"btcusdt@{name}", data))


def test_a_quote_has_the_time_of_its_receipt_and_no_price_on_an_empty_side():
    found = one(decode(combined("btcusdt@bookTicker", quote(a="0.00000000", A="0.00000000"))))
    assert found == Quote(
        Stream("binance", Kind.QUOTES, "BTCUSDT"), RECV_NS, Decimal("61837.63"), Decimal("3.78826"), None, None
    )


def test_a_partial_book_belongs_to_the_symbol_of_its_stream():
    found = one(decode(combined("btcusdt@depth20@100ms", book())))
    assert found == BookSnapshot(
        Stream("binance", Kind.BOOKS, "BTCUSDT"),
        RECV_NS,
        (Level(Decimal("0.0024"), Decimal(10)), Level(Decimal("0.0023"), Decimal(0))),
        (Level(Decimal("0.0026"), Decimal(100)),),
    )
    assert refused(decode(json.dumps(book()).encode())) == ("unsupported", "stream")


def test_the_venues_own_word_closes_a_candle():
    for is_closed, state in ((False, CandleState.FORMING), (True, CandleState.CLOSED)):
        found = one(decode(combined("btcusdt@kline_1m", kline(x=is_closed))))
        assert isinstance(found, Candle)
        assert (found.stream.interval, found.state, found.trade_count) == ("1m", state, 100)
        assert found.ts_close_ns - found.ts_open_ns == 60 * 10**9


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b'{"result":null,"id":1}', "ack"),
        (b'{"result":["btcusdt@trade"],"id":2}', "ack"),
        (b'{"code":2,"msg":"Invalid request","id":1}', "error"),
        (b'{"error":{"code":2,"msg":"Invalid request"},"id":1}', "error"),
        (b'{"e":"serverShutdown","E":1770123456789}', "shutdown"),
        (combined("", {"e": "serverShutdown", "E": 1770123456789}), "shutdown"),
        (combined("btcusdt@depth@100ms", {"e": "depthUpdate", "s": "BTCUSDT"}), "depth_diff"),
        (b'{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[],"a":[]}', "depth_diff"),
    ],
)
def test_what_is_no_market_data_is_a_notice_of_its_kind(payload: bytes, kind: str):
    assert isinstance(one(decode(payload)), Notice)
    assert one(decode(payload)).kind == kind


@pytest.mark.parametrize(
    ("stream", "data", "reason", "path"),
    [
        ("btcusdt@trade", trade(p="NaN"), "not_finite", "data.p"),
        ("btcusdt@trade", trade(p="1_000"), "not_a_decimal", "data.p"),
        ("btcusdt@trade", trade(p=61837.63), "wrong_type", "data.p"),
        ("btcusdt@trade", trade(q="0.00000000"), "zero", "data.q"),
        ("btcusdt@trade", trade(q="-1"), "negative", "data.q"),
        ("btcusdt@trade", trade(t=-1), "id_out_of_range", "data.t"),
        ("btcusdt@trade", trade(t=2**63), "id_out_of_range", "data.t"),
        ("btcusdt@trade", trade(T=TIME_MS * 1000), "time_in_microseconds", "data.T"),
        ("btcusdt@trade", trade(T=TIME_MS // 1000), "time_in_seconds", "data.T"),
        ("btcusdt@trade", trade(T=TIME_MS + 8 * 3_600_000), "future", "data.T"),
        ("btcusdt@trade", trade(m="true"), "wrong_type", "data.m"),
        ("btcusdt@trade", trade(s="BTC USDT"), "bad_instrument", "data.s"),
        ("btcusdt@trade", {"s": "BTCUSDT"}, "missing_field", "data.T"),
        ("btcusdt@trade", [], "wrong_type", "data"),
        ("btcusdt@kline_1m", kline(i="7m"), "bad_interval", "data.k.i"),
        ("btcusdt@kline_1m", kline(h="1.01"), "impossible_candle", "data.k"),
        ("btcusdt@kline_1m", kline(x=1), "wrong_type", "data.k.x"),
        ("btcusdt@depth20@100ms", book(bids=[["1", "1", "1"]]), "wrong_type", "data.bids[0]"),
        ("btcusdt@depth20@100ms", book(asks=[["1", "1"], ["0", "1"]]), "zero", "data.asks[1][0]"),
        ("@depth20@100ms", book(), "bad_instrument", "stream"),
        ("btcusdt@bookTicker", quote(b="x"), "not_a_decimal", "data.b"),
        ("btcusdt@surprise", {"x": 1}, "unknown_channel", "stream"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(stream: str, data: object, reason: str, path: str):
    assert refused(decode(combined(stream, data))) == (reason, path)


def test_a_bare_nan_spoils_its_own_value_and_not_the_frame():
    payload = combined("btcusdt@trade", trade()).replace(b'"61837.63000000"', b"NaN")
    assert refused(decode(payload)) == ("not_finite", "data.p")


def test_past_trades_say_how_far_the_answer_is_complete():
    decoded = decode_reply("historicalTrades", QUESTION, [past_trade(100), past_trade(102)])
    first, second, answered = decoded.events
    assert (first.stream, first.trade_id, second.trade_id, first.side) == (TRADES, 100, 102, Side.SELL)
    assert answered == Answered(TRADES, first_id=100, last_id=102)


def test_an_answer_with_one_bad_trade_keeps_the_others_and_proves_nothing():
    decoded = decode_reply("historicalTrades", QUESTION, [past_trade(100), past_trade(101, price="0"), past_trade(102)])
    assert [event.trade_id for event in decoded.events] == [100, 102]
    assert [(r.index, r.reason, r.path) for r in decoded.refusals] == [(1, "zero", "body[1].price")]


@pytest.mark.parametrize("body", [[past_trade(102), past_trade(101)], [past_trade(99)], []])
def test_an_answer_out_of_order_or_empty_proves_nothing(body: list[object]):
    decoded = decode_reply("historicalTrades", QUESTION, body)
    assert not any(isinstance(event, Answered) for event in decoded.events)
    assert decoded.refusals == []


def test_recent_trades_have_no_bounds_to_be_complete_within():
    decoded = decode_reply("trades", "symbol=BTCUSDT&limit=1000", [past_trade(5), past_trade(6)])
    assert [type(event) for event in decoded.events] == [Trade, Trade]


def test_past_aggregate_trades_are_complete_by_their_own_ids():
    decoded = decode_reply("aggTrades", QUESTION, [past_agg_trade(100), past_agg_trade(101)])
    stream = Stream("binance", Kind.AGG_TRADES, "BTCUSDT")
    assert [event.trade_id for event in decoded.events[:2]] == [100, 101]
    assert decoded.events[2] == Answered(stream, first_id=100, last_id=101)


def test_past_candles_are_closed_where_another_follows_and_complete_in_time():
    question = f"symbol=BTCUSDT&interval=1m&startTime={EARLY_MS}&endTime={EARLY_MS + 179_999}&limit=1000"
    decoded = decode_reply("klines", question, [past_kline(EARLY_MS), past_kline(EARLY_MS + 60_000)])
    first, second, answered = decoded.events
    assert (first.state, second.state) == (CandleState.CLOSED, CandleState.FORMING)
    assert (first.ts_open_ns, str(first.high), str(first.volume)) == (EARLY_MS * 10**6, "1.25", "10.5")
    assert (answered.from_ns, answered.to_ns) == (EARLY_MS * 10**6, (EARLY_MS + 180_000) * 10**6 - 1)


def test_a_full_page_of_candles_is_complete_only_to_its_last_bar():
    question = f"symbol=BTCUSDT&interval=1m&startTime={EARLY_MS}&endTime={EARLY_MS + 600_000}&limit=1"
    answered = decode_reply("klines", question, [past_kline(EARLY_MS)]).events[-1]
    assert answered.to_ns == (EARLY_MS + 60_000) * 10**6 - 1


def test_a_bad_candle_of_an_answer_is_refused_alone():
    question = f"symbol=BTCUSDT&interval=1m&startTime={EARLY_MS}&endTime={EARLY_MS + 600_000}&limit=1000"
    decoded = decode_reply("klines", question, [past_kline(EARLY_MS, at_2="1.00"), past_kline(EARLY_MS + 60_000), [1]])
    assert [type(event) for event in decoded.events] == [Candle]
    assert [(r.reason, r.path) for r in decoded.refusals] == [
        ("impossible_candle", "body[0]"),
        ("wrong_type", "body[2]"),
    ]


@pytest.mark.parametrize(
    ("name", "question", "body", "status", "reason"),
    [
        ("historicalTrades", "fromId=1", [], 200, "bad_instrument"),
        ("klines", "symbol=BTCUSDT&interval=9m", [], 200, "bad_interval"),
        ("klines", "symbol=BTCUSDT&interval=1m", {"code": -1}, 200, "wrong_type"),
        ("historicalTrades", QUESTION, b"[", 200, "broken_json"),
        ("historicalTrades", QUESTION, {"code": -1003}, 429, "bad_status"),
        ("ticker", QUESTION, [], 200, "unknown_request"),
    ],
)
def test_an_unusable_answer_is_refused_whole(name: str, question: str, body: object, status: int, reason: str):
    assert refused(decode_reply(name, question, body, status))[0] == reason


def test_answers_about_the_venue_itself_are_notices():
    for name in ("time", "exchangeInfo"):
        assert one(decode_reply(name, "", {"serverTime": 1})).kind == "meta"
    assert isinstance(one(decode_reply("depth", "symbol=BTCUSDT&limit=20", book())), BookSnapshot)


def both_ways(payload: bytes) -> Decoded:
    decoded = decode(payload)
    assert decoded == decoding.decode_message_carefully(payload, RECV_NS)
    assert decoded.events or decoded.refusals
    assert all(refusal.reason in REASONS and len(refusal.value) <= 120 for refusal in decoded.refusals)
    return decoded


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["1.5", "0", "-1", "NaN", "1_0", "BTCUSDT", "1m", "trade", TIME_MS, TIME_MS // 1000, 1.0, ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)
PIECES = [*(bytes([byte]) for byte in b'0-.e",:[]{}\\ '), b"", b"NaN", b"null", b"\xff", b"9" * 25]


@settings(derandomize=True, max_examples=400, deadline=None)
@given(stream=st.sampled_from(sorted(GOOD)), data=st.data())
def test_both_readers_agree_on_any_change_of_any_field(stream: str, data: st.DataObject):
    sent = json.loads(json.dumps(GOOD[stream]))
    target = sent.get("k", sent)
    name = data.draw(st.sampled_from(sorted(target)))
    if data.draw(st.booleans()):
        target[name] = data.draw(values)
    else:
        del target[name]
    both_ways(combined(stream, sent))


@settings(derandomize=True, max_examples=400, deadline=None)
@given(stream=st.sampled_from(sorted(GOOD)), data=st.data())
def test_both_readers_agree_on_any_change_of_any_bytes(stream: str, data: st.DataObject):
    payload = combined(stream, GOOD[stream])
    at = data.draw(st.integers(0, len(payload)))
    cut = data.draw(st.integers(0, 3))
    both_ways(payload[:at] + data.draw(st.sampled_from(PIECES)) + payload[at + cut :])


@settings(derandomize=True, max_examples=200, deadline=None)
@given(name=st.text(max_size=20) | st.sampled_from(["btcusdt@trade", "@", "x@depth", "@kline_"]), data=values)
def test_both_readers_agree_on_any_stream_with_any_data(name: str, data: object):
    both_ways(combined(name, data))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(bad=values, place=st.integers(0, 2), field=st.sampled_from(sorted(past_trade(1))))
def test_the_neighbours_of_any_bad_past_trade_survive(bad: object, place: int, field: str):
    trades = [past_trade(number) for number in (100, 101, 102)]
    trades[place][field] = bad
    decoded = decode_reply("historicalTrades", QUESTION, trades)
    kept = [event.trade_id for event in decoded.events if isinstance(event, Trade)]
    assert set(kept) >= {100, 101, 102} - {100 + place}
    assert {refusal.index for refusal in decoded.refusals} <= {place}


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    name=st.sampled_from(["trades", "historicalTrades", "aggTrades", "klines", "depth", "time"]),
    question=st.text(max_size=30) | st.sampled_from([QUESTION, "symbol=BTCUSDT&interval=1m&startTime=1&endTime=2"]),
    body=st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()),
)
def test_no_answer_to_any_question_makes_the_decoder_raise(name: str, question: str, body: bytes):
    decoded = decode_reply(name, question, body)
    assert decoded.events or decoded.refusals


def test_frames_about_the_connection_hold_nothing():
    assert binance.decode(frame(b"{}", FrameKind.CONNECT)) == Decoded([], [])
