"""What polls bring, judged from the tape alone: accounts both or nothing, candles never frozen, trades checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.model.control import Asked, Compared, RequestFailed, control_payload, reply_payload
from everytick.model.frame import Frame, FrameKind, Source
from everytick.model.ledger import GapState
from everytick.model.stream import parse_stream
from everytick.model.units import ns_from_ms
from everytick.recorder.pipeline import Pipeline
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import CandleRow, RowQuery, VaultsRow
from everytick.venues.registry import VENUES
from tests.recorder.wire import NOW_MS, Print, Tape, cut_into

BTC = "hyperliquid/trades/BTC"
BARS = "hyperliquid/candles/BTC/1m"
VAULTS = "hyperliquid/vaults/BTC"
A, B = "0x" + "aa" * 20, "0x" + "bb" * 20
MINUTE_MS = 60_000
OPEN_MS = NOW_MS - NOW_MS % MINUTE_MS


class Polled(Tape):
    """A tape with a stream and, beside it, a connection that polls."""

    def __init__(self) -> None:
        super().__init__()
        self.start()

    def polling(self, *streams: str) -> None:
        self.connect(*streams)
        self.polls = Source("hyperliquid", "info", self.source.epoch)

    def streaming(self, *streams: str) -> None:
        self.connect(*streams)
        self.stream = self.source

    def reply(self, asked: Asked, body: object, recv_ms: int) -> None:
        self.source = getattr(self, "polls", self.source)
        self.put(FrameKind.REPLY, reply_payload(asked, json.dumps(body).encode()), recv_ms)

    def account(self, vault: str, size: str, part: int, recv_ms: int, time_ms: int = 0, parts: int = 2) -> None:
        positions = [{"position": {"coin": "BTC", "szi": size, "positionValue": "100.5"}}] if size else []
        body = {"marginSummary": {"accountValue": "7.5"}, "assetPositions": positions, "time": time_ms or recv_ms}
        self.reply(Asked("clearinghouseState", json.dumps({"user": vault}), 200, part, parts), body, recv_ms)

    def both(self, recv_ms: int, size: str = "1.5") -> None:
        self.account(A, size, 1, recv_ms)
        self.account(B, "-0.5", 2, recv_ms + 10)

    def failed(self, recv_ms: int, *lost: str) -> None:
        self.source = self.polls
        self.put(FrameKind.FAILED, control_payload(RequestFailed("clearinghouseState", "{}", "x", 0, lost)), recv_ms)

    def bar(self, open_ms: int, close: str = "101", count: int = 3) -> dict[str, object]:
        return {
            "t": open_ms, "T": open_ms + MINUTE_MS - 1, "s": "BTC", "i": "1m",
            "o": "100", "h": "110", "l": "90", "c": close, "v": "2.5", "n": count,
        }  # fmt: skip

    def streamed(self, open_ms: int, close: str, recv_ms: int) -> None:
        self.source = self.stream
        data = {"channel": "candle", "data": self.bar(open_ms, close)}
        self.put(FrameKind.MESSAGE, json.dumps(data).encode(), recv_ms)

    def history(self, *bars: dict[str, object], recv_ms: int, span: tuple[int, int] | None = None) -> None:
        req = {"coin": "BTC", "interval": "1m", "startTime": (span or (0, 0))[0], "endTime": (span or (0, 0))[1]}
        self.reply(Asked("candleSnapshot", json.dumps({"req": req} if span else {}), 200), list(bars), recv_ms)

    def recent(self, prints: Sequence[Print], recv_ms: int = NOW_MS + 900) -> None:
        body = [
            {"coin": "BTC", "side": side, "px": px, "sz": sz, "time": ms, "tid": tid, "hash": "0x0", "users": []}
            for ms, tid, px, sz, side in prints
        ]
        self.reply(Asked("recentTrades", '{"coin":"BTC"}', 200), body, recv_ms)

    def prints(self, coin: str, prints: Sequence[Print], recv_ms: int = NOW_MS) -> None:
        self.source = self.stream
        self.trades(coin, prints, recv_ms)


def project(batches: Sequence[Sequence[Frame]], *, restart: bool = False) -> tuple[MemoryStore, Pipeline]:
    store = MemoryStore()
    pipeline = Pipeline(VENUES, store)
    for batch in batches:
        if restart:
            pipeline = Pipeline(VENUES, store)
        store.apply(pipeline.apply(batch, batch[0].offset, batch[-1].offset + 1))
    return store, pipeline


def stored(tape: Tape) -> MemoryStore:
    return project([tape.frames])[0]


def snapshots(store: MemoryStore) -> list[VaultsRow]:
    return store.reader().vaults(RowQuery((parse_stream(VAULTS),), descending=False))


def bars(store: MemoryStore) -> list[CandleRow]:
    return store.reader().candles(RowQuery((parse_stream(BARS),), descending=False))


def reasons(store: MemoryStore) -> list[str]:
    return [item.reason for item in store.reader().quarantined(limit=100)]


def counts(store: MemoryStore) -> dict[str, int]:
    return dict(store.reader().totals().counts)


def one(*tids: int, ms: int = NOW_MS) -> list[Print]:
    return [(ms + tid, tid, "100.5", "0.25", "B") for tid in tids]


# Watched accounts


def test_a_snapshot_is_all_accounts_with_their_own_times() -> None:
    """A10 item 8: both fetched one after the other, under one timestamp, the venue's time ignored."""
    tape = Polled()
    tape.polling(VAULTS)
    tape.account(A, "1.5", 1, NOW_MS, time_ms=NOW_MS - 40)
    tape.account(B, "-0.5", 2, NOW_MS + 900, time_ms=NOW_MS + 850)
    (row,) = snapshots(stored(tape))
    assert row.ts_event_ns == ns_from_ms(NOW_MS - 40)
    assert [(p.vault, p.ts_event_ns, p.size, p.notional, p.account_value) for p in row.positions] == [
        (A, ns_from_ms(NOW_MS - 40), Decimal("1.5"), Decimal("100.5"), Decimal("7.5")),
        (B, ns_from_ms(NOW_MS + 850), Decimal("-0.5"), Decimal("-100.5"), Decimal("7.5")),
    ]


