"""Walking a segment block by block, past damage. Never holds more than one block.

A damaged block never hides a good one: a bad body is stepped over by its header, and after a bad header the
next legible header is searched for. A header counts only with this tape's unguessable id in it, so no payload
and no stale block of another tape can pass for one.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from everytick.ports import Disk
from everytick.tape.block import BLOCK_HEADER_BYTES, BLOCK_MAGIC, BlockHeader, body_is_intact, parse_block_header
from everytick.tape.segment import SEGMENT_HEADER_BYTES, SegmentName, parse_segment_header

_AHEAD_BYTES = 64 * 1024  # read at once: many small blocks, or the beginning of a large one
_SEARCH_BYTES = 1024 * 1024


class Block(msgspec.Struct, frozen=True, gc=False):
    """A block whose header is good (and its body too, where that was asked for)."""

    position: int
    header: BlockHeader


class Spoiled(msgspec.Struct, frozen=True, gc=False):
    """Bytes that hold no good block. `is_tail`: nothing good follows them in this file.

    `is_cut_short`: the file ends before the block that begins here does.
    """

    position: int
    length: int
    reason: str
    header: BlockHeader | None
    is_tail: bool = False
    is_cut_short: bool = False


class Damage(msgspec.Struct, frozen=True, gc=False):
    """A place where the tape is not as written, and the offsets [offset_from, offset_to) lost by it.

    Equal offsets: nothing was lost. `offset_to` -1: nothing on the tape says how many were.
    """

    file: str
    position: int
    length: int
    reason: str
    offset_from: int
    offset_to: int

    def __str__(self) -> str:
        if self.offset_to == self.offset_from:
            lost = "no frames lost"
        elif self.offset_to < 0:
            lost = f"frames lost from offset {self.offset_from} on"
        else:
            lost = f"frames lost: offsets {self.offset_from} to {self.offset_to - 1}"
        return f"{self.file} byte {self.position}, {self.length} bytes: {self.reason}; {lost}"


class Window:
    """A file read in larger pieces than it is asked for. Knows the size as of the last `refresh`."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        self.name = name
        self._start = 0
        self._data = b""
        self.size = 0
        self.refresh()

    def refresh(self) -> int:
        """Look at the file again: its size may have changed, and with it the bytes at its end.

        A file that is gone is empty: a writer takes a segment away again whose first block did not fit.
        """
        try:
            self.size = self._disk.size(self.name)
        except FileNotFoundError:
            self.size = 0
        self._data = b""
        return self.size

    def get(self, position: int, length: int) -> bytes:
        """The bytes at `position`; fewer only at the end of the file."""
        at = position - self._start
        if at < 0 or at + length > len(self._data):
            self._data = self._disk.read(self.name, position, max(length, _AHEAD_BYTES))
            self._start, at = position, 0
        return self._data[at : at + length]


def _header_at(window: Window, position: int, tape_id: bytes | None) -> BlockHeader | None:
    header = parse_block_header(window.get(position, BLOCK_HEADER_BYTES))
    return header if header is not None and tape_id in (None, header.tape_id) else None


def _search(window: Window, position: int, tape_id: bytes | None) -> int | None:
    """Where the next block with a legible header begins, at `position` or after it."""
    while position < window.size:
        piece = window.get(position, _SEARCH_BYTES)
        at = piece.find(BLOCK_MAGIC)
        while at >= 0:
            if _header_at(window, position + at, tape_id) is not None:
                return position + at
            at = piece.find(BLOCK_MAGIC, at + 1)
        position += max(len(piece) - len(BLOCK_MAGIC) + 1, 1)
    return None


def next_item(window: Window, position: int, tape_id: bytes | None, *, check_body: bool) -> Block | Spoiled | None:
    """What stands at `position`: a block, spoiled bytes, or None at the end of the file."""
    if position >= window.size:
        return None
    header = _header_at(window, position, tape_id)
    left = window.size - position
    if header is None:
        found = _search(window, position + 1, tape_id)
        if found is None:
            is_cut_short = left < BLOCK_HEADER_BYTES
            return Spoiled(position, left, "no legible block header", None, is_tail=True, is_cut_short=is_cut_short)
        return Spoiled(position, found - position, "no legible block header", None)
    if header.block_bytes > left:
        reason = f"the block ends {header.block_bytes - left} bytes too early"
        return Spoiled(position, left, reason, header, is_tail=True, is_cut_short=True)
    if check_body:
        stored = window.get(position + BLOCK_HEADER_BYTES, header.stored_bytes)
        if not body_is_intact(header, stored):
            reason = "the body's checksum does not match"
            return Spoiled(position, header.block_bytes, reason, header, is_tail=header.block_bytes == left)
    return Block(position, header)


