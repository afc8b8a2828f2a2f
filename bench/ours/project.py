"""Our projector as a process of its own (`everytick project`), beside a recording one.

Says when it is ready, and then when (monotonic ns, the same clock for all processes) the last frame was applied.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bench.ours.record import Watch, settings_for
from everytick.host.clock import HostClock
from everytick.host.loop import run
from everytick.telemetry import Telemetry
from everytick.wiring.parts import host_ports
from everytick.wiring.views import View


async def project(order: dict[str, Any]) -> int:
    """Follow the tape until everything expected is applied; returns when that was."""
    settings = settings_for(Path(order["folder"]), order["port"], order["dialect"], order["url"])
    view = View(settings, host_ports(), Telemetry(HostClock()), projects=True, serves=False)
    watch = Watch(view.progress, order["messages"], (), store=True)
    following = asyncio.create_task(view.run(on_ready=lambda: print("{}", flush=True)))
    await watch.until_done()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return watch.ended_ns


def main() -> None:
    """Print when the last frame was applied."""
    print(json.dumps({"ended_ns": run(project(json.loads(sys.argv[1])))}), flush=True)


if __name__ == "__main__":
    main()