def test_half_a_cycle_is_no_snapshot() -> None:
    """A10 item 8: both or nothing."""
    tape = Polled()
    tape.polling(VAULTS)
    tape.account(A, "1", 1, NOW_MS)
    tape.failed(NOW_MS + 10, VAULTS)
    tape.account(A, "2", 1, NOW_MS + 60_000)
    tape.account(B, "3", 2, NOW_MS + 60_010)
    tape.account(B, "4", 2, NOW_MS + 120_000)  # its first part was lost
    (row,) = snapshots(stored(tape))
    assert [p.size for p in row.positions] == [Decimal(2), Decimal(3)]


def test_a_malformed_account_makes_no_zero_and_no_snapshot() -> None:
    """A10 item 8: a malformed account value became 0.0."""
    tape = Polled()
    tape.polling(VAULTS)
    tape.account(A, "1", 1, NOW_MS)
    body = {"marginSummary": {"accountValue": None}, "assetPositions": [], "time": NOW_MS}
    tape.reply(Asked("clearinghouseState", json.dumps({"user": B}), 200, 2, 2), body, NOW_MS)
    store = stored(tape)
    assert snapshots(store) == []
    assert reasons(store) == ["wrong_type"]


def test_accounts_seen_too_far_apart_are_no_one_moment() -> None:
    tape = Polled()
    tape.polling(VAULTS)
    tape.account(A, "1", 1, NOW_MS, time_ms=NOW_MS - 31_000)
    tape.account(B, "1", 2, NOW_MS)
    store = stored(tape)
    assert snapshots(store) == []
    assert counts(store)["vaults_spread"] == 1


def test_a_turn_without_an_answer_is_a_gap_and_one_that_came_late_is_not() -> None:
    """A10 item 3: positions had no gap detection at all, and restarts were never recorded."""
    tape = Polled()
    tape.polling(VAULTS)
    tape.both(NOW_MS)
    tape.failed(NOW_MS + 60_000)  # tried again within its turn
    tape.both(NOW_MS + 61_000)
    tape.failed(NOW_MS + 120_000, VAULTS)
    tape.both(NOW_MS + 180_000)
    tape.both(NOW_MS + 240_000)
    tape.start()
    tape.polling(VAULTS)
    tape.both(NOW_MS + 300_000)
    gaps = stored(tape).reader().gaps([parse_stream(VAULTS)], open_only=False, limit=9)
    assert [(gap.cause, gap.from_ns, gap.to_ns) for gap in gaps[::-1]] == [
        ("poll_failed", ns_from_ms(NOW_MS + 61_000), ns_from_ms(NOW_MS + 180_000)),
        ("restart", ns_from_ms(NOW_MS + 240_000), ns_from_ms(NOW_MS + 300_000)),
    ]


