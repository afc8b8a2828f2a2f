"""Frames to bytes and back."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.model.frame import Frame, FrameKind, Source
from everytick.tape.block import (
    BLOCK_HEADER_BYTES,
    CODEC_PLAIN,
    CODEC_ZSTD,
    BlockHeader,
    Illegible,
    body_is_intact,
    decode_columns,
    encode_block,
    frames_of,
    parse_block_header,
)

TAPE_ID = bytes(range(16))
ZSTD = zstandard.ZstdCompressor(level=1)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SOURCES = st.builds(Source, TEXTS, TEXTS, st.integers(0, 2**64 - 1))
STAMPS = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(
    st.tuples(SOURCES, st.sampled_from(FrameKind), STAMPS, STAMPS, st.binary(max_size=200)), min_size=1, max_size=60
)


def encoded(rows: list[tuple[Source, FrameKind, int, int, bytes]], first_offset: int = 9) -> bytes:
    return encode_block(TAPE_ID, 5, first_offset, tuple(zip(*rows, strict=True)), ZSTD)


def decoded(block: bytes) -> tuple[BlockHeader, list[Frame]]:
    header = parse_block_header(block)
    assert header is not None
    return header, frames_of(header.first_offset, decode_columns(header, block[BLOCK_HEADER_BYTES:]))


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(0, 2**63))
def test_any_group_of_frames_comes_back_as_it_was(
    rows: list[tuple[Source, FrameKind, int, int, bytes]], first_offset: int
) -> None:
    header, frames = decoded(encoded(rows, first_offset))
    assert (header.first_offset, header.count, header.durable, header.tape_id) == (first_offset, len(rows), 5, TAPE_ID)
    expected = [
        Frame(first_offset + i, kind, source, wall, mono, payload)
        for i, (source, kind, wall, mono, payload) in enumerate(rows)
    ]
    assert frames == expected
    assert all(type(frame.kind) is FrameKind for frame in frames)


def test_every_flipped_bit_of_a_block_is_detected() -> None:
    block = encoded([(Source("v", "ws", 1), FrameKind.MESSAGE, i, i, b"abc" * i) for i in range(20)])
    assert decoded(block)[0].codec == CODEC_ZSTD
    for bit in range(8 * len(block)):
        spoiled = bytearray(block)
        spoiled[bit // 8] ^= 1 << (bit % 8)
        header = parse_block_header(bytes(spoiled))
        assert header is None or not body_is_intact(header, bytes(spoiled[BLOCK_HEADER_BYTES:])), bit


def test_a_body_that_does_not_shrink_is_stored_plain() -> None:
    noise = SeedNoise.bytes(4_000)
    header, frames = decoded(encoded([(Source("v", "ws", 1), FrameKind.MESSAGE, 1, 1, noise)]))
    assert header.codec == CODEC_PLAIN
    assert header.stored_bytes == header.raw_bytes
    assert frames[0].payload == noise


class SeedNoise:
    @staticmethod
    def bytes(count: int) -> bytes:
        import random

        return random.Random(3).randbytes(count)


def test_a_frame_of_20_megabytes_is_one_block() -> None:
    payload = b"x" * 20_000_000
    header, frames = decoded(encoded([(Source("v", "ws", 1), FrameKind.MESSAGE, 1, 1, payload)]))
    assert header.raw_bytes > 20_000_000 > header.stored_bytes
    assert frames[0].payload == payload


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"codec": 9}, "codec 9 is unknown"),
        ({"raw_bytes": 17}, "unpack"),
        ({"count": 3}, "payloads end|columns do not fit"),
        ({"body_crc": 1}, "checksum"),
    ],
)
def test_a_header_that_does_not_fit_its_body_is_illegible(change: dict[str, int], said: str) -> None:
    block = encoded([(Source("v", "ws", 1), FrameKind.MESSAGE, 1, 1, b"abc" * 50)] * 2)
    header = parse_block_header(block)
    assert header is not None
    fields = {name: getattr(header, name) for name in header.__struct_fields__} | change
    with pytest.raises(Illegible, match=said):
        decode_columns(BlockHeader(**fields), block[BLOCK_HEADER_BYTES:])
