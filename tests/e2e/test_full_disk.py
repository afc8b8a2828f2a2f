"""A disk that fills up under a running recorder, for real: a small tmpfs, a filler file, and room again."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from everytick.cli.session import World, world
from everytick.host.disk import FolderDisk
from everytick.model.stream import Kind
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.market import MarketTraits
from everytick.sim.oracle import Audit
from everytick.tape.verify import verify
from everytick.wiring.rehearsal import Rehearsal, turned_to

SIZE = 12 << 20
WAIT_S = 30.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    libc = ctypes.CDLL(None, use_errno=True)
    mount = tmp_path / "small"
    mount.mkdir()
    if libc.mount(b"tmpfs", str(mount).encode(), b"tmpfs", 0, f"size={SIZE}".encode()):
        pytest.skip(f"a tmpfs cannot be mounted here: {os.strerror(ctypes.get_errno())}")
    yield mount
    libc.umount2(str(mount).encode(), 2)


def fill(path: Path) -> None:
    """Take every byte that is left."""
    with path.open("wb", buffering=0) as file:
        piece = b"\0" * 65_536
        while piece:
            try:
                file.write(piece)
            except OSError:
                piece = piece[: len(piece) // 2]


async def until(is_true: object, what: str) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_true():
            await asyncio.sleep(0.02)


async def recorded_through(folder: Path, here: World) -> tuple[Audit, str]:
    sim = HyperliquidSim(seed=3, market=MarketTraits(coins=("BTC",), trades_per_s=500.0))
    await sim.start()
    settings = turned_to(
        here.settings, "hyperliquid", sim, data_dir=str(folder), port=0, coins=("BTC",), kinds=(Kind.TRADES,)
    )
    rehearsal = Rehearsal(settings, "hyperliquid", sim, here.ports, here.telemetry)
    progress = rehearsal.process.progress
    sentence = ""

    async def starve() -> None:
        nonlocal sentence
        await rehearsal.is_ready.wait()
        await until(lambda: progress.offset_durable > 50, "first frames")
        fill(folder / "filler")
        await until(lambda: progress.tape_trouble, "trouble")
        sentence = progress.tape_trouble
        stopped_at = progress.offset_durable
        assert verify(FolderDisk(folder / "tape")).is_intact
        await asyncio.sleep(0.3)
        assert progress.offset_durable == stopped_at
        (folder / "filler").unlink()
        await until(lambda: not progress.tape_trouble and progress.offset_durable > stopped_at, "resumption")
        await until(lambda: not progress.store_trouble, "the store")
        rehearsal.end()

    starving = asyncio.create_task(starve())
    audit = await rehearsal.run(for_s=2 * WAIT_S)
    await starving
    return audit, sentence


def test_a_full_disk_stops_recording_with_one_sentence_and_room_resumes_it_without_loss(small_disk: Path) -> None:
    audit, sentence = asyncio.run(recorded_through(small_disk, world(None, is_quiet=True)))
    assert "disk is full" in sentence
    assert "make room" in sentence
    assert audit.exact, audit
    assert verify(FolderDisk(small_disk / "tape")).is_intact
