"""What the writer tells other processes about its watermark, and what they may believe."""

from __future__ import annotations

import pytest
from taping import message, open_writer

from everytick.model.frame import FrameKind, Source
from everytick.sim.disk import SimDisk
from everytick.tape.published import WATERMARK_NAME
from everytick.tape.reader import TapeReader

SOURCE = Source("venue", "ws", 0)


def test_another_process_knows_the_last_group_as_soon_as_it_is_durable() -> None:
    disk = SimDisk(1)
    writer = open_writer(disk)
    other = TapeReader(disk)
    for number in range(5):
        writer.append(SOURCE, FrameKind.MESSAGE, message(number))
        assert other.durable() == number
        writer.commit()
        assert other.durable() == writer.watermark == number + 1


@pytest.mark.parametrize("bad", [b"", b"\0" * 28, b"x" * 28, b"\xff" * 500])
def test_bytes_that_are_no_watermark_only_make_the_reader_later(bad: bytes) -> None:
    disk = SimDisk(1)
    writer = open_writer(disk)
    for number in range(3):
        writer.append(SOURCE, FrameKind.MESSAGE, message(number))
        writer.commit()
    disk.place(WATERMARK_NAME, bad)
    assert TapeReader(disk).durable() == 2


def test_another_tapes_watermark_is_not_believed() -> None:
    disk, foreign = SimDisk(1), SimDisk(2)
    writer = open_writer(disk)
    writer.append(SOURCE, FrameKind.MESSAGE, message(0))
    writer.commit()
    stranger = open_writer(foreign)
    stranger._tape_id = b"another tape's id"[:16]
    for number in range(9):
        stranger.append(SOURCE, FrameKind.MESSAGE, message(number))
        stranger.commit()
    disk.place(WATERMARK_NAME, foreign.read(WATERMARK_NAME, 0, 100))
    assert TapeReader(disk).durable() <= 1
