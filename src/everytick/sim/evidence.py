"""What a program was given, and what it said of it: held against the tape whenever it is read again."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

from everytick.sim.invariants import Broken
from everytick.tape.recovery import RecoveryReport
from everytick.tape.writer import TapeWriter


class Evidence:
    """Outlives every program. `received` are (offset, crc) of messages that no life has lost for good.

    `acked` is the highest watermark ever told: what lies below it must never be lost.
    """

    def __init__(self) -> None:
        self.received: list[tuple[int, int]] = []
        self.acked = 0
        self._watermark = 0  # of the present life

    def hand_over(self, writer: TapeWriter, take: Callable[[list[bytes]], None], messages: list[bytes]) -> None:
        """Give the program what the network brings, and remember which offsets it gave them."""
        before = writer.next_offset
        take(messages)
        if writer.next_offset - before == len(messages):
            self.received += [(before + n, crc32(message)) for n, message in enumerate(messages)]

    def watch(self, watermark: int) -> None:
        """The present life says that everything below is durable. Raises Broken if it said more before."""
        if watermark < self._watermark:
            raise Broken("I-DUR", f"the watermark went back from {self._watermark} to {watermark}")
        self._watermark = watermark
        self.acked = max(self.acked, watermark)

    def ended(self, watermark: int) -> None:
        """A life is over; that was its last word."""
        self.acked = max(self.acked, watermark)
        self._watermark = 0

    def recovered(self, report: RecoveryReport) -> None:
        """A new life has recovered: what was acknowledged must be there, and what no disk had is forgotten."""
        if report.next_offset < self.acked:
            raise Broken("I-DUR", f"recovery goes on at {report.next_offset}; up to {self.acked} was acknowledged")
        unseen_from, unseen_to = max(report.skipped[0], self.acked), report.skipped[1]
        self.received = [
            one for one in self.received if one[0] < report.next_offset and not unseen_from <= one[0] < unseen_to
        ]
