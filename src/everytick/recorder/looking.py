"""Looking at the store from the event loop without holding it up: each look is a thread's own, with its own reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from everytick.model.ledger import Gap
from everytick.model.stream import Stream
from everytick.stores.protocol import Reader
from everytick.supervise.threads import OwnedThread

T = TypeVar("T")

GAPS_MAX = 100_000  # looked at in one go; the newest beyond it wait until older ones are settled


class Situation(msgspec.Struct, frozen=True):
    """What is open in a store that has applied the tape up to `checkpoint`, oldest gap first."""

    checkpoint: int
    gaps: tuple[Gap, ...]


class Wanted(msgspec.Struct, frozen=True):
    """Which gaps are meant: of these instruments (all, if empty), touching [from_ns, to_ns)."""

    instruments: frozenset[str] = frozenset()
    from_ns: int = 0
    to_ns: int = 2**63 - 1

    def holds(self, stream: Stream) -> bool:
        """Whether the stream is meant."""
        return not self.instruments or stream.instrument in self.instruments

    def touches(self, gap: Gap) -> bool:
        """Whether the gap is meant."""
        return self.holds(gap.stream) and gap.from_ns < self.to_ns and gap.to_ns >= self.from_ns


async def on_thread(name: str, work: Callable[[], T]) -> T:
    """What `work` gives, done on a thread of its own. Raises what it raises."""
    found: list[T] = []
    await OwnedThread(name, lambda _: found.append(work())).run()
    return found[0]


def look(reader: Reader, wanted: Wanted, *, open_only: bool = True) -> Situation:
    """The gaps that are meant, oldest first."""
    streams = [stream for stream in reader.streams() if wanted.holds(stream)]
    gaps = [gap for gap in reader.gaps(streams, open_only=open_only, limit=10 * GAPS_MAX) if wanted.touches(gap)]
    gaps.sort(key=lambda gap: (gap.from_ns, gap.stream, gap.first_id, gap.offset))
    return Situation(reader.checkpoint(), tuple(gaps[:GAPS_MAX]))
