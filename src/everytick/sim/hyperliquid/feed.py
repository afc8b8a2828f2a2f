"""What the server needs of whatever drives it: a live market or a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from everytick.sim.coin import CoinView
from everytick.sim.hub import Connection
from everytick.sim.hyperliquid.messages import Subscription


class Feed(Protocol):
    """Drives the venue's messages."""

    @property
    def views(self) -> Mapping[str, CoinView]:
        """Every coin and what is known of it."""
        ...

    @property
    def is_refusing(self) -> bool:
        """During an outage nobody can connect."""
        ...

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        ...

    def subscribed(self, connection: Connection, wanted: Subscription) -> None:
        """A client has just subscribed: put to it what the venue sends first."""
        ...

    async def run(self) -> None:
        """Send until there is nothing more to send, or for ever."""
        ...

    async def quiesce(self) -> None:
        """Stop making news; send out what is held back."""
        ...
