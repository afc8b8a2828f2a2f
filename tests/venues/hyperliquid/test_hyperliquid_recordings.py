"""Bytes that Hyperliquid really sent, read whole: nothing refused, nothing lost, no digit changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hyperliquid_samples import RECORDINGS, WITHOUT_RECORDINGS, decode, decode_reply, frame, message, recorded_frames

from everytick.core.validate import decimal_text
from everytick.model.event import AssetContext, BookSnapshot, Candle, MidPrices, Notice, Side, Trade
from everytick.venues import hyperliquid
from everytick.venues.hyperliquid import decoding, fast

pytestmark = [
    pytest.mark.recordings,
    pytest.mark.skipif(not RECORDINGS.is_dir(), reason=WITHOUT_RECORDINGS),
]


def cassette(name: str) -> tuple[bytes, int, dict]:
    """(body as bytes, receive time in ns, the whole exchange) of a recorded answer."""
    exchange = json.loads((RECORDINGS / "sdk_cassettes" / f"{name}.json").read_bytes())
    answered = datetime.strptime(exchange["date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    return json.dumps(exchange["response"]).encode(), int(answered.timestamp()) * 1_000_000_000, exchange


def test_every_recorded_frame_gives_every_trade_and_every_book():
    frames = recorded_frames()
    assert len(frames) == 55
    trades, books = 0, 0
    for ts_recv_ns, payload in frames:
        decoded = hyperliquid.decode(frame(payload, ts_recv_ns=ts_recv_ns))
        assert decoded.refusals == []
        sent = json.loads(payload)
        if sent["channel"] == "trades":
            check_trades(sent["data"], decoded.events)
            trades += len(decoded.events)
        else:
            check_book(sent["data"], decoded.events[0])
            books += len(decoded.events)
    assert books == 46
    assert trades == sum(len(json.loads(payload)["data"]) for _, payload in frames if b'"channel":"trades"' in payload)
    assert trades > 30


def test_recorded_frames_take_the_fast_path_and_the_careful_one_agrees():
    for ts_recv_ns, payload in recorded_frames():
        events = decoding._message_events(fast.read_message(payload), ts_recv_ns)
        decoded = decoding.decode_message_carefully(payload, ts_recv_ns)
        assert (events, []) == (decoded.events, decoded.refusals)


def check_trades(sent: list[dict], events: list) -> None:
    assert len(sent) == len(events)
    for item, event in zip(sent, events, strict=True):
        assert isinstance(event, Trade)
        assert event.stream.key == f"hyperliquid/trades/{item['coin']}"
        assert (event.ts_event_ns, event.trade_id) == (item["time"] * 1_000_000, item["tid"])
        assert (decimal_text(event.price), decimal_text(event.size)) == (item["px"], item["sz"])
        assert event.side == {"B": Side.BUY, "A": Side.SELL}[item["side"]]


def check_book(sent: dict, event: object) -> None:
    assert isinstance(event, BookSnapshot)
    assert event.ts_event_ns == sent["time"] * 1_000_000
    sides = [
        [{"px": decimal_text(level.price), "sz": decimal_text(level.size), "n": level.orders} for level in side]
        for side in (event.bids, event.asks)
    ]
    assert sides == sent["levels"]
    assert len(event.bids) == len(event.asks) == 20


def test_the_recorded_candles_are_whole_hours_without_a_hole():
    body, ts_recv_ns, exchange = cassette("get_candles_snapshot")
    decoded = decode_reply("candleSnapshot", body, exchange["status"], ts_recv_ns)
    assert decoded.refusals == []
    assert len(decoded.events) == 24
    for event, following in pairwise(decoded.events):
        assert isinstance(event, Candle)
        assert event.stream.key == "hyperliquid/candles/kPEPE/1h"
        assert event.ts_close_ns - event.ts_open_ns == 3_600_000_000_000
        assert following.ts_open_ns == event.ts_close_ns
    first = exchange["response"][0]
    assert [decimal_text(number) for number in (decoded.events[0].open, decoded.events[0].volume)] == [
        first["o"],
        first["v"],
    ]


def test_the_candle_request_is_byte_for_byte_the_recorded_question():
    _, _, exchange = cassette("get_candles_snapshot")
    asked = exchange["request"]["req"]
    request = hyperliquid.candle_snapshot(asked["coin"], asked["interval"], asked["startTime"], asked["endTime"])
    assert json.loads(request.body) == exchange["request"]
    assert exchange["url"] == hyperliquid.ENDPOINTS["http"] + request.path
    # No more weight is charged than was set aside: 24 candles cost 20 + 1.
    assert request.weight >= 21


def test_the_recorded_mids_book_and_names_are_read():
    body, ts_recv_ns, exchange = cassette("get_all_mids")
    mids = decode_reply("allMids", body, ts_recv_ns=ts_recv_ns).events[0]
    assert isinstance(mids, MidPrices)
    assert {coin: decimal_text(price) for coin, price in mids.mids.items()} == exchange["response"]

    body, ts_recv_ns, exchange = cassette("get_l2_snapshot")
    check_book(exchange["response"], decode_reply("l2Book", body, ts_recv_ns=ts_recv_ns).events[0])

    body, ts_recv_ns, exchange = cassette("get_info")
    count = len(exchange["response"]["universe"])
    assert decode_reply("meta", body, ts_recv_ns=ts_recv_ns).events == [Notice("meta", f"{count} instruments")]


def test_an_older_answer_is_refused_where_it_lacks_the_identity():
    body, ts_recv_ns, _ = cassette("get_user_fills")  # fills of 2023, from before trades had ids
    decoded = decode_reply("recentTrades", body, ts_recv_ns=ts_recv_ns)
    assert decoded.events == []
    assert {(refusal.reason, refusal.path.split(".")[-1]) for refusal in decoded.refusals} == {("missing_field", "tid")}
    assert len(decoded.refusals) == len(json.loads(body))


def test_every_recorded_context_is_read_as_one_of_a_stream():
    sent = json.loads((RECORDINGS / "nautilus_ws_all_dexs_asset_ctxs.json").read_bytes())
    contexts = [context for _, items in sent["data"]["ctxs"] for context in items]
    assert len(contexts) > 300
    for number, context in enumerate(contexts):
        decoded = decode(message("activeAssetCtx", {"coin": f"dex:C{number}", "ctx": context}))
        assert decoded.refusals == []
        event = decoded.events[0]
        assert isinstance(event, AssetContext)
        assert decimal_text(event.open_interest) == context["openInterest"]
        assert decimal_text(event.funding_rate) == context["funding"]
        assert event.mid_price == (None if context["midPx"] is None else Decimal(context["midPx"]))


def test_a_large_message_of_a_channel_we_did_not_ask_for_is_refused_by_its_name():
    payload = (RECORDINGS / "nautilus_ws_all_dexs_asset_ctxs.json").read_bytes()
    decoded = decode(payload)
    assert [(refusal.reason, refusal.value) for refusal in decoded.refusals] == [
        ("unknown_channel", "allDexsAssetCtxs")
    ]
