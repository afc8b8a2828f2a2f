"""What every store promises, over every implementation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from everytick.errors import Fatal
from everytick.model.event import CandleState, Side, Trade
from everytick.model.ledger import Cover, GapState
from everytick.model.stream import Kind, Stream
from everytick.model.units import ns_from_ms
from everytick.stores.open import open_store
from everytick.stores.protocol import Batch, Placed, Reader, RowQuery, Store, Totals, placed_trade
from everytick.stores.spelling import trades_text
from tests.stores.records import (
    ALL,
    BARS,
    BOOKS,
    BTC,
    CONTEXTS,
    ETH,
    HOURS,
    LAG_NS,
    MIDS,
    ODD,
    QUOTES,
    VAULTS,
    book,
    candle,
    content,
    context,
    cover,
    gap,
    mid,
    one_of_each,
    quote,
    refused,
    seam,
    trade,
    vaults,
)

Read = Callable[[], Reader]
replace = msgspec.structs.replace


def test_an_empty_store_answers_every_question(store: Store, read: Read) -> None:
    reader = read()
    everything = RowQuery((BTC, BARS))
    assert reader.checkpoint() == 0
    assert reader.streams() == {}
    assert reader.trades(everything) == []
    assert reader.trades_json(everything) == (b"", 0, None)
    assert reader.trades_json(RowQuery(())) == (b"", 0, None)
    assert reader.candles(everything) == []
    assert (reader.contexts(everything), reader.vaults(everything), reader.mids(everything)) == ([], [], [])
    assert reader.gaps([BTC], open_only=False, limit=10) == []
    assert reader.seams([BTC], limit=10) == []
    assert reader.coverage(BTC, 0, 2**62) == []
    assert reader.quarantined(limit=10) == []
    assert reader.latest() == {}
    assert reader.totals() == Totals(*[0] * 10, counts={})
    assert list(reader.dump()) == ['["checkpoint",0]']
    assert store.states() == {}
    assert store.known_trades(BTC, [(1, 1)]) == {}
    assert store.newest_trades(BTC, 5) == {}
    assert store.open_cover(BTC) is None


def test_a_batch_is_seen_whole_with_its_checkpoint(store: Store, read: Read) -> None:
    reader = read()
    store.apply(one_of_each())
    assert reader.checkpoint() == 10
    assert list(reader.streams().items()) == [(stream, number) for number, stream in enumerate(ALL, 1)]
    assert reader.totals() == Totals(
        *(4, 2, 2, 1, 2, 2, 1, 3, 3, 2),
        counts={"frames": 10, "quarantined": 3},
    )
    assert store.states() == {"": b"\x00", BTC.key: b"one"}
    assert reader.quarantined(limit=2) == [refused(9), refused(8, 0)]
    assert reader.seams([ETH, BTC], limit=2) == [one_of_each().seams[2], seam(ETH, 1)]
    tables = [msgspec.json.decode(line)[0] for line in reader.dump()]
    assert set(tables) == {
        *("checkpoint", "streams", "trades", "candles", "quotes", "books", "mids", "contexts", "vaults"),
        *("quarantine", "seams", "gaps", "coverage", "states", "counts"),
    }


def test_snapshots_come_back_as_they_were_stored(store: Store, read: Read) -> None:
    store.apply(one_of_each())
    reader = read()
    newer, older = reader.contexts(RowQuery((CONTEXTS,)))
    assert (older.ts_recv_ns, older.offset, newer.premium) == (ns_from_ms(12), 4, None)
    numbers = (older.open_interest, older.funding_rate, older.mark_price, older.oracle_price, older.mid_price)
    assert numbers == ("123.4", "-0.0000125", "105000.5", None, "1")
    assert (older.premium, older.day_notional_volume, older.previous_day_price) == ("-0.0001", None, "-0.0001")
    (held,) = reader.vaults(RowQuery((VAULTS,)))
    assert (held.stream, held.ts_event_ns, held.offset, held.ts_recv_ns) == (VAULTS, 15_000_000, 7, 17_000_000)
    assert held.positions == vaults(15, 7).event.positions
    assert [(row.ts_recv_ns, row.offset, row.price) for row in reader.mids(RowQuery((MIDS,), descending=False))] == [
        (14_000_000, 6, "105055.5"),
        (14_000_000, 7, "1"),
    ]
    assert reader.latest()[VAULTS] == (15_000_000, 17_000_000)


@pytest.mark.parametrize("descending", [True, False])
def test_pages_of_snapshots_neither_repeat_nor_skip(store: Store, read: Read, descending: bool) -> None:
    """A10 item 18: rows that share a millisecond at a page's edge repeated or stalled."""
    events = [made(20 + n // 5, n) for n in range(23) for made in (context, vaults)]
    mids = [mid(20 + n // 5, n) for n in range(23)]
    store.apply(Batch(0, 99, streams=[CONTEXTS, VAULTS, MIDS], events=events, mids=mids))
    reader = read()
    for stream, ask, time in (
        (CONTEXTS, reader.contexts, "ts_recv_ns"),
        (VAULTS, reader.vaults, "ts_event_ns"),
        (MIDS, reader.mids, "ts_recv_ns"),
    ):
        query = RowQuery((stream,), since_ns=ns_from_ms(21), until_ns=ns_from_ms(24), descending=descending, limit=4)
        seen = []
        while rows := ask(query):
            seen += [row.offset for row in rows]
            query = replace(query, after=(getattr(rows[-1], time), rows[-1].number, rows[-1].offset))
        assert seen == sorted(range(5, 20), reverse=descending), stream.key


def test_the_dump_spells_every_column_exactly(store: Store, read: Read) -> None:
    store.apply(one_of_each())
    lines = list(read().dump())
    for line in (
        '["streams",3,"a%sb","trades","P\\"U\\\\R/%d Ü\\n",""]',
        '["trades",2,9000000,1,"0.0000001","100","sell",14000001,0]',
        '["candles",5,0,60000000000,"100.0","102","99.5","99.75","0.0000001",3,"forming",5000001,0]',
        '["quotes",6,10000000,2,null,null,"100.50","3",11000000]',
        '["books",7,11000000,3,"[[\\"99.50\\",\\"1.0\\",3],[\\"99\\",\\"0.00000002\\",0]]","[]",12000000]',
        '["mids",8,14000000,6,"105055.5"]',
        '["contexts",9,12000000,4,"123.4","-0.0000125","105000.5",null,"1","-0.0001",null,"-0.0001"]',
        '["vaults",10,15000000,7,"[[\\"0xa\\",16000000,\\"-0.10\\",\\"-10500.0\\",\\"0.0000001\\"],'
        '[\\"0xb\\",15000000,\\"0\\",\\"0\\",\\"90000.50\\"]]",17000000]',
        '["quarantine",8,-1,"hyperliquid","ws","broken_json","px","NaN\\u0000",7,"AP97"]',
        '["seams",1,5,5,"gap","cut",30,1,2,3]',
        '["gaps",1,5000000,5,-1,14000000,"suspected","cut","open",-1,-1,5]',
        '["coverage",1,5000000,14000000,"suspected",0]',
        '["states","","AA=="]',
        '["counts","frames",10]',
        '["checkpoint",10]',
    ):
        assert line in lines


@pytest.mark.parametrize("offset_from", [0, 9, 11])
def test_a_batch_that_does_not_follow_the_checkpoint_changes_nothing(store: Store, offset_from: int) -> None:
    store.apply(one_of_each())
    before = content(store.reader())
    with pytest.raises(Fatal, match=f"begins at offset {offset_from}, the checkpoint.* is 10"):
        store.apply(Batch(offset_from, 20, trades=[trade(BTC, 50, 50)]))
    assert content(store.reader()) == before


NEW = Stream("hyperliquid", Kind.TRADES, "NEW")
POISON: dict[str, Batch] = {
    "a trade that is held": Batch(10, 20, trades=[trade(BTC, 10, 3)]),
    "a trade twice": Batch(10, 20, trades=[trade(BTC, 60, 1), trade(BTC, 60, 1, "7")]),
    "a trade of an unknown stream": Batch(10, 20, trades=[trade(NEW, 60, 1)]),
    "a dropped interval of an unknown stream": Batch(10, 20, cover_dropped=[cover(NEW, 0, 1)]),
    "a quote that is held": Batch(10, 20, events=[quote(10, 1)]),
    "a book that is held": Batch(10, 20, events=[book(11, 3)]),
    "a context that is held": Batch(10, 20, events=[context(12, 4)]),
    "a mid that is held": Batch(10, 20, mids=[mid(14, 6)]),
    "a refusal that is held": Batch(10, 20, quarantined=[refused(8, 0)]),
    "a seam that is held": Batch(10, 20, seams=[seam(ETH, 1)]),
}


@pytest.mark.parametrize("poison", POISON)
def test_a_poisoned_batch_leaves_nothing_and_the_next_good_one_applies(store: Store, read: Read, poison: str) -> None:
    store.apply(one_of_each())
    reader = read()
    before, totals = list(reader.dump()), reader.totals()
    # Everything else in the batch is good, and would show.
    good = Batch(
        *(10, 20, [Stream("hyperliquid", Kind.TRADES, "SOL")]),
        trades=[trade(BTC, 50, 50)],
        candles=[candle(BARS, 60_000)],
        events=[quote(50, 15)],
        mids=[mid(50, 15)],
        quarantined=[refused(15)],
        seams=[seam(BTC, 15)],
        gaps=[gap(BTC, 5, 5, GapState.CLOSED)],
        cover_dropped=[cover(ETH, 0, 9)],
        cover_put=[cover(BTC, 14, 50)],
        states={"": b"two"},
        counts={"frames": 10},
    )
    bad = POISON[poison]
    with pytest.raises(Fatal):
        store.apply(
            replace(
                good,
                trades=good.trades + bad.trades,
                events=good.events + bad.events,
                mids=good.mids + bad.mids,
                quarantined=good.quarantined + bad.quarantined,
                seams=good.seams + bad.seams,
                cover_dropped=good.cover_dropped + bad.cover_dropped,
            )
        )
    assert list(reader.dump()) == before
    assert reader.totals() == totals
    store.apply(good)
    assert reader.checkpoint() == 20
    assert list(reader.streams().values()) == list(range(1, len(ALL) + 2))


def test_a_stream_that_is_introduced_again_keeps_its_number(store: Store, read: Read) -> None:
    store.apply(Batch(0, 1, streams=[BTC, ETH]))
    store.apply(Batch(1, 2, streams=[ETH, ODD, ETH], trades=[trade(ODD, 1, 1)]))
    assert read().streams() == {BTC: 1, ETH: 2, ODD: 3}


def test_prices_and_sizes_come_back_as_the_venue_wrote_them(store: Store, read: Read) -> None:
    texts = ["105056.0", "0.00000001", "1", "100", "12345678901234567890.123456789012345678", "0.10"]
    placed = [trade(BTC, n, n, text, text) for n, text in enumerate(texts)]
    placed.append(
        placed_trade(Trade(BTC, ns_from_ms(99), 0, Decimal("1E+3"), Decimal(texts[0]), Side.BUY), 0, 0),
    )
    store.apply(Batch(0, 1, streams=[BTC], trades=placed))
    rows = read().trades(RowQuery((BTC,), descending=False))
    assert [row.price for row in rows] == [*texts, "1000"]
    assert [row.size for row in rows] == [*texts, texts[0]]


def test_known_trades_are_exactly_the_held_ones_with_their_values(store: Store) -> None:
    held = [trade(BTC, n // 3, n, str(n + 1)) for n in range(0, 3_000, 2)]
    store.apply(Batch(0, 1, streams=[BTC, ETH], trades=[*held, trade(ETH, 0, 1)]))
    asked = [(ns_from_ms(n // 3), n) for n in range(3_000)] + [(ns_from_ms(0), 2), (ns_from_ms(1), 2)]
    found = store.known_trades(BTC, iter(asked))
    sides = ("buy", "sell", "unknown")
    assert found == {(ns_from_ms(n // 3), n): (str(n + 1), "0.25", sides[n % 3]) for n in range(0, 3_000, 2)}
    assert store.known_trades(ETH, asked[:2]) == {(0, 1): ("105056.0", "0.25", "sell")}
    assert store.known_trades(ODD, asked) == {}
    assert store.known_trades(BTC, []) == {}


def test_newest_trades_go_by_time_then_id(store: Store) -> None:
    placed = [trade(BTC, 5, 9), trade(BTC, 7, 2), trade(BTC, 7, 4), trade(BTC, 6, 99), trade(ETH, 9, 9)]
    store.apply(Batch(0, 1, streams=[BTC, ETH], trades=placed))
    keys = [(ns_from_ms(ms), trade_id) for ms, trade_id in ((7, 4), (7, 2), (6, 99), (5, 9))]
    assert list(store.newest_trades(BTC, 3)) == keys[:3]
    assert list(store.newest_trades(BTC, 100)) == keys
    assert store.newest_trades(BTC, 0) == {}


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_neither_repeat_nor_skip_when_many_rows_share_a_time(
    store: Store, read: Read, descending: bool, limit: int
) -> None:
    placed = [trade(stream, ms, ms * 100 + n) for ms in (5, 6, 7) for n in range(5) for stream in (ODD, BTC, ETH)]
    bars = [candle(stream, ms) for ms in (5, 6, 7) for stream in (HOURS, BARS)]
    store.apply(Batch(0, 1, streams=list(ALL), trades=placed, candles=bars))
    reader = read()
    whole = RowQuery((ETH, BTC, ODD), ns_from_ms(5), ns_from_ms(7), descending)
    expected = sorted(
        ((t[1], 1 + ALL.index(t[0]), t[2]) for t in placed if t[1] < ns_from_ms(7)),
        reverse=descending,
    )
    walked: list[tuple[int, int, int]] = []
    query = replace(whole, limit=limit)
    while page := reader.trades(query):
        assert len(page) <= limit
        walked += [(row.ts_event_ns, row.number, row.trade_id) for row in page]
        text, count, last = reader.trades_json(query)
        assert (text, count, last) == (trades_text(page), len(page), walked[-1])
        query = replace(query, after=walked[-1])
    assert walked == expected
    walked = []
    query = RowQuery((BARS, HOURS), descending=descending, limit=limit)
    while found := reader.candles(query):
        walked += [(row.ts_open_ns, row.number, 0) for row in found]
        query = replace(query, after=walked[-1])
    assert walked == sorted(((ns_from_ms(ms), number, 0) for ms in (5, 6, 7) for number in (4, 5)), reverse=descending)


def test_a_cursor_or_bound_beyond_64_bits_is_no_error(store: Store, read: Read) -> None:
    store.apply(one_of_each())
    reader = read()
    for far in (10**30, -(10**30)):
        for descending in (True, False):
            query = RowQuery((BTC, ETH), far, far, descending, 10, (far, far, far))
            assert reader.trades(query) == []
            assert reader.candles(replace(query, streams=(BARS,))) == []
            beyond = far > 0
            found = reader.trades(RowQuery((BTC, ETH), descending=descending, after=(far, 1, far)))
            assert len(found) == (3 if beyond is descending else 0)
    assert reader.trades(RowQuery((BTC,), limit=0)) == []
    assert reader.trades(RowQuery((BTC,), limit=-1)) == []
    assert reader.trades_json(RowQuery((BTC,), limit=-1)) == (b"", 0, None)


def test_a_trade_as_json_has_the_fields_of_the_api(store: Store, read: Read) -> None:
    store.apply(one_of_each())
    text, count, last = read().trades_json(RowQuery((ODD,)))
    assert msgspec.json.decode(text) == {
        "venue": ODD.venue,
        "coin": ODD.instrument,
        "tid": 2,
        "side": "unknown",
        "px": "105056.0",
        "sz": "0.25",
        "time": 10,
    }
    assert (count, last) == (1, (ns_from_ms(10), 3, 2))
    text, count, _ = read().trades_json(RowQuery((BTC, ODD, ETH, BTC)))
    assert text == trades_text(read().trades(RowQuery((BTC, ODD, ETH))))
    assert count == 4


def test_a_newer_candle_replaces_the_older_and_counts_once(store: Store, read: Read) -> None:
    store.apply(Batch(0, 1, streams=[BARS], candles=[candle(BARS, 0, "1"), candle(BARS, 60_000, "2")]))
    again = [candle(BARS, 0, "3"), candle(BARS, 0, "4", CandleState.CLOSED, 9), candle(BARS, 120_000, "5")]
    store.apply(Batch(1, 2, candles=again))
    rows = read().candles(RowQuery((BARS,), descending=False))
    assert [(row.close, row.state, row.offset) for row in rows] == [
        *(("4", "closed", 9), ("2", "forming", 0), ("5", "forming", 0)),
    ]
    assert rows[0].ts_close_ns - rows[0].ts_open_ns == ns_from_ms(60_000)
    assert read().totals().candles == 3


def test_gaps_are_put_and_listed_newest_first(store: Store, read: Read) -> None:
    store.apply(one_of_each())
    reader = read()
    first, closed, filling = one_of_each().gaps
    assert reader.gaps([BTC, ETH], open_only=False, limit=9) == [filling, closed, first]
    assert reader.gaps([BTC, ETH], open_only=True, limit=9) == [filling, first]
    assert reader.gaps([BTC, ETH], open_only=False, limit=1) == [filling]
    settled = [replace(filling, state=GapState.PERMANENT), replace(first, state=GapState.CLOSED, cause="proved")]
    store.apply(Batch(10, 11, gaps=[*settled, gap(BTC, 1, 10)]))
    assert reader.gaps([BTC, ETH], open_only=True, limit=9) == [gap(BTC, 1, 10)]
    assert reader.gaps([BTC, ETH], open_only=False, limit=9) == [settled[0], closed, settled[1], gap(BTC, 1, 10)]
    assert (reader.totals().gaps, reader.totals().gaps_open) == (4, 1)


def test_two_gaps_that_one_frame_shows_at_one_time_are_told_apart_by_their_first_id(store: Store, read: Read) -> None:
    shown = [gap(BTC, 5, 5, first_id=first_id) for first_id in (7, 30)]
    store.apply(Batch(0, 1, streams=[BTC], gaps=shown))
    store.apply(Batch(1, 2, gaps=[replace(shown[0], state=GapState.CLOSED)]))
    assert read().gaps([BTC], open_only=True, limit=9) == [shown[1]]
    assert read().gaps([BTC], open_only=False, limit=9) == [shown[1], replace(shown[0], state=GapState.CLOSED)]
    assert (read().totals().gaps, read().totals().gaps_open) == (2, 1)


def test_coverage_gives_what_touches_the_range_and_is_dropped_before_it_is_put(store: Store, read: Read) -> None:
    store.apply(one_of_each())
    reader = read()
    early, late, _ = one_of_each().cover_put
    ms = ns_from_ms
    assert reader.coverage(BTC, 0, 2**62) == [early, late]
    assert reader.coverage(BTC, ms(5), ms(6)) == [late]
    assert reader.coverage(BTC, ms(5) - 1, ms(5)) == [early]
    assert reader.coverage(BTC, ms(14), ms(20)) == []
    assert reader.coverage(BTC, ms(0), ms(1)) == []
    assert store.open_cover(BTC) == late
    joined = cover(BTC, 1, 20, Cover.BACKFILLED, 12)
    store.apply(Batch(10, 11, cover_dropped=[early, late, cover(BTC, 77, 78)], cover_put=[cover(BTC, 1, 2), joined]))
    assert reader.coverage(BTC, 0, 2**62) == [joined]
    assert store.open_cover(BTC) == joined
    assert store.open_cover(ETH) == cover(ETH, 0, 9)


def test_the_latest_of_each_stream_is_its_row_with_the_greatest_key(store: Store, read: Read) -> None:
    store.apply(one_of_each())
    store.apply(Batch(10, 11, trades=[trade(BTC, 8, 77)], events=[replace(quote(9, 10), ts_recv_ns=ns_from_ms(99))]))
    ms = ns_from_ms
    assert read().latest() == {
        BTC: (ms(10), ms(10) + LAG_NS),
        ETH: (ms(9), ms(9) + LAG_NS),
        ODD: (ms(10), ms(10) + LAG_NS),
        BARS: (0, LAG_NS),
        HOURS: (0, LAG_NS),
        QUOTES: (ms(10), ms(11)),
        BOOKS: (ms(11), ms(12)),
        MIDS: (ms(14), ms(14)),
        CONTEXTS: (ms(13), ms(13)),
        VAULTS: (ms(15), ms(17)),
    }


def test_counters_add_up_and_states_are_replaced(store: Store, read: Read) -> None:
    store.apply(Batch(0, 1, states={"": b"a", "x": b"b"}, counts={"frames": 1, "odd": 2}))
    store.apply(Batch(1, 2, states={"x": b""}, counts={"frames": 5, "new": 0}))
    assert store.states() == {"": b"a", "x": b""}
    assert read().totals().counts == {"frames": 6, "new": 0, "odd": 2}


def test_the_dump_depends_on_the_tape_and_not_on_how_it_was_cut_or_ordered(store: Store) -> None:
    whole = one_of_each()
    store.apply(Batch(0, 3, streams=whole.streams[:2], trades=whole.trades[:2], counts={"frames": 3}))
    store.apply(Batch(3, 3))
    store.apply(
        replace(
            whole,
            offset_from=3,
            streams=whole.streams[2:],
            trades=whole.trades[:1:-1],
            events=whole.events[::-1],
            mids=whole.mids[::-1],
            cover_put=whole.cover_put[::-1],
            counts={"quarantined": 3, "frames": 7},
        )
    )
    other = open_store("memory:")
    other.apply(whole)
    assert content(store.reader()) == content(other.reader())


def test_readers_on_other_threads_see_whole_batches_only(store: Store) -> None:
    seen: list[tuple[int, int, int]] = []
    done = threading.Event()

    def look() -> None:
        reader = store.reader()
        while True:
            is_last = done.is_set()
            totals = reader.totals()
            _, count, _ = reader.trades_json(RowQuery((BTC,), limit=10_000))
            seen.append((totals.trades, totals.counts.get("told", 0), count % 20))
            if is_last:
                break
        reader.close()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for n in range(60):
            fresh = [trade(BTC, n, n * 20 + k) for k in range(20)]
            store.apply(Batch(n, n + 1, streams=[BTC] if n == 0 else [], trades=fresh, counts={"told": 20}))
    finally:
        done.set()
        watcher.join()
    assert seen[-1][0] == 60 * 20
    for trades, told, remainder in seen:
        assert trades == told
        assert remainder == 0


def test_a_value_that_no_column_can_hold_is_fatal_and_leaves_nothing(store: Store) -> None:
    if type(store).__name__ == "MemoryStore":
        pytest.skip("dicts hold anything; the decoders refuse such ids before")
    store.apply(one_of_each())
    before = content(store.reader())
    for odd in (trade(BTC, 50, 2**63), (*trade(BTC, 50, 2**62)[:6], 2**63, 0)):
        with pytest.raises(Fatal):
            store.apply(Batch(10, 11, trades=[trade(BTC, 40, 40), odd]))
    with pytest.raises(Fatal):
        store.apply(Batch(10, 11, quarantined=[replace(refused(10), value="\ud800")]))
    assert content(store.reader()) == before


def test_events_go_to_their_own_tables(store: Store, read: Read) -> None:
    events: list[Placed] = [quote(1, 1), book(1, 1), context(1, 1)]
    store.apply(Batch(0, 1, streams=[QUOTES, BOOKS, CONTEXTS], events=events))
    totals = read().totals()
    assert (totals.quotes, totals.books, totals.contexts) == (1, 1, 1)
