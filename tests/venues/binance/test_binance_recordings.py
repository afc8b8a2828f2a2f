"""Bytes that Binance really sent, read whole: nothing lost, ids in an unbroken row, no digit changed."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal

import pytest
from binance_samples import RECORDINGS, SPOT_FILES, WITHOUT_RECORDINGS, frame, recorded_lines

from everytick.core.validate import decimal_text
from everytick.model.event import Candle, Notice, Quote, Side, Trade
from everytick.venues import binance
from everytick.venues.binance.decoding import decode_message_carefully

pytestmark = [
    pytest.mark.recordings,
    pytest.mark.skipif(not RECORDINGS.is_dir(), reason=WITHOUT_RECORDINGS),
]


def test_all_trades_over_midnight_have_ids_in_an_unbroken_row_and_exact_texts():
    trades: list[Trade] = []
    kinds: Counter[str] = Counter()
    for name in SPOT_FILES:
        for ts_recv_ns, payload in recorded_lines(name):
            decoded = binance.decode(frame(payload, ts_recv_ns=ts_recv_ns))
            kinds.update(type(event).__name__ for event in decoded.events)
            kinds.update(refusal.reason for refusal in decoded.refusals)
            sent = json.loads(payload)
            for event in decoded.events:
                if isinstance(event, Trade):
                    trades.append(event)
                    check(event, sent["data"])
    # The one refusal is the answer of REST that the recording holds: it does not say its symbol.
    assert kinds == {"Trade": 19_904, "Quote": 73_174, "Notice": 6_495, "unsupported": 1}
    first = trades[0].trade_id
    assert [trade.trade_id for trade in trades] == list(range(first, first + 19_904))
    assert [trade.ts_event_ns for trade in trades] == sorted(trade.ts_event_ns for trade in trades)


def check(event: Trade, sent: dict[str, object]) -> None:
    assert (event.trade_id, event.ts_event_ns, event.stream.instrument) == (sent["t"], sent["T"] * 10**6, sent["s"])
    assert (decimal_text(event.price), decimal_text(event.size)) == (sent["p"], sent["q"])
    assert event.side is (Side.SELL if sent["m"] else Side.BUY)


def test_both_readers_give_the_same_of_recorded_frames():
    for ts_recv_ns, payload in list(recorded_lines(SPOT_FILES[0]))[::7]:
        assert binance.decode(frame(payload, ts_recv_ns=ts_recv_ns)) == decode_message_carefully(payload, ts_recv_ns)


def test_a_recording_of_2021_is_still_readable():
    found: Counter[str] = Counter()
    with gzip.open(RECORDINGS / "cryptofeed_BINANCE.ws.1.0.gz", "rt") as lines:
        for line in lines:
            stamp, _, payload = line.partition(": ")
            if payload.startswith("{"):
                ts_recv_ns = int(Decimal(stamp) * 10**9)
                decoded = binance.decode(frame(payload.strip().encode(), ts_recv_ns=ts_recv_ns))
                assert decoded.refusals == []
                (event,) = decoded.events
                assert isinstance(event, (Trade, Candle, Quote, Notice))
                found[type(event).__name__] += 1
    assert found == {"Notice": 177, "Quote": 84, "Trade": 2, "Candle": 2}
