"""/oi, /hlp and /price: what the original served, exact, newest or oldest first, page by page."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.serve.asking import T0_MS, Caller, caller_of

from everytick.model.event import AssetContext, VaultPosition, VaultPositions
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_MS
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Batch, Mid, Placed

CONTEXTS = {coin: Stream("hyperliquid", Kind.CONTEXTS, coin) for coin in ("BTC", "ETH")}
VAULTS = Stream("hyperliquid", Kind.VAULTS, "BTC")
MIDS = Stream("hyperliquid", Kind.MIDS, "BTC")


def ns(n: int) -> int:
    return (T0_MS + n) * NS_PER_MS


def context(coin: str, n: int) -> Placed:
    numbers = [Decimal(text) for text in ("27353.17682", "0.0000125", "77562.0")]
    return Placed(AssetContext(CONTEXTS[coin], *numbers, None, None, Decimal("-0.0005"), None, None), n, ns(n // 4))


def vaults(n: int) -> Placed:
    positions = (
        VaultPosition("0xa", ns(n), Decimal("-1.50"), Decimal("-150000.10"), Decimal("1000.5")),
        VaultPosition("0xb", ns(n) + 5, Decimal("0.25"), Decimal("25000.0"), Decimal("0.5")),
        VaultPosition("0xc", ns(n) + 9, Decimal(0), Decimal(0), Decimal(7)),
    )
    return Placed(VaultPositions(VAULTS, ns(n // 4), positions), n, ns(n) + 99)


@pytest.fixture
def call() -> Caller:
    store = MemoryStore()
    events = [context(coin, n) for n in range(10) for coin in CONTEXTS] + [vaults(n) for n in range(10)]
    mids = [Mid(MIDS, ns(n // 4), n, Decimal("77558.50")) for n in range(10)]
    store.apply(Batch(0, 9, streams=[*CONTEXTS.values(), VAULTS, MIDS], events=events, mids=mids))
    return caller_of(store)


def test_open_interest_has_the_names_of_the_original_and_text_or_null(call: Caller) -> None:
    row = call("/oi", {"coin": "BTC", "limit": 1}).json["oi"][0]
    assert row == {
        "venue": "hyperliquid", "coin": "BTC", "ts_ms": T0_MS + 2, "open_interest": "27353.17682",
        "funding_rate": "0.0000125", "mark_px": "77562.0", "oracle_px": None, "day_ntl_vlm": None,
        "premium": "-0.0005", "mid_px": None, "prev_day_px": None,
    }  # fmt: skip


def test_watched_accounts_are_added_up_exactly(call: Caller) -> None:
    row = call("/hlp", {"limit": 1}).json["hlp"][0]
    assert (row["net_btc"], row["net_usd"], row["total_acv"]) == ("-1.25", "-125000.10", "1008.0")
    assert (row["strat_a_btc"], row["strat_b_btc"]) == ("-1.50", "0.25")
    assert row["vaults"].split(";")[2] == f"0xc {T0_MS + 9} 0 0 7"


def test_mid_prices_are_text(call: Caller) -> None:
    assert call("/price", {"limit": 1}).json["prices"] == [
        {"venue": "hyperliquid", "coin": "BTC", "ts_ms": T0_MS + 2, "px": "77558.50"}
    ]


@pytest.mark.parametrize(("path", "rows", "total"), [("/oi", "oi", 20), ("/hlp", "hlp", 10), ("/price", "prices", 10)])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_give_every_row_once_though_rows_share_their_time(
    call: Caller, path: str, rows: str, total: int, order: str
) -> None:
    """A10 item 18: paging by since_ms alone repeated or stalled at a page's edge."""
    seen, cursor = [], {}
    while True:
        answer = call(path, {"order": order, "limit": 3, **cursor}).json
        seen += answer[rows]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
    times = [row["ts_ms"] for row in seen]
    assert len(seen) == total
    assert times == sorted(times, reverse=order == "desc")


@pytest.mark.parametrize("path", ["/oi", "/hlp", "/price"])
def test_bounds_coins_and_cursors_are_checked_as_everywhere(call: Caller, path: str) -> None:
    rows = next(iter(call(path, {"since_ms": T0_MS + 1, "until_ms": T0_MS + 2}).json.values()))
    assert {row["ts_ms"] for row in rows} == {T0_MS + 1}
    assert call(path, {"coin": "DOGE"}).status == 404
    assert call(path, {"limit": -1}).status == 400
    cursor = call(path, {"limit": 1}).json["next_cursor"]
    assert call(path, {"limit": 1, "cursor": cursor, "order": "asc"}).status == 400
    assert call("/trades", {"limit": 1, "cursor": cursor}).status == 400
    assert call(path, Accept="text/csv").body.startswith(b"venue,coin,ts_ms,")
    assert call("/coverage", {"coin": "BTC", "kind": "vaults"}).status == 200
