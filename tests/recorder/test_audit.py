"""An audit finds what was forged, lost or invented, and says nothing of what is right or known to be missing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec
import pytest

from everytick.model.frame import FrameKind
from everytick.model.stream import parse_stream
from everytick.recorder.audit import Auditing, AuditReport
from everytick.recorder.governor import Governor
from everytick.recorder.looking import Wanted
from everytick.recorder.questions import Questions
from everytick.sim.coin import CoinView
from everytick.sim.market import Market, MarketTraits
from everytick.sim.prints import Print, trades_frame
from everytick.venues.registry import VENUES
from tests.recorder.rig import NOW_MS, FakeHttp, Rig, live_trade, past_trades

BINANCE = parse_stream("binance/trades/BTCUSDT")
BTC = parse_stream("hyperliquid/trades/BTC")


def at_ms(trade_id: int) -> int:
    return NOW_MS + trade_id


def audited(rig: Rig, http: FakeHttp, venue: str, every: int = 1) -> AuditReport:
    questions = Questions(
        VENUES[venue], "http://venue", http, Governor(venue, VENUES[venue].LIMITS, rig.clock, rig.telemetry)
    )
    work = Auditing(
        {venue: questions},
        rig.store.reader,
        clock=rig.clock,
        telemetry=rig.telemetry,
        wanted=Wanted(),
        every=every,
    )
    return asyncio.run(work.run())


def recorded(ids: Iterable[int]) -> Rig:
    rig = Rig()
    rig.connect(BINANCE)
    for trade_id in ids:
        rig.put(FrameKind.MESSAGE, live_trade("BTCUSDT", trade_id, at_ms(trade_id)))
    return rig


def test_a_true_record_is_clean_and_what_it_misses_is_not_held_against_it() -> None:
    rig = recorded(i for i in range(1, 2_501) if i not in (7, 8, 1_900))
    (stream,) = audited(rig, FakeHttp(past_trades(range(1, 3_000), at_ms)), "binance").streams
    assert (stream.compared, stream.known_missing, stream.different) == (2_500, 3, 0)


def test_a_trade_that_the_venue_never_had_is_named() -> None:
    rig = recorded(range(1, 50))
    report = audited(rig, FakeHttp(past_trades([i for i in range(1, 60) if i != 20], at_ms)), "binance")
    (found,) = report.streams[0].differences
    assert (found.kind, found.trade_id) == ("unknown", 20)
    assert not report.clean


def test_a_trade_that_differs_is_named_with_both_values() -> None:
    rig = recorded(range(1, 50))
    real = past_trades(range(1, 60), at_ms)

    def forged(*question: object) -> bytes:
        page = msgspec.json.decode(real(*question))
        page[4]["price"] = "100.51"
        return msgspec.json.encode(page)

    (found,) = audited(rig, FakeHttp(forged), "binance").streams[0].differences
    assert (found.kind, found.trade_id) == ("differs", 5)
    assert (found.held, found.told) == ("buy 0.250 at 100.50", "buy 0.250 at 100.51")


def test_a_sample_asks_for_every_nth_page_only() -> None:
    rig = recorded(range(1, 4_001))
    http = FakeHttp(past_trades(range(1, 5_000), at_ms))
    (stream,) = audited(rig, http, "binance", every=3).streams
    assert len(http.asked) == 2
    assert stream.compared == 2_000


def test_a_venue_that_does_not_answer_leaves_the_audit_incomplete_not_clean_by_default() -> None:
    report = audited(recorded(range(1, 50)), FakeHttp(lambda *_: 503), "binance")
    assert report.clean
    assert not report.complete
    assert report.streams[0].unanswered == "the venue did not answer: venue_failed"


@pytest.mark.parametrize("is_forged", [False, True])
def test_candles_of_our_trades_are_the_venues_or_the_bar_is_named(is_forged: bool) -> None:
    start_ms = NOW_MS - NOW_MS % 60_000 - 3_000
    market = Market(MarketTraits(coins=("BTC",), trades_per_s=5), 3, start_ms)
    prints: list[Print] = [p for b in market.advance(start_ms + 250_000) for p in b.trades["BTC"]]
    view = CoinView("BTC")
    for one in prints:
        view.observe(one)
    rig = Rig()
    rig.connect(BTC)
    for number, one in enumerate(prints):
        told = msgspec.structs.replace(one, sz="9.5") if is_forged and number == len(prints) // 2 else one
        rig.put(FrameKind.MESSAGE, trades_frame([told]))

    def answer(path: str, query: object, body: bytes) -> bytes:
        asked = msgspec.json.decode(body)
        candles = view.candles("1m", asked["req"]["startTime"], asked["req"]["endTime"])
        return msgspec.json.encode(candles)

    (stream,) = audited(rig, FakeHttp(answer), "hyperliquid").streams
    assert stream.compared == 4
    assert stream.different == int(is_forged)
    if is_forged:
        assert "volume" in stream.differences[0].told
