"""Backfill: what the venue can tell closes gaps, what it cannot stays open with its reason, and nobody is hammered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core.coverage import is_complete
from everytick.model.control import Disconnected, control_payload
from everytick.model.frame import FrameKind
from everytick.model.ledger import GapState
from everytick.model.stream import Stream, parse_stream
from everytick.ports import HttpAnswer
from everytick.recorder.backfill import Left
from everytick.recorder.backfill_settings import BackfillSettings
from everytick.recorder.looking import Wanted
from everytick.recorder.plans import plans_of
from everytick.recorder.repair import CAUSE_HOLE, CAUSE_NO_HISTORY
from everytick.tape.reader import TapeReader
from everytick.venues.registry import VENUES
from tests.recorder.rig import NOW_MS, FakeHttp, Rig, live_trade, past_trades
from tests.recorder.wire import trades_message

BTC = parse_stream("binance/trades/BTCUSDT")
HL = parse_stream("hyperliquid/trades/BTC")


def at_ms(trade_id: int) -> int:
    return NOW_MS + trade_id


def a_rig(ids: Iterable[int], stream: Stream = BTC) -> Rig:
    rig = Rig()
    rig.connect(stream)
    for trade_id in ids:
        rig.put(FrameKind.MESSAGE, live_trade(stream.instrument, trade_id, at_ms(trade_id)))
    return rig


def ids_of(rig: Rig) -> set[int]:
    return {row.trade_id for row in rig.rows(BTC)}


def once(rig: Rig, http: FakeHttp, wanted: Wanted | None = None) -> list[Left]:
    return asyncio.run(rig.backfill({"binance": http}, wanted=wanted).once())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_exactly_the_missing_ids_are_fetched_and_the_venues_own_holes_are_marked(seed: int) -> None:
    dice = random.Random(seed)
    ids = set(range(1, dice.randrange(20, 200)))
    dropped = set(dice.sample(sorted(ids)[1:-1], dice.randrange(1, len(ids) // 3)))
    holes = set(dice.sample(sorted(dropped), len(dropped) // 4))
    rig = a_rig(sorted(ids - dropped))
    http = FakeHttp(past_trades(ids - holes, at_ms))
    assert once(rig, http) == []
    assert ids_of(rig) == ids - holes
    assert rig.gaps(BTC, GapState.OPEN) == []
    marked = [gap for gap in rig.gaps(BTC) if gap.state is GapState.PERMANENT]
    assert {i for gap in marked for i in range(gap.first_id, gap.last_id + 1)} == holes
    assert {gap.cause for gap in marked} <= {CAUSE_HOLE}
    assert list(rig.rebuilt().reader().dump()) == list(rig.store.reader().dump())


def test_neighbouring_gaps_cost_the_venue_one_page() -> None:
    ids = range(1, 900)
    http = FakeHttp(past_trades(ids, at_ms))
    rig = a_rig(i for i in ids if i % 3)
    assert once(rig, http) == []
    assert http.asked == ["/api/v3/historicalTrades?symbol=BTCUSDT&fromId=3&limit=895"]


def test_a_gap_that_was_tried_in_vain_is_asked_for_alone() -> None:
    gaps = a_rig([1, 3, 5, 7]).gaps(BTC, GapState.OPEN)
    together = plans_of(VENUES, gaps, lambda _: False)
    assert [len(plan.gaps) for plan in together] == [3]
    apart = plans_of(VENUES, gaps, lambda gap: gap.first_id == 4)
    assert sorted(len(plan.gaps) for plan in apart) == [1, 2]


def test_a_failure_is_on_the_tape_and_never_an_empty_answer() -> None:
    rig = a_rig([1, 2, 9])
    left = once(rig, FakeHttp(lambda *_: 503))
    assert [one.reason for one in left] == ["the venue did not answer: venue_failed (503)"]
    frames = TapeReader(rig.disk).read(0, 1_000, rig.tape.watermark)
    failed = [frame for frame in frames if frame.kind is FrameKind.FAILED]
    assert len(failed) == 4
    assert not [frame for frame in frames if frame.kind is FrameKind.REPLY]
    (gap,) = rig.gaps(BTC)
    assert gap.state is GapState.OPEN


def test_an_empty_answer_proves_nothing() -> None:
    rig = a_rig([1, 2, 9])
    left = once(rig, FakeHttp(lambda *_: b"[]"))
    assert [one.reason for one in left] == ["the venue's answer proved nothing about it"]


def test_a_venue_that_comes_back_is_asked_again_and_the_gap_is_closed() -> None:
    rig = a_rig([1, 2, 9])
    real = past_trades(range(1, 10), at_ms)
    answers = [None, 500, 200]
    http = FakeHttp(lambda *question: answers.pop(0) if len(answers) > 1 else real(*question))
    assert once(rig, http) == []
    assert ids_of(rig) == set(range(1, 10))


@pytest.mark.parametrize("status", [429, 418])
def test_a_venue_that_says_wait_is_left_alone_for_as_long_as_it_says(status: int) -> None:
    rig = a_rig([1, 2, 9])
    real = past_trades(range(1, 10), at_ms)
    told = [HttpAnswer(status, {"Retry-After": "77"}, b"")]
    asked_ns: list[int] = []

    def answer(*question: object) -> bytes | HttpAnswer:
        asked_ns.append(rig.clock.now_ns)
        return told.pop() if told else real(*question)

    assert once(rig, FakeHttp(answer)) == []
    assert asked_ns[1] - asked_ns[0] >= 77 * 10**9


def test_a_gap_that_no_answer_closes_is_asked_for_ever_more_rarely() -> None:
    rig = a_rig([1, 2, 9])
    http = FakeHttp(lambda *_: b"[]")
    backfill = rig.backfill({"binance": http})

    async def a_day() -> None:
        end_ns = rig.clock.now_ns + 86_400 * 10**9
        while rig.clock.now_ns < end_ns:
            if not await backfill.step():
                await rig.clock.sleep(60)

    asyncio.run(a_day())
    assert 10 < len(http.asked) < 45


def test_a_young_gap_is_left_to_late_trades() -> None:
    rig = a_rig([1, 2, 9])
    http = FakeHttp(past_trades(range(1, 10), at_ms))
    backfill = rig.backfill({"binance": http}, BackfillSettings(gap_age_s=30))
    asyncio.run(backfill.step())
    assert http.asked == []
    rig.clock.now_ns += 31 * 10**9
    asyncio.run(backfill.step())
    assert len(http.asked) == 1


def test_a_gap_from_before_the_wall_clock_was_set_back_is_not_left_alone_for_hours() -> None:
    rig = a_rig([1, 2, 9])
    http = FakeHttp(past_trades(range(1, 10), at_ms))
    backfill = rig.backfill({"binance": http}, BackfillSettings(gap_age_s=30))
    rig.clock.now_ns -= 3_600 * 10**9
    asyncio.run(backfill.step())
    assert len(http.asked) == 1


def test_only_what_is_wanted_is_asked_for() -> None:
    rig = a_rig([1, 3, 1_003, 1_005])
    http = FakeHttp(past_trades(range(1, 2_000), at_ms))
    wanted = Wanted(frozenset({"BTCUSDT"}), to_ns=at_ms(3) * 10**6)
    assert once(rig, http, wanted=wanted) == []
    assert ids_of(rig) == {1, 2, 3, 1_003, 1_005}
    assert once(rig, http, wanted=Wanted(frozenset({"ETHUSDT"}))) == []
    assert len(ids_of(rig)) == 5


def test_what_nobody_keeps_stays_open_and_is_given_up_with_its_reason_when_it_is_old() -> None:
    rig = Rig()
    rig.connect(HL)
    rig.put(FrameKind.MESSAGE, trades_message("BTC", [(NOW_MS, 1, "1.0", "1.0", "B")]))
    rig.put(FrameKind.DISCONNECT, control_payload(Disconnected("cut")))
    rig.connect(HL)
    rig.put(FrameKind.MESSAGE, trades_message("BTC", [(NOW_MS + 50, 2, "1.0", "1.0", "B")]))
    http = FakeHttp(lambda *_: b"[]")
    backfill = rig.backfill({"hyperliquid": http})
    (left,) = asyncio.run(backfill.once())
    assert left.reason == "the venue keeps no history of it"
    rig.clock.now_ns += 604_801 * 10**9
    asyncio.run(rig.backfill({"hyperliquid": http}).once())
    (gap,) = rig.gaps(HL)
    assert (gap.state, gap.cause) == (GapState.PERMANENT, CAUSE_NO_HISTORY)
    assert http.asked == []
    assert list(rig.rebuilt().reader().dump()) == list(rig.store.reader().dump())


def test_it_may_be_cut_at_any_moment_and_begun_again() -> None:
    ids = range(1, 6_000)
    dropped = set(random.Random(5).sample(range(2, 5_900), 300))
    rig = a_rig(i for i in ids if i not in dropped)
    real = past_trades(ids, at_ms)

    class Cut(Exception):
        pass

    for stop_after in (1, 1, 2):
        count = iter(range(stop_after))

        def answer(*question: object) -> bytes:
            if next(count, None) is None:  # noqa: B023 - called within this turn alone
                raise Cut
            return real(*question)

        with pytest.raises(Cut):
            once(rig, FakeHttp(answer))
        rig.restart_projector()
    assert 0 < len(rig.gaps(BTC, GapState.OPEN)) < 300
    assert once(rig, FakeHttp(real)) == []
    assert ids_of(rig) == set(ids)
    assert is_complete(rig.store.reader().coverage(BTC, 0, 2**62), at_ms(2) * 10**6, at_ms(5_998) * 10**6)


def test_candles_missed_during_an_outage_are_fetched_by_time() -> None:
    stream = parse_stream("hyperliquid/candles/BTC/1m")
    rig = Rig()
    minute = 60_000
    start = NOW_MS - NOW_MS % minute

    def candle(at: int) -> dict[str, object]:
        prices = {"o": "10.0", "h": "12.0", "l": "9.0", "c": "11.0", "v": "5.0", "n": 3}
        return {"t": at, "T": at + minute - 1, "s": "BTC", "i": "1m", **prices}

    def live(at: int) -> None:
        rig.put(FrameKind.MESSAGE, msgspec.json.encode({"channel": "candle", "data": candle(at)}))

    def answer(path: str, query: object, body: bytes) -> bytes:
        span = msgspec.json.decode(body)["req"]
        low, high = span["startTime"] - span["startTime"] % minute, span["endTime"]
        return msgspec.json.encode([candle(at) for at in range(low, high + 1, minute)])

    rig.connect(stream)
    live(start)
    live(start + minute)
    rig.put(FrameKind.DISCONNECT, control_payload(Disconnected("cut")))
    rig.connect(stream)
    live(start + 9 * minute)
    assert len(rig.gaps(stream, GapState.OPEN)) == 1
    assert asyncio.run(rig.backfill({"hyperliquid": FakeHttp(answer)}).once()) == []
    assert [gap.state for gap in rig.gaps(stream)] == [GapState.CLOSED]
