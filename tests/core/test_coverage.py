"""The coverage algebra against the obvious: asking moment by moment."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from everytick.core.coverage import COMPLETE, clip, holes, is_complete
from everytick.model.ledger import Cover, Interval
from everytick.model.stream import Kind, Stream

STREAM = Stream("hyperliquid", Kind.TRADES, "BTC")
MOMENTS = 40


@st.composite
def ledgers(draw: st.DrawFn) -> list[Interval]:
    cuts = sorted(draw(st.sets(st.integers(0, MOMENTS), max_size=12)))
    kept = []
    for low, high in pairwise(cuts):
        cover = draw(st.one_of(st.none(), st.sampled_from(list(Cover))))
        if cover is not None:
            kept.append(Interval(STREAM, low, high, cover, 0))
    return kept


def cover_at(ledger: list[Interval], moment: int) -> Cover | None:
    for interval in ledger:
        if interval.from_ns <= moment < interval.to_ns:
            return interval.cover
    return None


@given(ledgers(), st.integers(0, MOMENTS), st.integers(0, MOMENTS))
def test_a_range_is_complete_exactly_when_every_moment_of_it_is(ledger: list[Interval], low: int, high: int) -> None:
    every_moment = all(cover_at(ledger, moment) in COMPLETE for moment in range(low, high))
    assert is_complete(ledger, low, high) == every_moment


@given(ledgers(), st.integers(0, MOMENTS), st.integers(0, MOMENTS))
def test_holes_name_every_incomplete_moment_and_no_other(ledger: list[Interval], low: int, high: int) -> None:
    named = {}
    for hole in holes(ledger, low, high):
        for moment in range(hole.from_ns, hole.to_ns):
            assert moment not in named
            named[moment] = hole.cover
    expected = {m: cover_at(ledger, m) for m in range(low, high) if cover_at(ledger, m) not in COMPLETE}
    assert named == expected


@given(ledgers(), st.integers(0, MOMENTS), st.integers(0, MOMENTS))
def test_clipping_changes_no_moment_inside_and_leaves_none_outside(ledger: list[Interval], low: int, high: int) -> None:
    clipped = clip(ledger, low, high)
    for moment in range(-1, MOMENTS + 2):
        expected = cover_at(ledger, moment) if low <= moment < high else None
        assert cover_at(clipped, moment) == expected
