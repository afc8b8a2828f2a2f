"""Our API over a recorded folder, as `everytick serve` builds it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path

import msgspec

from bench.ours.record import settings_for
from everytick.host.clock import HostClock
from everytick.host.loop import run
from everytick.telemetry import Telemetry
from everytick.wiring.parts import host_ports
from everytick.wiring.views import View


async def serve(folder: Path) -> None:
    """Serve until standard input closes."""
    settings = settings_for(folder, 1, "hyperliquid", "")
    settings = msgspec.structs.replace(settings, serve=msgspec.structs.replace(settings.serve, port=0))
    view = View(settings, host_ports(), Telemetry(HostClock()), projects=False, serves=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    def ready() -> None:
        print(json.dumps({"port": int(view.address.rsplit(":", 1)[1])}), flush=True)

    threading.Thread(target=wait_for_end, daemon=True).start()
    serving = asyncio.create_task(view.run(on_ready=ready))
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    ending.cancel()
    await asyncio.gather(serving, ending, return_exceptions=True)


if __name__ == "__main__":
    run(serve(Path(json.loads(sys.argv[1])["folder"])))
