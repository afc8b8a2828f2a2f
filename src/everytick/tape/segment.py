"""A segment: one file of the tape. Its name is its first offset; blocks follow a short header."""

from __future__ import annotations

import errno
import re
import struct
from zlib import crc32

import msgspec

from everytick.errors import Refused
from everytick.ports import Disk, File

SEGMENT_MAGIC = b"\xf5EVTTAPE"
VERSION = 1
# magic, version, tape id, first offset, created ns; then the CRC of all of these
_FIELDS = struct.Struct("<8sI16sQQ")
SEGMENT_HEADER_BYTES = _FIELDS.size + 4
TAPE_ID_BYTES = 16

_NAME = re.compile(r"^(\d{20})\.tape$")


class SegmentName(msgspec.Struct, frozen=True, gc=False):
    """A segment in the folder. `limit` is the next segment's first offset, None for the last segment.

    A later segment always ends the range of the one before it: what the earlier one holds beyond `limit`
    was never confirmed by the disk and does not count.
    """

    name: str
    first_offset: int
    limit: int | None


class SegmentHeader(msgspec.Struct, frozen=True, gc=False):
    """What a segment says about itself. `created_ns` is wall time."""

    version: int
    tape_id: bytes
    first_offset: int
    created_ns: int


def segment_name(first_offset: int) -> str:
    """The file name of the segment that begins at `first_offset`."""
    return f"{first_offset:020d}.tape"


def segments_of(disk: Disk) -> list[SegmentName]:
    """Every segment in the folder, in offset order. Other files are none of its business."""
    firsts = [int(match.group(1)) for name in disk.names() if (match := _NAME.match(name))]
    limits: list[int | None] = [*firsts[1:], None]
    return [SegmentName(segment_name(first), first, limit) for first, limit in zip(firsts, limits, strict=False)]


def write_all(file: File, data: bytes | memoryview) -> None:
    """Write all of `data`, going on after short writes. Raises OSError."""
    rest = memoryview(data)
    while rest:
        taken = file.write(rest)
        if taken <= 0:
            raise OSError(errno.EIO, "the disk took no bytes and gave no reason")
        rest = rest[taken:]


def encode_segment_header(tape_id: bytes, first_offset: int, created_ns: int) -> bytes:
    """The first bytes of a new segment."""
    fields = _FIELDS.pack(SEGMENT_MAGIC, VERSION, tape_id, first_offset, created_ns)
    return fields + crc32(fields).to_bytes(4, "little")


def parse_segment_header(data: bytes, name: str) -> SegmentHeader | None:
    """The header in the first bytes of a segment, or None if it is damaged.

    Raises Refused for a segment of another version, so that nothing of it is ever called damaged and cut.
    """
    if len(data) < SEGMENT_HEADER_BYTES:
        return None
    if crc32(data[: _FIELDS.size]) != int.from_bytes(data[_FIELDS.size : SEGMENT_HEADER_BYTES], "little"):
        return None
    magic, version, tape_id, first_offset, created_ns = _FIELDS.unpack_from(data)
    if magic != SEGMENT_MAGIC:
        return None
    if version != VERSION:
        raise Refused(
            f"{name} is a segment of format version {version}, this program reads version {VERSION}",
            path="tape",
            value=version,
            suggestion="use the program version that wrote it, or a newer one",
        )
    return SegmentHeader(version, tape_id, first_offset, created_ns)
