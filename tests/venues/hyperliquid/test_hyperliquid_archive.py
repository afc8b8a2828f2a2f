"""The venue's archive: two halves are one trade, only wanted lines are taken, and no hour is proved by half a file."""

from __future__ import annotations

import random
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everytick.core.validate import Invalid
from everytick.model.control import Asked, reply_payload
from everytick.model.event import Trade
from everytick.model.frame import Frame, FrameKind, Source
from everytick.model.units import NS_PER_MS, ns_from_ms
from everytick.sim import archive as written
from everytick.sim.market import Market, MarketTraits
from everytick.sim.prints import Print
from everytick.venues import hyperliquid
from everytick.venues.archived import HOUR_NS
from everytick.venues.hyperliquid import archive
from everytick.venues.hyperliquid.archive_hours import BY_BLOCK, FILLS, TRADES, hours, kind_of

T0_MS = archive.time_ms("2025-08-01T10:00:00")
KINDS = (BY_BLOCK, FILLS, TRADES)


def a_market(seed: int = 1, span_ms: int = 3_000) -> list[Print]:
    market = Market(MarketTraits(coins=("BTC", "ETH"), trades_per_s=60), seed, T0_MS)
    return [one for block in market.advance(T0_MS + span_ms) for part in block.trades.values() for one in part]


def decoded(kind: str, lines: list[bytes]) -> list[Trade]:
    found = archive.decode_lines(f"archive:{kind}", b"\n".join(lines), ns_from_ms(T0_MS + 10**7))
    assert found.refusals == []
    return [event for event in found.events if isinstance(event, Trade)]


def told(trades: list[Trade]) -> set[tuple[str, int, str, str, str]]:
    return {(t.stream.instrument, t.ts_event_ns // NS_PER_MS, str(t.price), str(t.size), t.side.value) for t in trades}


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_of_a_trade_become_one_trade_with_the_takers_side(kind: str) -> None:
    prints = a_market()
    trades = decoded(kind, written.lines(kind, prints))
    assert len(trades) == len(prints)
    assert told(trades) == {(p.coin, p.time_ms, *p.values) for p in prints}
    if kind != TRADES:
        assert {t.trade_id for t in trades} == {p.tid for p in prints}


def test_a_frame_of_the_tape_that_holds_archive_lines_is_understood_like_any_answer() -> None:
    prints = a_market()
    body = b"\n".join(written.lines(BY_BLOCK, prints))
    payload = reply_payload(Asked(f"archive:{BY_BLOCK}", "", 200), body)
    frame = Frame(0, FrameKind.REPLY, Source("hyperliquid", "archive", 0), ns_from_ms(T0_MS + 10**7), 0, payload)
    assert len(hyperliquid.decode(frame).events) == len(prints)


def test_one_half_alone_says_as_much_as_both() -> None:
    prints = a_market()
    halves = [msgspec.json.decode(line) for line in written.lines(FILLS, prints)]
    for crossed in (True, False):
        lines = [msgspec.json.encode(half) for half in halves if half[1]["crossed"] is crossed]
        assert told(decoded(FILLS, lines)) == {(p.coin, p.time_ms, *p.values) for p in prints}


def test_halves_that_disagree_are_refused_and_their_neighbours_are_not() -> None:
    prints = a_market()[:3]
    halves = [msgspec.json.decode(line) for line in written.lines(FILLS, prints)]
    halves[1][1]["px"] = "1.0"
    body = b"\n".join(map(msgspec.json.encode, halves))
    found = archive.decode_lines(f"archive:{FILLS}", body, ns_from_ms(T0_MS + 10**7))
    assert len(found.events) == 3
    assert [refusal.reason for refusal in found.refusals] == ["conflict"]


def test_the_id_made_for_a_print_is_the_same_each_time_and_never_one_of_the_venues() -> None:
    prints = a_market()
    lines = written.lines(TRADES, prints)
    ids = [trade.trade_id for trade in decoded(TRADES, lines)]
    assert ids == [trade.trade_id for trade in decoded(TRADES, lines)]
    assert len(set(ids)) == len(prints)
    assert min(ids) >= 1 << 62 > 1 << 50
    assert max(ids) < 1 << 63


@pytest.mark.parametrize("kind", KINDS)
def test_only_wanted_coins_and_moments_are_taken_and_their_bytes_are_untouched(kind: str) -> None:
    prints = a_market()
    span = (T0_MS + 500, T0_MS + 1_500)
    lines = [archive.select(kind, line, {"BTC": [span]}) for line in written.lines(kind, prints)]
    kept = [line for line in lines if line]
    assert told(decoded(kind, kept)) == {
        (p.coin, p.time_ms, *p.values) for p in prints if p.coin == "BTC" and span[0] <= p.time_ms < span[1]
    }
    whole = b"\n".join(written.lines(kind, prints))
    for line in kept:
        parts = msgspec.json.decode(line, type=dict[str, msgspec.Raw]) if kind == BY_BLOCK else {}
        events = msgspec.json.decode(parts["events"], type=list[msgspec.Raw]) if parts else [line]
        assert all(bytes(event) in whole for event in events)


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=6))
def test_spoilt_lines_never_raise_and_never_become_a_trade_that_did_not_happen(seed: int, junk: bytes) -> None:
    prints = a_market(seed=3, span_ms=400)
    dice = random.Random(seed)
    kind = dice.choice(KINDS)
    body = bytearray(b"\n".join(written.lines(kind, prints)))
    at = dice.randrange(len(body))
    body[at : at + 1] = junk
    found = archive.decode_lines(f"archive:{kind}", bytes(body), ns_from_ms(T0_MS + 10**7))
    assert len(found.events) <= len(prints) + len(junk)
    for line in bytes(body).split(b"\n"):
        with suppress(Invalid):
            archive.select(kind, line, {"BTC": [(0, 2**62)]})


