"""Every store answers as the one in memory does, over batches and questions that no one would think of."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everytick.model.event import CandleState
from everytick.model.ledger import Cover, GapState
from everytick.model.stream import Kind, Stream
from everytick.model.units import ns_from_ms
from everytick.stores.protocol import Batch, Reader, RowQuery, Store
from everytick.stores.spelling import trades_text
from everytick.stores.sqlite import pages
from tests.stores.records import (
    ALL,
    BARS,
    BTC,
    ETH,
    HOURS,
    ODD,
    book,
    candle,
    content,
    context,
    cover,
    gap,
    mid,
    quote,
    refused,
    seam,
    trade,
)
from tests.stores.stores import STORES

OTHERS = sorted(set(STORES) - {"memory"})

# Small worlds, so that rows share times, keys are met again and ranges touch.
times = st.integers(0, 6)
ids = st.integers(0, 5)
trading = st.sampled_from([BTC, ETH, ODD])
barring = st.sampled_from([BARS, HOURS])
prices = st.sampled_from(["1", "1.0", "0.1", "1E-7", "1E+2", "99999999999999999999.000000000000000001"])
trades = st.lists(st.builds(trade, trading, times, ids, prices, prices), max_size=12)
candles = st.lists(st.builds(candle, barring, times, prices, st.sampled_from(CandleState)), max_size=4)
gaps = st.lists(st.builds(gap, trading, times, ids, st.sampled_from(GapState), st.integers(-1, 1)), max_size=4)
covers = st.lists(st.builds(cover, trading, times, st.integers(3, 9), st.sampled_from(Cover), ids), max_size=4)
states = st.dictionaries(st.sampled_from(["", "a", "b"]), st.binary(max_size=3), max_size=2)
counts = st.dictionaries(st.sampled_from(["frames", "é", "x"]), st.integers(0, 9), max_size=2)


@st.composite
def tapes(draw: st.DrawFn) -> list[Batch]:
    """Batches as a pipeline would give them: in order, every trade once, each snapshot at its own offset."""
    held: set[tuple[Stream, int, int]] = set()
    made = []
    offset = 0
    for n in range(draw(st.integers(1, 4))):
        fresh = []
        for placed in draw(trades):
            key = (placed[0], placed[1], placed[2])
            if key not in held:
                held.add(key)
                fresh.append(placed)
        end = offset + draw(st.integers(0, 3))
        batch = Batch(
            *(offset, end, list(ALL) if n == 0 else []),
            trades=fresh,
            candles=draw(candles),
            gaps=draw(gaps),
            cover_dropped=draw(covers),
            cover_put=draw(covers),
            states=draw(states),
            counts=draw(counts),
        )
        for at in range(offset, end):
            ms = draw(times)
            batch.events += [quote(ms, at, draw(st.sampled_from([None, "1.50"]))), book(ms, at), context(ms, at)]
            batch.mids.append(mid(ms, at))
            batch.quarantined.append(refused(at, draw(st.integers(-1, 3))))
            batch.seams.append(seam(draw(trading), at))
        made.append(batch)
        offset = end
    return made


moments = st.one_of(
    times.map(ns_from_ms), times.map(lambda ms: ns_from_ms(ms) + 1), st.sampled_from([-1, 0, 2**63 - 1])
)
queries = st.builds(
    RowQuery,
    streams=st.lists(st.sampled_from([*ALL, Stream("none", Kind.TRADES, "X")]), max_size=5).map(tuple),
    since_ns=st.one_of(st.just(0), moments),
    until_ns=st.one_of(st.just(2**63 - 1), moments),
    descending=st.booleans(),
    limit=st.integers(0, 8),
    after=st.one_of(st.none(), st.tuples(moments, st.integers(0, 10), st.integers(-1, 6))),
)


def answers(store: Store, reader: Reader, asked: list[RowQuery]) -> list[object]:
    found: list[object] = [reader.checkpoint(), list(reader.streams().items()), reader.totals(), reader.latest()]
    for query in asked:
        page = reader.trades(query)
        found += [page, reader.candles(query), reader.trades_json(query)]
        assert reader.trades_json(query)[0] == trades_text(page)
        limit = query.limit + 1
        found += [reader.gaps(query.streams, open_only=query.descending, limit=limit)]
        found += [reader.seams(query.streams, limit=limit), reader.quarantined(limit=limit)]
        for stream in query.streams:
            keys = [(ns_from_ms(ms), trade_id) for ms in range(7) for trade_id in range(query.limit)]
            found += [store.known_trades(stream, keys), list(store.newest_trades(stream, limit).items())]
            found += [reader.coverage(stream, query.since_ns, query.until_ns), store.open_cover(stream)]
    return [*found, store.states(), list(reader.dump())]


@contextmanager
def opened(name: str) -> Iterator[tuple[Store, Reader]]:
    with tempfile.TemporaryDirectory() as folder:
        store = STORES[name](Path(folder))
        reader = store.reader()
        try:
            yield store, reader
        finally:
            reader.close()
            store.close()


# A store on a server costs twenty times a file to make, so it sees fewer of these worlds.
EXAMPLES = {"sqlite": 200, "postgres": 40}


def over_worlds(count: int) -> settings:
    return settings(
        max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )


@pytest.mark.parametrize("name", OTHERS)
def test_a_store_answers_as_the_one_in_memory(name: str) -> None:
    @over_worlds(EXAMPLES[name])
    @given(tape=tapes(), asked=st.lists(queries, min_size=1, max_size=6), at_once=st.integers(1, 4))
    def check(tape: list[Batch], asked: list[RowQuery], at_once: int) -> None:
        # Few streams at once, so that pages put together from several statements are met too.
        few = mock.patch.object(pages, "STREAMS_AT_ONCE", at_once)
        with few, opened(name) as (store, reader), opened("memory") as (oracle, truth):
            for batch in tape:
                store.apply(batch)
                oracle.apply(batch)
                assert answers(store, reader, asked) == answers(oracle, truth, asked)

    check()


@pytest.mark.parametrize("name", OTHERS)
def test_a_page_over_hundreds_of_streams_is_the_page_of_the_oracle(name: str) -> None:
    streams = [Stream("hyperliquid", Kind.TRADES, f"C{n}") for n in range(450)]
    batch = Batch(0, 1, streams=streams, trades=[trade(s, n % 7, n) for n, s in enumerate(streams)])
    with opened(name) as (store, reader), opened("memory") as (oracle, truth):
        store.apply(batch)
        oracle.apply(batch)
        for descending in (True, False):
            query = RowQuery(tuple(streams), descending=descending, limit=321)
            for _ in range(2):
                assert reader.trades(query) == truth.trades(query)
                assert reader.trades_json(query) == truth.trades_json(query)
                query = RowQuery(query.streams, descending=descending, limit=321, after=truth.trades_json(query)[2])
        assert len(reader.latest()) == 450


@pytest.mark.parametrize("name", OTHERS)
def test_a_store_made_again_from_the_same_tape_has_the_same_dump(name: str) -> None:
    @over_worlds(EXAMPLES[name] // 6)
    @given(tape=tapes())
    def check(tape: list[Batch]) -> None:
        dumps = []
        for _ in range(2):
            with opened(name) as (store, _reader):
                for batch in tape:
                    store.apply(batch)
                dumps.append(content(store.reader()))
        assert dumps[0] == dumps[1]

    check()
