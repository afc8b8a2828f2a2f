"""Must show 5: the last block cut at every byte, every bit of a segment flipped."""

from __future__ import annotations

import pytest
from taping import SEGMENT, append_many, copy_of, disk_with, open_writer, read_all, tape_of

from everytick.errors import Refused
from everytick.model.frame import FrameKind
from everytick.tape.block import BLOCK_HEADER_BYTES, parse_block_header
from everytick.tape.reader import TapeReader
from everytick.tape.recovery import recover
from everytick.tape.scan import Block, walk
from everytick.tape.segment import SEGMENT_HEADER_BYTES, encode_segment_header, segments_of
from everytick.tape.verify import verify


def test_a_torn_tail_never_hides_a_good_record() -> None:
    disk, frames = tape_of([3, 4, 5])
    files = copy_of(disk)
    whole = files[SEGMENT]
    last = list(walk(disk, segments_of(disk)[0], None))[-1]
    good = [frame for frame in frames if frame.offset < last.header.first_offset]
    for length in range(last.position, len(whole)):
        torn = disk_with(files | {SEGMENT: whole[:length]})
        report = verify(torn)
        assert bool(report.damage) == (length > last.position), length
        writer = open_writer(torn)
        assert writer.next_offset == good[-1].offset + 1
        writer.connect("hyperliquid", "ws", b"{}")
        writer.close()
        after = read_all(torn, writer.watermark)
        assert after[:-1] == good, length
        assert after[-1].kind is FrameKind.CONNECT
        assert verify(torn).is_intact, length
        kept = b"".join(torn.read(name, 0, 10_000) for name in torn.names() if ".cut-" in name)
        assert kept == whole[last.position : length], "cut bytes are kept aside"


def test_recovery_says_what_it_cut() -> None:
    disk, frames = tape_of([3, 4])
    size = disk.size(SEGMENT)
    disk.truncate(SEGMENT, size - 10)
    report = recover(disk)
    (cut,) = report.cuts
    assert cut.file == SEGMENT
    assert cut.position + cut.length == size - 10
    assert "10 bytes too early" in str(report)
    assert report.next_offset == frames[-1].offset - 3
    assert disk.size(cut.kept_in) == cut.length
    assert recover(disk).cuts == ()


def test_every_flipped_bit_is_reported_with_its_place_and_hides_no_good_block() -> None:
    disk, frames = tape_of([2, 3, 2])
    files = copy_of(disk)
    whole = files[SEGMENT]
    blocks = [item for item in walk(disk, segments_of(disk)[0], None) if isinstance(item, Block)]
    assert len(blocks) == 4
    assert len(whole) == SEGMENT_HEADER_BYTES + sum(block.header.block_bytes for block in blocks), "no padding"
    spoiled_disk = disk_with(files)
    end = frames[-1].offset + 1
    for bit in range(8 * len(whole)):
        spoiled_disk.flip_bit(SEGMENT, bit)
        byte = bit // 8
        hit = [b.header for b in blocks if b.position <= byte < b.position + b.header.block_bytes]
        lost = set(range(hit[0].first_offset, hit[0].end_offset)) if hit else set()
        report = verify(spoiled_disk)
        (damage,) = report.damage
        assert damage.file == SEGMENT
        assert damage.position <= byte < damage.position + damage.length
        is_last_header = bool(lost) and hit[0] is blocks[-1].header and damage.offset_to < 0
        if is_last_header:
            assert damage.offset_from == min(lost)
        else:
            assert set(range(damage.offset_from, damage.offset_to)) == lost, bit
        assert report.frames == len(frames) - len(lost)
        reader = TapeReader(spoiled_disk)
        assert read_all(spoiled_disk, end, reader) == [frame for frame in frames if frame.offset not in lost], bit
        if not is_last_header:
            assert [(d.position, d.offset_from, d.offset_to) for d in reader.damage] == [
                (damage.position, damage.offset_from, damage.offset_to)
            ]
        spoiled_disk.flip_bit(SEGMENT, bit)
    assert verify(spoiled_disk).is_intact


def test_offsets_of_a_block_that_may_have_been_seen_are_never_given_again() -> None:
    disk, frames = tape_of([3, 4])
    files = copy_of(disk)
    last = list(walk(disk, segments_of(disk)[0], None))[-1]
    for bit in range(8 * last.position, 8 * len(files[SEGMENT]), 5):
        spoiled = disk_with(files)
        spoiled.flip_bit(SEGMENT, bit)
        report = recover(spoiled)
        assert report.next_offset > frames[-1].offset, bit
        assert report.skipped == (frames[-1].offset - 3, report.next_offset)
        writer = open_writer(spoiled)
        writer.connect("v", "ws", b"")
        writer.close()
        assert verify(spoiled).holes == (report.skipped,)
        after = read_all(spoiled, writer.watermark)
        assert after[:-1] == frames[:-4]
        assert after[-1].offset == report.next_offset


def test_room_whose_bytes_never_came_takes_no_offsets() -> None:
    disk, frames = tape_of([3])
    files = copy_of(disk)
    zeros = disk_with(files | {SEGMENT: files[SEGMENT] + bytes(700)})
    report = recover(zeros)
    assert report.next_offset == frames[-1].offset + 1
    assert report.skipped == (report.next_offset, report.next_offset)
    assert report.cuts[0].length == 700