def test_an_account_that_reads_zero_three_times_running_is_told_once() -> None:
    tape = Polled()
    tape.polling(VAULTS)
    for turn, size in enumerate(["", "0.0", "1", "", "", "", "", "2", "", "", ""]):
        tape.both(NOW_MS + turn * 60_000, size)
    told: list[tuple[str, str, int]] = []
    store = MemoryStore()
    for batch in cut_into(tape.frames, [1]):
        pipeline = Pipeline(VENUES, store)  # what is remembered comes from the store, not from this process
        store.apply(pipeline.apply(batch, batch[0].offset, batch[-1].offset + 1))
        told += pipeline.vaults_zero
    assert [(key, vault) for key, vault, _ in told] == [(VAULTS, A), (VAULTS, A)]
    at = [frame.offset for frame in tape.frames if frame.kind is FrameKind.REPLY]
    assert [offset for *_, offset in told] == [at[2 * 5 + 1], at[2 * 10 + 1]]


# Candles


def test_a_bar_that_is_still_forming_is_never_stored_from_an_answer() -> None:
    """A10 item 1: the forming bar was stored at first sight and frozen."""
    tape = Polled()
    tape.streaming(BARS)
    tape.history(tape.bar(OPEN_MS - MINUTE_MS), tape.bar(OPEN_MS), recv_ms=OPEN_MS + 30_000)
    store = stored(tape)
    assert [(row.ts_open_ns, row.state) for row in bars(store)] == [(ns_from_ms(OPEN_MS - MINUTE_MS), "closed")]
    assert counts(store)["candles_aside"] == 1


def test_a_forming_bar_that_was_cut_off_is_closed_with_its_last_values() -> None:
    """A10 item 1: nearly every stored bar was partial, for good."""
    tape = Polled()
    tape.streaming(BARS)
    tape.streamed(OPEN_MS, "95", OPEN_MS + 5_000)
    tape.disconnect()
    tape.history(tape.bar(OPEN_MS, "99"), recv_ms=OPEN_MS + MINUTE_MS + 4_000)  # a moment too early to be sure
    assert [(row.close, row.state) for row in bars(stored(tape))] == [("95", "forming")]
    tape.history(tape.bar(OPEN_MS, "101"), recv_ms=OPEN_MS + MINUTE_MS + 6_000)
    assert [(row.close, row.state) for row in bars(stored(tape))] == [("101", "closed")]


def test_a_later_bar_in_the_answer_closes_the_one_before_it() -> None:
    tape = Polled()
    tape.streaming(BARS)
    tape.history(tape.bar(OPEN_MS), tape.bar(OPEN_MS + MINUTE_MS), recv_ms=OPEN_MS + MINUTE_MS + 1)
    assert [(row.ts_open_ns, row.state) for row in bars(stored(tape))] == [(ns_from_ms(OPEN_MS), "closed")]


def test_a_live_stream_closes_its_own_newest_bar() -> None:
    tape = Polled()
    tape.streaming(BARS)
    tape.streamed(OPEN_MS, "95", OPEN_MS + 5_000)
    tape.history(tape.bar(OPEN_MS, "96"), recv_ms=OPEN_MS + 2 * MINUTE_MS)
    assert [(row.close, row.state) for row in bars(stored(tape))] == [("95", "forming")]
    tape.streamed(OPEN_MS, "97", OPEN_MS + 2 * MINUTE_MS)  # a last change, late on the line
    tape.streamed(OPEN_MS + MINUTE_MS, "98", OPEN_MS + 2 * MINUTE_MS)
    assert [(row.close, row.state) for row in bars(stored(tape))] == [("97", "closed"), ("98", "forming")]


