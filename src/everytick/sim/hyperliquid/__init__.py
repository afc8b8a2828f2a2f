"""A venue that speaks Hyperliquid's bytes over real sockets, with its habits and its faults."""

from everytick.sim.hyperliquid.server import HyperliquidSim
from everytick.sim.hyperliquid.traits import VenueTraits, WsLimits

__all__ = ["HyperliquidSim", "VenueTraits", "WsLimits"]