@pytest.mark.parametrize("size", [0, 1, SEGMENT_HEADER_BYTES - 1, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + 30])
def test_a_segment_without_a_good_block_is_set_aside_and_its_first_offset_kept(size: int) -> None:
    disk, frames = tape_of([3])
    end = frames[-1].offset + 1
    head = encode_segment_header(bytes(16), end, 1) + b"\xf5ETB" + bytes(40)
    disk.place(f"{end:020d}.tape", head[:size])
    writer = open_writer(disk)
    assert writer.next_offset == end
    writer.connect("v", "ws", b"")
    writer.close()
    assert read_all(disk, writer.watermark)[:-1] == frames


def test_bytes_of_another_tape_never_pass_for_ours() -> None:
    disk, frames = tape_of([3])
    other, _ = tape_of([3])
    block = next(walk(other, segments_of(other)[0], None))
    stale = bytearray(other.read(SEGMENT, block.position, block.header.block_bytes))
    header = parse_block_header(bytes(stale))
    assert header is not None
    files = copy_of(disk)
    # The two tapes have the same id here (same seed): the block is of our own tape, but repeats offsets.
    repeated = disk_with(files | {SEGMENT: files[SEGMENT] + bytes(stale)})
    assert read_all(repeated, frames[-1].offset + 1) == frames
    assert "do not belong here" in str(verify(repeated).damage[0])
    foreign = files[SEGMENT][: SEGMENT_HEADER_BYTES + 8] + bytes(16) + files[SEGMENT][SEGMENT_HEADER_BYTES + 24 :]
    assert verify(disk_with({SEGMENT: foreign})).damage


def test_a_payload_that_holds_a_block_of_this_very_format_is_only_a_payload() -> None:
    disk, _ = tape_of([])
    inner = copy_of(tape_of([6])[0])[SEGMENT]
    disk2 = disk_with(copy_of(disk))
    writer = open_writer(disk2)
    source = writer.connect("v", "ws", b"")
    noise = bytes((i * i * 31 + 7) % 251 for i in range(300))
    writer.append(source, FrameKind.MESSAGE, noise + inner.replace(inner[16:28], b"another tape"))
    writer.close()
    (name,) = [segment.name for segment in segments_of(disk2)][1:]
    disk2.flip_bit(name, 8 * (SEGMENT_HEADER_BYTES + 5))
    assert [frame.offset for frame in read_all(disk2, writer.watermark)] == [0]


def test_a_segment_of_another_version_is_refused_not_cut() -> None:
    disk, _ = tape_of([3])
    header = bytearray(disk.read(SEGMENT, 0, SEGMENT_HEADER_BYTES))
    header[8] = 2
    from zlib import crc32

    header[-4:] = crc32(bytes(header[:-4])).to_bytes(4, "little")
    files = copy_of(disk)
    newer = disk_with(files | {SEGMENT: bytes(header) + files[SEGMENT][SEGMENT_HEADER_BYTES:]})
    with pytest.raises(Refused, match="format version 2"):
        open_writer(newer)
    with pytest.raises(Refused, match="format version 2"):
        verify(newer)
    assert copy_of(newer)[SEGMENT][SEGMENT_HEADER_BYTES:] == files[SEGMENT][SEGMENT_HEADER_BYTES:]


def test_damage_in_an_early_segment_does_not_touch_the_later_ones() -> None:
    disk, frames = tape_of([5] * 12, length=200, segment_bytes_max=1024)
    segments = segments_of(disk)
    assert len(segments) > 3
    files = copy_of(disk)
    for segment in segments[:-1]:
        size = disk.size(segment.name)
        cut = disk_with(files | {segment.name: files[segment.name][: size - 1]})
        kept = read_all(cut, frames[-1].offset + 1)
        (damage,) = verify(cut).damage
        assert damage.offset_to == segment.limit
        assert kept == [f for f in frames if not damage.offset_from <= f.offset < damage.offset_to]
    emptied = disk_with(files | {segments[1].name: b""})
    damage = verify(emptied).damage[-1]
    assert (damage.offset_from, damage.offset_to) == (segments[1].first_offset, segments[1].limit)
    missing = disk_with({name: data for name, data in files.items() if name != segments[1].name})
    # A whole segment that is gone shows as the damage or hole before the one that follows it.
    report = verify(missing)
    assert report.holes == ((segments[1].first_offset, segments[2].first_offset),)
    assert BLOCK_HEADER_BYTES == 60


def test_an_appended_tape_after_damage_still_reads_to_its_end() -> None:
    disk, frames = tape_of([4, 4])
    disk.flip_bit(SEGMENT, 8 * (disk.size(SEGMENT) - 3))
    writer = open_writer(disk)
    source = writer.connect("v", "ws", b"")
    append_many(writer, source, 10)
    writer.close()
    got = [frame.offset for frame in read_all(disk, writer.watermark)]
    assert got == [*range(5), *range(9, 20)]
    assert frames[-1].offset == 8
