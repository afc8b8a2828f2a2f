"""`everytick demo`: a simulated venue, recorded, cut now and then, served, and audited at the end."""

from __future__ import annotations

import tempfile
from typing import Annotated

from cyclopts import Parameter

from everytick.cli import times
from everytick.cli.audits import say_audit, verdict
from everytick.cli.board import Board
from everytick.cli.console import JsonOption, say, say_json
from everytick.cli.exits import Exit
from everytick.cli.session import world
from everytick.host import loop
from everytick.host.listen import port_or_any
from everytick.model.stream import Kind
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import MarketTraits
from everytick.sim.oracle import Audit
from everytick.wiring.rehearsal import Rehearsal, turned_to

COINS = ("BTC", "ETH", "SOL", "WLFI")
KINDS = (Kind.TRADES, Kind.CANDLES, Kind.QUOTES)
# An outage about every seven seconds: short ones are bridged by the venue's replay, long ones leave a gap.
TRAITS = VenueTraits(greeting="Websocket connection established.", outage_every_s=7.0, partial_replay_share=0.2)


def demo(
    *,
    for_: Annotated[str | None, Parameter(name="--for", help="How long, for example 30s; else until Ctrl-C.")] = None,
    rate: Annotated[float, Parameter(help="Trades per second at the simulated venue.")] = 60.0,
    seed: Annotated[int, Parameter(help="Everything random follows from it.")] = 1,
    keep: Annotated[str, Parameter(help="Keep the tape and the store in this folder.")] = "",
    json: JsonOption = False,
) -> int:
    """Record a simulated venue that breaks now and then; watch it; end with an audit.

    Needs no internet, keys or database. At the end (Ctrl-C, or --for) what the venue sent is compared with what is
    held: exit code 0 only if nothing is missing outside a named gap, nothing doubled and nothing changed.

    Example: everytick demo --for 20s
    """
    for_s = times.seconds(for_, option="--for")
    with tempfile.TemporaryDirectory(prefix="everytick-demo-") as scratch:
        audit = loop.run(_demo(keep or scratch, for_s, rate, seed, is_quiet=json))
        if json:
            say_json({"exact": audit.exact, "honest": audit.honest, "streams": audit.streams})
        else:
            say()
            say_audit(audit)
            say(verdict(audit), style="bold green" if audit.honest else "bold red")
        if keep and not json:
            say(f"kept in {keep}: try EVERYTICK_DATA__DIR={keep} everytick gaps")
    return Exit.OK if audit.honest else Exit.NO


async def _demo(folder: str, for_s: float | None, rate: float, seed: int, *, is_quiet: bool) -> Audit:
    here = world(None, is_quiet=True)
    sim = HyperliquidSim(TRAITS, seed=seed, market=MarketTraits(coins=COINS, trades_per_s=rate))
    await sim.start()
    port = port_or_any("127.0.0.1", here.settings.serve.port)
    settings = turned_to(here.settings, "hyperliquid", sim, data_dir=folder, port=port, coins=COINS, kinds=KINDS)
    rehearsal = Rehearsal(settings, "hyperliquid", sim, here.ports, here.telemetry)
    with Board(is_quiet=is_quiet) as board:
        return await rehearsal.run(for_s=for_s, watch=board.show)
