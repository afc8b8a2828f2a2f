"""Messages and answers of Hyperliquid become the facts they state; what cannot be true is refused alone."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hyperliquid_samples import (
    RECV_NS,
    TIME_MS,
    bbo,
    book,
    candle,
    context,
    decode,
    decode_reply,
    frame,
    level,
    message,
    trade,
)

from everytick.core.checked import Checked
from everytick.core.validate import REASONS
from everytick.model.control import Connected, control_payload
from everytick.model.event import (
    AssetContext,
    BookSnapshot,
    Candle,
    CandleState,
    Level,
    MidPrices,
    Notice,
    Quote,
    Side,
    Trade,
)
from everytick.model.frame import FrameKind
from everytick.model.stream import Kind, Stream
from everytick.venues import hyperliquid
from everytick.venues.hyperliquid.names import NUMBERS_MAX, POSITIVE

TIME_NS = TIME_MS * 1_000_000
HOUR_MS = 3_600_000


def stream(kind: Kind, coin: str = "BTC", interval: str = "") -> Stream:
    return Stream("hyperliquid", kind, coin, interval)


def test_a_trade_keeps_the_venues_own_digits_time_and_id():
    decoded = decode(message("trades", [trade(px="105056.0", sz="0.00219", side="B", tid=121451470284048)]))
    assert decoded.events == [
        Trade(stream(Kind.TRADES), TIME_NS, 121451470284048, Decimal("105056.0"), Decimal("0.00219"), Side.BUY)
    ]
    assert decoded.refusals == []
    assert [str(decoded.events[0].price), str(decoded.events[0].size)] == ["105056.0", "0.00219"]


def test_the_side_is_the_aggressors():
    buy, sell = decode(message("trades", [trade(side="B"), trade(side="A")])).events
    assert [buy.side, sell.side] == [Side.BUY, Side.SELL]


def test_trades_of_one_frame_keep_the_venues_order():
    decoded = decode(message("trades", [trade(number) for number in (3, 1, 2, 1)]))
    assert [event.trade_id for event in decoded.events] == [trade(number)["tid"] for number in (3, 1, 2, 1)]


def test_one_frame_may_carry_trades_of_several_coins():
    decoded = decode(
        message("trades", [trade(coin=coin) for coin in ("BTC", "kPEPE", "xyz:TSLA", "PURR/USDC", "@107")])
    )
    assert [event.stream.instrument for event in decoded.events] == ["BTC", "kPEPE", "xyz:TSLA", "PURR/USDC", "@107"]


def test_streams_are_made_once_not_once_a_trade():
    first, second = decode(message("trades", [trade(0), trade(1)])).events
    assert first.stream is second.stream


def test_fields_we_do_not_use_may_change_or_go():
    bare = decode(message("trades", [trade(hash=..., users=...)]))
    strange = decode(message("trades", [trade(hash=5, users=None, flags={"new": [1, 2]})]))
    assert bare.events == strange.events == decode(message("trades", [trade()])).events


def test_no_trades_are_no_events_and_no_refusal():
    decoded = decode(message("trades", []))
    assert (decoded.events, decoded.refusals) == ([], [])


def test_a_candle_is_forming_and_its_end_is_exclusive():
    expected = Candle(
        stream(Kind.CANDLES, interval="1m"),
        1_737_918_840_000 * 1_000_000,
        1_737_918_900_000 * 1_000_000,
        Decimal("105056.0"),
        Decimal("105060.0"),
        Decimal("105041.0"),
        Decimal("105049.0"),
        Decimal("3.12345"),
        17,
        CandleState.FORMING,
    )
    assert decode(message("candle", candle())).events == [expected]
    assert decode(message("candle", [candle()])).events == [expected]


def test_a_candle_without_trades_is_a_candle():
    decoded = decode(message("candle", candle(o="5.0", h="5.0", l="5.0", c="5.0", v="0.0", n=0)))
    assert decoded.events[0].volume == 0
    assert decoded.refusals == []


def test_a_month_may_be_short():
    february = candle(i="1M", t=1_738_368_000_000, T=1_740_787_199_999)
    assert decode(message("candle", february), 1_738_400_000_000_000_000).refusals == []


@pytest.mark.parametrize("days", [-1, 0, 32])
def test_a_month_is_never_longer_than_31_days_nor_backwards(days):
    start_ms = 1_735_689_600_000
    month = candle(i="1M", t=start_ms, T=start_ms + days * 24 * HOUR_MS - 1)
    assert [refusal.reason for refusal in decode(message("candle", month)).refusals] == ["impossible_candle"]


@pytest.mark.parametrize(
    "changes",
    [
        {"l": "105050.0"},  # above the close
        {"h": "105050.0"},  # below the open
        {"l": "105061.0", "h": "105040.0"},
        {"T": 1_737_918_900_000},  # one millisecond too long
        {"T": 1_737_918_839_999},  # no length
        {"T": 1_737_918_000_000},  # ends before it begins
        {"i": "5m"},
    ],
)
def test_an_impossible_candle_is_refused(changes):
    decoded = decode(message("candle", candle(**changes)))
    assert decoded.events == []
    assert [refusal.reason for refusal in decoded.refusals] == ["impossible_candle"]


def test_a_quote_may_lack_a_side():
    both, bid_only, neither = (
        decode(message("bbo", bbo(bid, ask))).events[0]
        for bid, ask in ((level("1.5"), level("1.6", "7")), (level("1.5"), None), (None, None))
    )
    one_fifty = Decimal("1.5")
    assert both == Quote(stream(Kind.QUOTES), TIME_NS, one_fifty, one_fifty, Decimal("1.6"), Decimal(7))
    assert bid_only == Quote(stream(Kind.QUOTES), TIME_NS, one_fifty, one_fifty, None, None)
    assert neither == Quote(stream(Kind.QUOTES), TIME_NS, None, None, None, None)


def test_a_level_may_be_of_size_zero():
    quote = decode(message("bbo", bbo(level("1.5", "0.0"), level("1.6", "0.0")))).events[0]
    assert (quote.bid_size, quote.ask_size) == (0, 0)


@pytest.mark.parametrize(
    "at",
    [
        lambda ms: message("trades", [trade(time=ms)]),
        lambda ms: message("bbo", bbo(None, None, time=ms)),
        lambda ms: message("l2Book", book(time=ms)),
        lambda ms: message("candle", candle(t=ms, T=ms + 59_999)),
    ],
    ids=["trades", "bbo", "l2Book", "candle"],
)
def test_every_kind_may_be_sixty_seconds_ahead_of_its_receipt_and_no_more(at):
    edge_ms = RECV_NS // 1_000_000 + 60_000
    assert decode(at(edge_ms)).refusals == []
    assert [refusal.reason for refusal in decode(at(edge_ms + 1)).refusals] == ["future"]


def test_tables_of_checked_texts_never_outgrow_their_bound():
    table = Checked(int, 10)
    for number in range(1_000):
        assert table[str(number)] == number
        assert len(table) <= 10
    for number in range(0, 30_000, 100):
        decode(message("trades", [trade(px=f"{number + item + 1}.5") for item in range(100)]))
    assert len(POSITIVE) <= NUMBERS_MAX


def test_a_refused_text_is_refused_again_each_time():
    for _ in range(3):
        assert decode(message("trades", [trade(px="1_000")])).refusals[0].reason == "not_a_decimal"


def test_a_book_keeps_every_level_in_order():
    assert decode(message("l2Book", book())).events == [
        BookSnapshot(
            stream(Kind.BOOKS),
            TIME_NS,
            (Level(Decimal("105055.0"), Decimal("1.5"), 2), Level(Decimal("105054.0"), Decimal("1.5"), 2)),
            (Level(Decimal("105056.0"), Decimal("1.5"), 2), Level(Decimal("105057.0"), Decimal("0.00219"), 1)),
        )
    ]


def test_an_empty_book_is_a_book():
    assert decode(message("l2Book", book(levels=[[], []]))).events == [
        BookSnapshot(stream(Kind.BOOKS), TIME_NS, (), ())
    ]


def test_one_bad_level_refuses_the_whole_book_and_names_it():
    sides = [[level("2.0"), level("1.0")], [level("3.0"), level("4.0"), level("5.0", "-1")]]
    decoded = decode(message("l2Book", book(levels=sides)))
    assert decoded.events == []
    refusal = decoded.refusals[0]
    assert (refusal.index, refusal.reason, refusal.path, refusal.value) == (
        0,
        "negative",
        "data.levels[1][2].sz",
        "-1",
    )


def test_a_bad_mid_is_refused_by_its_coin_and_the_others_go_on():
    decoded = decode(message("allMids", {"mids": {"BTC": "1.5", "BAD": "NaN", "ODD": 7, "@1": "2", "A B": "3"}}))
    assert decoded.events == [MidPrices("hyperliquid", {"BTC": Decimal("1.5"), "@1": Decimal(2)})]
    assert [(refusal.index, refusal.reason, refusal.path) for refusal in decoded.refusals] == [
        (1, "not_finite", "data.mids.BAD"),
        (2, "wrong_type", "data.mids.ODD"),
        (4, "bad_instrument", "data.mids.A B"),
    ]


def test_a_context_has_signs_where_they_are_facts():
    assert decode(message("activeAssetCtx", {"coin": "BTC", "ctx": context()})).events == [
        AssetContext(
            stream(Kind.CONTEXTS),
            Decimal("27353.17682"),
            Decimal("-0.0000015186"),
            Decimal("77562.0"),
            Decimal("77605.0"),
            Decimal("77558.5"),
            Decimal("-0.0005927453"),
            Decimal("1516669192.1953897476"),
            Decimal("76317.0"),
        )
    ]


@pytest.mark.parametrize("nothing", [None, ...])
def test_reference_prices_of_a_context_may_be_null_or_absent(nothing):
    names = ("midPx", "premium", "oraclePx", "dayNtlVlm", "prevDayPx")
    decoded = decode(message("activeAssetCtx", {"coin": "OLD", "ctx": context(**dict.fromkeys(names, nothing))}))
    event = decoded.events[0]
    assert (event.mid_price, event.premium, event.oracle_price) == (None, None, None)
    assert (event.day_notional_volume, event.previous_day_price) == (None, None)


@pytest.mark.parametrize("name", ["openInterest", "funding", "markPx"])
def test_a_context_without_what_it_is_for_is_refused(name):
    for nothing, reason in ((None, "wrong_type"), (..., "missing_field")):
        decoded = decode(message("activeAssetCtx", {"coin": "@107", "ctx": context(**{name: nothing})}))
        assert [(refusal.reason, refusal.path) for refusal in decoded.refusals] == [(reason, f"data.ctx.{name}")]


def test_a_spot_pairs_context_is_refused_as_unsupported():
    data = {"coin": "@107", "ctx": {"markPx": "24.1", "midPx": "24.1", "circulatingSupply": "3"}}
    assert decode(message("activeSpotAssetCtx", data)).refusals[0].reason == "unsupported"


@pytest.mark.parametrize(
    ("payload", "kind", "text"),
    [
        (b'{"channel":"pong"}', "pong", "null"),
        (b"Websocket connection established.", "greeting", "Websocket connection established."),
        (b'{"channel":"error","data":"Already subscribed: {}"}', "error", '"Already subscribed: {}"'),
        (
            b'{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"allMids"}}}',
            "ack",
            '{"method":"subscribe","subscription":{"type":"allMids"}}',
        ),
    ],
)
def test_what_the_venue_says_about_the_line_is_a_notice(payload, kind, text):
    decoded = decode(payload)
    assert decoded.events == [Notice(kind, text)]
    assert decoded.refusals == []


def test_frames_about_connections_hold_no_events():
    for kind in FrameKind:
        if kind not in (FrameKind.MESSAGE, FrameKind.REPLY):
            decoded = hyperliquid.decode(frame(control_payload(Connected("ws://localhost")), kind))
            assert (decoded.events, decoded.refusals) == ([], [])


BAD_TRADES = [
    ({"px": "NaN"}, "not_finite", "px", "NaN"),
    ({"px": "Infinity"}, "not_finite", "px", "Infinity"),
    ({"sz": "-Infinity"}, "not_finite", "sz", "-Infinity"),
    ({"px": "1_000"}, "not_a_decimal", "px", "1_000"),
    ({"px": "１０５"}, "not_a_decimal", "px", "１０５"),
    ({"px": " 105"}, "not_a_decimal", "px", " 105"),
    ({"px": "1e5"}, "not_a_decimal", "px", "1e5"),
    ({"px": ""}, "not_a_decimal", "px", ""),
    ({"px": "9" * 30}, "too_many_digits", "px", "9" * 30),
    ({"sz": "-0.5"}, "negative", "sz", "-0.5"),
    ({"sz": "0.0"}, "zero", "sz", "0.0"),
    ({"px": 105056.0}, "wrong_type", "px", "105056.0"),
    ({"px": None}, "wrong_type", "px", "None"),
    ({"px": True}, "wrong_type", "px", "True"),
    ({"px": ["1"]}, "wrong_type", "px", "an array of 1"),
    ({"px": ...}, "missing_field", "px", ""),
    ({"tid": "5"}, "wrong_type", "tid", "5"),
    ({"tid": 5.0}, "wrong_type", "tid", "5.0"),
    ({"tid": True}, "wrong_type", "tid", "True"),
    ({"tid": -1}, "id_out_of_range", "tid", "-1"),
    ({"tid": 2**63}, "id_out_of_range", "tid", str(2**63)),
    ({"tid": ...}, "missing_field", "tid", ""),
    ({"time": TIME_MS // 1000}, "time_in_seconds", "time", str(TIME_MS // 1000)),
    ({"time": TIME_MS * 1000}, "time_in_microseconds", "time", str(TIME_MS * 1000)),
    ({"time": TIME_NS}, "time_in_nanoseconds", "time", str(TIME_NS)),
    ({"time": 9_214_646_400_000}, "future", "time", "9214646400000"),
    ({"time": 9_224_323_200_000}, "time_too_late", "time", "9224323200000"),
    ({"time": TIME_MS + 8 * HOUR_MS}, "future", "time", str(TIME_MS + 8 * HOUR_MS)),
    ({"time": 0}, "time_too_early", "time", "0"),
    ({"time": float(TIME_MS)}, "wrong_type", "time", str(float(TIME_MS))),
    ({"time": str(TIME_MS)}, "wrong_type", "time", str(TIME_MS)),
    ({"side": "buy"}, "bad_side", "side", "buy"),
    ({"side": "b"}, "bad_side", "side", "b"),
    ({"side": 1}, "wrong_type", "side", "1"),
    ({"coin": ""}, "bad_instrument", "coin", ""),
    ({"coin": "B" * 300}, "bad_instrument", "coin", "B" * 120),
    ({"coin": "B\x00"}, "bad_instrument", "coin", "B\\x00"),
    ({"coin": None}, "wrong_type", "coin", "None"),
]


@pytest.mark.parametrize(("changes", "reason", "field", "value"), BAD_TRADES)
def test_a_bad_trade_is_refused_with_its_reason_and_its_neighbours_go_on(changes, reason, field, value):
    decoded = decode(message("trades", [trade(0), trade(1, **changes), trade(2)]))
    assert [event.trade_id for event in decoded.events] == [trade(0)["tid"], trade(2)["tid"]]
    assert [(refusal.index, refusal.reason, refusal.path, refusal.value) for refusal in decoded.refusals] == [
        (1, reason, f"data[1].{field}", value)
    ]
    assert reason in REASONS


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_words_that_are_no_json_spoil_one_trade_only(word):
    text = message("trades", [trade(0), trade(1, px="?"), trade(2)]).decode().replace('"?"', word)
    decoded = decode(text)
    assert [event.trade_id for event in decoded.events] == [trade(0)["tid"], trade(2)["tid"]]
    assert [(refusal.index, refusal.reason, refusal.path, refusal.value) for refusal in decoded.refusals] == [
        (1, "not_finite", "data[1].px", word)
    ]


def test_a_word_inside_a_text_is_left_alone():
    decoded = decode(message("error", "a list [NaN] and a pair :NaN,"))
    assert decoded.events == [Notice("error", '"a list [NaN] and a pair :NaN,"')]


@pytest.mark.parametrize("item", [None, 5, "x", [], [trade()], True])
def test_an_item_that_is_no_object_is_refused_alone(item):
    decoded = decode(message("trades", [trade(0), item, trade(2)]))
    assert len(decoded.events) == 2
    assert [(refusal.index, refusal.reason, refusal.path) for refusal in decoded.refusals] == [
        (1, "wrong_type", "data[1]")
    ]


@pytest.mark.parametrize("broken", [b'"\xff"', b'"\xed\xa0\x80"'])
def test_a_broken_text_in_one_trade_is_refused_alone(broken):
    payload = message("trades", [trade(0), trade(1, px="?"), trade(2)]).replace(b'"?"', broken)
    decoded = decode(payload)
    assert len(decoded.events) == 2
    assert [(refusal.index, refusal.reason, refusal.path) for refusal in decoded.refusals] == [
        (1, "broken_json", "data[1].px")
    ]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "broken_json"),
        (b"{", "broken_json"),
        (b"null", "wrong_type"),
        (b"[]", "wrong_type"),
        (b'"trades"', "wrong_type"),
        (b"{}", "wrong_type"),
        (b'{"channel":5,"data":[]}', "wrong_type"),
        (message("trades", [trade()])[:-3], "broken_json"),
        (message("trades", [trade()]) + b"x", "broken_json"),
        (message("trades", [trade()]) * 2, "broken_json"),
        (b"<html><body>502 Bad Gateway</body></html>", "broken_json"),
        (b"\xff\xfe\x00\x01", "broken_json"),
        (message("trades", [trade(px="?")]).replace(b"?", b"\\q"), "broken_json"),
        (message("trades", [trade(px="?")]).replace(b"?", b"\\ud800"), "broken_json"),
        (message("trades", None), "wrong_type"),
        (message("trades", 5), "wrong_type"),
        (message("l2Book", []), "wrong_type"),
        (message("allMids", {}), "missing_field"),
        (message("userFills", []), "unknown_channel"),
        (message("Trades", [trade()]), "unknown_channel"),
        (message("", []), "unknown_channel"),
        (b'{"channel":"trades","data":' + b"[" * 100_000, "too_deep"),
        (b'{"channel":"trades","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (b'{"channel":"trades","data":[' + b" " * 20_000_000 + b"]}", "oversize"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_frame_without_anything_usable_is_refused_whole(payload, reason):
    decoded = decode(payload)
    assert decoded.events == []
    assert len(decoded.refusals) == 1
    refusal = decoded.refusals[0]
    assert refusal.reason == reason
    assert refusal.index in (-1, 0)
    assert len(refusal.value) <= 120


def test_deep_nesting_in_a_field_we_do_not_use_is_refused_not_raised():
    payload = message("trades", [trade(0), trade(1, users="?")]).replace(b'"?"', b"[" * 50_000 + b"]" * 50_000)
    assert decode(payload).refusals[0].reason == "too_deep"


def test_refusals_of_one_frame_are_bounded_and_none_goes_uncounted():
    decoded = decode(message("trades", [0] * 2_500 + [trade(1)]))
    assert len(decoded.events) == 1
    assert len(decoded.refusals) == 1_001
    last = decoded.refusals[-1]
    assert (last.index, last.reason, last.value) == (-1, "too_many_refused", "1500 more")


def test_a_repeated_key_counts_with_its_last_value():
    payload = message("trades", [trade(px="1.0")]).replace(b'"px":"1.0"', b'"px":"1.0","px":"2.0"')
    assert decode(payload).events[0].price == 2


# Answers over HTTP


def test_each_request_is_answered_by_its_reader():
    trades = decode_reply("recentTrades", json.dumps([trade(0), trade(1)]))
    (recent,) = trades.events
    assert [event.trade_id for event in recent.trades] == [trade(0)["tid"], trade(1)["tid"]]
    candles = decode_reply("candleSnapshot", json.dumps([candle(), candle(s="ETH")]))
    assert [event.stream.key for event in candles.events] == [
        "hyperliquid/candles/BTC/1m",
        "hyperliquid/candles/ETH/1m",
    ]
    assert decode_reply("l2Book", json.dumps(book())).events == decode(message("l2Book", book())).events
    assert decode_reply("allMids", '{"BTC":"1.5"}').events == [MidPrices("hyperliquid", {"BTC": Decimal("1.5")})]
    universe = {"universe": [{"name": "BTC", "szDecimals": 5}, {"name": "kPEPE"}]}
    assert decode_reply("meta", json.dumps(universe)).events == [Notice("meta", "2 instruments")]
    contexts = decode_reply("metaAndAssetCtxs", json.dumps([universe, [context(), context(midPx=None)]]))
    assert [event.stream.instrument for event in contexts.events] == ["BTC", "kPEPE"]
    for decoded in (trades, candles, contexts):
        assert decoded.refusals == []


def test_an_empty_answer_is_an_answer():
    for name in ("recentTrades", "candleSnapshot"):
        decoded = decode_reply(name, "[]")
        assert (decoded.events, decoded.refusals) == ([], [])


@pytest.mark.parametrize("status", [0, 199, 300, 404, 422, 429, 500, 502])
def test_an_answer_without_success_is_refused_whatever_its_body(status):
    decoded = decode_reply("recentTrades", "[]", status)
    assert decoded.events == []
    assert [(refusal.index, refusal.reason) for refusal in decoded.refusals] == [(-1, "bad_status")]
    assert str(status) in decoded.refusals[0].value


@pytest.mark.parametrize("name", ["recentTrades", "candleSnapshot", "l2Book", "allMids", "meta", "metaAndAssetCtxs"])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "broken_json"),
        ("<html>", "broken_json"),
        ("[{", "broken_json"),
        ("null", "wrong_type"),
        ("7", "wrong_type"),
        ("[" * 100_000, "too_deep"),
    ],
)
def test_a_body_that_is_no_data_is_a_refusal_and_never_an_empty_answer(name, body, reason):
    decoded = decode_reply(name, body)
    assert decoded.events == []
    assert [refusal.reason for refusal in decoded.refusals] == [reason]
    assert decoded.refusals[0].path == "body"


def test_one_bad_candle_of_an_answer_is_refused_alone():
    decoded = decode_reply("candleSnapshot", json.dumps([candle(), candle(v="1e5"), candle(s="ETH")]))
    assert len(decoded.events) == 2
    assert [(refusal.index, refusal.reason, refusal.path) for refusal in decoded.refusals] == [
        (1, "not_a_decimal", "body[1].v")
    ]


def test_one_bad_context_is_refused_alone_and_the_others_keep_their_names():
    universe = {"universe": [{"name": "BTC"}, {"name": "ETH"}, {"name": "SOL"}]}
    decoded = decode_reply("metaAndAssetCtxs", json.dumps([universe, [context(), context(markPx="0"), context()]]))
    assert [event.stream.instrument for event in decoded.events] == ["BTC", "SOL"]
    assert [(refusal.index, refusal.path) for refusal in decoded.refusals] == [(1, "body[1][1].markPx")]


@pytest.mark.parametrize(
    ("halves", "reason", "path"),
    [
        ([{"universe": [{"name": "BTC"}]}, []], "uneven_lists", "body"),
        ([{"universe": []}], "uneven_lists", "body"),
        ([{"universe": [{"name": "B C"}]}, [context()]], "bad_instrument", "body[0].universe[0].name"),
        ([{"universe": 5}, []], "wrong_type", "body[0].universe"),
        ([{}, []], "missing_field", "body[0].universe"),
    ],
)
def test_contexts_that_cannot_be_told_apart_are_refused_whole(halves, reason, path):
    decoded = decode_reply("metaAndAssetCtxs", json.dumps(halves))
    assert decoded.events == []
    assert [(refusal.index, refusal.reason, refusal.path) for refusal in decoded.refusals] == [(-1, reason, path)]


def test_a_word_that_is_no_json_spoils_one_item_of_an_answer_only():
    body = json.dumps([trade(0), trade(1, sz="?")]).replace('"?"', "NaN")
    decoded = decode_reply("recentTrades", body)
    assert len(decoded.events) == 1
    assert decoded.refusals[0].path == "body[1].sz"


def test_an_answer_nobody_can_place_is_refused():
    assert decode_reply("userFills", "[]").refusals[0].reason == "unknown_request"
    for payload in (b"", b"no line", b'{"name":"meta"}\n[]', b"\xff\n[]"):
        decoded = hyperliquid.decode(frame(payload, FrameKind.REPLY))
        assert [refusal.reason for refusal in decoded.refusals] == ["broken_reply"]


def test_an_answer_from_the_future_is_refused():
    assert decode_reply("recentTrades", json.dumps([trade()]), ts_recv_ns=RECV_NS - 8 * HOUR_MS * 1_000_000).refusals
