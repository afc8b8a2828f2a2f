"""What the server needs of whatever drives it: a live market or a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from everytick.sim.binance.history import History
from everytick.sim.coin import CoinView


class Feed(Protocol):
    """Drives the venue's messages."""

    @property
    def views(self) -> Mapping[str, CoinView]:
        """Every symbol and what is known of it."""
        ...

    @property
    def histories(self) -> Mapping[str, History]:
        """Everything that traded, per symbol."""
        ...

    @property
    def is_refusing(self) -> bool:
        """During an outage nobody can connect."""
        ...

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        ...

    @property
    def update_id(self) -> int:
        """How often the books have changed."""
        ...

    async def run(self) -> None:
        """Send until there is nothing more to send, or for ever."""
        ...

    async def quiesce(self) -> None:
        """Stop making news; send out what is held back."""
        ...
