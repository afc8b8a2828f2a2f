"""docs/TAPE_FORMAT.md is the format: its worked example decodes, and its numbers are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import zstandard
from taping import SEGMENT, disk_with, read_all

from everytick.model.frame import Frame, FrameKind, Source
from everytick.tape.block import BLOCK_HEADER_BYTES, BLOCK_MAGIC, FRAMES_PER_BLOCK_MAX, decode_columns, encode_block
from everytick.tape.scan import Block, walk
from everytick.tape.segment import SEGMENT_HEADER_BYTES, SEGMENT_MAGIC, VERSION, encode_segment_header, segments_of
from everytick.tape.verify import verify

DOC = (Path(__file__).parents[2] / "docs" / "TAPE_FORMAT.md").read_text()
TAPE_ID = bytes.fromhex("00112233445566778899aabbccddeeff")
SOURCE = Source("hyperliquid", "ws", 0)
FRAMES = [
    Frame(0, FrameKind.CONNECT, SOURCE, 1757015891087000001, 5000000001, b'{"url":"ws://sim"}'),
    Frame(1, FrameKind.MESSAGE, SOURCE, 1757015891090000000, 5003000000, b'{"channel":"pong"}'),
]


def example() -> bytes:
    (listing,) = re.findall(r"```hex\n(.*?)```", DOC, re.DOTALL)
    rows = [line.split("  ", 1) for line in listing.splitlines()]
    data = b""
    for place, row in rows:
        assert int(place, 16) == len(data)
        data += bytes.fromhex(row)
    return data


def test_the_worked_example_is_a_tape_with_the_frames_it_says() -> None:
    disk = disk_with({SEGMENT: example()})
    assert read_all(disk, 2) == FRAMES
    report = verify(disk)
    assert report.is_intact
    assert (report.frames, report.tape_id) == (2, TAPE_ID.hex())


def test_the_worked_example_is_what_a_writer_writes() -> None:
    columns = (
        [frame.source for frame in FRAMES],
        [frame.kind for frame in FRAMES],
        [frame.ts_recv_ns for frame in FRAMES],
        [frame.mono_ns for frame in FRAMES],
        [frame.payload for frame in FRAMES],
    )
    block = encode_block(TAPE_ID, 0, 0, columns, zstandard.ZstdCompressor(level=1))
    assert encode_segment_header(TAPE_ID, 0, 1757015891087000000) + block == example()


def test_the_table_beside_the_example_points_at_the_right_bytes() -> None:
    data = example()
    places = {row[0]: row[2] for row in re.findall(r"^\| ([0-9a-f]{4}) \| (.*?) \| (.*?) \|$", DOC, re.MULTILINE)}
    assert len(places) == 20
    said = {
        "001c": int.from_bytes(data[0x1C:0x24], "little"),
        "0024": int.from_bytes(data[0x24:0x2C], "little"),
        "0048": int.from_bytes(data[0x48:0x50], "little"),
        "0050": int.from_bytes(data[0x50:0x58], "little"),
        "0058": int.from_bytes(data[0x58:0x5C], "little"),
        "005c": int.from_bytes(data[0x5C:0x60], "little"),
        "002c": f"`{int.from_bytes(data[0x2C:0x30], 'little'):08x}`",
        "0068": f"`{int.from_bytes(data[0x68:0x6C], 'little'):08x}`",
        "0030": f"`{int.from_bytes(data[0x34:0x38], 'little'):08x}`",
        "008f": ", ".join(str(int.from_bytes(data[at : at + 8], "little", signed=True)) for at in (0x8F, 0x97)),
        "009f": ", ".join(str(int.from_bytes(data[at : at + 8], "little", signed=True)) for at in (0x9F, 0xA7)),
        "00af": ", ".join(str(int.from_bytes(data[at : at + 4], "little")) for at in (0xAF, 0xB3)),
    }
    for place, value in said.items():
        assert places[place] == str(value), place
    assert data[0xB7:] == b"".join(frame.payload for frame in FRAMES)


def test_the_sizes_and_marks_in_the_page_are_the_ones_in_the_code() -> None:
    assert f"Segment header, {SEGMENT_HEADER_BYTES} bytes" in DOC
    assert f"Block header, {BLOCK_HEADER_BYTES} bytes" in DOC
    assert f"format version {VERSION}" in DOC
    assert f"magic: `{SEGMENT_MAGIC.hex(' ').upper()}`" in DOC
    assert f"magic: `{BLOCK_MAGIC.hex(' ').upper()}`" in DOC
    assert f"(1 to {FRAMES_PER_BLOCK_MAX:,})" in DOC


def test_the_body_of_the_example_also_travels_compressed() -> None:
    disk = disk_with({SEGMENT: example()})
    (block,) = [item for item in walk(disk, segments_of(disk)[0], TAPE_ID) if isinstance(item, Block)]
    sources, kinds, walls, monos, payloads = decode_columns(
        block.header, example()[-111:], zstandard.ZstdDecompressor()
    )
    packed = encode_block(
        TAPE_ID,
        0,
        0,
        (sources, kinds, walls, monos, [payload * 99 for payload in payloads]),
        zstandard.ZstdCompressor(),
    )
    tape = disk_with({SEGMENT: example()[:SEGMENT_HEADER_BYTES] + packed})
    assert [frame.payload for frame in read_all(tape, 2)] == [payload * 99 for payload in payloads]
