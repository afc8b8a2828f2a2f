"""The program as shipped, killed with SIGKILL at random moments, again and again, with an oracle outside.

`python -m tests.crash.killing --kills 300` runs the long sweep and prints its figures; the default test run does a
bounded share of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from everytick.errors import Retryable
from everytick.host.disk import FolderDisk
from everytick.model.frame import Frame, FrameKind
from everytick.model.ledger import GapKind, Seam, Verdict
from everytick.model.stream import Kind
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import MarketTraits
from everytick.sim.oracle import Audit, audit
from everytick.stores.open import open_reader
from everytick.tape.reader import TapeReader
from everytick.tape.verify import verify
from everytick.wiring.rehearsal import all_trades

COINS = ("BTC", "ETH", "SOL", "WLFI")
AGAIN_S_MAX = 2.0  # a restarted process must record again within this time


@dataclass
class Outcome:
    """What a sweep found. `again_s` are the times from a start to the first new durable frame."""

    kills: int = 0
    durable_lost: int = 0
    rows_lost: int = 0
    again_s: list[float] = field(default_factory=list)
    starts: int = 0
    unexplained_starts: int = 0
    frames: int = 0
    up_s: float = 0.0
    seconds: float = 0.0
    is_intact: bool = False
    rebuilt_differs: str = "not compared"
    audit: Audit | None = None


@asynccontextmanager
async def running(folder: Path, ws_url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`everytick run` on the folder, killed at the end if it still lives."""
    environment = {
        **os.environ,
        "EVERYTICK_DATA__DIR": str(folder),
        "EVERYTICK_SERVE__PORT": "0",
        "EVERYTICK_VENUES__HYPERLIQUID__WS_URL": ws_url,
        "EVERYTICK_VENUES__HYPERLIQUID__HTTP_URL": ws_url.replace("ws://", "http://").removesuffix("/ws"),
        "EVERYTICK_VENUES__HYPERLIQUID__COINS": ",".join(COINS),
        "EVERYTICK_VENUES__HYPERLIQUID__STREAMS": "trades",
        "EVERYTICK_LOG__LEVEL": "error",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "everytick", "run", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Outsider:
    """What someone outside sees of the tape. One reader for the whole sweep: a look costs only what is new."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "tape"
        self._reader: TapeReader | None = None

    def end(self) -> tuple[int, int]:
        """(end, surely durable)."""
        if self._reader is None:
            if not self._folder.is_dir():
                return 0, 0
            self._reader = TapeReader(FolderDisk(self._folder))
        return self._reader.end(), self._reader.durable()


def stored(folder: Path) -> set[tuple[str, int, int]]:
    """The identities of all stored trades; empty while there is no store."""
    try:
        reader = open_reader(str(folder / "store.sqlite"))
    except Retryable:
        return set()
    try:
        streams = list(reader.streams())
        return {(row.stream.key, row.ts_event_ns, row.trade_id) for row in all_trades(reader, streams)}
    finally:
        reader.close()


async def sweep(kills: int, seed: int, folder: Path) -> Outcome:
    """Kill and start `kills` times, then end gracefully and audit against what the venue sent."""
    dice = random.Random(seed)
    outcome = Outcome()
    # About 2,000 frames a second; the last coins are quiet enough for a replay to bridge a restart.
    market = MarketTraits(coins=COINS, trades_per_s=9_000.0, block_ms=(1, 1), weight_ratio=0.35)
    sim = HyperliquidSim(VenueTraits(candle_every_s=60, buffer_bytes_max=64 << 20), seed=seed, market=market)
    await sim.start()
    outsider = Outsider(folder)
    began = time.monotonic()
    durable_before, rows_before = 0, set[tuple[str, int, int]]()
    try:
        for number in range(kills + 1):
            end_before, _ = outsider.end()
            started = time.monotonic()
            async with running(folder, sim.ws_url) as process:
                outcome.starts += 1
                await _recording_again(outsider, end_before, process, outcome, started)
                if outsider.end()[0] < durable_before:
                    outcome.durable_lost += 1
                if number % 10 == 0:
                    outcome.rows_lost += len(rows_before - stored(folder))
                if number == kills:
                    await _end_gracefully(sim, process)
                    break
                await asyncio.sleep(dice.uniform(0.0, 0.5))
                durable_before = outsider.end()[1]
                if number % 10 == 9:
                    rows_before = stored(folder)
                outcome.up_s += time.monotonic() - started - outcome.again_s[-1]
                process.send_signal(signal.SIGKILL)
                await process.wait()
                outcome.kills += 1
    finally:
        await sim.stop()
    outcome.seconds = time.monotonic() - began
    _judge(sim, folder, outcome)
    return outcome


async def _recording_again(
    outsider: Outsider, end_before: int, process: asyncio.subprocess.Process, outcome: Outcome, started: float
) -> None:
    # START, CONNECT and SUBSCRIBE alone are no recording: wait for messages behind them.
    while outsider.end()[0] <= end_before + 8:
        assert process.returncode is None, f"the recorder ended by itself with {process.returncode}"
        assert time.monotonic() - started < 30, "nothing was recorded for 30 s"
        await asyncio.sleep(0.01)
    outcome.again_s.append(time.monotonic() - started)


async def _end_gracefully(sim: HyperliquidSim, process: asyncio.subprocess.Process) -> None:
    await asyncio.sleep(0.5)
    await sim.quiesce()
    await sim.cut("the end")
    await asyncio.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 20) == 0


def _judge(sim: HyperliquidSim, folder: Path, outcome: Outcome) -> None:
    report = verify(FolderDisk(folder / "tape"))
    outcome.is_intact, outcome.frames = report.is_intact, report.frames
    reader = open_reader(str(folder / "store.sqlite"))
    try:
        streams = [stream for stream in reader.streams() if stream.kind is Kind.TRADES]
        gaps = reader.gaps(streams, open_only=False, limit=10**6)
        outcome.audit = audit("hyperliquid", sim.ledger, all_trades(reader, streams), gaps)
        seams = reader.seams(streams, limit=10**6)
        named = {(gap.stream, gap.offset) for gap in gaps if gap.kind is GapKind.RESTART}
        epochs = sorted({seam.epoch for seam in seams if _explains(seam, named)})
    finally:
        reader.close()
    rebuilt = subprocess.run(
        [sys.executable, "-m", "everytick", "rebuild", "--json"],
        env={**os.environ, "EVERYTICK_DATA__DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    outcome.rebuilt_differs = str(json.loads(rebuilt.stdout)["difference"] or "")
    starts = [frame.offset for frame in _frames(folder) if frame.kind is FrameKind.START]
    for start, following in pairwise([*starts, report.end_offset]):
        outcome.unexplained_starts += not any(start < epoch < following for epoch in epochs)
    outcome.unexplained_starts += abs(outcome.starts - len(starts))


def _frames(folder: Path) -> Iterator[Frame]:
    reader = TapeReader(FolderDisk(folder / "tape"))
    offset, end = 0, reader.end()
    while found := reader.read(offset, 10_000, end):
        yield from found
        offset = found[-1].offset + 1


def _explains(seam: Seam, named: set[tuple[object, int]]) -> bool:
    if seam.verdict is Verdict.GAP:
        return (seam.stream, seam.offset) in named
    return True


def main() -> int:
    """Run the sweep from a shell; exit code 1 unless everything held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="everytick-kill-") as folder:
        outcome = asyncio.run(sweep(chosen.kills, chosen.seed, Path(folder)))
    found = outcome.audit
    assert found is not None
    again = sorted(outcome.again_s)
    held = {
        "kills": outcome.kills,
        "seconds": round(outcome.seconds),
        "frames": outcome.frames,
        "frames_per_s_up": round(outcome.frames / outcome.up_s),
        "durable_frames_lost": outcome.durable_lost,
        "stored_rows_lost": outcome.rows_lost,
        "duplicates": sum(s.duplicates for s in found.streams),
        "sent": sum(s.sent for s in found.streams),
        "stored": sum(s.stored for s in found.streams),
        "missing_outside_gaps": sum(s.missing_unnamed + s.unseen_unnamed for s in found.streams),
        "gaps": sum(len(s.gaps) for s in found.streams),
        "starts_without_verdict": outcome.unexplained_starts,
        "recording_again_s": {"median": round(again[len(again) // 2], 2), "max": round(again[-1], 2)},
        "tape_intact": outcome.is_intact,
        "rebuilt_store_same": not outcome.rebuilt_differs,
        "honest": found.honest,
    }
    print(held)
    bad = outcome.durable_lost + outcome.rows_lost + outcome.unexplained_starts + bool(outcome.rebuilt_differs)
    return 1 if bad or not found.honest or not outcome.is_intact or again[-1] > AGAIN_S_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
