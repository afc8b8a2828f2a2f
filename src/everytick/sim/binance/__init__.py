"""A venue that speaks Binance's bytes over real sockets, with ids in a row, its habits and its faults."""

from everytick.sim.binance.recordings import read_recording
from everytick.sim.binance.server import BinanceSim
from everytick.sim.binance.traits import BinanceTraits

__all__ = ["BinanceSim", "BinanceTraits", "read_recording"]
