"""Pages put together are the whole: nothing skipped, nothing twice, however many rows share a millisecond."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serve.asking import BARS, BTC, ETH, PURR, T0_MS, Caller, caller_of, filled_store, trade

from everytick.model.stream import Stream
from everytick.serve import rows
from everytick.serve.formats import CSV, JSON
from everytick.serve.queries import TradesQuery
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Batch
from everytick.stores.sqlite import SqliteStore

STREAMS = [BTC, ETH, PURR]

NUMBERS = {stream.instrument: number for number, stream in enumerate(STREAMS)}

# Few distinct milliseconds and ids over the whole range: ties are the rule, id order says nothing.
keys = st.tuples(st.sampled_from(STREAMS), st.integers(0, 3), st.integers(0, 2**50) | st.integers(0, 40))
stores = st.lists(keys, unique=True, max_size=60)


def store_of(held: list[tuple[Stream, int, int]]) -> MemoryStore:
    store = MemoryStore()
    store.apply(Batch(0, 1, streams=STREAMS, trades=[trade(s, T0_MS + ms, tid) for s, ms, tid in held]))
    return store


def identity(row: dict[str, Any]) -> tuple[str, int, int]:
    return row["coin"], row["time"], row["tid"]


def walk(call: Caller, path: str, name: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for _ in range(200):
        page = call(path, query).json
        assert page["count"] == len(page[name]) <= query["limit"]
        found += page[name]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]
    raise AssertionError("the pages never end")


@settings(max_examples=150, deadline=None)
@given(stores, st.integers(1, 70), st.sampled_from(["asc", "desc"]), st.sampled_from(["", "BTC"]))
def test_pages_put_together_are_the_whole(
    held: list[tuple[Stream, int, int]], limit: int, order: str, coin: str
) -> None:
    call = caller_of(store_of(held))
    query = {"coin": coin} if coin else {}
    found = walk(call, "/trades", "trades", limit=limit, order=order, **query)
    wanted = sorted(
        ((s.instrument, T0_MS + ms, tid) for s, ms, tid in held if coin in ("", s.instrument)),
        key=lambda row: (row[1], NUMBERS[row[0]], row[2]),
        reverse=order == "desc",
    )
    assert [identity(row) for row in found] == wanted


@settings(max_examples=100, deadline=None)
@given(stores, st.lists(st.integers(0, 8), max_size=12), st.integers(1, 9))
def test_rows_that_arrive_between_pages_are_seen_once_and_nothing_is_skipped(
    held: list[tuple[Stream, int, int]], arriving: list[int], limit: int
) -> None:
    store = store_of(held)
    call = caller_of(store)
    query: dict[str, Any] = {"limit": limit, "order": "asc"}
    in_store = {(s.instrument, T0_MS + ms, tid) for s, ms, tid in held}
    seen: list[tuple[str, int, int]] = []
    for step in range(1_000):
        page = call("/trades", query).json
        seen += [identity(row) for row in page["trades"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        count = arriving.pop() if arriving else 0
        # As on a live stream, what arrives is newer than what is held; all of it shares one millisecond.
        fresh = [trade(BTC, T0_MS + 10 + step, count - tid) for tid in range(count)]
        store.apply(Batch(step + 1, step + 2, trades=fresh))
        in_store |= {("BTC", T0_MS + 10 + step, placed[2]) for placed in fresh}
    assert len(seen) == len(set(seen))
    assert set(seen) == in_store


@settings(max_examples=60, deadline=None)
@given(stores, st.integers(1, 30), st.sampled_from(["asc", "desc"]), st.integers(0, 4), st.integers(0, 4))
def test_the_fast_json_is_the_plain_json_byte_for_byte(
    held: list[tuple[Stream, int, int]], limit: int, order: Any, since: int, until: int
) -> None:
    low, high = sorted((since, until))
    query = TradesQuery(limit=limit, order=order, since_ms=T0_MS + low, until_ms=T0_MS + high)
    sources = caller_of(store_of(held)).api._sources
    assert rows.trades_fast(sources, query).body == msgspec.json.encode(rows.trades(sources, query).value)


def test_a_file_and_memory_give_the_same_answers_to_the_byte(tmp_path: Path) -> None:
    dice = random.Random(7)
    held = {(dice.choice(STREAMS), dice.randrange(20), dice.randrange(2**50)) for _ in range(500)}
    batch = Batch(0, 1, streams=STREAMS, trades=[trade(s, T0_MS + ms, tid) for s, ms, tid in held])
    file, memory = SqliteStore(str(tmp_path / "store.sqlite")), MemoryStore()
    for store in (file, memory):
        store.apply(batch)
    ours, oracle = caller_of(file), caller_of(memory)
    for _ in range(60):
        query: dict[str, Any] = {"limit": dice.randrange(1, 200), "order": dice.choice(["asc", "desc"])}
        if dice.random() < 0.5:
            query["coin"] = dice.choice(STREAMS).instrument
        low, high = sorted((dice.randrange(22), dice.randrange(22)))
        query |= {"since_ms": T0_MS + low, "until_ms": T0_MS + high}
        for accept in (JSON, CSV):
            page = ours("/trades", query, accept=accept)
            assert page.status == 200
            assert page == oracle("/trades", query, accept=accept)
        if "x-next-cursor" in page.headers:
            query["cursor"] = page.headers["x-next-cursor"]
            assert ours("/trades", query) == oracle("/trades", query)
    ours.api._sources.close()
    file.close()


def test_candles_are_paged_by_open_time_over_all_their_intervals() -> None:
    call = caller_of(filled_store())
    for order in ("asc", "desc"):
        found = walk(call, "/candles", "candles", limit=1, order=order)
        assert len(found) == 5
        times = [row["time"] for row in found]
        assert times == sorted(times, reverse=order == "desc")
    only = walk(call, "/candles", "candles", limit=2, interval=BARS.interval, order="asc")
    assert [(row["interval"], row["time"]) for row in only] == [("5m", T0_MS + 300_000 * n) for n in range(4)]


def test_since_belongs_to_the_page_and_until_does_not() -> None:
    call = caller_of(filled_store())
    found = call("/trades", {"since_ms": T0_MS + 1, "until_ms": T0_MS + 2}).json["trades"]
    assert {row["time"] for row in found} == {T0_MS + 1}
    assert len(found) == 10


@pytest.mark.parametrize(
    "change",
    [
        {"coin": "ETH"},
        {"order": "desc"},
        {"since_ms": 5},
        {"until_ms": T0_MS + 50},
        {"venue": "hyperliquid"},
    ],
)
def test_a_cursor_of_another_query_is_refused(change: dict[str, object]) -> None:
    call = caller_of(filled_store())
    query: dict[str, object] = {"limit": 3, "order": "asc", "coin": "BTC"}
    cursor = call("/trades", query).json["next_cursor"]
    # The limit decides nothing about order or content, so it may change from page to page.
    assert call("/trades", {**query, "limit": 5, "cursor": cursor}).status == 200
    refused = call("/trades", {**query, **change, "cursor": cursor})
    assert refused.status == 400
    assert refused.json["parameter"] == "cursor"


def test_a_cursor_of_another_route_or_a_damaged_one_is_refused() -> None:
    call = caller_of(filled_store())
    cursor = call("/trades", {"limit": 1}).json["next_cursor"]
    assert call("/candles", {"limit": 1, "cursor": cursor}).status == 400
    for damaged in (cursor[:-1], cursor[1:], "é", "=", "a" * 44, cursor + "AA", "*" + cursor[1:]):
        answer = call("/trades", {"limit": 1, "cursor": damaged})
        assert (answer.status, answer.json["parameter"]) == (400, "cursor"), damaged
