"""Reading the whole tape and saying what is wrong with it."""

from __future__ import annotations

import msgspec
import zstandard

from everytick.ports import Disk
from everytick.tape.block import BLOCK_HEADER_BYTES, Illegible, decode_columns
from everytick.tape.scan import Account, Block, Damage, Spoiled, header_damage, tape_id_of, walk
from everytick.tape.segment import SegmentName, segments_of


class TapeReport(msgspec.Struct, frozen=True):
    """What the tape holds. Holes are [from, to) offsets that no frame has and no damage explains.

    A hole is where recovery went on beyond a torn block that may have been seen; it lost nothing durable.
    """

    tape_id: str
    segments: int
    blocks: int
    frames: int
    bytes: int
    first_offset: int
    end_offset: int
    damage: tuple[Damage, ...]
    holes: tuple[tuple[int, int], ...]

    @property
    def is_intact(self) -> bool:
        """Every byte is as it was written."""
        return not self.damage


def verify(disk: Disk) -> TapeReport:
    """Check every byte of the tape: checksums, offsets, and that every block unpacks. Takes no lock.

    A tape that is being written may show its newest, unfinished block as damage. Raises OSError, Refused.
    """
    segments = segments_of(disk)
    tape_id = tape_id_of(disk, segments)
    zstd = zstandard.ZstdDecompressor()
    blocks = frames = size = 0
    damage: list[Damage] = []
    holes: list[tuple[int, int]] = []
    end = segments[0].first_offset if segments else 0
    for segment in segments:
        size += disk.size(segment.name)
        if segment.first_offset > end:
            holes.append((end, segment.first_offset))
        if (wrong := header_damage(disk, segment, tape_id)) is not None:
            damage.append(wrong)
        account = Account(segment)
        for item in walk(disk, segment, tape_id, check_body=False):
            checked = _unpacked(disk, segment, item, zstd)
            if isinstance(checked, Spoiled):
                account.bad(checked)
            elif account.good(checked, segment.limit):
                blocks += 1
                frames += checked.header.count
        end = account.finish(segment.limit)
        holes += account.holes
        damage += account.damage
    return TapeReport(
        tape_id=tape_id.hex() if tape_id else "",
        segments=len(segments),
        blocks=blocks,
        frames=frames,
        bytes=size,
        first_offset=segments[0].first_offset if segments else 0,
        end_offset=end,
        damage=tuple(damage),
        holes=tuple(holes),
    )


def _unpacked(
    disk: Disk, segment: SegmentName, item: Block | Spoiled, zstd: zstandard.ZstdDecompressor
) -> Block | Spoiled:
    """The same item, or spoiled if the body is not what a writer makes."""
    if isinstance(item, Spoiled):
        return item
    header = item.header
    stored = disk.read(segment.name, item.position + BLOCK_HEADER_BYTES, header.stored_bytes)
    try:
        decode_columns(header, stored, zstd)
    except Illegible as error:
        return Spoiled(item.position, header.block_bytes, str(error), header)
    return item
