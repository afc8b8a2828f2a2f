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
from everytick.recorder.audit import AuditReport
from everytick.sim.oracle import Audit
from everytick.sim.recordings import Recording
from everytick.sim.registry import SIMULATED, Loss
from everytick.wiring.rehearsal import Rehearsal, turned_to


def drill(
    venue: Annotated[str, Parameter(help="Which venue's recording it is: hyperliquid or binance.")],
    files: Annotated[list[Path], Parameter(help="Raw frames (`<local ns> <json>`) or CSV, plain or .gz.")],
    *,
    speed: Annotated[float, Parameter(help="1 is as recorded; 0 as fast as the recorder takes it.")] = 0.0,
    drop: Annotated[int, Parameter(help="Deletions from what is sent, of single trades and of runs of frames.")] = 0,
    holes: Annotated[int, Parameter(help="Trades that never were: their ids are missing at the venue itself.")] = 0,
    seed: Annotated[int, Parameter(help="What is deleted follows from it.")] = 0,
    keep: Annotated[str, Parameter(help="Keep the tape and the store in this folder.")] = "",
    json: JsonOption = False,
) -> int:
    """Play recordings over real sockets, reconnects and replays included, and compare what is held with them.

    Exit code 0 if every trade sent is held exactly once with its own values and, where the venue's ids are in a row,
    the gaps name exactly the ids that are not held, and backfill from the venue's history then closes exactly those,
    all but the holes of the venue's own. Gaps are listed: a recording may truly have some.

    Example: everytick drill hyperliquid 20250904_trades_BTC.csv --json
    """
    simulated = SIMULATED.get(venue)
    if simulated is None:
        known = ", ".join(SIMULATED)
        raise Refused("no drill for this venue", path="VENUE", value=venue, suggestion=f"there are: {known}")
    loss = Loss(drop, holes, seed)
    if min(drop, holes) < 0:
        raise Refused("cannot be below 0", path="--drop" if drop < 0 else "--holes", value=min(drop, holes))
    if (drop or holes) and not simulated.can_lose:
        raise Refused(f"{venue} has no ids that could tell", path="--drop", value=drop, suggestion="leave it out")
    recordings = [simulated.read(path) for path in files]
    with tempfile.TemporaryDirectory(prefix="everytick-drill-") as scratch:
        before, told, audit = loop.run(_drill(venue, recordings, keep or scratch, speed, loss))
    is_good = audit.exact and (before is None or (before.exact and _is_repaired(audit)))
    is_good = is_good and (told is None or (told.clean and told.complete))
    if json:
        found: dict[str, object] = {"streams": audit.streams, "exact": audit.exact}
        if before is not None:
            found |= {"before": {"streams": before.streams, "exact": before.exact}, "repaired": _is_repaired(audit)}
        if told is not None:
            found["told_by_venue"] = told
        say_json(found)
    else:
        if before is not None:
            say("as recorded:")
            say_audit(before, lists_gaps=False)
            say("after backfill from the venue's history:")
        say_audit(audit)
        if told is not None:
            compared = sum(stream.compared for stream in told.streams)
            say(f"{compared} trades read again from the venue: {'nothing differs' if told.clean else 'DIFFERENT'}")
        say(verdict(audit), style="bold green" if audit.exact else "bold red")
        if before is not None and not _is_repaired(audit):
            say("backfill did NOT close every gap that the venue could tell of", style="bold red")
    return Exit.OK if is_good else Exit.NO


def _is_repaired(audit: Audit) -> bool:
    """Whether nothing is missing but what the venue itself never had, and all of that is marked so."""
    return all(
        stream.ids is not None
        and stream.ids.missing == stream.ids.holes == stream.ids.holes_marked
        and stream.recovered == stream.dropped + stream.unseen
        for stream in audit.streams
    )


async def _drill(
    venue: str, recordings: list[Recording], folder: str, speed: float, loss: Loss
) -> tuple[Audit | None, AuditReport | None, Audit]:
    """The audit before backfill, the venue's own word after it (both where it keeps a history by id), and the end."""
    here = world(None, is_quiet=True)
    simulated = SIMULATED[venue]
    sim = simulated.play(recordings, speed, loss)
    await sim.start()
    keys = [key for recording in recordings for key in recording.keys if key[0] in simulated.kinds]
    settings = turned_to(
        here.settings,
        venue,
        sim,
        data_dir=folder,
        port=0,
        coins=tuple(dict.fromkeys(coin for _, coin, _ in keys if coin)),
        kinds=tuple(dict.fromkeys(simulated.kinds[channel] for channel, _, _ in keys)),
        intervals=tuple(dict.fromkeys(interval for _, _, interval in keys if interval)),
    )
    rehearsal = Rehearsal(settings, venue, sim, here.ports, here.telemetry, repairs=simulated.can_lose)
    audit = await rehearsal.run(for_s=None)
    return rehearsal.before, rehearsal.told, audit
