"""Real recordings, played over real sockets by the simulated venue, recorded and audited by the command people use."""

from __future__ import annotations

import csv
import io
import json
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path

import pytest

from everytick.cli import main
from everytick.model.stream import parse_stream
from everytick.stores.open import open_reader
from everytick.stores.protocol import RowQuery

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "hyperliquid"
COINS = ("BTC", "ETH", "WLFI")

pytestmark = [
    pytest.mark.recordings,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real recordings (../shared/data) are not here"),
]


def drill(*words: str) -> dict[str, object]:
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(["drill", "hyperliquid", *words, "--json"]) == 0
    return dict(json.loads(out.getvalue()))


def test_one_outage_is_a_gap_for_the_busy_coin_and_proved_lossless_for_the_others(tmp_path: Path) -> None:
    files = [str(DATA / f"djienne_20250904_trades_{coin}.csv") for coin in COINS]
    said = drill(*files, "--keep", str(tmp_path))
    assert said["exact"] is True
    streams = {stream["instrument"]: stream for stream in said["streams"]}
    assert {coin: streams[coin]["sent"] for coin in COINS} == {"BTC": 6675, "ETH": 6867, "WLFI": 2555}
    assert all(stream["stored"] == stream["sent"] for stream in streams.values())
    (gap,) = streams["BTC"]["gaps"]
    assert (gap["from_ms"], gap["to_ms"]) == (1757015891087, 1757015893170)
    assert (gap["kind"], gap["state"], gap["estimated_missing"]) == ("suspected", "open", -1)
    assert streams["ETH"]["gaps"] == streams["WLFI"]["gaps"] == []
    for coin in COINS:
        assert _held(tmp_path, coin) == _recorded(coin)


def _recorded(coin: str) -> dict[tuple[int, int], tuple[str, str, str]]:
    """Straight from the file, by means that share nothing with the product."""
    found = {}
    with (DATA / f"djienne_20250904_trades_{coin}.csv").open() as file:
        for row in csv.DictReader(file):
            key = (int(row["exchange_timestamp"]), int(row["trade_id"]))
            found[key] = (_plain(row["price"]), _plain(row["size"]), row["side"])
    return found


def _plain(text: str) -> str:
    """The recording's own text; where its writer fell into exponents (`1e-05`), the same number as venues write it."""
    return format(Decimal(text), "f") if "e" in text else text


def _held(folder: Path, coin: str) -> dict[tuple[int, int], tuple[str, str, str]]:
    reader = open_reader(str(folder / "store.sqlite"))
    rows = reader.trades(RowQuery((parse_stream(f"hyperliquid/trades/{coin}"),), limit=10_000))
    reader.close()
    return {(row.ts_event_ns // 1_000_000, row.trade_id): (row.price, row.size, row.side) for row in rows}


def test_raw_frames_are_held_to_the_last_trade_and_book(tmp_path: Path) -> None:
    said = drill(str(DATA / "hftbacktest_btcusd_20250126.gz"), "--keep", str(tmp_path))
    assert said["exact"] is True
    reader = open_reader(str(tmp_path / "store.sqlite"))
    totals = reader.totals()
    reader.close()
    assert (totals.trades, totals.books, totals.quarantined) == (64, 46, 0)
