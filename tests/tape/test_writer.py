"""Append, commit, and what the disk may do to a writer."""

from __future__ import annotations

import errno

import pytest
from taping import append_many, message, new_writer, open_writer, read_all

from everytick.errors import Fatal, Refused, Retryable
from everytick.model.frame import FrameKind, Source
from everytick.sim.disk import PowerCut, SimDisk, SimFile
from everytick.tape.reader import TapeReader
from everytick.tape.segment import segments_of
from everytick.tape.trouble import DiskFull, SyncFailed, TapeTrouble
from everytick.tape.verify import verify
from everytick.tape.writer import TapeWriter


def trouble(writer: TapeWriter) -> TapeTrouble | None:
    """Commit once; what the disk had against it."""
    try:
        writer.commit()
    except TapeTrouble as error:
        return error
    return None


def payloads(disk: SimDisk, until: int) -> list[bytes]:
    return [frame.payload for frame in read_all(disk, until)]


def test_offsets_are_given_at_once_and_the_watermark_follows_the_disk() -> None:
    disk = SimDisk(1)
    writer = open_writer(disk)
    marks: list[int] = []
    writer.subscribe(marks.append)
    source = writer.connect("hyperliquid", "ws", b"up")
    assert source == Source("hyperliquid", "ws", 0)
    assert writer.append(source, FrameKind.MESSAGE, b"abc") == 1
    assert (writer.next_offset, writer.watermark, writer.pending_bytes) == (2, 0, 5)
    assert writer.commit() == 2
    assert (writer.watermark, writer.pending_bytes, marks) == (2, 0, [2])
    assert writer.commit() == 0
    assert disk.datasyncs == 1
    assert writer.connect("hyperliquid", "ws", b"again").epoch == 2


def test_one_group_is_one_block_is_one_sync() -> None:
    disk = SimDisk(1)
    writer = open_writer(disk)
    source = writer.connect("v", "ws", b"")
    for _ in range(5):
        append_many(writer, source, 50)
        before = disk.datasyncs
        assert writer.commit() in {50, 51}
        assert disk.datasyncs == before + 1
    assert verify(disk).blocks == 5


def test_a_group_is_no_larger_than_a_block_may_be_and_a_larger_frame_goes_alone() -> None:
    disk = SimDisk(1)
    writer = open_writer(disk, block_bytes_max=1_000)
    source = writer.connect("v", "ws", b"")
    append_many(writer, source, 4, length=400)
    writer.append(source, FrameKind.MESSAGE, b"x" * 20_000_000)
    append_many(writer, source, 1, length=400)
    assert [writer.commit() for _ in range(6)] == [3, 2, 1, 1, 0, 0]
    assert payloads(disk, writer.watermark)[5] == b"x" * 20_000_000


def test_segments_roll_at_their_size_and_their_names_are_offsets() -> None:
    disk = SimDisk(1)
    writer = open_writer(disk, segment_bytes_max=1_024)
    source = writer.connect("v", "ws", b"")
    for _ in range(30):
        append_many(writer, source, 10, length=60)
        writer.commit()
    writer.close()
    segments = segments_of(disk)
    assert len(segments) > 3
    assert all(disk.size(segment.name) <= 1_024 for segment in segments)
    frames = read_all(disk, writer.watermark)
    assert [frame.offset for frame in frames] == list(range(301))
    assert verify(disk).is_intact


def test_offsets_go_on_across_restarts() -> None:
    disk = SimDisk(1)
    for life in range(6):
        writer = open_writer(disk)
        assert writer.next_offset == writer.watermark == 11 * life
        source = writer.connect("v", "ws", b"")
        assert source.epoch == 11 * life
        append_many(writer, source, 10)
        writer.close()
    assert [frame.offset for frame in read_all(disk, 66)] == list(range(66))
    report = verify(disk)
    assert report.is_intact
    assert report.holes == ()
    assert report.frames == 66


