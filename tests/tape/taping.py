"""What the tape's tests share: a clock that steps, dice with a seed, and ways to fill and read a tape."""

from __future__ import annotations

import random
from typing import Any

from everytick.model.frame import Frame, FrameKind, Source
from everytick.ports import Disk
from everytick.sim.disk import SimDisk
from everytick.tape.reader import TapeReader
from everytick.tape.settings import TapeSettings
from everytick.tape.writer import TapeWriter

SEGMENT = "00000000000000000000.tape"
START_NS = 1_757_015_891_087_000_000


class StepClock:
    """Each look moves it on by a fixed step."""

    def __init__(self) -> None:
        self._wall = START_NS
        self._mono = 5_000_000_000

    def wall_ns(self) -> int:
        self._wall += 1_000
        return self._wall

    def mono_ns(self) -> int:
        self._mono += 1_000
        return self._mono

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the tape never sleeps")


class SeededIds:
    def __init__(self, seed: int = 7) -> None:
        self._dice = random.Random(seed)

    def token(self, byte_count: int) -> bytes:
        return self._dice.randbytes(byte_count)

    def jitter(self) -> float:
        return self._dice.random()


def new_writer(disk: Disk, owner: str = "test recorder", **settings: Any) -> TapeWriter:
    return TapeWriter(disk, StepClock(), SeededIds(), TapeSettings(**settings), owner)


def open_writer(disk: Disk, **settings: Any) -> TapeWriter:
    writer = new_writer(disk, **settings)
    writer.open()
    return writer


def message(number: int, length: int = 40) -> bytes:
    text = b'{"channel":"trades","data":[{"tid":%d}]}' % number
    return text + b" " * max(0, length - len(text))


def append_many(writer: TapeWriter, source: Source, count: int, length: int = 40) -> None:
    for _ in range(count):
        writer.append(source, FrameKind.MESSAGE, message(writer.next_offset, length))


def tape_of(groups: list[int], length: int = 40, **settings: Any) -> tuple[SimDisk, list[Frame]]:
    """A closed tape with one block for each count in `groups`, and its frames."""
    disk = SimDisk(1)
    writer = open_writer(disk, **settings)
    source = writer.connect("hyperliquid", "ws", b'{"url":"ws://sim"}')
    writer.commit()
    for count in groups:
        append_many(writer, source, count, length)
        writer.commit()
    writer.close()
    return disk, read_all(disk, writer.watermark)


def read_all(disk: Disk, until: int, reader: TapeReader | None = None, frames_max: int = 1_000) -> list[Frame]:
    reader = reader or TapeReader(disk)
    frames: list[Frame] = []
    offset = 0
    while piece := reader.read(offset, frames_max, until):
        frames += piece
        offset = piece[-1].offset + 1
    return frames


def copy_of(disk: SimDisk) -> dict[str, bytes]:
    return {name: disk.read(name, 0, disk.size(name)) for name in disk.names()}


def disk_with(files: dict[str, bytes]) -> SimDisk:
    disk = SimDisk(1)
    for name, data in files.items():
        disk.place(name, data)
    return disk