def test_the_same_bar_again_is_confirmed_and_another_is_a_revision_with_both_values_kept() -> None:
    tape = Polled()
    tape.streaming(BARS)
    late = OPEN_MS + 9 * MINUTE_MS
    tape.history(tape.bar(OPEN_MS), recv_ms=late)
    tape.history(tape.bar(OPEN_MS, "101.0"), recv_ms=late)  # the same number, spelled otherwise
    tape.history(tape.bar(OPEN_MS, "103"), recv_ms=late)
    tape.history(tape.bar(OPEN_MS, "103"), recv_ms=late)
    store = stored(tape)
    assert [(row.close, row.state) for row in bars(store)] == [("103", "revised")]
    (item,) = store.reader().quarantined(limit=9)
    assert (item.reason, item.path) == ("candle_revised", BARS)
    assert "c 101 " in item.value
    assert "c 103 " in item.value
    found = counts(store)
    assert (found["candles_filled"], found["candles_confirmed"], found["candles_revised"]) == (1, 2, 1)


def test_a_late_message_of_the_stream_does_not_overwrite_a_closed_bar_silently() -> None:
    tape = Polled()
    tape.streaming(BARS)
    tape.streamed(OPEN_MS, "95", OPEN_MS + 5_000)
    tape.streamed(OPEN_MS + MINUTE_MS, "96", OPEN_MS + MINUTE_MS + 5_000)
    tape.streamed(OPEN_MS, "94", OPEN_MS + 3 * MINUTE_MS)
    store = stored(tape)
    assert [(row.close, row.state) for row in bars(store)] == [("94", "revised"), ("96", "forming")]
    assert reasons(store) == ["candle_revised"]


def test_an_answer_over_the_whole_gap_closes_it_with_proof_and_half_an_answer_does_not() -> None:
    """A10 item 7: longer outages left permanent holes."""
    tape = Polled()
    tape.streaming(BARS)
    tape.streamed(OPEN_MS, "95", OPEN_MS + 5_000)
    tape.disconnect()
    tape.streaming(BARS)
    back_ms = OPEN_MS + 3 * MINUTE_MS
    tape.streamed(back_ms, "99", back_ms + 5_000)
    missed = [tape.bar(OPEN_MS + n * MINUTE_MS) for n in range(3)]
    tape.history(*missed[1:], recv_ms=back_ms + 9_000, span=(OPEN_MS + MINUTE_MS, back_ms))
    (gap,) = stored(tape).reader().gaps([parse_stream(BARS)], open_only=True, limit=9)
    assert ns_from_ms(OPEN_MS) == gap.from_ns <= gap.to_ns <= ns_from_ms(OPEN_MS + MINUTE_MS)  # what is left of it
    tape.history(*missed, recv_ms=back_ms + 9_000, span=(OPEN_MS, back_ms))
    store = stored(tape)
    gaps = store.reader().gaps([parse_stream(BARS)], open_only=False, limit=9)
    assert {gap.state for gap in gaps} == {GapState.CLOSED}
    assert [row.state for row in bars(store)] == ["closed", "closed", "closed", "forming"]


# The venue's newest trades


def test_what_is_held_is_confirmed_and_what_is_newer_is_left_to_the_stream() -> None:
    """A10 item 2: polling can only be a cross-check."""
    tape = Polled()
    tape.streaming(BTC)
    tape.prints("BTC", one(1, 2, 3))
    tape.recent(one(2, 3, 4, 5))
    store = stored(tape)
    found = counts(store)
    assert (found["audit_held"], found["audit_outside"], reasons(store)) == (2, 2, [])
    assert store.reader().totals().trades == 3


def test_a_poll_never_proves_that_an_outage_lost_nothing() -> None:
    """A10 item 3: overlap with polled trades hid gaps."""
    tape = Polled()
    tape.streaming(BTC)
    tape.prints("BTC", one(1, 2))
    tape.disconnect()
    tape.recent(one(7, 8))
    tape.streaming(BTC)
    tape.prints("BTC", one(7, 8, 9))
    (gap,) = stored(tape).reader().gaps([parse_stream(BTC)], open_only=False, limit=9)
    assert (gap.from_ns, gap.to_ns) == (ns_from_ms(NOW_MS + 2), ns_from_ms(NOW_MS + 7))


def test_a_trade_in_time_called_complete_that_we_do_not_hold_is_a_mismatch_and_is_kept() -> None:
    """A10 item 2: what the window missed was lost without a trace."""
    tape = Polled()
    tape.streaming(BTC)
    tape.prints("BTC", one(1, 2, 9))
    tape.recent(one(1, 5, 9))
    store = stored(tape)
    (item,) = store.reader().quarantined(limit=9)
    assert (item.reason, item.path) == ("audit_mismatch", BTC)
    assert "trade 5 " in item.value
    assert [row.trade_id for row in store.reader().trades(RowQuery((parse_stream(BTC),), descending=False))] == [
        1, 2, 5, 9,
    ]  # fmt: skip