def test_a_killed_writer_leaves_what_it_wrote_and_nothing_is_shown_before_it_is_confirmed() -> None:
    disk = SimDisk(1)
    writer = open_writer(disk)
    append_many(writer, writer.connect("v", "ws", b""), 10)
    writer.commit()
    disk.kill()
    syncs = disk.datasyncs
    again = open_writer(disk)
    assert disk.datasyncs == syncs + 1
    assert again.watermark == 11


def test_a_sync_that_failed_in_another_life_is_not_taken_for_a_good_one() -> None:
    """The system calls pages clean that it failed to write: a second sync says yes to nothing."""
    for seed in range(40):
        disk = SimDisk(seed)
        writer = open_writer(disk)
        source = writer.connect("v", "ws", b"")
        writer.commit()
        append_many(writer, source, 40)
        disk.cut_power_after(1)  # in the middle of the sync: the bytes are written, not confirmed
        with pytest.raises(PowerCut):
            writer.commit()
        disk.kill()
        disk.fail_datasync(1)
        with pytest.raises(OSError, match="input/output"):
            open_writer(disk)
        again = open_writer(disk)
        assert again.watermark == 41
        before = read_all(disk, 41)
        disk.power_cut()
        final = open_writer(disk)
        assert read_all(disk, final.watermark) == before, seed


def test_a_second_writer_is_refused_and_told_who_holds_the_tape() -> None:
    disk = SimDisk(1)
    open_writer(disk, owner="recorder 4711 on host-a")
    with pytest.raises(Refused, match="recorder 4711 on host-a"):
        open_writer(disk, owner="another")


def test_the_lock_is_free_again_after_close_and_after_a_failed_start() -> None:
    disk = SimDisk(1)
    writer = open_writer(disk)
    append_many(writer, writer.connect("v", "ws", b""), 3)
    writer.close()
    writer.close()
    disk.fail_datasync(1)
    with pytest.raises(OSError, match="input/output"):
        open_writer(disk)
    assert open_writer(disk).watermark == 4


def test_nothing_is_appended_outside_open_and_close() -> None:
    disk = SimDisk(1)
    writer = new_writer(disk)
    source = Source("v", "ws", 0)
    for _ in range(2):
        with pytest.raises(Fatal, match="not open"):
            writer.append(source, FrameKind.MESSAGE, b"x")
        with pytest.raises(Fatal, match="not open"):
            writer.commit()
        if not writer.next_offset:
            writer.open()
            writer.append(source, FrameKind.MESSAGE, b"x")
            writer.close()
    with pytest.raises(Fatal, match="open before"):
        writer.open()


@pytest.mark.parametrize("seed", range(5))
def test_short_writes_are_continued(seed: int) -> None:
    disk = SimDisk(seed, short_writes=True)
    writer = open_writer(disk, segment_bytes_max=2_000)
    source = writer.connect("v", "ws", b"")
    for _ in range(20):
        append_many(writer, source, 7)
        writer.commit()
    writer.close()
    assert verify(disk).is_intact
    assert len(payloads(disk, writer.watermark)) == 141


def test_a_full_disk_keeps_the_frames_and_the_tape_and_recording_resumes_with_room() -> None:
    for room in range(1, 900, 37):
        disk = SimDisk(1)
        writer = open_writer(disk, segment_bytes_max=4_000)
        source = writer.connect("v", "ws", b"")
        append_many(writer, source, 20)
        writer.commit()
        used = disk.size(disk.names()[0])
        disk.capacity_bytes = used + room
        refused = 0
        for _ in range(12):
            append_many(writer, source, 20, length=100)
            mark = writer.watermark
            if error := trouble(writer):
                refused += 1
                assert isinstance(error, DiskFull)
                assert error.errno == errno.ENOSPC
                assert isinstance(error, Retryable)
                assert str(error).startswith("the disk is full: no room for the tape at 0000")
                assert writer.watermark == mark
                assert verify(disk).is_intact, "a half written block is cut at once"
        assert refused
        assert writer.pending_bytes > 0
        assert len(read_all(disk, writer.watermark)) == writer.watermark
        disk.capacity_bytes = None
        writer.close()
        assert [frame.offset for frame in read_all(disk, writer.watermark)] == list(range(261))
        assert verify(disk).is_intact


