"""Ids that came before their turn: an answer of the venue's history reaches past what it was asked for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from everytick.core.coverage import is_complete
from everytick.model.frame import FrameKind, Source
from everytick.model.ledger import GapState
from everytick.recorder.pipeline import Pipeline
from everytick.stores.memory import MemoryStore
from tests.recorder.dense import DENSE, STREAM, message, reply
from tests.recorder.wire import NOW_MS, Tape


def at(*ids: int) -> list[tuple[int, int]]:
    return [(number, NOW_MS + number) for number in ids]


def project(tape: Tape, sizes: Sequence[int]) -> MemoryStore:
    """The tape in batches of these sizes, with a new pipeline for each, and the rest at once."""
    store, start = MemoryStore(), 0
    for size in (*sizes, len(tape.frames)):
        frames = tape.frames[start : start + size]
        if frames:
            pipeline = Pipeline({"dense": DENSE}, store)
            store.apply(pipeline.apply(frames, frames[0].offset, frames[-1].offset + 1))
        start += size
    return store


def a_tape(after: Sequence[int]) -> Tape:
    """Ids 4 to 6 never were; the history, asked for three trades from 4 on, gives 7, 8 and 9; 8 and 9 are not live."""
    tape = Tape()
    tape.start()
    tape.connect(STREAM.key)
    tape.source = Source("dense", "ws", tape.source.epoch)
    tape.put(FrameKind.MESSAGE, message(at(1, 2, 3)))
    tape.put(FrameKind.MESSAGE, message(at(7)))
    tape.put(FrameKind.REPLY, reply(at(7, 8, 9), 4, 6))
    tape.put(FrameKind.MESSAGE, message(at(*after)))
    return tape


@pytest.mark.parametrize("sizes", [(), (1, 1, 1, 1, 1, 1), (4, 1)])
def test_a_gap_names_no_id_that_came_before_its_turn(sizes: tuple[int, ...]) -> None:
    store = project(a_tape([12]), sizes)
    gaps = [gap for gap in store.reader().gaps([STREAM], open_only=False, limit=10) if gap.state is GapState.OPEN]
    assert [(gap.first_id, gap.last_id, gap.estimated_missing) for gap in gaps] == [(10, 11, 2)]


@pytest.mark.parametrize("sizes", [(), (1, 1, 1, 1, 1, 1), (4, 1)])
def test_where_all_came_before_their_turn_there_is_no_gap(sizes: tuple[int, ...]) -> None:
    store = project(a_tape([10]), sizes)
    assert store.reader().gaps([STREAM], open_only=True, limit=10) == []
    since, until = (NOW_MS + 7) * 10**6, (NOW_MS + 10) * 10**6
    assert is_complete(store.reader().coverage(STREAM, since, until), since, until)
