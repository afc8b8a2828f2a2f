"""The tape's blocks alone: frames → block and block → frames, each beside zstd and CRC of the same bytes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any
from zlib import crc32

import zstandard

from bench.frames import hyperliquid, start_before_now_ms
from everytick.model.frame import FrameKind, Source
from everytick.tape.block import (
    BLOCK_HEADER_BYTES,
    Columns,
    decode_columns,
    encode_block,
    frames_of,
    parse_block_header,
)
from everytick.tape.settings import TapeSettings

PASSES = 5
_TAPE_ID = bytes(range(16))


def _groups(messages: int, per_block: int) -> list[Columns]:
    payloads = list(hyperliquid(messages, 1, 1, start_before_now_ms(messages)))
    source = Source("hyperliquid", "ws", 0)
    groups: list[Columns] = []
    for start in range(0, messages, per_block):
        part = payloads[start : start + per_block]
        times = range(start, start + len(part))
        groups.append(([source] * len(part), [FrameKind.MESSAGE] * len(part), list(times), list(times), part))
    return groups


def _rate(messages: int, work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return messages / (time.perf_counter() - begin)


def main() -> None:
    """Print rates in messages per second, ours and the limit taken in turn."""
    order = json.loads(sys.argv[1])
    messages, per_block = order["messages"], order["per_block"]
    groups = _groups(messages, per_block)
    level = TapeSettings().zstd_level
    zstd = zstandard.ZstdCompressor(level=level)
    unzstd = zstandard.ZstdDecompressor()
    bodies = [b"".join(group[4]) for group in groups]
    blocks = [encode_block(_TAPE_ID, 0, number * per_block, group, zstd) for number, group in enumerate(groups)]
    packed = [zstd.compress(body) for body in bodies]

    def encode() -> None:
        for number, group in enumerate(groups):
            encode_block(_TAPE_ID, 0, number * per_block, group, zstd)

    def encode_limit() -> None:
        for body in bodies:
            crc32(zstd.compress(body))

    def decode() -> None:
        for block in blocks:
            header = parse_block_header(block[:BLOCK_HEADER_BYTES])
            if header is None:
                raise RuntimeError("a block that was just made has no legible header")
            frames_of(header.first_offset, decode_columns(header, block[BLOCK_HEADER_BYTES:]))

    def decode_limit() -> None:
        for piece in packed:
            crc32(piece)
            unzstd.decompress(piece)

    steps = {"encode": encode, "encode_limit": encode_limit, "decode": decode, "decode_limit": decode_limit}
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(PASSES):
        for name, work in steps.items():
            rates[name].append(_rate(messages, work))
    stored = sum(map(len, blocks)) / messages
    print(json.dumps({**rates, "raw": sum(map(len, bodies)) / messages, "stored": stored, "level": level}), flush=True)


if __name__ == "__main__":
    main()
