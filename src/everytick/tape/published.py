"""The watermark as other processes may know it: published after each commit, beside the segments.

The bytes claim only what the disk had confirmed when they were written, so a copy that is old, or that a power cut
brought back, is merely late. Whoever cannot read them falls back to what the blocks themselves say.
"""

from __future__ import annotations

import contextlib
import struct
from zlib import crc32

from everytick.ports import Disk

WATERMARK_NAME = "WATERMARK"
_BODY = struct.Struct("<16sQ")  # tape id, watermark
_CRC = struct.Struct("<I")


def publish(disk: Disk, tape_id: bytes, watermark: int) -> None:
    """Let other processes know. A disk that refuses costs them only a moment: they are told by the next block."""
    body = _BODY.pack(tape_id, watermark)
    with contextlib.suppress(OSError):
        disk.publish(WATERMARK_NAME, body + _CRC.pack(crc32(body)))


def published(disk: Disk, tape_id: bytes | None) -> int:
    """The published watermark of this tape; 0 where there is none that can be believed."""
    try:
        data = disk.read(WATERMARK_NAME, 0, _BODY.size + _CRC.size)
    except FileNotFoundError:
        return 0
    body, crc = data[: _BODY.size], data[_BODY.size :]
    if len(data) != _BODY.size + _CRC.size or _CRC.unpack(crc) != (crc32(body),):
        return 0
    of, watermark = _BODY.unpack(body)
    return int(watermark) if of == tape_id else 0
