"""Binance end to end: recorded trades over midnight, deletions named to the last id, and renewal without a gap."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from everytick.cli import main
from everytick.cli.session import world
from everytick.host import loop
from everytick.host.disk import FolderDisk
from everytick.model.frame import FrameKind
from everytick.model.ledger import Gap
from everytick.model.stream import Kind
from everytick.sim.binance import BinanceSim, BinanceTraits
from everytick.sim.market import MarketTraits
from everytick.sim.oracle import Audit
from everytick.tape.reader import TapeReader
from everytick.wiring.rehearsal import Rehearsal, turned_to

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "binance"
FILES = [str(DATA / f"hftbacktest_spot_btcusdt_2024080{day}.gz") for day in (8, 9)]
recorded = [
    pytest.mark.recordings,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real recordings (../shared/data) are not here"),
]


def drill(*words: str) -> dict[str, Any]:
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(["drill", "binance", *words, "--json"]) == 0
    said = json.loads(out.getvalue())
    assert said["exact"] is True
    return dict(said)


@pytest.mark.parametrize("marked", [pytest.param(None, marks=recorded)])
def test_all_19_904_recorded_trades_are_held_over_midnight(marked: None) -> None:
    (stream,) = drill(*FILES)["streams"]
    assert (stream["sent"], stream["stored"], stream["gaps"]) == (19_904, 19_904, [])


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=recorded) for seed in (1, 2)])
def test_five_hundred_deletions_are_named_to_the_last_id_and_closed_from_history(seed: int) -> None:
    said = drill(*FILES, "--drop", "500", "--holes", "25", "--seed", str(seed))
    (before,), (after,) = said["before"]["streams"], said["streams"]
    assert before["sent"] + before["dropped"] + 25 == 19_904
    assert before["ids"]["missing"] == before["dropped"] + 25
    assert (before["ids"]["unnamed"], before["ids"]["misnamed"], before["ids"]["holes"]) == (0, 0, 25)
    assert {gap["state"] for gap in before["gaps"]} == {"open"}
    assert all(gap["estimated_missing"] == gap["last_id"] - gap["first_id"] + 1 for gap in before["gaps"])
    assert (after["stored"], after["recovered"]) == (19_904 - 25, before["dropped"])
    assert (after["ids"]["missing"], after["ids"]["holes_marked"], after["ids"]["misnamed"]) == (25, 25, 0)


async def renewed(folder: Path) -> tuple[Audit, list[Gap]]:
    """A venue that cuts every connection after 6 s and warns 4 s before; recorded for longer than two lives."""
    here = world(None, is_quiet=True)
    traits = BinanceTraits(connection_life_s=6.0, shutdown_notice_s=4.0, candle_every_s=0.2)
    sim = BinanceSim(traits, seed=4, market=MarketTraits(coins=("BTCUSDT", "ETHUSDT"), trades_per_s=300.0))
    await sim.start()
    settings = turned_to(
        here.settings,
        "binance",
        sim,
        data_dir=str(folder),
        port=0,
        coins=("BTCUSDT", "ETHUSDT"),
        kinds=(Kind.TRADES, Kind.AGG_TRADES, Kind.QUOTES, Kind.BOOKS, Kind.CANDLES),
        intervals=("1m",),
    )
    rehearsal = Rehearsal(settings, "binance", sim, here.ports, here.telemetry)
    audit = await rehearsal.run(for_s=10.0)
    reader = rehearsal.reader()
    gaps = reader.gaps(list(reader.streams()), open_only=False, limit=1_000)
    reader.close()
    return audit, list(gaps)


def test_a_connection_is_renewed_before_the_venue_cuts_it_and_nothing_is_lost(tmp_path: Path) -> None:
    audit, gaps = loop.run(renewed(tmp_path))
    assert audit.exact
    assert gaps == []
    tape = TapeReader(FolderDisk(tmp_path / "tape"))
    kinds = [frame.kind for frame in tape.read(0, 1_000_000, tape.end())]
    # Make before break: the next CONNECT stands before the DISCONNECT of the one that it replaces.
    order = [kind for kind in kinds if kind in (FrameKind.CONNECT, FrameKind.DISCONNECT)]
    assert order[:4] == [FrameKind.CONNECT, FrameKind.CONNECT, FrameKind.DISCONNECT, FrameKind.CONNECT]
