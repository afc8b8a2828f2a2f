"""What was lost is brought back from the venue's own history and from its archive, end to end over real sockets."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from everytick.cli import main
from everytick.cli.session import world
from everytick.host import loop
from everytick.model.stream import Kind
from everytick.recorder.looking import Wanted
from everytick.sim import archive as written
from everytick.sim.archive import ArchiveTraits
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import MarketTraits
from everytick.sim.oracle import Audit
from everytick.sim.prints import Print
from everytick.stores.compare import difference_at_one_moment
from everytick.stores.open import open_reader
from everytick.wiring.rehearsal import Rehearsal, all_trades, turned_to
from everytick.wiring.repair_job import RepairJob, prospect
from everytick.wiring.views import rebuild

BINANCE = Path(__file__).parents[2].parent / "shared" / "data" / "binance"
COINS = ("BTC", "ETH")


@pytest.mark.recordings
@pytest.mark.skipif(not BINANCE.is_dir(), reason="the recordings are not here: ../shared/data")
@pytest.mark.parametrize("seed", [7])
def test_five_hundred_deletions_are_named_exactly_and_backfill_closes_exactly_those(seed: int) -> None:
    files = [str(BINANCE / f"hftbacktest_spot_btcusdt_2024080{day}.gz") for day in (8, 9)]
    out = io.StringIO()
    with redirect_stdout(out):
        code = main(["drill", "binance", *files, "--drop", "500", "--holes", "20", "--seed", str(seed), "--json"])
    told = json.loads(out.getvalue())
    before, after = told["before"]["streams"][0], told["streams"][0]
    assert code == 0
    assert before["ids"]["missing"] == before["dropped"] + before["ids"]["holes"]
    assert (before["ids"]["unnamed"], before["ids"]["misnamed"], before["recovered"]) == (0, 0, 0)
    assert after["recovered"] == before["dropped"] > 500
    assert (after["ids"]["missing"], after["ids"]["holes"], after["ids"]["holes_marked"]) == (20, 20, 20)
    assert told["told_by_venue"]["clean"] is told["told_by_venue"]["complete"] is True
    assert told["told_by_venue"]["streams"][0]["compared"] == after["stored"]
    assert {gap["state"] for gap in after["gaps"]} == {"closed", "permanent"}
    assert {gap["cause"] for gap in after["gaps"] if gap["state"] == "permanent"} == {"hole_at_venue"}


def test_an_outage_of_hyperliquid_is_closed_from_the_archive_and_the_store_is_the_truth(tmp_path: Path) -> None:
    pytest.importorskip("lz4.frame", reason="lz4 (the extra `archive`) is not installed")
    here = world(None, is_quiet=True)
    sim = HyperliquidSim(
        VenueTraits(outage_every_s=1.5, outage_short_s=(0.8, 1.0), outage_long_share=0.0, replay_trades=5),
        market=MarketTraits(coins=COINS, trades_per_s=200),
        seed=3,
    )

    async def record() -> tuple[Audit, Rehearsal]:
        await sim.start()
        settings = turned_to(
            here.settings,
            "hyperliquid",
            sim,
            data_dir=str(tmp_path / "data"),
            port=0,
            coins=COINS,
            kinds=(Kind.TRADES,),
        )
        rehearsal = Rehearsal(settings, "hyperliquid", sim, here.ports, here.telemetry)
        return await rehearsal.run(for_s=30, watch=end_when_back), rehearsal

    def end_when_back(rehearsal: Rehearsal) -> None:
        """An outage is over, and trades have come since."""
        connection = rehearsal.process.progress.connections["hyperliquid/ws"]
        newest = rehearsal.process.progress.newest
        is_heard = all(newest.get(f"hyperliquid/trades/{coin}", (0, 0))[1] > connection.since_ns for coin in COINS)
        if connection.up and connection.connects > 1 and is_heard:
            rehearsal.end()

    audit, rehearsal = loop.run(record())
    settings = rehearsal.process.settings
    lost = {stream.instrument: stream.unseen - stream.recovered for stream in audit.streams}
    assert audit.honest
    assert lost["BTC"] > 0
    truth = {coin: {**sim.ledger.sent.get(coin, {}), **sim.ledger.unseen.get(coin, {})} for coin in COINS}
    prints = [
        Print(coin, "B" if side == "buy" else "A", px, sz, time_ms, tid)
        for coin, of_coin in truth.items()
        for (time_ms, tid), (px, sz, side) in of_coin.items()
    ]
    folder = tmp_path / "archive"
    written.write(folder, prints, ArchiveTraits(), max(one.time_ms for one in prints))
    found = prospect(settings, Wanted(), str(folder))
    assert "hyperliquid/trades/BTC" in found.archived
    left = loop.run(RepairJob(settings, here.ports, here.telemetry, Wanted(), str(folder)).run(lambda _: None))
    assert left == []
    store = tmp_path / "data" / "store.sqlite"
    reader = open_reader(str(store))
    held = {
        (r.stream.instrument, r.ts_event_ns // 10**6, r.trade_id): (r.price, r.size, r.side)
        for r in all_trades(reader, list(reader.streams()))
    }
    gaps = reader.gaps(list(reader.streams()), open_only=True, limit=1_000)
    reader.close()
    assert gaps == []
    assert held == {(coin, *key): values for coin, of_coin in truth.items() for key, values in of_coin.items()}
    again = tmp_path / "again.sqlite"
    rebuild(settings, again, here.ports, here.telemetry, lambda *_: None)
    assert difference_at_one_moment(str(again), str(store), lambda _: None) is None
