"""Reading the tape from any offset, and following it while it grows, past any damage."""

from __future__ import annotations

from bisect import bisect_right

import zstandard

from everytick.model.frame import Frame
from everytick.ports import Disk
from everytick.tape.block import BLOCK_HEADER_BYTES, Illegible, decode_columns, frames_of, parse_block_header
from everytick.tape.index import SegmentIndex
from everytick.tape.published import published
from everytick.tape.scan import Damage, tape_id_of
from everytick.tape.segment import segments_of
from everytick.tape.tail import Tail

# The index of a segment full of small blocks takes a few megabytes: only those in use are kept.
_INDEXES_MAX = 2


class TapeReader:
    """Reads frames for one thread. `tail`: the writer's, when it lives in the same process."""

    def __init__(self, disk: Disk, tail: Tail | None = None) -> None:
        self._disk = disk
        self._tail = tail
        self._zstd = zstandard.ZstdDecompressor()
        self._segments: list[SegmentIndex] = []
        self._tape_id: bytes | None = None
        self._in_use: list[SegmentIndex] = []
        self._damage: dict[tuple[str, int], Damage] = {}  # by place: what is met twice is reported once
        self._frames: list[Frame] = []  # the block or group read last, its offsets without holes
        self._first = 0
        self._end = 0

    def read(self, offset: int, frames_max: int, until: int) -> list[Frame]:
        """Up to `frames_max` frames from `offset` on, in order, none at or beyond `until` (the watermark).

        Offsets that are lost or were never used are stepped over (see `damage`); an empty answer means that
        nothing below `until` is left. Raises OSError.
        """
        found: list[Frame] = []
        while len(found) < frames_max and offset < until:
            if not self._first <= offset < self._end and not self._load(offset, until):
                break
            start = max(offset - self._first, 0)
            stop = min(max(until - self._first, 0), start + frames_max - len(found))
            piece = self._frames[start:stop]
            if not piece:
                break
            if found:
                found += piece
            else:
                found = piece
            offset = piece[-1].offset + 1
        return found

    @property
    def damage(self) -> list[Damage]:
        """Every damaged place met so far."""
        for segment in self._in_use:
            self._note(segment.account.damage)
        return list(self._damage.values())

    def first_offset(self) -> int:
        """Where the tape begins; 0 for an empty one."""
        self._refresh()
        return self._segments[0].first_offset if self._segments else 0

    def end(self) -> int:
        """The offset after the last good block, whether or not the disk has confirmed it."""
        return self._last()[0]

    def durable(self) -> int:
        """The watermark as a reader in another process may know it: what the writer publishes after each commit.

        Where that cannot be read, each block says up to where the tape was durable when it was made; its own
        group may still vanish in a power cut, so it does not count until the next one is there.
        """
        end, told = self._last()
        return min(end, max(told, published(self._disk, self._tape_id)))

    def _last(self) -> tuple[int, int]:
        self._refresh()
        if not self._segments:
            return 0, 0
        last = self._segments[-1]
        self._use(last)
        while last.advance():
            pass
        return last.end, max(last.durable, last.first_offset)

    def _load(self, offset: int, until: int) -> bool:
        """Put the frames that hold `offset`, or the next ones, in `_frames`; False if there are none yet."""
        if self._tail is not None and (frames := self._tail.frames(offset)) is not None:
            self._keep(frames)
            return True
        is_fresh = False
        while offset < until:
            segment = self._use(self._segment(offset))
            at = segment.find(offset) if segment is not None else None
            if segment is None or at is None:
                if segment is not None and segment.limit is not None and segment.limit < until:
                    offset = max(offset, segment.limit)
                elif is_fresh or not self._refresh():
                    return False
                else:
                    is_fresh = True
                continue
            if segment.firsts[at] >= until:
                return False
            if self._load_block(segment, at):
                return True
            offset = segment.ends[at]
        return False

    def _load_block(self, segment: SegmentIndex, at: int) -> bool:
        """Put a block's frames in `_frames`; False if it is spoiled, and so are the repeats of it."""
        first, end = segment.firsts[at], segment.ends[at]
        frames: list[Frame] | None = None
        spoiled: list[tuple[int, str]] = []
        for position in segment.places(at):
            try:
                frames = self._decoded(segment, first, position)
                break
            except Illegible as error:
                spoiled.append((position, str(error)))
        for position, reason in spoiled:
            self._report(segment, position, reason, first, end if frames is None else first)
        if frames is None:
            return False
        if segment.limit is not None and end > segment.limit:
            del frames[segment.limit - first :]
        self._keep(frames)
        return True

    def _decoded(self, segment: SegmentIndex, first_offset: int, position: int) -> list[Frame]:
        header = parse_block_header(segment.window.get(position, BLOCK_HEADER_BYTES))
        if header is None or header.first_offset != first_offset:
            raise Illegible("the block header is no longer what it was")
        stored = segment.window.get(position + BLOCK_HEADER_BYTES, header.stored_bytes)
        return frames_of(first_offset, decode_columns(header, stored, self._zstd))

    def _report(self, segment: SegmentIndex, position: int, reason: str, lost_from: int, lost_to: int) -> None:
        header = parse_block_header(segment.window.get(position, BLOCK_HEADER_BYTES))
        length = header.block_bytes if header is not None else BLOCK_HEADER_BYTES
        self._note([Damage(segment.name, position, length, reason, lost_from, lost_to)])

    def _note(self, damage: list[Damage]) -> None:
        for found in damage:
            self._damage.setdefault((found.file, found.position), found)

    def _use(self, segment: SegmentIndex | None) -> SegmentIndex | None:
        """The same segment, now in use; the one that was used longest ago gives its memory back."""
        if segment is None or (self._in_use and self._in_use[-1] is segment):
            return segment
        if segment in self._in_use:
            self._in_use.remove(segment)
        self._in_use.append(segment)
        if len(self._in_use) > _INDEXES_MAX:
            oldest = self._in_use.pop(0)
            self._note(oldest.account.damage)
            oldest.forget()
        return segment

    def _keep(self, frames: list[Frame]) -> None:
        self._frames = frames
        self._first = frames[0].offset
        self._end = self._first + len(frames)

    def _segment(self, offset: int) -> SegmentIndex | None:
        at = bisect_right(self._segments, offset, key=_first_offset) - 1
        if at >= 0:
            return self._segments[at]
        return self._segments[0] if self._segments else None

    def _refresh(self) -> bool:
        """Look for new segments; whether there are any."""
        listed = segments_of(self._disk)
        known = {segment.name for segment in self._segments}
        if self._tape_id is None:
            self._tape_id = tape_id_of(self._disk, listed)
        for segment in listed:
            if segment.name in known:
                continue
            if self._segments:
                self._segments[-1].end_at(segment.first_offset)
            self._segments.append(SegmentIndex(self._disk, segment, self._tape_id))
        return len(self._segments) > len(known)


def _first_offset(segment: SegmentIndex) -> int:
    return segment.first_offset
