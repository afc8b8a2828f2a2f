"""Where the blocks of one segment stand, found by their headers while the segment grows."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator

from everytick.ports import Disk
from everytick.tape.scan import Account, Spoiled, Window, header_damage, next_item
from everytick.tape.segment import SEGMENT_HEADER_BYTES, SegmentName


class SegmentIndex:
    """Where the blocks of one segment stand. Grows as far as it is asked to, never reads a body."""

    def __init__(self, disk: Disk, segment: SegmentName, tape_id: bytes | None) -> None:
        self._disk = disk
        self._segment = segment
        self.name = segment.name
        self.first_offset = segment.first_offset
        self.limit = segment.limit
        self._tape_id = tape_id
        self.durable = 0
        self.forget()

    def forget(self) -> None:
        """Give back the memory: the index of a segment that is read no more. It is built again when asked for."""
        self.window = Window(self._disk, self.name)
        self.firsts: array[int] = array("Q")
        self.ends: array[int] = array("Q")
        self.positions: array[int] = array("Q")
        self._repeats: dict[int, list[int]] = {}  # first offset -> where recovery wrote the block once more
        self.account = Account(self._segment)
        self._position = SEGMENT_HEADER_BYTES
        self._is_finished = False

    @property
    def end(self) -> int:
        """The offset after the last block found so far."""
        return self.ends[-1] if self.ends else self.first_offset

    def end_at(self, limit: int) -> None:
        """A newer segment begins at `limit`: what stands here beyond it does not count."""
        self.limit = limit
        while self.ends and self.firsts[-1] >= limit:
            del self.firsts[-1], self.ends[-1], self.positions[-1]

    def find(self, offset: int) -> int | None:
        """The number of the block that holds `offset`, or of the first one after it; None if not there yet."""
        while self.end <= offset or not self.ends:
            if not self.advance():
                return None
        at = bisect_right(self.firsts, offset) - 1
        return at if at >= 0 and offset < self.ends[at] else at + 1

    def places(self, at: int) -> Iterator[int]:
        """Where the block stands, and then, if that is not enough, where recovery wrote it once more."""
        yield self.positions[at]
        if at == len(self.firsts) - 1:
            self.advance()  # repeats stand right behind their block: have them found
        yield from self._repeats.get(self.firsts[at], ())

    def advance(self) -> bool:
        """Find one more block; False if there is none (yet)."""
        while not self._is_finished:
            if self._position >= self.window.size and self._position >= self.window.refresh() and self.limit is None:
                return False
            item = next_item(self.window, self._position, self._tape_id, check_body=False)
            if item is None:
                self._finish()
                return False
            if isinstance(item, Spoiled):
                # The unfinished end of the last segment is a block being written, not damage.
                if item.is_tail and self.limit is None:
                    self.window.refresh()
                    return False
                self._position += item.length
                self.account.bad(item)
                continue
            if self.limit is not None and item.header.first_offset >= self.limit:
                self._finish()
                return False
            self._position += item.header.block_bytes
            if self.account.good(item, self.limit):
                self._check_header(item.header.tape_id)
                self.firsts.append(item.header.first_offset)
                self.ends.append(item.header.end_offset)
                self.positions.append(item.position)
                self.durable = max(self.durable, item.header.durable)
                return True
            if self.firsts and item.header.first_offset == self.firsts[-1]:
                self._repeats.setdefault(item.header.first_offset, []).append(item.position)
        return False

    def _check_header(self, tape_id: bytes) -> None:
        """Look at the segment's own header once it must be there: it is written together with the first block."""
        self._tape_id = self._tape_id or tape_id
        if not self.firsts and (wrong := header_damage(self._disk, self._segment, self._tape_id)) is not None:
            self.account.damage.append(wrong)

    def _finish(self) -> None:
        self._is_finished = True
        self.account.finish(self.limit)