@pytest.mark.parametrize(
    ("moment", "choices"),
    [
        ("2025-03-22T10:00:00", []),
        ("2025-04-02T05:00:00", [[TRADES]]),
        ("2025-05-25T14:00:00", [[TRADES]]),
        ("2025-05-25T15:00:00", [[FILLS], [TRADES]]),
        ("2025-06-21T00:00:00", [[FILLS]]),
        ("2025-07-27T08:00:00", [[FILLS, BY_BLOCK]]),
        ("2025-07-27T09:00:00", [[BY_BLOCK]]),
    ],
)
def test_each_hour_is_taken_from_the_kind_that_holds_all_of_it(moment: str, choices: list[list[str]]) -> None:
    at = archive.time_ms(moment) * NS_PER_MS
    hour = hours(at, at + 1)[0]
    assert [[kind_of(file) for file in choice] for choice in hour.choices] == choices


def test_an_hour_whose_last_moments_are_wanted_needs_the_next_file_as_well() -> None:
    at = T0_MS * NS_PER_MS
    assert len(hours(at, at + HOUR_NS // 2)) == 1
    assert len(hours(at, at + HOUR_NS)) == 2
    assert hours(at, at + 1)[0].choices == ((f"{BY_BLOCK}/hourly/20250801/10.lz4",),)


@pytest.mark.parametrize(
    ("text", "ms"),
    [("2025-03-22T10:00:00.123999999", 123), ("2025-03-22T10:00:00.1", 100), ("2025-03-22T10:00:00Z", 0)],
)
def test_a_nodes_time_is_cut_to_the_venues_millisecond(text: str, ms: int) -> None:
    assert archive.time_ms(text) % 1_000 == ms


@pytest.mark.parametrize("text", ["2025-02-30T10:00:00", "2025-03-22 10:00:00", "1742637600000", "2025-03-22T24:00:00"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        archive.time_ms(text)
