"""The audit finds each kind of falsehood, and nothing in a true record."""

from __future__ import annotations

import msgspec
import pytest

from everytick.model.ledger import Gap, GapKind, GapState
from everytick.model.stream import Kind, Stream
from everytick.sim.oracle import Audit, Ledger, audit
from everytick.sim.prints import Print
from everytick.stores.protocol import Row

BTC = Stream("hyperliquid", Kind.TRADES, "BTC")
TRADES = [Print("BTC", "AB"[i % 2], f"{100 + i}.0", "0.5", 1_000 + i // 2, i) for i in range(10)]


def row(trade: Print, **changes: object) -> Row:
    side = "buy" if trade.side == "B" else "sell"
    held = Row(1, BTC, trade.time_ms * 1_000_000, trade.tid, trade.px, trade.sz, side, 0, 0)
    return msgspec.structs.replace(held, **changes)


def gap(from_ms: int, to_ms: int, stream: Stream = BTC) -> Gap:
    return Gap(stream, from_ms * 10**6, to_ms * 10**6, 0, GapKind.SUSPECTED, "cut", GapState.OPEN, -1, -1, -1, 0)


def judge(rows: list[Row], *gaps: Gap, ledger: Ledger | None = None) -> Audit:
    if ledger is None:
        ledger = Ledger()
        ledger.emitted("BTC", TRADES)
    return audit("hyperliquid", ledger, rows, gaps)


def test_a_true_record_is_exact_in_any_order() -> None:
    found = judge([row(t) for t in reversed(TRADES)])
    (stream,) = found.streams
    assert (found.exact, found.honest) == (True, True)
    assert (stream.sent, stream.stored, stream.duplicates, stream.missing, stream.gaps) == (10, 10, 0, 0, [])


@pytest.mark.parametrize(
    "changes", [{"price": "100"}, {"price": "1.0"}, {"size": "0.50"}, {"side": "buy"}, {"side": "unknown"}]
)
def test_a_value_that_was_not_sent_is_wrong_to_the_last_digit(changes: dict[str, object]) -> None:
    found = judge([row(TRADES[0], **changes), *map(row, TRADES[1:])])
    assert (found.exact, found.honest, found.streams[0].wrong) == (False, False, 1)
    assert "tid 0" in found.streams[0].examples[0]


def test_duplicates_strangers_and_broken_times_are_found() -> None:
    rows = [*map(row, TRADES), row(TRADES[3]), row(TRADES[0], trade_id=77), row(TRADES[1], ts_event_ns=1_000_000_001)]
    (stream,) = judge(rows).streams
    assert (stream.duplicates, stream.unknown, stream.missing, stream.stored) == (1, 2, 0, 13)
    assert not stream.is_honest


def test_a_loss_is_honest_only_inside_a_named_gap_of_its_own_stream() -> None:
    rows = [row(t) for t in TRADES if t.time_ms not in (1_002, 1_003)]
    lost = judge(rows)
    assert (lost.exact, lost.honest, lost.streams[0].missing, lost.streams[0].missing_unnamed) == (False, False, 4, 4)
    assert judge(rows, gap(1_002, 1_002)).streams[0].missing_unnamed == 2
    eth = Stream("hyperliquid", Kind.TRADES, "ETH")
    assert judge(rows, gap(1_000, 1_009, eth)).streams[0].missing_unnamed == 4
    named = judge(rows, gap(1_002, 1_003))
    assert (named.exact, named.honest, named.streams[0].missing) == (False, True, 4)


def test_what_happened_unseen_must_lie_in_a_gap() -> None:
    ledger = Ledger()
    ledger.missed("BTC", TRADES[:2])  # before the first subscription: nobody's loss
    ledger.emitted("BTC", TRADES[2:5])
    ledger.missed("BTC", TRADES[5:7])
    ledger.emitted("BTC", TRADES[6:])  # a replay brought one of them after all
    rows = [row(t) for t in (*TRADES[2:5], *TRADES[6:])]
    assert judge(rows, ledger=ledger).streams[0].unseen == 1
    assert not judge(rows, ledger=ledger).honest
    found = judge(rows, gap(1_002, 1_003), ledger=ledger)
    assert (found.exact, found.honest) == (True, True)


def test_a_coin_of_which_nothing_is_held_is_in_the_audit() -> None:
    ledger = Ledger()
    ledger.emitted("ETH", [msgspec.structs.replace(TRADES[0], coin="ETH")])
    assert [(s.instrument, s.sent, s.missing) for s in judge([], ledger=ledger).streams] == [("ETH", 1, 1)]


def test_the_audit_encodes_as_the_drill_prints_it() -> None:
    stream = msgspec.json.decode(msgspec.json.encode(judge(list(map(row, TRADES)), gap(5, 6))))["streams"][0]
    assert stream["venue"] == "hyperliquid"
    assert stream["gaps"] == [
        {
            "from_ms": 5,
            "to_ms": 6,
            "kind": "suspected",
            "state": "open",
            "cause": "cut",
            "estimated_missing": -1,
            "first_id": -1,
            "last_id": -1,
        }
    ]


def ids_gap(first_id: int, last_id: int, state: GapState = GapState.OPEN) -> Gap:
    count = last_id - first_id + 1
    return Gap(BTC, 1_000 * 10**6, 1_004 * 10**6, 0, GapKind.PROVED, "lost", state, count, first_id, last_id, 0)


def judge_ids(held: list[Print], *gaps: Gap) -> Audit:
    """Trades 3 and 4 were kept back, 6 never was; all others were sent."""
    ledger = Ledger()
    ledger.emitted("BTC", [t for t in TRADES if t.tid not in (3, 4, 6)])
    ledger.kept_back("BTC", TRADES[3:5])
    ledger.never_were("BTC", TRADES[6:7])
    return audit("hyperliquid", ledger, map(row, held), gaps, dense_ids=True)


SENT = [t for t in TRADES if t.tid not in (3, 4, 6)]


def test_ids_in_a_row_must_be_named_exactly() -> None:
    found = judge_ids(SENT, ids_gap(3, 4), ids_gap(6, 6))
    assert found.exact
    ids = found.streams[0].ids
    assert ids is not None
    assert (ids.missing, ids.unnamed, ids.misnamed, ids.holes, ids.holes_marked) == (3, 0, 0, 1, 0)
    for gaps in ([ids_gap(3, 4)], [ids_gap(3, 3), ids_gap(6, 6)], [ids_gap(3, 6)], [ids_gap(2, 4), ids_gap(6, 6)]):
        assert not judge_ids(SENT, *gaps).honest


def test_what_history_brought_back_is_no_longer_missing_and_a_hole_stays() -> None:
    held = [*SENT, *TRADES[3:5]]
    found = judge_ids(held, ids_gap(3, 4, GapState.CLOSED), ids_gap(6, 6, GapState.PERMANENT))
    (stream,) = found.streams
    assert found.exact
    assert (stream.dropped, stream.recovered, stream.unknown) == (2, 2, 0)
    assert stream.ids is not None
    assert (stream.ids.missing, stream.ids.holes_marked) == (1, 1)
    assert not judge_ids(held, ids_gap(3, 4), ids_gap(6, 6)).honest  # held, and still called missing
    assert not judge_ids(SENT, ids_gap(3, 4, GapState.CLOSED), ids_gap(6, 6)).honest  # closed, and not held
