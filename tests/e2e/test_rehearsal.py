"""A rehearsal that is ended at a bad moment still knows what it missed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from everytick.cli.session import world
from everytick.model.stream import Kind
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import MarketTraits
from everytick.wiring.rehearsal import Rehearsal, turned_to

TRAITS = VenueTraits(outage_every_s=3.0, outage_long_share=1.0, outage_long_s=(1.0, 1.0))


def test_an_end_in_the_middle_of_an_outage_leaves_no_trade_outside_a_named_gap(tmp_path: Path) -> None:
    asyncio.run(_rehearse(tmp_path))


async def _rehearse(tmp_path: Path) -> None:
    here = world(None, is_quiet=True)
    sim = HyperliquidSim(TRAITS, seed=1, market=MarketTraits(coins=("BTC",), trades_per_s=100.0))
    await sim.start()
    settings = turned_to(
        here.settings, "hyperliquid", sim, data_dir=str(tmp_path), port=0, coins=("BTC",), kinds=(Kind.TRADES,)
    )
    rehearsal = Rehearsal(settings, "hyperliquid", sim, here.ports, here.telemetry)
    ended_in_outage = False

    def end_in_outage(_: Rehearsal) -> None:
        nonlocal ended_in_outage
        connections = rehearsal.process.progress.connections.values()
        if any(one.connects and not one.up for one in connections) and not ended_in_outage:
            ended_in_outage = True
            rehearsal.end()

    async with asyncio.timeout(30):
        audit = await rehearsal.run(for_s=20, watch=end_in_outage)
    assert ended_in_outage
    assert audit.honest
    assert audit.streams[0].unseen > 0
