"""Polls over real sockets on a bad day of the venue's HTTP side: what is stored is true, what failed is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec

from everytick.cli.session import World, world
from everytick.model.stream import Kind, Stream
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.hyperliquid.traits import VAULTS, VenueTraits
from everytick.sim.market import MarketTraits
from everytick.sim.oracle import Audit
from everytick.stores.protocol import ContextRow, Quarantined, RowQuery, Totals, VaultsRow
from everytick.wiring.rehearsal import Rehearsal, turned_to

BAD_DAY = VenueTraits(
    info_429_share=0.05,
    info_retry_after="1",
    info_503_share=0.15,
    info_html_share=0.15,
    info_cut_share=0.2,
    info_weight_per_minute=1_200,
)


@dataclass
class Polled:
    audit: Audit
    totals: Totals
    vaults: list[VaultsRow]
    contexts: list[ContextRow]
    quarantined: list[Quarantined]
    metrics: str
    asked: dict[str, int]


async def polled(
    folder: Path, here: World, traits: VenueTraits, vaults: tuple[str, ...], marks: tuple[str, ...], wanted: set[str]
) -> Polled:
    sim = HyperliquidSim(traits, seed=7, market=MarketTraits(coins=("BTC", "ETH"), trades_per_s=60.0))
    await sim.start()
    settings = turned_to(
        here.settings, "hyperliquid", sim, data_dir=str(folder), port=0, coins=("BTC", "ETH"),
        kinds=(Kind.TRADES, Kind.CANDLES, Kind.CONTEXTS),
    )  # fmt: skip
    changed = msgspec.structs.replace(settings.venues.hyperliquid, vaults=vaults, poll_interval_s=1)
    settings = msgspec.structs.replace(settings, venues=msgspec.structs.replace(settings.venues, hyperliquid=changed))
    rehearsal = Rehearsal(settings, "hyperliquid", sim, here.ports, here.telemetry)

    def look(rehearsal: Rehearsal) -> None:
        seen = here.telemetry.exposition().decode()
        if all(mark in seen for mark in marks) and wanted <= rehearsal.process.progress.counts.keys():
            rehearsal.end()

    audit = await rehearsal.run(for_s=40, watch=look)
    reader = rehearsal.reader()
    try:
        return Polled(
            audit,
            reader.totals(),
            reader.vaults(RowQuery((Stream("hyperliquid", Kind.VAULTS, "BTC"),))),
            reader.contexts(RowQuery((Stream("hyperliquid", Kind.CONTEXTS, "BTC"),))),
            reader.quarantined(limit=1_000),
            here.telemetry.exposition().decode(),
            dict(sim.asked),
        )
    finally:
        reader.close()


def test_on_a_bad_day_every_snapshot_is_whole_and_every_failure_is_told(tmp_path: Path) -> None:
    causes = ("no_json", "venue_failed", "no_answer", "busy")
    marks = tuple(f'requests_failed_total{{cause="{cause}"' for cause in causes)
    wanted = {"audit_held", "candles_aside", "requests_failed"}
    found = asyncio.run(polled(tmp_path, world(None, is_quiet=True), BAD_DAY, VAULTS, marks, wanted))
    assert found.audit.exact, found.audit
    assert found.vaults
    for row in found.vaults:
        first, second = row.positions
        assert (first.vault, second.vault) == VAULTS
        assert first.size > 0 > second.size
        assert (first.account_value, second.account_value) == (1_000_000, 2_000_000)
    assert found.contexts
    assert all(mark in found.metrics for mark in marks)
    assert wanted <= found.totals.counts.keys()
    # Nothing of a bad answer came near the record: it was a failure and no data.
    assert found.quarantined == []
    assert 'everytick_budget_left{kind="requests",venue="hyperliquid"}' in found.metrics


def test_an_account_that_holds_nothing_is_told_after_three_answers(tmp_path: Path) -> None:
    """A10: the original promised an alert on a vault that reads zero, and had none."""
    nobody = "0x" + "00" * 20
    told = ('everytick_vaults_zero_total{venue="hyperliquid"} 2.0',)
    found = asyncio.run(polled(tmp_path, world(None, is_quiet=True), VenueTraits(), (*VAULTS, nobody), told, set()))
    assert len(found.vaults) >= 3
    assert all(len(row.positions) == 3 for row in found.vaults)
    assert found.totals.counts["vaults_zero"] == 2  # once for each coin
    assert found.audit.exact, found.audit
