"""The one writer of a tape: append by the event loop's thread, commit by one committing thread.

The two threads share a list that only grows at its end (append) and is only cut at its start (commit), and
counters that have one writer each; under the interpreter's lock that needs no lock of its own.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

import zstandard

from everytick.errors import Fatal, Refused
from everytick.model.frame import FrameKind, Source
from everytick.ports import Clock, Disk, File, Ids, Lock
from everytick.tape.block import FRAME_BYTES_MAX, FRAMES_PER_BLOCK_MAX, Columns, encode_block
from everytick.tape.published import publish
from everytick.tape.recovery import RecoveryReport, recover
from everytick.tape.scan import Block, walk
from everytick.tape.segment import TAPE_ID_BYTES, SegmentName, encode_segment_header, segment_name, write_all
from everytick.tape.settings import TapeSettings
from everytick.tape.tail import Tail
from everytick.tape.trouble import trouble_of

LOCK_NAME = "LOCK"
# One entry holds what one read of a socket brought: the queue's cost is by the read, not by the frame.
_Entry = tuple[Source, FrameKind, int, int, Sequence[bytes], int]  # ..., wall ns, mono ns, payloads, their bytes


def _not_open() -> int:
    raise Fatal("the tape is not open: call TapeWriter.open() first, and append nothing after close()")


class _Group:
    """Frames taken for one block. They stay here, with their offsets, until the disk has confirmed them."""

    __slots__ = ("block", "columns", "first_offset", "payload_bytes")

    def __init__(self, first_offset: int, columns: Columns, payload_bytes: int, block: bytes) -> None:
        self.first_offset = first_offset
        self.columns = columns
        self.payload_bytes = payload_bytes
        self.block = block


class TapeWriter:
    """Appends frames and makes them durable, group by group. `owner` is what a refused second writer is told."""

    def __init__(self, disk: Disk, clock: Clock, ids: Ids, settings: TapeSettings, owner: str) -> None:
        self._disk = disk
        self._clock = clock
        self._ids = ids
        self.settings = settings
        self.tail = Tail(settings.tail_bytes_max)
        self._owner = owner
        self._lock: Lock | None = None
        self._zstd = zstandard.ZstdCompressor(level=settings.zstd_level)
        self._tape_id = b""
        self._listeners: list[Callable[[int], None]] = []
        # the appending thread's
        self._queue: list[_Entry] = []
        self._next = 0
        self._bytes_in = 0
        self._wall: Callable[[], int] = _not_open
        self._mono: Callable[[], int] = _not_open
        # the committing thread's
        self._watermark = 0
        self._bytes_out = 0
        self._group: _Group | None = None
        self._file: File | None = None
        self._name = ""  # the current segment; empty: the next block begins a new one
        self._length = 0  # bytes of the current segment that the disk has confirmed
        self._length_new = 0  # its bytes once the block in flight is confirmed
        self._torn = False  # it may hold bytes beyond `_length`
        self._is_unconfirmed = False  # a sync of it failed: nothing more is written to it

    def open(self) -> RecoveryReport:
        """Take the writer's lock and recover. Raises Refused naming the holder, TapeTrouble.

        A writer is opened once: frames that were pending in it have no offsets in a later life.
        """
        if self._tape_id:
            raise Fatal("this TapeWriter was open before: make a new one")
        self._lock = self._disk.lock(LOCK_NAME, self._owner)
        try:
            report = recover(self._disk)
        except BaseException as error:
            self._lock.release()
            self._lock = None
            if isinstance(error, OSError):
                raise trouble_of(error, name="its last segment", pending=0, is_sync=False) from error
            raise
        self._tape_id = report.tape_id or self._ids.token(TAPE_ID_BYTES)
        self._next = self._watermark = report.next_offset
        self._wall, self._mono = self._clock.wall_ns, self._clock.mono_ns
        return report

    def append(self, source: Source, kind: FrameKind, payload: bytes) -> int:
        """Stamp and queue one frame; returns its offset. Durable only once the watermark is beyond it."""
        return self.append_many(source, kind, (payload,))

    def append_many(self, source: Source, kind: FrameKind, payloads: Sequence[bytes]) -> int:
        """Queue frames that were received together, under one stamp; returns the offset of the first.

        The caller gives the sequence away. Raises Refused for a frame that no block can hold.
        """
        sizes = list(map(len, payloads))
        if max(sizes) > FRAME_BYTES_MAX:
            raise Refused(
                f"a frame of {max(sizes)} bytes; the most is {FRAME_BYTES_MAX}", path="payload", value=max(sizes)
            )
        size = sum(sizes)
        self._queue.append((source, kind, self._wall(), self._mono(), payloads, size))
        self._bytes_in += size
        offset = self._next
        self._next = offset + len(sizes)
        return offset

    def connect(self, venue: str, channel: str, payload: bytes) -> Source:
        """Append the CONNECT frame that begins a connection; its offset is the returned source's epoch."""
        source = Source(venue, channel, self._next)
        self.append(source, FrameKind.CONNECT, payload)
        return source

    @property
    def is_open(self) -> bool:
        """Whether this writer holds the tape."""
        return self._lock is not None

    @property
    def next_offset(self) -> int:
        """The offset that the next frame will get."""
        return self._next

    @property
    def watermark(self) -> int:
        """Every frame below it would survive a power cut. Never goes back."""
        return self._watermark

    @property
    def is_drained(self) -> bool:
        """Whether everything appended is durable."""
        return self._watermark == self._next

    @property
    def pending_bytes(self) -> int:
        """Payload bytes appended and not yet durable; pause the sockets above `backlog_bytes_max`."""
        return self._bytes_in - self._bytes_out

    def subscribe(self, callback: Callable[[int], None]) -> None:
        """Call `callback(watermark)` from the committing thread after each group. It must not raise."""
        self._listeners.append(callback)

    def commit(self) -> int:
        """Make the next group of pending frames durable; returns how many frames, 0 if none were pending.

        Raises TapeTrouble (DiskFull, SyncFailed) when the disk refuses: the frames stay pending with their
        offsets, and the next call cuts what was half written and tries again. Raises Fatal if the disk has
        lost what it had confirmed.
        """
        if self._lock is None:
            raise Fatal("the tape is not open: nothing can be committed")
        group = self._group = self._group or self._take()
        if group is None:
            return 0
        is_sync = False
        try:
            if self._torn:
                self._mend()
            is_new = self._write(group.block)
            is_sync = True
            assert self._file is not None
            self._file.datasync()
            if is_new:
                self._disk.sync_folder()
        except OSError as error:
            name, pending = self._name or "its folder", self._next - self._watermark
            self._abandon(is_sync=is_sync)
            raise trouble_of(error, name=name, pending=pending, is_sync=is_sync) from error
        return self._confirmed(group)

    def close(self) -> None:
        """Commit what is pending and let the lock go. After a TapeTrouble the tape is still open: try again,
        or call `abandon` and lose what is pending."""
        if self._lock is None:
            return
        while self.commit():
            pass
        self.abandon()

    def abandon(self) -> None:
        """Let the file and the lock go without committing: pending frames are lost, durable ones are not."""
        self._wall = self._mono = _not_open
        self._let_go()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _take(self) -> _Group | None:
        """Take the oldest pending frames, up to the size of a block, and build the block."""
        taken = self._take_entries()
        if not taken:
            return None
        sources: list[Source] = []
        kinds: list[FrameKind] = []
        walls: list[int] = []
        monos: list[int] = []
        payloads: list[bytes] = []
        for source, kind, wall_ns, mono_ns, part, _ in taken:
            count = len(part)
            sources += (source,) * count
            kinds += (kind,) * count
            walls += (wall_ns,) * count
            monos += (mono_ns,) * count
            payloads += part
        columns: Columns = (sources, kinds, walls, monos, payloads)
        block = encode_block(self._tape_id, self._watermark, self._watermark, columns, self._zstd)
        return _Group(self._watermark, columns, sum(entry[5] for entry in taken), block)

    def _take_entries(self) -> list[_Entry]:
        """Whole entries up to the size of a block; of a first one that is larger, as much as fits, at least a frame."""
        queue, bytes_max = self._queue, self.settings.block_bytes_max
        count = size = frames = 0
        for *_, payloads, entry_size in queue[:FRAMES_PER_BLOCK_MAX]:
            size += entry_size
            frames += len(payloads)
            if size > bytes_max or frames > FRAMES_PER_BLOCK_MAX:
                break
            count += 1
        if count == 0 and queue:
            self._split_first(bytes_max)
            count = 1
        taken = queue[:count]
        del queue[:count]
        return taken

    def _split_first(self, bytes_max: int) -> None:
        source, kind, wall_ns, mono_ns, payloads, size = self._queue[0]
        sizes = list(accumulate(map(len, payloads)))
        fit = min(max(1, bisect_right(sizes, bytes_max)), FRAMES_PER_BLOCK_MAX)
        if fit < len(payloads):
            first = (source, kind, wall_ns, mono_ns, payloads[:fit], sizes[fit - 1])
            rest = (source, kind, wall_ns, mono_ns, payloads[fit:], size - sizes[fit - 1])
            self._queue[:1] = [first, rest]

    def _write(self, block: bytes) -> bool:
        """Write the block to the end of the current segment, or as the first of a new one (then True)."""
        is_full = self._length + len(block) > self.settings.segment_bytes_max
        if self._name and self._length and is_full:
            self._let_go()
            self._name = ""
        is_new = not self._name
        if is_new:
            self._name, self._length = segment_name(self._watermark), 0
            self._file = self._disk.create(self._name)
            block = encode_segment_header(self._tape_id, self._watermark, self._clock.wall_ns()) + block
        elif self._file is None:
            self._file = self._disk.append(self._name)
        assert self._file is not None
        self._torn = True
        write_all(self._file, block)
        self._length_new = self._length + len(block)
        return is_new

    def _confirmed(self, group: _Group) -> int:
        self._torn = False
        self._length = self._length_new
        count = len(group.columns[4])
        self.tail.put(group.first_offset, group.columns, group.payload_bytes)
        self._group = None
        self._bytes_out += group.payload_bytes
        self._watermark = group.first_offset + count
        publish(self._disk, self._tape_id, self._watermark)
        for callback in self._listeners:
            callback(self._watermark)
        return count

    def _let_go(self) -> None:
        """Close the handle. What it says no longer matters: everything confirmed was confirmed before."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def _abandon(self, *, is_sync: bool) -> None:
        """Never touch the handle again, and cut what it wrote; if that fails too, the next commit cuts."""
        self._let_go()
        if not self._torn:
            # Nothing was written: a segment that could not be created is not there, an old one is as it was.
            self._name = self._name if self._length else ""
            return
        self._is_unconfirmed = self._is_unconfirmed or is_sync
        with contextlib.suppress(OSError):
            self._mend()

    def _mend(self) -> None:
        """Cut the current segment to what was confirmed, and check that this much is really there."""
        if self._length == 0:
            if self._name in self._disk.names():
                self._disk.remove(self._name)
            self._name = ""
        else:
            self._disk.truncate(self._name, self._length)
            if self._is_unconfirmed:
                self._check_confirmed()
                self._name = ""
        self._torn = self._is_unconfirmed = False

    def _check_confirmed(self) -> None:
        """After a failed sync nothing about the segment is taken on trust: read all of it again."""
        segment = SegmentName(self._name, int(self._name.split(".")[0]), None)
        end = segment.first_offset
        for item in walk(self._disk, segment, self._tape_id):
            end = item.header.end_offset if isinstance(item, Block) else -1
        if end != self._watermark:
            raise Fatal(
                f"{self._name} ends at offset {end} after a failed sync, but the disk had confirmed frames up to "
                f"{self._watermark}: stop, look at the disk, run `everytick verify`"
            )
