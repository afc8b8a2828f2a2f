"""Bad messages over a real socket: each ends in quarantine with its reason, and nothing else suffers."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from everytick.cli.session import World, world
from everytick.model.stream import Kind
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.hyperliquid.poison import KINDS
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import MarketTraits
from everytick.sim.oracle import Audit
from everytick.stores.protocol import Quarantined
from everytick.wiring.rehearsal import Rehearsal, turned_to

REASONS = {
    "broken_json": "broken_json",
    "nan": "not_finite",
    "infinity": "not_finite",
    "underscore": "not_a_decimal",
    "full_width_digits": "not_a_decimal",
    "negative_size": "negative",
    "zero_price": "zero",
    "wrong_types": "wrong_type",
    "missing_field": "missing_field",
    "unknown_channel": "unknown_channel",
    "huge": "oversize",
    "huge_in_fragments": "oversize",
    "time_in_seconds": "time_in_seconds",
    "time_2262": "time_too_late",
    "time_8h_ahead": "future",
}


async def poisoned(folder: Path, here: World) -> tuple[Audit, list[Quarantined], str]:
    # The venue drops clients that are too slow for it; here it is patient enough for its own 20 MB message.
    traits = VenueTraits(buffer_bytes_max=256 << 20)
    sim = HyperliquidSim(traits, seed=5, market=MarketTraits(coins=("BTC", "ETH"), trades_per_s=200.0))
    await sim.start()
    settings = turned_to(
        here.settings, "hyperliquid", sim, data_dir=str(folder), port=0, coins=("BTC", "ETH"), kinds=(Kind.TRADES,)
    )
    rehearsal = Rehearsal(settings, "hyperliquid", sim, here.ports, here.telemetry)

    async def poison() -> None:
        await rehearsal.is_ready.wait()
        while sim.ledger.sent_count("BTC") < 20:
            await asyncio.sleep(0.01)
        for kind in KINDS:
            await sim.poison(kind, "BTC")
        counted = sim.ledger.sent_count("BTC")
        while sim.ledger.sent_count("BTC") < counted + 20:
            await asyncio.sleep(0.01)
        rehearsal.end()

    poisoning = asyncio.create_task(poison())
    audit = await rehearsal.run(for_s=60)
    await poisoning
    reader = rehearsal.reader()
    quarantined = reader.quarantined(limit=1_000)
    reader.close()
    return audit, quarantined, here.telemetry.exposition().decode()


def test_every_bad_message_is_quarantined_with_its_reason_and_its_neighbours_are_stored(tmp_path: Path) -> None:
    audit, quarantined, metrics = asyncio.run(poisoned(tmp_path, world(None, is_quiet=True)))
    assert audit.exact, audit
    reasons = Counter(item.reason for item in quarantined)
    assert reasons == Counter(REASONS[kind] for kind in KINDS)
    for reason, count in reasons.items():
        assert f'reason="{reason}",venue="hyperliquid"}} {float(count)}' in metrics
    assert all(item.path or item.value for item in quarantined if item.reason != "oversize")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_poison_has_an_expected_reason(kind: str) -> None:
    assert kind in REASONS
