"""A real recording process that misbehaves as its arguments say, for tests that watch it from outside.

`python -m tests.supervise.wedging FOLDER PORT MODE`: `block` blocks the loop on SIGHUP with a call that can be
interrupted, `stubborn` with one that cannot, `slow_disk` lets one sync take far longer than a wedge, `no_end` never
ends gracefully.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

import msgspec

from everytick.config import Settings, examine
from everytick.host import loop
from everytick.model.stream import Kind
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.market import MarketTraits
from everytick.supervise.settings import SuperviseSettings
from everytick.supervise.threads import Wedged
from everytick.supervise.tree import Restarts
from everytick.telemetry import LogSettings, Telemetry
from everytick.wiring.parts import host_ports
from everytick.wiring.process import Process
from everytick.wiring.rehearsal import turned_to

WEDGE_S = 5.0
SLOW_S = 8.0


def settings_of(folder: str, port: int, sim: HyperliquidSim) -> Settings:
    """Settings turned to the simulated venue, with a hasty watchdog."""
    given = examine(environ={}).settings
    turned = turned_to(given, "hyperliquid", sim, data_dir=folder, port=port, coins=("BTC",), kinds=(Kind.TRADES,))
    hasty = SuperviseSettings(stop_s_max=1.0, wedge_s=WEDGE_S, recoveries_max=1)
    return msgspec.structs.replace(turned, supervise=hasty)


def block_well() -> None:
    """Block until interrupted."""
    time.sleep(120)


def block_stubbornly() -> None:
    """Block, and not be interrupted."""
    while True:
        try:
            time.sleep(120)
        except Wedged:
            continue


def slow_disk() -> None:
    """Let the next sync take long, and only that."""
    sync = os.fdatasync

    def slow(descriptor: int) -> None:
        os.fdatasync = sync
        time.sleep(SLOW_S)
        sync(descriptor)
        print("synced", flush=True)

    os.fdatasync = slow


async def main(folder: str, port: int, mode: str) -> None:
    """Record a simulated venue until told to stop."""
    sim = HyperliquidSim(seed=1, market=MarketTraits(coins=("BTC",), trades_per_s=50.0))
    await sim.start()
    ports = host_ports()
    telemetry = Telemetry(ports.clock, LogSettings(format="json"))
    process = Process(settings_of(folder, port, sim), ports, telemetry)
    deeds = {"block": block_well, "stubborn": block_stubbornly, "slow_disk": slow_disk}
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)

    async def misbehave() -> None:
        await asked.wait()
        asked.clear()
        deeds[mode]()
        await asyncio.Event().wait()

    async def never_end() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    def ready() -> None:
        process._tree.spawn("misbehaviour", never_end if mode == "no_end" else misbehave, Restarts())
        print(f"ready {process.address}", flush=True)

    await process.run(on_ready=ready)
    await sim.stop()


if __name__ == "__main__":
    loop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
