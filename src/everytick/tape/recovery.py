"""Start = recover: what a writer does to the tape before its first frame.

Only the last segment can be torn, since a new one is begun only after the last block of the one before it was
confirmed by the disk; and only its last block, since every block is confirmed before the next is written.
"""

from __future__ import annotations

import re

import msgspec

from everytick.ports import Disk
from everytick.tape.block import BLOCK_HEADER_BYTES, FRAMES_PER_BLOCK_MAX
from everytick.tape.scan import Account, Block, Damage, Spoiled, header_damage, tape_id_of, walk
from everytick.tape.segment import SegmentName, segments_of, write_all

_COPY_BYTES = 1024 * 1024
_SIDE_NAME = re.compile(r"\.tape\.cut-\d+\.next-(\d+)\.\d+$")


class Cut(msgspec.Struct, frozen=True):
    """Bytes taken off the end of a segment, and the side file that keeps them."""

    file: str
    position: int
    length: int
    reason: str
    kept_in: str

    def __str__(self) -> str:
        return f"cut {self.length} bytes at byte {self.position} of {self.file} ({self.reason}), kept in {self.kept_in}"


class RecoveryReport(msgspec.Struct, frozen=True):
    """What recovery found and did. Frames below `next_offset` that the tape holds are durable now.

    `skipped` are offsets [from, to) that are given to no frame again, because a spoiled block may once
    have been seen with them.
    """

    tape_id: bytes | None
    segments: int
    next_offset: int
    cuts: tuple[Cut, ...]
    skipped: tuple[int, int]
    damage: tuple[Damage, ...]

    def __str__(self) -> str:
        facts = [f"the tape goes on at offset {self.next_offset}", *map(str, self.cuts), *map(str, self.damage)]
        if self.skipped[0] != self.skipped[1]:
            facts.append(f"offsets {self.skipped[0]} to {self.skipped[1] - 1} are left unused")
        return "; ".join(facts)


def recover(disk: Disk) -> RecoveryReport:
    """Cut what is torn off the end of the tape, confirm the rest, and say where to go on.

    The caller holds the writer's lock. May be killed at any moment and run again. Raises OSError, Refused.
    """
    segments = segments_of(disk)
    tape_id = tape_id_of(disk, segments)
    cuts: list[Cut] = []
    damage: list[Damage] = []
    end = 0
    next_offset = _next_of_cuts(disk)
    while segments:
        segment = segments[-1]
        if (wrong := header_damage(disk, segment, tape_id)) is not None:
            damage.append(wrong)
        account, last, tail = _examine(disk, segment, tape_id)
        end = max(end, account.expected)
        next_offset = max(next_offset, end, _claimed_end(disk, segment, account.expected, tail))
        damage += account.damage
        if last is None:
            cuts.append(_cut(disk, segment, 0, next_offset, "no good block in it"))
            segments.pop()
            continue
        if tail:
            cuts.append(_cut(disk, segment, last.position + last.header.block_bytes, next_offset, tail[0].reason))
        _repeat(disk, segment, last)
        break
    disk.sync_folder()
    return RecoveryReport(tape_id, len(segments), next_offset, tuple(cuts), (end, next_offset), tuple(damage))


def _examine(disk: Disk, segment: SegmentName, tape_id: bytes | None) -> tuple[Account, Block | None, list[Spoiled]]:
    """The account of a segment's good part, its last good block, and what follows that."""
    account = Account(segment)
    last: Block | None = None
    tail: list[Spoiled] = []
    for item in walk(disk, segment, tape_id):
        if isinstance(item, Spoiled):
            tail.append(item)
            continue
        for spoiled in tail:
            account.bad(spoiled)
        tail.clear()
        account.good(item, None)
        last = item
    return account, last, tail


def _repeat(disk: Disk, segment: SegmentName, last: Block) -> None:
    """Write the last block once more behind itself, and have the disk confirm it.

    A killed writer leaves a block that the disk may not have confirmed, and nobody may be shown it before it
    is. To sync the file is not enough: if a sync failed earlier, the system may have thrown the block's pages
    away and call the file clean, and a second sync would say yes to nothing. New bytes cannot be called clean.
    Readers take a repeated block for what it is.
    """
    end = last.position + last.header.block_bytes
    data = disk.read(segment.name, last.position, last.header.block_bytes)
    file = disk.append(segment.name)
    try:
        write_all(file, data)
        file.datasync()
    except OSError:
        disk.truncate(segment.name, end)
        raise
    finally:
        file.close()


def _claimed_end(disk: Disk, segment: SegmentName, end: int, tail: list[Spoiled]) -> int:
    """The first offset that no reader can have seen, given what follows the last good block.

    Bytes that the disk never confirmed have been seen by no one, and their offsets are free: a file that
    ends too early (a confirmed file does not get shorter), or a header of zeros (room given to the file
    whose bytes never came). Anything else may be a confirmed block that went bad later, so the offsets that
    it names, or the most that it can have held, are never given to other frames.
    """
    for item in tail:
        if item.is_cut_short:
            continue
        if item.header is not None:
            end = max(end, item.header.end_offset)
        elif any(disk.read(segment.name, item.position, BLOCK_HEADER_BYTES)):
            end += FRAMES_PER_BLOCK_MAX
    return end


def _next_of_cuts(disk: Disk) -> int:
    """What the names of the side files say: a recovery that was killed half way must not forget what it knew."""
    return max((int(match.group(1)) for name in disk.names() if (match := _SIDE_NAME.search(name))), default=0)


def _cut(disk: Disk, segment: SegmentName, position: int, next_offset: int, reason: str) -> Cut:
    """Copy the tail to a side file, confirm the copy, then cut.

    The side file's name carries the offset to go on at, so that it is durable before the cut is.
    """
    length = disk.size(segment.name) - position
    taken = set(disk.names())
    number = 0
    while (side_name := f"{segment.name}.cut-{position}.next-{next_offset}.{number}") in taken:
        number += 1
    side = disk.create(side_name)
    try:
        at = position
        while data := disk.read(segment.name, at, _COPY_BYTES):
            at += len(data)
            write_all(side, data)
        side.datasync()
    except OSError:
        disk.remove(side_name)
        raise
    finally:
        side.close()
    disk.sync_folder()
    if position == 0:
        disk.remove(segment.name)
    else:
        disk.truncate(segment.name, position)
    return Cut(segment.name, position, length, reason, side_name)
