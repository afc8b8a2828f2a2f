"""`everytick sim`: the simulated venue alone, for anyone who wants to point a client at it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from everytick.cli import times
from everytick.cli.console import say
from everytick.cli.exits import Exit
from everytick.errors import Refused
from everytick.host import loop
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import MarketTraits
from everytick.sim.recordings import read_recording


def sim(
    *,
    port: Annotated[int, Parameter(help="Port on loopback; 0 takes any free one.")] = 3001,
    coins: Annotated[str, Parameter(help="Instruments, comma-separated, busiest first.")] = "BTC,ETH,SOL,WLFI",
    rate: Annotated[float, Parameter(help="Trades per second over all instruments.")] = 50.0,
    seed: Annotated[int, Parameter(help="Everything random follows from it.")] = 0,
    outages: Annotated[str | None, Parameter(help="An outage about this often, for example 20s.")] = None,
    play: Annotated[list[Path] | None, Parameter(help="Play these recordings instead of a market.")] = None,
    speed: Annotated[float, Parameter(help="How much faster than time; 0 (recordings only): no waiting.")] = 1.0,
    for_: Annotated[str | None, Parameter(name="--for", help="Stop after this long, else at Ctrl-C.")] = None,
) -> int:
    """Serve a simulated Hyperliquid on loopback: WebSocket at /ws, requests at /info.

    Example: everytick sim --port 0 --for 1s
    """
    traits = VenueTraits(outage_every_s=times.seconds(outages, option="--outages") or 0.0)
    market = MarketTraits(coins=tuple(coin.strip() for coin in coins.split(",") if coin.strip()), trades_per_s=rate)
    recordings = [read_recording(path) for path in play or []]
    venue = HyperliquidSim(traits, seed=seed, market=market, recordings=recordings, speed=speed)
    loop.run(_serve(venue, port, times.seconds(for_, option="--for")))
    sent = sum(venue.ledger.sent_count(coin) for coin in venue.ledger.sent)
    say(f"sent {sent} distinct trades in {sum(venue.ledger.frames.values())} messages")
    return Exit.OK


async def _serve(venue: HyperliquidSim, port: int, for_s: float | None) -> None:
    try:
        await venue.start(port=port)
    except OSError as error:
        raise Refused(f"cannot listen: {error.strerror}", path="--port", value=port, suggestion="--port 0") from None
    say(f"simulated Hyperliquid at {venue.url}; record it with")
    # Both addresses: with one of them alone, gaps of the simulated record would be filled from the real venue.
    say(f"  export EVERYTICK_VENUES__HYPERLIQUID__WS_URL={venue.ws_url}")
    say(f"  export EVERYTICK_VENUES__HYPERLIQUID__HTTP_URL={venue.url}")
    say("  everytick run")
    ending = asyncio.Event()
    running = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(name, ending.set)
    try:
        async with asyncio.timeout(for_s):
            await ending.wait()
    except TimeoutError:
        pass  # the time asked for is over
    finally:
        await venue.stop()
