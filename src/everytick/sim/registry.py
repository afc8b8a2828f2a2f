"""Every simulated venue by its name: how it is made, and how its recordings are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from everytick.model.stream import Kind
from everytick.sim import binance, hyperliquid
from everytick.sim.oracle import Ledger
from everytick.sim.recordings import Recording, read_recording


class SimulatedVenue(Protocol):
    """A venue on loopback that remembers the truth."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def url(self) -> str: ...

    @property
    def ws_url(self) -> str: ...

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve, and return the base address. Raises OSError."""
        ...

    async def stop(self) -> None:
        """Close every connection and the server."""
        ...

    async def finished(self) -> None:
        """Wait until everything there is to send has been sent."""
        ...

    async def quiesce(self) -> None:
        """Make no more news and send out what is held back."""
        ...


@dataclass(frozen=True)
class Loss:
    """What a played recording is to lack: `drop` deletions from what is sent, `holes` trades that never were."""

    drop: int = 0
    holes: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Simulated:
    """One simulated venue. `kinds` says which stream of ours each recorded channel needs."""

    read: Callable[[Path], Recording]
    play: Callable[[list[Recording], float, Loss], SimulatedVenue]
    kinds: Mapping[str, Kind]
    can_lose: bool


def _hyperliquid(recordings: list[Recording], speed: float, loss: Loss) -> SimulatedVenue:
    return hyperliquid.HyperliquidSim(recordings=recordings, speed=speed, seed=loss.seed)


def _binance(recordings: list[Recording], speed: float, loss: Loss) -> SimulatedVenue:
    traits = binance.BinanceTraits(drop=loss.drop, holes=loss.holes)
    return binance.BinanceSim(traits, recordings=recordings, speed=speed, seed=loss.seed)


SIMULATED: Final[Mapping[str, Simulated]] = {
    "hyperliquid": Simulated(
        read_recording,
        _hyperliquid,
        {
            "trades": Kind.TRADES,
            "candle": Kind.CANDLES,
            "bbo": Kind.QUOTES,
            "l2Book": Kind.BOOKS,
            "allMids": Kind.MIDS,
            "activeAssetCtx": Kind.CONTEXTS,
        },
        can_lose=False,
    ),
    "binance": Simulated(
        binance.read_recording,
        _binance,
        {
            "trade": Kind.TRADES,
            "aggTrade": Kind.AGG_TRADES,
            "kline": Kind.CANDLES,
            "bookTicker": Kind.QUOTES,
            "depth20@100ms": Kind.BOOKS,
        },
        can_lose=True,
    ),
}