def test_a_trade_told_otherwise_is_a_mismatch_and_the_first_stands() -> None:
    tape = Polled()
    tape.streaming(BTC)
    tape.prints("BTC", one(1, 2))
    tape.recent([(NOW_MS + 1, 1, "100.5", "0.75", "B")])
    store = stored(tape)
    assert reasons(store) == ["audit_mismatch"]
    assert {row.size for row in store.reader().trades(RowQuery((parse_stream(BTC),)))} == {"0.25"}


def test_a_trade_in_a_known_gap_or_before_the_record_is_no_mismatch() -> None:
    tape = Polled()
    tape.streaming(BTC)
    tape.prints("BTC", one(10, 11, 12))
    tape.disconnect()
    tape.streaming(BTC)
    tape.prints("BTC", one(20, 21))
    tape.recent(one(3, 15, 21))
    assert reasons(stored(tape)) == []


def test_the_contexts_of_instruments_that_nobody_asked_for_are_left_aside() -> None:
    key = "hyperliquid/contexts/BTC"
    tape = Polled()
    tape.streaming(key)
    context = {"openInterest": "5", "funding": "-0.0001", "markPx": "100"}
    universe = {"universe": [{"name": "BTC"}, {"name": "ETH"}]}
    tape.reply(Asked("metaAndAssetCtxs", "{}", 200), [universe, [context, context]], NOW_MS)
    store = stored(tape)
    (row,) = store.reader().contexts(RowQuery((parse_stream(key),)))
    assert (row.open_interest, row.funding_rate, row.ts_recv_ns) == ("5", "-0.0001", ns_from_ms(NOW_MS))
    assert (counts(store)["contexts_aside"], reasons(store)) == (1, [])


def test_a_comparison_on_the_tape_is_kept_with_its_words() -> None:
    tape = Polled()
    tape.streaming(BARS)
    tape.put(FrameKind.COMPARED, control_payload(Compared(BARS, 5, "ours: volume 1, told 2")))
    (item,) = stored(tape).reader().quarantined(limit=9)
    assert (item.reason, item.path, item.value) == ("candle_disagrees", BARS, "at 5: ours: volume 1, told 2")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdfhlprsx"), st.integers(0, 5)), min_size=1, max_size=25),
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
)
def test_the_same_tape_makes_the_same_store_however_it_is_cut(steps: list[tuple[str, int]], sizes: list[int]) -> None:
    tape = Polled()
    tape.polling(VAULTS)
    tape.streaming(BTC, BARS)
    at_ms = OPEN_MS
    for number, (step, value) in enumerate(steps):
        at_ms += 7_000
        if step in "ab":
            tape.account(A if step == "a" else B, str(value) if value else "", 1 + (step == "b"), at_ms)
        elif step == "f":
            tape.failed(at_ms, VAULTS)
        elif step == "h":
            bar_ms = OPEN_MS + value * MINUTE_MS
            tape.history(tape.bar(bar_ms, str(95 + value)), recv_ms=at_ms, span=(OPEN_MS, bar_ms))
        elif step == "l":
            tape.streamed(OPEN_MS + value * MINUTE_MS, str(91 + number % 3), at_ms)
        elif step == "p":
            tape.prints("BTC", one(number, ms=at_ms), at_ms)
        elif step == "r":
            tape.recent(one(number - value, ms=at_ms - 7_000 * value), at_ms)
        elif step == "d":
            tape.source = tape.stream
            tape.disconnect()
            tape.streaming(BTC, BARS)
        elif step == "s":
            tape.start()
        else:
            tape.both(at_ms)
    whole = list(project([tape.frames])[0].reader().dump())
    for restart in (False, True):
        store, _ = project(cut_into(tape.frames, sizes), restart=restart)
        assert list(store.reader().dump()) == whole


@pytest.mark.parametrize("value", ["x", "-", ""])
def test_a_question_that_cannot_be_read_is_refused_and_stops_nothing(value: str) -> None:
    tape = Polled()
    tape.polling(VAULTS)
    body = {"marginSummary": {"accountValue": "1"}, "assetPositions": [], "time": NOW_MS}
    tape.reply(Asked("clearinghouseState", value, 200), body, NOW_MS)
    assert reasons(stored(tape)) == ["broken_reply"]
