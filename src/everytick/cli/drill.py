"""`everytick drill`: play anyone's recording through a simulated venue and the recorder, and audit the result."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from everytick.cli.audits import say_audit, verdict
from everytick.cli.console import JsonOption, say, say_json
from everytick.cli.exits import Exit
from everytick.cli.session import world
from everytick.errors import Refused
from everytick.host import loop
from everytick.model.stream import Kind
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.oracle import Audit
from everytick.sim.recordings import Recording, read_recording
from everytick.wiring.rehearsal import Rehearsal, turned_to

VENUES = ("hyperliquid",)
CHANNEL_KINDS = {
    "trades": Kind.TRADES,
    "candle": Kind.CANDLES,
    "bbo": Kind.QUOTES,
    "l2Book": Kind.BOOKS,
    "allMids": Kind.MIDS,
    "activeAssetCtx": Kind.CONTEXTS,
}


def drill(
    venue: Annotated[str, Parameter(help="Which venue's recording it is: hyperliquid.")],
    files: Annotated[list[Path], Parameter(help="Raw frames (`<local ns> <json>`) or CSV, plain or .gz.")],
    *,
    speed: Annotated[float, Parameter(help="1 is as recorded; 0 as fast as the recorder takes it.")] = 0.0,
    keep: Annotated[str, Parameter(help="Keep the tape and the store in this folder.")] = "",
    json: JsonOption = False,
) -> int:
    """Play recordings over real sockets, reconnects and replays included, and compare what is held with them.

    Exit code 0 if every distinct trade is held exactly once with its own values. Gaps are listed: a recording
    may truly have some.

    Example: everytick drill hyperliquid 20250904_trades_BTC.csv --json
    """
    if venue not in VENUES:
        raise Refused("no drill for this venue", path="VENUE", value=venue, suggestion=f"there is: {', '.join(VENUES)}")
    recordings = [read_recording(path) for path in files]
    with tempfile.TemporaryDirectory(prefix="everytick-drill-") as scratch:
        audit = loop.run(_drill(recordings, keep or scratch, speed))
    if json:
        say_json({"streams": audit.streams, "exact": audit.exact})
    else:
        say_audit(audit)
        say(verdict(audit), style="bold green" if audit.exact else "bold red")
    return Exit.OK if audit.exact else Exit.NO


async def _drill(recordings: list[Recording], folder: str, speed: float) -> Audit:
    here = world(None, is_quiet=True)
    sim = HyperliquidSim(recordings=recordings, speed=speed)
    await sim.start()
    keys = [key for recording in recordings for key in recording.keys]
    settings = turned_to(
        here.settings,
        sim.ws_url,
        data_dir=folder,
        port=0,
        coins=tuple(dict.fromkeys(coin for _, coin, _ in keys if coin)),
        kinds=tuple(dict.fromkeys(CHANNEL_KINDS[channel] for channel, _, _ in keys if channel in CHANNEL_KINDS)),
        intervals=tuple(dict.fromkeys(interval for _, _, interval in keys if interval)),
    )
    return await Rehearsal(settings, sim, here.ports, here.telemetry).run(for_s=None)
