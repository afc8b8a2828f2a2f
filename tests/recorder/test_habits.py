"""What a store's newest trades teach about a stream's pace: its own gaps, and never an outage's."""

from __future__ import annotations

from everytick.model.ledger import Seam, Verdict
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.recorder.habits import habits_of
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Batch

STREAM = Stream("hyperliquid", Kind.TRADES, "BTC")
START_NS = 1_757_020_000 * NS_PER_S


def store_of(seconds: list[int], *, seam_after: int | None = None) -> MemoryStore:
    store = MemoryStore()
    at = [START_NS + second * NS_PER_S for second in seconds]
    batch = Batch(0, 10, streams=[STREAM])
    batch.trades = [(STREAM, ts_ns, number, "1", "1", "buy", ts_ns, 0) for number, ts_ns in enumerate(at)]
    if seam_after is not None:
        before_ns = START_NS + seam_after * NS_PER_S
        batch.seams = [Seam(STREAM, 5, 4, Verdict.GAP, "restart", 0, before_ns, before_ns + 1, before_ns + 2)]
    store.apply(batch)
    return store


def test_an_outage_in_the_record_teaches_a_new_start_nothing() -> None:
    steady = list(range(40))
    with_outage = [*steady[:5], *(second + 120 for second in steady[5:])]
    habit = habits_of(store_of(steady).reader(), [STREAM])[STREAM.key]
    taught = habits_of(store_of(with_outage, seam_after=4).reader(), [STREAM])[STREAM.key]
    assert taught.bound_ns < habit.bound_ns + 2 * NS_PER_S
    untold = habits_of(store_of(with_outage).reader(), [STREAM])[STREAM.key]
    assert untold.bound_ns > 2 * habit.bound_ns  # without a seam it is the stream's own silence


def test_what_the_store_hardly_knows_is_no_habit() -> None:
    assert habits_of(store_of([1, 2, 3]).reader(), [STREAM]) == {}
    assert habits_of(MemoryStore().reader(), [STREAM]) == {}