@pytest.mark.parametrize("number", range(1, 9))
def test_a_failed_sync_is_never_retried_on_its_handle_and_goes_on_in_a_new_segment(number: int) -> None:
    disk = SimDisk(number)
    writer = open_writer(disk)
    disk.fail_datasync(number)
    source = writer.connect("v", "ws", b"")
    failures = 0
    for _ in range(8):
        append_many(writer, source, 5)
        offset, mark = writer.next_offset, writer.watermark
        if error := trouble(writer):
            failures += 1
            assert isinstance(error, SyncFailed)
            assert "did not confirm" in str(error)
            assert (writer.next_offset, writer.watermark) == (offset, mark)
            disk_names = [segment.first_offset for segment in segments_of(disk)]
            writer.commit()
            assert [segment.first_offset for segment in segments_of(disk)] == [*disk_names, mark]
    assert failures == 1
    while writer.commit():
        pass
    disk.power_cut()
    assert open_writer(disk).watermark == 41
    assert [frame.offset for frame in read_all(disk, 41)] == list(range(41))
    assert verify(disk).is_intact


def test_a_disk_that_fails_twice_in_a_row_loses_nothing() -> None:
    disk = SimDisk(3)
    writer = open_writer(disk)
    source = writer.connect("v", "ws", b"")
    append_many(writer, source, 5)
    writer.commit()
    for number in (1, 2, 3):
        disk.fail_datasync(number)
    append_many(writer, source, 5)
    for _ in range(3):
        with pytest.raises(SyncFailed):
            writer.commit()
    assert writer.commit() == 5
    disk.power_cut()
    assert len(read_all(disk, 11)) == 11


class FolderSyncFails(SimDisk):
    failing = False

    def sync_folder(self) -> None:
        if self.failing:
            raise OSError(errno.EIO, "input/output error")
        super().sync_folder()


def test_a_segment_whose_name_is_not_durable_does_not_count() -> None:
    disk = FolderSyncFails(2)
    writer = open_writer(disk)
    writer.connect("v", "ws", b"")
    disk.failing = True
    for _ in range(3):
        with pytest.raises(SyncFailed):
            writer.commit()
        assert writer.watermark == 0
    disk.failing = False
    assert writer.commit() == 1
    disk.power_cut()
    assert len(read_all(disk, 1)) == 1


class TakesNothing(SimDisk):
    def create(self, name: str) -> SimFile:
        file = super().create(name)
        file.write = lambda data: 0
        return file


def test_a_disk_that_takes_no_bytes_and_gives_no_reason_is_not_waited_for() -> None:
    writer = open_writer(TakesNothing(1))
    writer.connect("v", "ws", b"")
    with pytest.raises(OSError, match="took no bytes"):
        writer.commit()
    assert writer.pending_bytes == 0 == writer.watermark


class LosesConfirmed(SimDisk):
    def truncate(self, name: str, length: int) -> None:
        super().truncate(name, length - 1)


def test_a_disk_that_lost_what_it_had_confirmed_stops_the_writer() -> None:
    disk = LosesConfirmed(1)
    writer = open_writer(disk)
    source = writer.connect("v", "ws", b"")
    writer.commit()
    disk.fail_datasync(1)
    append_many(writer, source, 5)
    with pytest.raises(Fatal, match="had confirmed frames up to 1"):
        writer.commit()


def test_frames_appended_while_a_group_is_committed_keep_their_order() -> None:
    disk = SimDisk(1)
    writer = open_writer(disk)
    source = writer.connect("v", "ws", b"")
    writer.subscribe(lambda mark: append_many(writer, source, 3) if mark < 30 else None)
    while writer.commit():
        pass
    frames = read_all(disk, writer.watermark)
    assert [frame.payload for frame in frames[1:]] == [message(number) for number in range(1, len(frames))]
    assert len(frames) >= 30
    assert TapeReader(disk).end() == writer.next_offset
