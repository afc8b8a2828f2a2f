"""Ids without holes: the ledger names exactly what is missing, and proof alone closes it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core.coverage import is_complete
from everytick.core.idranges import IdRanges
from everytick.model.control import Covered, Judged, control_payload
from everytick.model.frame import Frame, FrameKind, Source
from everytick.model.ledger import Cover, Gap, GapState
from everytick.recorder.pipeline import Pipeline
from everytick.recorder.repair import CAUSE_HOLE
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import RowQuery
from tests.recorder.dense import DENSE, STREAM, message, reply, trade_run
from tests.recorder.wire import NOW_MS, Tape, cut_into


class DenseTape(Tape):
    def connect(self, *streams: str) -> None:
        super().connect(*(streams or (STREAM.key,)))
        self.source = Source("dense", "ws", self.source.epoch)

    def send(self, *ids: int) -> None:
        self.put(FrameKind.MESSAGE, message([(i, NOW_MS + i) for i in ids]))

    def answer(self, first_id: int, last_id: int, but: Sequence[int] = ()) -> None:
        held = [(i, NOW_MS + i) for i in range(first_id, last_id + 1) if i not in but]
        self.put(FrameKind.REPLY, reply(held, first_id, last_id))


def project(batches: Sequence[Sequence[Frame]], *, restart: bool = False, takes_runs: bool = True) -> MemoryStore:
    store = MemoryStore()
    runs = {"dense": trade_run} if takes_runs else {}
    pipeline = Pipeline({"dense": DENSE}, store, runs)
    for batch in batches:
        if restart:
            pipeline = Pipeline({"dense": DENSE}, store, runs)
        store.apply(pipeline.apply(batch, batch[0].offset, batch[-1].offset + 1))
    return store


def gaps_of(store: MemoryStore) -> list[Gap]:
    return sorted(store.reader().gaps([STREAM], open_only=False, limit=10_000), key=lambda gap: gap.first_id)


def missing_ids(store: MemoryStore) -> set[int]:
    named = set()
    for gap in gaps_of(store):
        if gap.state is GapState.OPEN:
            named |= set(range(gap.first_id, gap.last_id + 1))
    return named - {row.trade_id for row in store.reader().trades(RowQuery((STREAM,), limit=10_000))}


def a_tape(*frames: Sequence[int]) -> DenseTape:
    tape = DenseTape()
    tape.start()
    tape.connect()
    for ids in frames:
        tape.send(*ids)
    return tape


def test_a_skipped_id_is_a_proved_gap_of_exactly_that_id() -> None:
    (gap,) = gaps_of(project([a_tape([1, 2], [4, 5]).frames]))
    assert (gap.first_id, gap.last_id, gap.estimated_missing, gap.kind.value) == (3, 3, 1, "proved")


def test_a_late_trade_closes_its_gap() -> None:
    store = project([a_tape([1, 2], [4, 5], [3]).frames])
    (gap,) = gaps_of(store)
    assert (gap.state, gap.estimated_missing) == (GapState.CLOSED, 0)
    first = store.reader().coverage(STREAM, 0, 2**62)
    assert {interval.cover for interval in first} == {Cover.OBSERVED, Cover.BACKFILLED}
    assert is_complete(first, (NOW_MS + 2) * 10**6, (NOW_MS + 5) * 10**6)


def test_history_closes_a_gap_and_tells_the_venues_own_holes_apart() -> None:
    tape = a_tape([1, 2], [9, 10])
    tape.answer(3, 8, but=[5, 6])
    hole, gap = sorted(gaps_of(project([tape.frames])), key=lambda one: -one.first_id)
    assert (gap.first_id, gap.state) == (3, GapState.CLOSED)
    assert (hole.first_id, hole.last_id, hole.state, hole.cause) == (5, 6, GapState.PERMANENT, CAUSE_HOLE)


def test_half_an_answer_leaves_the_rest_open() -> None:
    tape = a_tape([1, 2], [9, 10])
    tape.answer(3, 5)
    store = project([tape.frames])
    (gap,) = gaps_of(store)
    assert (gap.state, gap.estimated_missing) == (GapState.OPEN, 3)
    assert missing_ids(store) == {6, 7, 8}


def test_a_reconnect_that_continues_the_ids_is_lossless() -> None:
    tape = a_tape([1, 2])
    tape.disconnect()
    tape.connect()
    tape.send(3)
    store = project([tape.frames])
    assert gaps_of(store) == []
    assert [seam.verdict.value for seam in store.reader().seams([STREAM], limit=9)] == ["lossless", "first"]


def test_two_connections_at_once_make_no_gap() -> None:
    tape = a_tape([1, 2])
    old = tape.source
    tape.connect()
    new = tape.source
    for source, ids in ((old, [3]), (new, [3, 4]), (old, [4, 5]), (new, [5, 6])):
        tape.source = source
        tape.send(*ids)
    assert gaps_of(project([tape.frames])) == []


def test_a_verdict_from_the_tape_settles_a_gap_with_its_reason() -> None:
    tape = a_tape([1, 2], [9])
    (gap,) = gaps_of(project([tape.frames]))
    verdict = Judged(STREAM.key, gap.from_ns, gap.offset, gap.first_id, "permanent", "no_history")
    tape.put(FrameKind.JUDGED, control_payload(verdict))
    (settled,) = gaps_of(project([tape.frames]))
    assert (settled.state, settled.cause) == (GapState.PERMANENT, "no_history")


def test_another_source_does_not_close_a_gap_whose_ids_are_known_and_not_held() -> None:
    tape = a_tape([1, 2], [9])
    tape.put(FrameKind.COVERED, control_payload(Covered([STREAM.key], 0, 2**62, "archive")))
    (gap,) = gaps_of(project([tape.frames]))
    assert gap.state is GapState.OPEN


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_the_ledger_names_exactly_the_deleted_ids_and_history_closes_exactly_those(seed: int, sizes: list[int]) -> None:
    dice = random.Random(seed)
    ids = list(range(1, dice.randrange(10, 120)))
    dropped = set(dice.sample(ids[1:-1], dice.randrange(0, len(ids) // 3)))
    holes = set(dice.sample(sorted(dropped), len(dropped) // 3))
    kept = [i for i in ids if i not in dropped]
    tape = DenseTape()
    tape.start()
    tape.connect()
    at = 0
    while at < len(kept):
        size = dice.randrange(1, 6)
        part = kept[at : at + size]
        dice.shuffle(part)
        tape.send(*part)
        at += size
        if dice.random() < 0.1:
            tape.disconnect()
            tape.connect()
    assert missing_ids(project([tape.frames])) == dropped
    for gap in gaps_of(project([tape.frames])):
        tape.answer(gap.first_id, gap.last_id, but=sorted(holes))
    store = project([tape.frames])
    assert missing_ids(store) == set()
    named_holes = {i for gap in gaps_of(store) if gap.cause == CAUSE_HOLE for i in range(gap.first_id, gap.last_id + 1)}
    assert named_holes == holes
    covers = store.reader().coverage(STREAM, 0, 2**62)
    assert all(before.to_ns <= after.from_ns for before, after in pairwise(covers))
    whole = list(store.reader().dump())
    assert list(project(cut_into(tape.frames, sizes), restart=True).reader().dump()) == whole
    assert list(project([tape.frames], takes_runs=False).reader().dump()) == whole


def test_runs_of_ids_in_a_row_leave_the_careful_road_and_end_at_every_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = a_tape(*([i] for i in range(1, 640)))
    old = tape.source
    tape.send(641)  # one is missing
    for i in (642, 640, 643, 644, 644, 646, 645):  # late, repeated, out of order
        tape.send(i)
    tape.connect()
    new = tape.source
    for i in range(647, 900):  # a second connection brings what the first does, now ahead and now behind
        tape.source = old if i % 3 else new
        tape.send(i)
        tape.source = new
        tape.send(i)
    tape.disconnect()
    tape.connect()
    for i in range(905, 1_300):
        tape.send(i)
    taken: list[int] = []
    careful = Pipeline._message
    monkeypatch.setattr(Pipeline, "_message", lambda self, frame: (taken.append(frame.offset), careful(self, frame)))
    fast = project([tape.frames])
    of_fast, taken[:] = len(taken), []
    plain = project([tape.frames], takes_runs=False)
    assert list(fast.reader().dump()) == list(plain.reader().dump())
    assert missing_ids(fast) == set(range(900, 905))
    assert len(taken) == sum(frame.kind is FrameKind.MESSAGE for frame in tape.frames)
    assert of_fast <= len(taken) - 256  # the run before the first doubt


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=10), st.integers(0, 40))
def test_id_ranges_are_a_set_of_ids(taken: list[tuple[int, int]], last: int) -> None:
    ranges, oracle = IdRanges(0, last), set(range(last + 1))
    for low, high in taken:
        if low <= high:
            got = ranges.take(low, high)
            assert {i for first, to in got for i in range(first, to + 1)} == oracle & set(range(low, high + 1))
            oracle -= set(range(low, high + 1))
        else:
            assert ranges.remove(low) == (low in oracle)
            oracle.discard(low)
    assert len(ranges) == len(oracle)
    assert all((i in ranges) == (i in oracle) for i in range(42))
    assert all(a[1] + 1 < b[0] or a[1] < b[0] for a, b in pairwise(ranges.ranges))
