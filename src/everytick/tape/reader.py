"""Reading the tape from any offset, and following it while it grows, past any damage."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator

import zstandard

from everytick.model.frame import Frame
from everytick.ports import Disk
from everytick.tape.block import BLOCK_HEADER_BYTES, Illegible, decode_columns, frames_of, parse_block_header
from everytick.tape.scan import Account, Damage, Spoiled, Window, header_damage, next_item, tape_id_of
from everytick.tape.segment import SEGMENT_HEADER_BYTES, SegmentName, segments_of
from everytick.tape.tail import Tail


class _SegmentIndex:
    """Where the blocks of one segment stand. Grows as far as it is asked to, never reads a body."""

    def __init__(self, disk: Disk, segment: SegmentName, tape_id: bytes | None) -> None:
        self._disk = disk
        self._segment = segment
        self.window = Window(disk, segment.name)
        self.name = segment.name
        self.first_offset = segment.first_offset
        self.limit = segment.limit
        self.firsts: array[int] = array("Q")
        self.ends: array[int] = array("Q")
        self.positions: array[int] = array("Q")
        self._repeats: dict[int, list[int]] = {}  # first offset -> where recovery wrote the block once more
        self.account = Account(segment)
        self.durable = 0
        self._tape_id = tape_id
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


class TapeReader:
    """Reads frames for one thread. `tail`: the writer's, when it lives in the same process."""

    def __init__(self, disk: Disk, tail: Tail | None = None) -> None:
        self._disk = disk
        self._tail = tail
        self._zstd = zstandard.ZstdDecompressor()
        self._segments: list[_SegmentIndex] = []
        self._tape_id: bytes | None = None
        self._body_damage: list[Damage] = []
        self._bad_blocks: set[tuple[str, int]] = set()
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
        met = [found for segment in self._segments for found in segment.account.damage]
        return met + self._body_damage

    def first_offset(self) -> int:
        """Where the tape begins; 0 for an empty one."""
        self._refresh()
        return self._segments[0].first_offset if self._segments else 0

    def end(self) -> int:
        """The offset after the last good block, whether or not the disk has confirmed it."""
        return self._last()[0]

    def durable(self) -> int:
        """A watermark from the tape alone, for a reader in another process: at most one group behind.

        Each block says up to where the tape was durable when it was made; its own group may still vanish in
        a power cut, so it does not count until the next one is there.
        """
        return self._last()[1]

    def _last(self) -> tuple[int, int]:
        self._refresh()
        if not self._segments:
            return 0, 0
        last = self._segments[-1]
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
            segment = self._segment(offset)
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

    def _load_block(self, segment: _SegmentIndex, at: int) -> bool:
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

    def _decoded(self, segment: _SegmentIndex, first_offset: int, position: int) -> list[Frame]:
        header = parse_block_header(segment.window.get(position, BLOCK_HEADER_BYTES))
        if header is None or header.first_offset != first_offset:
            raise Illegible("the block header is no longer what it was")
        stored = segment.window.get(position + BLOCK_HEADER_BYTES, header.stored_bytes)
        return frames_of(first_offset, decode_columns(header, stored, self._zstd))

    def _report(self, segment: _SegmentIndex, position: int, reason: str, lost_from: int, lost_to: int) -> None:
        if (segment.name, position) in self._bad_blocks:
            return
        self._bad_blocks.add((segment.name, position))
        header = parse_block_header(segment.window.get(position, BLOCK_HEADER_BYTES))
        length = header.block_bytes if header is not None else BLOCK_HEADER_BYTES
        self._body_damage.append(Damage(segment.name, position, length, reason, lost_from, lost_to))

    def _keep(self, frames: list[Frame]) -> None:
        self._frames = frames
        self._first = frames[0].offset
        self._end = self._first + len(frames)

    def _segment(self, offset: int) -> _SegmentIndex | None:
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
            self._segments.append(_SegmentIndex(self._disk, segment, self._tape_id))
        return len(self._segments) > len(known)


def _first_offset(segment: _SegmentIndex) -> int:
    return segment.first_offset
