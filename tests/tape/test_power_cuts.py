"""Must show 4, the storage half: seeded power cuts, and proof that the test can fail.

All 10,000 take seconds; `EVERYTICK_POWER_CUTS=1000000 pytest tests/tape/test_power_cuts.py` takes more.
"""

from __future__ import annotations

import contextlib
import os
import random

import pytest
from taping import SeededIds, StepClock, open_writer, read_all

from everytick.model.frame import Frame, FrameKind, Source
from everytick.sim.disk import PowerCut, SimDisk, SimFile
from everytick.tape.reader import TapeReader
from everytick.tape.settings import TapeSettings
from everytick.tape.trouble import TapeTrouble
from everytick.tape.verify import verify
from everytick.tape.writer import TapeWriter

CUTS = int(os.environ.get("EVERYTICK_POWER_CUTS", "10000"))
SHARES = 4  # so that the two workers of a test run share the work

Fact = tuple[FrameKind, Source, bytes]


class ForgetsToSync(SimDisk):
    """The mutant: a writer on this disk behaves as if its datasync had been removed."""

    def append(self, name: str) -> SimFile:
        return self._mute(super().append(name))

    def create(self, name: str) -> SimFile:
        return self._mute(super().create(name))

    def _mute(self, file: SimFile) -> SimFile:
        file.datasync = lambda: None
        return file


class ForgetsFolders(SimDisk):
    """The mutant without folder syncs."""

    def sync_folder(self) -> None:
        return


class Witness:
    """Everything that anyone has been shown as durable."""

    def __init__(self) -> None:
        self.appended: dict[int, Fact] = {}
        self.durable: dict[int, Fact] = {}

    def reached(self, watermark: int) -> None:
        for offset in range(max(self.durable, default=-1) + 1, watermark):
            if offset in self.appended:
                self.durable[offset] = self.appended[offset]

    def shown(self, frames: list[Frame]) -> None:
        """A reader got these as durable: nobody may ever get others under the same offsets."""
        for frame in frames:
            fact = (frame.kind, frame.source, frame.payload)
            assert self.durable.setdefault(frame.offset, fact) == fact


def live(disk: SimDisk, dice: random.Random, witness: Witness) -> None:
    """One life of a writer, ended by the power cut or by itself; followed by readers of both kinds."""
    disk.capacity_bytes = 6_000 if dice.random() < 0.1 else None
    settings = TapeSettings(segment_bytes_max=dice.choice((1_024, 3_000, 100_000)), block_bytes_max=3_000)
    writer = TapeWriter(disk, StepClock(), SeededIds(dice.randrange(99)), settings, "life")
    if dice.random() < 0.25:
        disk.fail_datasync(dice.randint(1, 6))
    while not writer.is_open:
        try:
            writer.open()
        except TapeTrouble:
            disk.capacity_bytes = None
    witness.shown(read_all(disk, writer.watermark))
    try:
        source = Source("v", "ws", writer.next_offset)
        other = TapeReader(disk)
        for _ in range(dice.randint(1, 10)):
            for _ in range(dice.randint(1, 5)):
                payload = dice.randbytes(dice.choice((3, 200, 900)))
                witness.appended[writer.append(source, FrameKind.MESSAGE, payload)] = (
                    FrameKind.MESSAGE,
                    source,
                    payload,
                )
            try:
                writer.commit()
            except TapeTrouble:
                disk.capacity_bytes = None
            witness.reached(writer.watermark)
            if dice.random() < 0.3:
                seen = other.durable()
                assert seen <= writer.watermark
                shown = other.read(0, 9_999, seen)
                assert [frame.offset for frame in shown] == sorted(o for o in witness.durable if o < seen)
                witness.shown(shown)
        if dice.random() < 0.3:
            writer.close()
    finally:
        witness.reached(writer.watermark)
        # What was appended and is not durable may be forgotten, and its offsets given to others.
        witness.appended = dict(witness.durable)


def lost_after_cuts(seed: int, kind: type[SimDisk] = SimDisk) -> list[int]:
    """The offsets that were durable and are not there, or are not the same, after up to three cuts."""
    dice = random.Random(seed)
    disk = kind(seed, short_writes=dice.random() < 0.3)
    witness = Witness()
    for _ in range(dice.randint(1, 3)):
        disk.cut_power_after(dice.randint(1, 40))
        with contextlib.suppress(PowerCut, TapeTrouble):
            live(disk, dice, witness)
        if dice.random() < 0.8:
            disk.power_cut()
        else:
            disk.kill()
    disk.capacity_bytes = None
    writer = open_writer(disk)
    # A block whose sync failed in a killed writer may be spoiled: then recovery's repeat of it stands in.
    assert all(damage.offset_from == damage.offset_to for damage in verify(disk).damage), seed
    held = {f.offset: (f.kind, f.source, f.payload) for f in read_all(disk, writer.watermark)}
    assert writer.next_offset > max(held, default=-1)
    return [offset for offset, fact in witness.durable.items() if held.get(offset) != fact]


@pytest.mark.parametrize("share", range(SHARES))
def test_no_power_cut_loses_a_durable_frame(share: int) -> None:
    for seed in range(share, CUTS, SHARES):
        assert lost_after_cuts(seed) == [], f"seed {seed}"


@pytest.mark.parametrize("mutant", [ForgetsToSync, ForgetsFolders])
def test_the_harness_has_teeth(mutant: type[SimDisk]) -> None:
    def fails(seed: int) -> bool:
        try:
            return bool(lost_after_cuts(seed, mutant))
        except AssertionError:
            return True

    caught = sum(fails(seed) for seed in range(60))
    assert caught >= 10, f"{mutant.__name__} was caught in only {caught} of 60 seeds"
