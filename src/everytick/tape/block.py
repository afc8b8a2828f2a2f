"""A block: one group of frames as bytes. The layout is described in docs/TAPE_FORMAT.md.

A body is columnar: a table of sources, then one packed column for each fact, then the payloads joined. That
is what lets a group of thousands of frames be packed and unpacked by a few calls.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from zlib import crc32

import msgspec
import zstandard

from everytick.model.frame import Frame, FrameKind, Source

# 0xF5 never occurs in UTF-8, so no text payload looks like the beginning of a block.
BLOCK_MAGIC = b"\xf5ETB"
# magic, header CRC, tape id, durable, first offset, count, codec, raw bytes, stored bytes, body CRC
_HEADER = struct.Struct("<4sI16sQQIIIII")
BLOCK_HEADER_BYTES = _HEADER.size
_CRC_END = 8  # the header CRC covers everything after itself; the magic is compared as it is

CODEC_PLAIN = 0
CODEC_ZSTD = 1

# Source numbers are 16 bits wide. The bound also says how many offsets an illegible block can have held.
FRAMES_PER_BLOCK_MAX = 65_536
# A raw body must fit its 32-bit length with room for the columns; no venue sends a thousandth of this.
FRAME_BYTES_MAX = 1 << 30
_RAW_BYTES_MAX = (1 << 32) - 1

_COUNT = struct.Struct("<I")
_SOURCE = struct.Struct("<HHQ")  # venue bytes, channel bytes, epoch
_IS_BIG_ENDIAN = sys.byteorder == "big"
assert array("H").itemsize == 2
assert array("I").itemsize == 4
assert array("q").itemsize == 8

Columns = tuple[
    Sequence[Source], Sequence[FrameKind], Sequence[int], Sequence[int], Sequence[bytes]
]  # sources, kinds, wall ns, monotonic ns, payloads


class Illegible(ValueError):
    """Bytes that are not what the tape wrote."""


class BlockHeader(msgspec.Struct, frozen=True, gc=False):
    """What a block says about itself. `durable` is the watermark when the block was made."""

    tape_id: bytes
    durable: int
    first_offset: int
    count: int
    codec: int
    raw_bytes: int
    stored_bytes: int
    body_crc: int

    @property
    def end_offset(self) -> int:
        """The offset after its last frame."""
        return self.first_offset + self.count

    @property
    def block_bytes(self) -> int:
        """The length of header and body together."""
        return BLOCK_HEADER_BYTES + self.stored_bytes


def parse_block_header(data: bytes) -> BlockHeader | None:
    """The header that stands at the start of `data`, or None if there is none or it is damaged."""
    if len(data) < BLOCK_HEADER_BYTES or data[:4] != BLOCK_MAGIC:
        return None
    if crc32(data[_CRC_END:BLOCK_HEADER_BYTES]) != int.from_bytes(data[4:8], "little"):
        return None
    return BlockHeader(*_HEADER.unpack_from(data)[2:])


def _packed(code: str, column: Sequence[int]) -> bytes:
    values = array(code, column)
    if _IS_BIG_ENDIAN:
        values.byteswap()
    return values.tobytes()


def _unpacked(code: str, data: bytes) -> array[int]:
    values = array(code)
    values.frombytes(data)
    if _IS_BIG_ENDIAN:
        values.byteswap()
    return values


def _source_table(sources: Sequence[Source]) -> tuple[bytes, bytes]:
    """The table of distinct sources in order of appearance, and the column of their numbers."""
    numbers = {source: number for number, source in enumerate(dict.fromkeys(sources))}
    parts = [_COUNT.pack(len(numbers))]
    for source in numbers:
        venue, channel = source.venue.encode(), source.channel.encode()
        parts += (_SOURCE.pack(len(venue), len(channel), source.epoch), venue, channel)
    if len(numbers) == 1:
        return b"".join(parts), bytes(2 * len(sources))
    return b"".join(parts), _packed("H", [numbers[source] for source in sources])


def encode_block(
    tape_id: bytes, durable: int, first_offset: int, columns: Columns, zstd: zstandard.ZstdCompressor
) -> bytes:
    """One group of frames as a block. A body that zstd cannot make smaller is stored as it is."""
    sources, kinds, walls, monos, payloads = columns
    count = len(payloads)
    assert 0 < count <= FRAMES_PER_BLOCK_MAX, count
    table, numbers = _source_table(sources)
    lengths = _packed("I", list(map(len, payloads)))
    raw = b"".join((table, numbers, bytes(kinds), _packed("q", walls), _packed("q", monos), lengths, *payloads))
    assert len(raw) <= _RAW_BYTES_MAX, len(raw)
    codec, stored = CODEC_ZSTD, zstd.compress(raw)
    if len(stored) >= len(raw):
        codec, stored = CODEC_PLAIN, raw
    header = _HEADER.pack(
        BLOCK_MAGIC, 0, tape_id, durable, first_offset, count, codec, len(raw), len(stored), crc32(stored)
    )
    crc = crc32(header[_CRC_END:]).to_bytes(4, "little")
    return b"".join((BLOCK_MAGIC, crc, header[_CRC_END:], stored))


def body_is_intact(header: BlockHeader, stored: bytes) -> bool:
    """Whether `stored` is the body that was written under `header`, judged without unpacking it."""
    return len(stored) == header.stored_bytes and crc32(stored) == header.body_crc


def _raw_body(header: BlockHeader, stored: bytes, zstd: zstandard.ZstdDecompressor) -> bytes:
    if not body_is_intact(header, stored):
        raise Illegible("the body's checksum does not match")
    if header.codec == CODEC_PLAIN:
        raw = stored
    elif header.codec == CODEC_ZSTD:
        try:
            raw = zstd.decompress(stored, max_output_size=header.raw_bytes)
        except zstandard.ZstdError as error:
            raise Illegible(f"the body does not unpack: {error}") from error
    else:
        raise Illegible(f"codec {header.codec} is unknown to this version")
    if len(raw) != header.raw_bytes:
        raise Illegible(f"the body unpacks to {len(raw)} bytes, not {header.raw_bytes}")
    return raw


def _read_sources(raw: bytes) -> tuple[list[Source], int]:
    (source_count,) = _COUNT.unpack_from(raw)
    at = _COUNT.size
    sources: list[Source] = []
    for _ in range(source_count):
        venue_bytes, channel_bytes, epoch = _SOURCE.unpack_from(raw, at)
        at += _SOURCE.size
        venue = raw[at : at + venue_bytes].decode()
        at += venue_bytes
        channel = raw[at : at + channel_bytes].decode()
        at += channel_bytes
        sources.append(Source(venue, channel, epoch))
    return sources, at


def decode_columns(header: BlockHeader, stored: bytes, zstd: zstandard.ZstdDecompressor | None = None) -> Columns:
    """The frames of a block, column by column. Raises Illegible if the body is not what was written.

    `zstd` is the calling thread's own, worth keeping: to make one costs as much as to unpack a small block.
    """
    raw = _raw_body(header, stored, zstd or zstandard.ZstdDecompressor())
    count = header.count
    try:
        table, at = _read_sources(raw)
        columns: list[bytes] = []
        for width in (2, 1, 8, 8, 4):
            columns.append(raw[at : at + width * count])
            at += width * count
        numbers, kinds, walls, monos, lengths = columns
        ends = list(accumulate(_unpacked("I", lengths), initial=at))
        if ends[-1] != len(raw):
            raise Illegible(f"the payloads end at byte {ends[-1]} of {len(raw)}")
        payloads = [raw[start:end] for start, end in pairwise(ends)]
        sources = [table[0]] * count if len(table) == 1 else [table[number] for number in _unpacked("H", numbers)]
        return sources, [_KINDS[kind] for kind in kinds], _unpacked("q", walls), _unpacked("q", monos), payloads
    except (struct.error, IndexError, KeyError, UnicodeDecodeError) as error:
        raise Illegible(f"the body's columns do not fit: {type(error).__name__} {error}") from error


def frames_of(first_offset: int, columns: Columns) -> list[Frame]:
    """The columns as frames, the first one at `first_offset`."""
    sources, kinds, walls, monos, payloads = columns
    offsets = range(first_offset, first_offset + len(payloads))
    return list(map(Frame, offsets, kinds, sources, walls, monos, payloads))


_KINDS = {int(kind): kind for kind in FrameKind}
