"""The lines of one archive file: unpacked piece by piece, chosen, and gathered into chunks for the tape.

An LZ4 frame ends with a mark and a checksum of everything in it. A file that stops before them is not whole, and
neither is one with a line that cannot be read: what it holds is true, and proves nothing about what it does not hold.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, Final

from everytick.core.validate import Invalid
from everytick.errors import EverytickError, Refused, Retryable

# A chunk is one frame on the tape; the decoder takes up to twice as much.
CHUNK_BYTES_MAX: Final = 4_000_000
# The longest line seen is a block of a liquidation storm, a few megabytes. Beyond this a file is no file of lines.
LINE_BYTES_MAX: Final = 64_000_000
UNPACKED_PIECE_BYTES: Final = 4 * 1024 * 1024

Select = Callable[[bytes], bytes]


class NotWhole(EverytickError):
    """An archive file is missing, cut, damaged or not to be understood. The gaps it was to close stay open.

    Put the file in place (or fetch it again) and repeat: what was imported is not imported twice.
    """


def require_lz4() -> None:
    """Raises Refused where files of an archive could not be unpacked."""
    if importlib.util.find_spec("lz4") is None:
        raise Refused(
            "archive files are LZ4, and lz4 is not installed here",
            path="archive",
            suggestion="pip install 'everytick[archive]'",
        )


def chunks(pieces: Iterator[bytes], select: Select) -> Iterator[tuple[bytes, int]]:
    """(chosen lines joined, how many) of a packed file, at most CHUNK_BYTES_MAX unless one line is longer.

    Raises NotWhole, at the latest after everything readable was given.
    """
    gathered: list[bytes] = []
    size = unreadable = 0
    try:
        for line in _lines(_unpacked(pieces)):
            try:
                wanted = select(line)
            except Invalid:
                # On the tape all the same: the decoder refuses it, and quarantine shows it.
                wanted = line[:CHUNK_BYTES_MAX]
                unreadable += 1
            if not wanted:
                continue
            if gathered and size + len(wanted) >= CHUNK_BYTES_MAX:
                yield b"\n".join(gathered), len(gathered)
                gathered, size = [], 0
            gathered.append(wanted)
            size += len(wanted) + 1
    except (NotWhole, OSError, Retryable) as trouble:
        if gathered:
            yield b"\n".join(gathered), len(gathered)
        raise NotWhole(_cause(trouble)) from trouble
    if gathered:
        yield b"\n".join(gathered), len(gathered)
    if unreadable:
        raise NotWhole(f"{unreadable} lines cannot be read")


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of one LZ4 frame or several in a row."""
    # By name and only here: lz4 is an extra that a recorder without an archive need not have.
    lz4: Any = importlib.import_module("lz4.frame")
    unpacker: Any = lz4.LZ4FrameDecompressor()
    is_begun = False
    for piece in pieces:
        rest = piece
        while rest:
            if unpacker.eof:
                unpacker.reset()
            is_begun = True
            try:
                yield unpacker.decompress(rest, UNPACKED_PIECE_BYTES)
                while not unpacker.eof and not unpacker.needs_input:
                    yield unpacker.decompress(b"", UNPACKED_PIECE_BYTES)
            except RuntimeError as error:
                raise NotWhole(f"it is damaged: {error}") from error
            rest = bytes(unpacker.unused_data or b"") if unpacker.eof else b""
    if not is_begun or not unpacker.eof:
        raise NotWhole("it ends too early")


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    left = b""
    for part in parts:
        lines = (left + part).split(b"\n")
        left = lines.pop()
        if len(left) > LINE_BYTES_MAX:
            raise NotWhole(f"a line of more than {LINE_BYTES_MAX} bytes")
        yield from (line for line in lines if line)
    if left:
        yield left


def _cause(trouble: BaseException) -> str:
    return "it is not there" if isinstance(trouble, FileNotFoundError) else str(trouble)
