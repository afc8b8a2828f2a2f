"""From frames to batches: what is stored, what is refused, and what is known to be missing."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.model.event import Trade
from everytick.model.frame import Frame, FrameKind
from everytick.model.ledger import Cover, Gap, GapKind, Verdict
from everytick.model.stream import parse_stream
from everytick.model.units import ms_from_ns
from everytick.recorder.pipeline import Pipeline
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import RowQuery
from everytick.venues.registry import TRADE_RUNS, VENUES
from tests.recorder.wire import NOW_MS, Tape, cut_into, trades_message

BTC = "hyperliquid/trades/BTC"
ETH = "hyperliquid/trades/ETH"


def project(
    batches: Sequence[Sequence[Frame]], *, restart_each_batch: bool = False, takes_runs: bool = True
) -> MemoryStore:
    store = MemoryStore()
    runs = TRADE_RUNS if takes_runs else {}
    pipeline = Pipeline(VENUES, store, runs)
    for batch in batches:
        if restart_each_batch:
            pipeline = Pipeline(VENUES, store, runs)
        store.apply(pipeline.apply(batch, batch[0].offset, batch[-1].offset + 1))
    return store


def gaps_of(store: MemoryStore) -> list[Gap]:
    reader = store.reader()
    return reader.gaps(list(reader.streams()), open_only=False, limit=1_000)


def tids_of(store: MemoryStore, key: str = BTC) -> list[int]:
    query = RowQuery((parse_stream(key),), descending=False, limit=10_000)
    return [row.trade_id for row in store.reader().trades(query)]


def prints(*tids: int, ms: int = NOW_MS) -> list[tuple[int, int, str, str, str]]:
    return [(ms + tid, tid, "100.5", "0.25", "B") for tid in tids]


def test_a_replay_that_shares_a_trade_is_stored_once_and_proves_no_loss() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    tape.trades("BTC", prints(1, 2, 3))
    tape.disconnect()
    tape.connect(BTC)
    tape.trades("BTC", prints(2, 3, 4, 5))
    store = project([tape.frames])
    assert tids_of(store) == [1, 2, 3, 4, 5]
    assert gaps_of(store) == []
    newest, first = store.reader().seams([parse_stream(BTC)], limit=10)
    assert (first.verdict, newest.verdict, newest.shared) == (Verdict.FIRST, Verdict.LOSSLESS, 2)


def test_a_replay_that_shares_nothing_is_a_gap_that_names_its_bounds() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    tape.trades("BTC", prints(1, 2, 3))
    tape.disconnect()
    tape.connect(BTC)
    tape.trades("BTC", prints(7, 8))
    (gap,) = gaps_of(project([tape.frames]))
    assert (ms_from_ns(gap.from_ns), ms_from_ns(gap.to_ns)) == (NOW_MS + 3, NOW_MS + 7)
    assert (gap.kind, gap.cause) == (GapKind.SUSPECTED, "cut")


def test_the_same_outage_is_judged_for_each_coin_alone() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC, ETH)
    tape.trades("BTC", prints(1, 2))
    tape.trades("ETH", prints(1, 2))
    tape.disconnect()
    tape.connect(BTC, ETH)
    tape.trades("BTC", prints(5, 6))
    tape.trades("ETH", prints(2, 3))
    assert [gap.stream.key for gap in gaps_of(project([tape.frames]))] == [BTC]


def test_a_restart_without_proof_leaves_a_restart_gap() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    tape.trades("BTC", prints(1, 2))
    tape.start()  # killed: no DISCONNECT was written
    tape.connect(BTC)
    tape.trades("BTC", prints(5, 6))
    (gap,) = gaps_of(project([tape.frames]))
    assert (gap.kind, gap.cause) == (GapKind.RESTART, "restart")


def test_a_block_sent_again_whole_after_a_cut_replay_loses_no_trade() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    block = [(NOW_MS, tid, "100", "1", "A") for tid in range(121)]
    tape.trades("BTC", block[:30])
    tape.trades("BTC", block)
    store = project([tape.frames])
    assert tids_of(store) == list(range(121))
    assert store.reader().totals().counts["trades_repeated"] == 30


def test_one_impossible_trade_is_quarantined_and_its_neighbours_stored() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    good = prints(1, 2, 3)
    good[1] = (good[1][0], 2, "-5", "1", "B")
    tape.trades("BTC", good)
    store = project([tape.frames])
    assert tids_of(store) == [1, 3]
    (refused,) = store.reader().quarantined(limit=10)
    assert (refused.offset, refused.index) == (3, 1)
    assert "-5" in refused.value


def test_a_repeat_with_other_values_keeps_the_first_and_quarantines_the_second() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    tape.trades("BTC", [(NOW_MS, 1, "100", "1", "B")])
    tape.trades("BTC", [(NOW_MS, 1, "101", "1", "B")])
    store = project([tape.frames])
    (row,) = store.reader().trades(RowQuery((parse_stream(BTC),)))
    assert row.price == "100"
    (refused,) = store.reader().quarantined(limit=10)
    assert refused.reason == "conflict"
    assert "101" in refused.value
    assert "100" in refused.value


def test_trades_of_a_stream_nobody_asked_for_are_kept_in_quarantine() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    tape.trades("DOGE", prints(1))
    (refused,) = project([tape.frames]).reader().quarantined(limit=10)
    assert (refused.reason, refused.path) == ("unasked_stream", "hyperliquid/trades/DOGE")


def test_frames_that_cannot_be_read_make_every_stream_prove_itself_again() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    for tid in range(1, 9):
        tape.trades("BTC", prints(tid))
    damaged = [frame for frame in tape.frames if frame.offset not in (6, 7)]
    store = MemoryStore()
    store.apply(Pipeline(VENUES, store).apply(damaged, 0, len(tape.frames)))
    (gap,) = gaps_of(store)
    assert gap.cause == "damage"
    assert store.reader().totals().counts["frames_lost"] == 2


def test_the_quiet_spell_of_a_live_connection_is_observed_not_missing() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    tape.trades("BTC", prints(1, 2))
    tape.trades("BTC", prints(30_000))
    (interval,) = project([tape.frames]).reader().coverage(parse_stream(BTC), 0, 2**62)
    assert interval.cover is Cover.OBSERVED
    assert ms_from_ns(interval.to_ns) == NOW_MS + 30_000


def random_tape(seed: int) -> Tape:
    dice = random.Random(seed)
    tape = Tape()
    tape.start()
    sent: dict[str, list[tuple[int, int, str, str, str]]] = {"BTC": [], "ETH": []}
    ms, is_up = NOW_MS - 1_000_000, False
    for _ in range(dice.randrange(5, 60)):
        if not is_up:
            if dice.random() < 0.3:
                tape.start()
            tape.connect(BTC, ETH)
            for coin, emitted in sent.items():
                replay = emitted[-30:]
                if replay:
                    tape.trades(coin, replay)
            is_up = True
        step = dice.random()
        coin = dice.choice(["BTC", "ETH"])
        ms += dice.randrange(0, 400)
        fresh = [
            (ms, dice.randrange(2**50), str(dice.randrange(1, 999)), "0.5", dice.choice("AB"))
            for _ in range(dice.randrange(1, 45))
        ]
        sent[coin].extend(fresh)
        if step < 0.15:
            tape.disconnect(dice.choice(["cut", "mute"]))
            is_up = False
        elif step < 0.2:
            tape.put(FrameKind.MESSAGE, b'{"channel":"trades","data":[{"coin":')
            tape.trades(coin, fresh)
        elif step < 0.3:
            tape.trades(coin, [*fresh, *sent[coin][-5:]])
        else:
            tape.trades(coin, fresh)
    return tape


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 17), min_size=1, max_size=5))
def test_the_store_is_the_same_however_the_tape_is_cut_into_batches(seed: int, sizes: list[int]) -> None:
    tape = random_tape(seed)
    whole = list(project([tape.frames], takes_runs=False).reader().dump())
    assert list(project([tape.frames]).reader().dump()) == whole
    assert list(project(cut_into(tape.frames, sizes)).reader().dump()) == whole
    assert list(project(cut_into(tape.frames, sizes), restart_each_batch=True).reader().dump()) == whole


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_a_trade_that_was_sent_is_stored_or_lies_inside_a_named_gap(seed: int) -> None:
    tape = random_tape(seed)
    store = project([tape.frames])
    received = {
        (coin, ms, tid)
        for frame in tape.frames
        if frame.kind is FrameKind.MESSAGE
        for coin, ms, tid in _prints_in(frame)
    }
    for key, coin in ((BTC, "BTC"), (ETH, "ETH")):
        rows = store.reader().trades(RowQuery((parse_stream(key),), limit=10_000))
        stored = {(coin, ms_from_ns(row.ts_event_ns), row.trade_id) for row in rows}
        assert stored == {item for item in received if item[0] == coin}


def _prints_in(frame: Frame) -> list[tuple[str, int, int]]:
    decoded = VENUES["hyperliquid"].decode(frame)
    trades = [event for event in decoded.events if isinstance(event, Trade)]
    return [(t.stream.instrument, ms_from_ns(t.ts_event_ns), t.trade_id) for t in trades]


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"NaN", b"[" * 100_000, trades_message("BTC", [])])
def test_no_bytes_stop_the_pipeline(payload: bytes) -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    tape.put(FrameKind.MESSAGE, payload)
    tape.trades("BTC", prints(1))
    assert tids_of(project([tape.frames])) == [1]


def test_a_venues_complaint_is_told_and_its_acks_are_not() -> None:
    tape = Tape()
    tape.start()
    tape.connect(BTC)
    tape.put(FrameKind.MESSAGE, b'{"channel":"subscriptionResponse","data":{"method":"subscribe"}}')
    tape.put(FrameKind.MESSAGE, b'{"channel":"error","data":"Invalid subscription"}')
    pipeline = Pipeline(VENUES, MemoryStore())
    pipeline.apply(tape.frames, 0, len(tape.frames))
    assert pipeline.complaints == [("hyperliquid", "ws", "error", '"Invalid subscription"')]
    pipeline.apply([], len(tape.frames), len(tape.frames))
    assert pipeline.complaints == []