def walk(
    disk: Disk, segment: SegmentName, tape_id: bytes | None, *, check_body: bool = True
) -> Iterator[Block | Spoiled]:
    """Everything after the segment's header, in order."""
    window = Window(disk, segment.name)
    if window.size < SEGMENT_HEADER_BYTES:
        reason = "the file ends inside the segment header"
        yield Spoiled(0, window.size, reason, None, is_tail=True, is_cut_short=True)
        return
    position = SEGMENT_HEADER_BYTES
    while (item := next_item(window, position, tape_id, check_body=check_body)) is not None:
        yield item
        position = item.position + (item.length if isinstance(item, Spoiled) else item.header.block_bytes)


class Account:
    """Which offsets one segment holds and which it lost, told item by item and then `finish`."""

    def __init__(self, segment: SegmentName) -> None:
        self._file = segment.name
        self.expected = segment.first_offset
        self.damage: list[Damage] = []
        self.holes: list[tuple[int, int]] = []
        self._open: list[Spoiled] = []  # illegible: what they lost shows when the next offset is known
        self._last: BlockHeader | None = None  # the last header counted, good or bad: recovery may repeat it
        self._last_is_lost = False

    def good(self, item: Block, limit: int | None) -> bool:
        """Count a block; False if it gives nothing new: a repeat of the one before, or offsets that cannot be."""
        first = item.header.first_offset
        if item.header == self._last:
            if not self._last_is_lost:
                return False
            self._last_is_lost = False
            spoiled = self.damage[-1]
            self.damage[-1] = msgspec.structs.replace(spoiled, offset_to=spoiled.offset_from)
            return True
        if first < self.expected or (limit is not None and first >= limit):
            reason = f"offsets {first} to {item.header.end_offset - 1} do not belong here"
            self.damage.append(
                Damage(self._file, item.position, item.header.block_bytes, reason, self.expected, self.expected)
            )
            return False
        self._reach(first)
        self.expected = item.header.end_offset
        self._last, self._last_is_lost = item.header, False
        return True

    def bad(self, item: Spoiled) -> None:
        """Count spoiled bytes."""
        header = item.header
        if header is None or header.first_offset < self.expected:
            self._open.append(item)
            return
        self._reach(header.first_offset)
        self.damage.append(
            Damage(self._file, item.position, item.length, item.reason, header.first_offset, header.end_offset)
        )
        self.expected = header.end_offset
        self._last, self._last_is_lost = header, True

    def finish(self, limit: int | None) -> int:
        """The segment is at its end and the next one begins at `limit`: the offset up to which all is told.

        Less than `limit` where offsets are missing and no damage explains it.
        """
        if self._open:
            self._reach(-1 if limit is None else limit)
        return self.expected

    def _reach(self, offset: int) -> None:
        """Everything before `offset` (-1: who knows) that is not accounted for was in the open places."""
        if not self._open and offset > self.expected:
            self.holes.append((self.expected, offset))
        lost_from = self.expected
        for item in self._open:
            self.damage.append(Damage(self._file, item.position, item.length, item.reason, lost_from, offset))
            lost_from = max(lost_from, offset) if offset >= 0 else lost_from
        self._open.clear()
        self.expected = max(self.expected, offset)


def header_damage(disk: Disk, segment: SegmentName, tape_id: bytes | None) -> Damage | None:
    """What is wrong with a segment's own header, if anything. Its blocks are none the worse for it."""
    data = disk.read(segment.name, 0, SEGMENT_HEADER_BYTES)
    header = parse_segment_header(data, segment.name)
    if header is None:
        reason = "the segment header is damaged"
    elif header.first_offset != segment.first_offset:
        reason = f"the segment header says first offset {header.first_offset}"
    elif tape_id is not None and header.tape_id != tape_id:
        reason = "the segment belongs to another tape"
    else:
        return None
    return Damage(segment.name, 0, len(data), reason, segment.first_offset, segment.first_offset)


def tape_id_of(disk: Disk, segments: list[SegmentName]) -> bytes | None:
    """The tape's id: from the first legible segment header, else from the first legible block; None if none."""
    for segment in segments:
        header = parse_segment_header(disk.read(segment.name, 0, SEGMENT_HEADER_BYTES), segment.name)
        if header is not None:
            return header.tape_id
    for segment in segments:
        for item in walk(disk, segment, None, check_body=False):
            if item.header is not None:
                return item.header.tape_id
    return None
