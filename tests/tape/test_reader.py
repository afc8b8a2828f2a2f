"""Reading and following."""

from __future__ import annotations

import random
import threading
import time

import pytest
from taping import append_many, message, open_writer, read_all, tape_of

from everytick.sim.disk import SimDisk
from everytick.tape.reader import TapeReader
from everytick.tape.segment import segments_of
from everytick.tape.trouble import DiskFull, SyncFailed


def test_reading_starts_at_any_offset_and_pages_of_any_size_join() -> None:
    _, frames = tape_of([7] * 20, segment_bytes_max=1_024)
    disk, _ = tape_of([7] * 20, segment_bytes_max=1_024)
    assert len(segments_of(disk)) > 3
    end = len(frames)
    for start in range(end):
        reader = TapeReader(disk)
        assert reader.read(start, end, end) == frames[start:]
    for size in (1, 2, 6, 7, 8, 50, 1_000):
        assert read_all(disk, end, frames_max=size) == frames
    reader = TapeReader(disk)
    dice = random.Random(4)
    for _ in range(200):
        start, count, until = dice.randrange(end), dice.randrange(1, 30), dice.randrange(end + 10)
        assert reader.read(start, count, until) == frames[start : min(start + count, until)] if until > start else True


def test_a_reader_never_sees_past_the_watermark() -> None:
    disk = SimDisk(1)
    writer = open_writer(disk, segment_bytes_max=2_000)
    source = writer.connect("v", "ws", b"")
    readers = [TapeReader(disk), TapeReader(disk, writer.tail)]
    dice = random.Random(5)
    for turn in range(60):
        append_many(writer, source, dice.randrange(1, 9))
        if turn % 7 == 3:
            disk.fail_datasync(1)
        if turn % 11 == 5:
            disk.capacity_bytes = 0
        try:
            writer.commit()
        except (SyncFailed, DiskFull):
            disk.capacity_bytes = None
        for reader in readers:
            assert reader.read(writer.watermark, 100, writer.watermark) == []
            seen = read_all(disk, writer.watermark, reader)
            assert [frame.offset for frame in seen] == list(range(writer.watermark))
            assert reader.damage == []
            part = writer.watermark // 2
            assert len(read_all(disk, part, reader)) == part


def test_a_follower_sees_each_frame_once_and_in_order() -> None:
    disk = SimDisk(1)
    writer = open_writer(disk, segment_bytes_max=3_000, tail_bytes_max=500)
    source = writer.connect("v", "ws", b"")
    followers = {TapeReader(disk): 0, TapeReader(disk, writer.tail): 0}
    seen: dict[TapeReader, list[int]] = {reader: [] for reader in followers}
    dice = random.Random(6)
    for _ in range(150):
        append_many(writer, source, dice.randrange(1, 9))
        writer.commit()
        for reader in followers:
            if dice.random() < 0.4:
                piece = reader.read(followers[reader], dice.randrange(1, 40), writer.watermark)
                seen[reader] += [frame.offset for frame in piece]
                followers[reader] += len(piece)
    for reader, next_offset in followers.items():
        rest = reader.read(next_offset, 10_000, writer.watermark)
        assert seen[reader] + [frame.offset for frame in rest] == list(range(writer.watermark))


class CountingDisk(SimDisk):
    reads = 0

    def read(self, name: str, start: int, length: int) -> bytes:
        self.reads += 1
        return super().read(name, start, length)


def test_the_tail_in_memory_equals_the_file_and_spares_the_disk() -> None:
    disk = CountingDisk(1)
    writer = open_writer(disk)
    source = writer.connect("v", "ws", b"")
    for _ in range(30):
        append_many(writer, source, 11)
        writer.commit()
    from_file = read_all(disk, writer.watermark)
    disk.reads = 0
    assert read_all(disk, writer.watermark, TapeReader(disk, writer.tail)) == from_file
    assert disk.reads == 0


