"""What `tape` and `store` share: two senders with the same market in two dresses, passes taken in turn."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.children import Child, answer_of
from bench.frames import COINS
from bench.report import spread

PASSES = 3
_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Rates:
    """Trades per second, one value for each pass."""

    ours: list[float]
    peer: list[float]
    message_bytes: tuple[int, int]

    @property
    def conditions(self) -> str:
        """The range of each side and the size of its messages."""
        return (
            f"{PASSES} passes in turn, medians; ours {spread(self.ours)}, peer {spread(self.peer)}; "
            f"Hyperliquid {self.message_bytes[0]} B, Coinbase {self.message_bytes[1]} B a message"
        )


@contextmanager
def sender(dialect: str, messages: int, trades_per_message: int, **more: float) -> Iterator[tuple[int, int]]:
    """A running sender: its port and the mean size of its messages."""
    order = {"dialect": dialect, "messages": messages, "trades_per_message": trades_per_message, **more}
    # Hyperliquid is asked for each coin; cryptofeed asks Coinbase for all products at once and then for heartbeats.
    order.setdefault("client_messages", len(COINS) if dialect == "hyperliquid" else 2)
    with Child("bench.sender", order, seconds_max=300) as process:
        ready = process.line()
        yield ready["port"], ready["message_bytes"]


def record(port: int, trades: int, trades_per_message: int, folder: Path, **more: object) -> dict[str, float]:
    """One recording by our side into a fresh folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    order = {"port": port, "trades": trades, "messages": trades // trades_per_message, "folder": str(folder), **more}
    return answer_of("bench.ours.record", order, seconds_max=_SECONDS_MAX)


def compare(
    trades: int,
    trades_per_message: int,
    folder: Path,
    peer: Callable[[int], float],
    *,
    store: bool,
    processes: int = 1,
) -> Rates:
    """Record `trades` trades on both sides, in turn. `peer` takes a port and gives trades per second.

    Raises RuntimeError if our side does not hold exactly the trades that were sent.
    """
    messages = trades // trades_per_message
    ours: list[float] = []
    theirs: list[float] = []
    with (
        sender("hyperliquid", messages, trades_per_message) as (our_port, our_bytes),
        sender("coinbase", messages, trades_per_message) as (peer_port, peer_bytes),
    ):
        for _ in range(PASSES):
            answer = record(our_port, trades, trades_per_message, folder, store=store, processes=processes)
            if answer["trades"] != trades:
                raise RuntimeError(f"sent {trades} distinct trades, ours holds {answer['trades']}")
            ours.append(trades / answer["seconds"])
            theirs.append(peer(peer_port))
    return Rates(ours, theirs, (our_bytes, peer_bytes))


def median(values: list[float]) -> float:
    """The median over passes."""
    return statistics.median(values)
