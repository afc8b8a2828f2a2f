"""What we say about our own record."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serve.asking import BTC, T0_MS, Caller, caller_of, cover

from everytick.core.coverage import is_complete
from everytick.model.ledger import Cover
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Batch


def coverage(call: Caller, from_ms: int, to_ms: int) -> dict[str, object]:
    answer = call("/coverage", {"coin": "BTC", "from_ms": T0_MS + from_ms, "to_ms": T0_MS + to_ms})
    assert answer.status == 200
    found: dict[str, object] = answer.json
    return found


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "wanted", "why"),
    [
        (0, 10, True, "observed"),
        (2, 3, True, "a part of what was observed"),
        (20, 100, True, "observed"),
        (150, 300, True, "backfilled, then confirmed empty"),
        (0, 11, False, "suspected from 10"),
        (10, 20, False, "suspected"),
        (90, 101, False, "never observed from 100"),
        (100, 150, False, "never observed"),
        (290, 301, False, "the tail has not been observed yet"),
        (5_000, 6_000, False, "has not happened yet"),
    ],
)
def test_is_this_stretch_complete(call: Caller, from_ms: int, to_ms: int, wanted: bool, why: str) -> None:
    found = coverage(call, from_ms, to_ms)
    assert found["complete"] is wanted, why
    assert str(found["sentence"]).startswith("yes: " if wanted else "no: ")
    assert bool(found["missing"]) is not wanted


def test_the_sentence_says_what_is_missing_in_words(call: Caller) -> None:
    assert coverage(call, 5, 120)["sentence"] == (
        "no: hyperliquid/trades/BTC from 2025-09-04 15:33:20.005Z to 2025-09-04 15:33:20.120Z is not complete: "
        "suspected from 2025-09-04 15:33:20.010Z to 2025-09-04 15:33:20.020Z; "
        "unobserved from 2025-09-04 15:33:20.100Z to 2025-09-04 15:33:20.120Z"
    )


def test_without_bounds_the_whole_record_is_judged(call: Caller) -> None:
    found = call("/coverage", {"coin": "BTC"}).json
    assert (found["from_ms"], found["to_ms"]) == (T0_MS, T0_MS + 300)
    assert [row["cover"] for row in found["intervals"]] == [
        "observed", "suspected", "observed", "unobserved", "backfilled", "confirmed_empty",
    ]  # fmt: skip


verdicts = st.lists(st.sampled_from([None, *Cover]), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(verdicts, st.integers(0, 59), st.integers(1, 60))
def test_every_moment_has_one_verdict_and_the_answer_is_the_ledgers(
    covers: list[Cover | None], start: int, length: int
) -> None:
    held = [cover(BTC, T0_MS + 5 * n, T0_MS + 5 * n + 5, c) for n, c in enumerate(covers) if c]
    store = MemoryStore()
    store.apply(Batch(0, 1, streams=[BTC], cover_put=held))
    answer = caller_of(store)("/coverage", {"coin": "BTC", "from_ms": T0_MS + start, "to_ms": T0_MS + start + length})
    found = answer.json
    edges = [T0_MS + start]
    for piece in found["intervals"]:
        assert piece["from_ms"] == edges[-1] < piece["to_ms"]
        edges.append(piece["to_ms"])
    assert edges[-1] == T0_MS + start + length
    low, high = (T0_MS + start) * 1_000_000, (T0_MS + start + length) * 1_000_000
    assert found["complete"] is is_complete(held, low, high)
    assert found["missing"] == [piece for piece in found["intervals"] if not piece["complete"]]


def test_gaps_tell_kind_state_and_bounds_and_open_only_leaves_out_the_closed(call: Caller) -> None:
    both = call("/gaps").json["gaps"]
    assert [(g["coin"], g["state"]) for g in both] == [("ETH", "closed"), ("BTC", "open")]
    assert [g["coin"] for g in call("/gaps", {"open_only": "true"}).json["gaps"]] == ["BTC"]
    assert [g["coin"] for g in call("/gaps", {"coin": "ETH", "open_only": "0"}).json["gaps"]] == ["ETH"]
    assert call("/gaps", {"limit": 1}).json["count"] == 1
    gap = both[1]
    assert (gap["from_ms"], gap["to_ms"], gap["kind"], gap["estimated_missing"]) == (
        T0_MS + 10, T0_MS + 20, "suspected", -1,
    )  # fmt: skip


def test_seams_streams_quarantine_and_stats_are_told(call: Caller) -> None:
    assert call("/seams").json["seams"][0]["verdict"] == "lossless"
    assert call("/seams", {"coin": "ETH"}).json["count"] == 0
    streams = call("/streams").json["streams"]
    assert [s["stream"] for s in streams][:2] == ["hyperliquid/trades/BTC", "hyperliquid/trades/ETH"]
    assert streams[0]["newest_ms"] == T0_MS + 2
    assert streams[0]["received_age_ms"] == 60_000 - 2
    item = call("/quarantine").json["quarantine"][0]
    assert (item["reason"], item["excerpt"]) == ("not_json", '\\xff{"px": "NaN"')
    stats = call("/stats").json
    assert (stats["trades"], stats["candles"], stats["gaps"], stats["gaps_open"]) == (30, 5, 2, 1)
    assert (stats["checkpoint"], stats["counts"]) == (9, {"frames": 9})