@pytest.mark.parametrize("bytes_max", [0, 100, 5_000])
def test_the_tail_holds_no_more_than_it_may(bytes_max: int) -> None:
    disk = SimDisk(1)
    writer = open_writer(disk, tail_bytes_max=bytes_max)
    source = writer.connect("v", "ws", b"")
    for _ in range(300):
        append_many(writer, source, 2)
        writer.commit()
    held = [offset for offset in range(writer.watermark) if writer.tail.frames(offset) is not None]
    assert len(held) * 40 <= bytes_max + 80
    assert held == list(range(writer.watermark - len(held), writer.watermark))
    assert len(read_all(disk, writer.watermark, TapeReader(disk, writer.tail))) == writer.watermark


def test_a_reader_in_another_process_knows_from_the_tape_what_is_durable() -> None:
    disk = SimDisk(1)
    assert (TapeReader(disk).first_offset(), TapeReader(disk).end(), TapeReader(disk).durable()) == (0, 0, 0)
    writer = open_writer(disk, segment_bytes_max=1_500)
    source = writer.connect("v", "ws", b"")
    other = TapeReader(disk)
    for _ in range(40):
        before = writer.watermark
        append_many(writer, source, 5)
        writer.commit()
        assert other.end() == writer.watermark
        assert before <= other.durable() <= writer.watermark
    assert other.first_offset() == 0


def test_a_reader_that_looked_at_an_empty_folder_follows_from_the_first_frame() -> None:
    disk = SimDisk(1)
    reader = TapeReader(disk)
    assert reader.read(0, 10, 10) == []
    writer = open_writer(disk)
    append_many(writer, writer.connect("v", "ws", b""), 3)
    writer.commit()
    assert len(reader.read(0, 10, writer.watermark)) == 4


def test_one_thread_appends_one_commits_and_others_follow() -> None:
    """No lock is taken between them: the list only grows at its end and is only cut at its start."""
    disk = SimDisk(1)
    writer = open_writer(disk, segment_bytes_max=20_000, block_bytes_max=4_000, tail_bytes_max=10_000)
    source = writer.connect("v", "ws", b"")
    total = 20_000
    finished = threading.Event()
    followed: list[list[int]] = [[], []]

    def commit() -> None:
        while writer.commit() or not finished.is_set():
            time.sleep(0)  # let the others run: a thread that only spins takes whole turns of the interpreter

    def follow(number: int, reader: TapeReader) -> None:
        while len(followed[number]) < total + 1:
            until = writer.watermark
            frames = reader.read(len(followed[number]), 700, until)
            assert all(frame.payload == message(frame.offset) for frame in frames if frame.offset)
            followed[number] += [frame.offset for frame in frames]
            time.sleep(0)

    threads = [
        threading.Thread(target=commit),
        threading.Thread(target=follow, args=(0, TapeReader(disk))),
        threading.Thread(target=follow, args=(1, TapeReader(disk, writer.tail))),
    ]
    for thread in threads:
        thread.start()
    append_many(writer, source, total)
    finished.set()
    for thread in threads:
        thread.join(timeout=60)
    assert followed == [list(range(total + 1))] * 2
    assert writer.watermark == total + 1
    assert writer.pending_bytes == 0


def test_a_reader_of_a_long_tape_keeps_few_indexes_and_reports_damage_once() -> None:
    disk, frames = tape_of([5] * 60, length=200, segment_bytes_max=1_024)
    segments = segments_of(disk)
    assert len(segments) > 10
    end = len(frames)
    for segment in segments[:-1]:
        disk.flip_bit(segment.name, 8 * (disk.size(segment.name) - 1))
    reader = TapeReader(disk)
    once = read_all(disk, end, reader)
    damage = reader.damage
    assert len(damage) == len(segments) - 1
    assert read_all(disk, end, reader) == once
    assert reader.read(0, end, end) == once
    assert reader.damage == damage
    assert sum(len(segment.firsts) > 0 for segment in reader._segments) <= 2
