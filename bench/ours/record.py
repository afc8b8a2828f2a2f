"""Our recorder, whole, as `everytick record` builds it: one process, real sockets, real disk, no HTTP API.

It records until the expected messages are durable (and applied, with a store) and nothing more happens, says how
long that took by the program's own clocks and progress, and then counts the distinct trades that it holds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec
import uvloop
from everytick.host.disk import HostDisk
from everytick.tape.reader import TapeReader
from everytick.tape.writer import TapeWriter

from bench.frames import COINS
from bench.machine import percentile, resident_bytes
from everytick.config import Settings
from everytick.config.settings import DataSettings, HyperliquidSettings, VenuesSettings
from everytick.model.frame import Frame, FrameKind
from everytick.model.stream import Kind
from everytick.supervise.progress import Progress
from everytick.telemetry import Telemetry
from everytick.wiring import Process, host_ports, store_url, tape_folder

POLL_S = 0.001
SETTLED_S = 0.25
READ_FRAMES = 5_000
PAYLOAD_START = b'{"channel":"trades"'
# The fields of the peer's answer, in our order: newest first, and among equals by stream and id.
STATEMENT = (
    "SELECT s.venue, s.instrument, t.trade_id, t.side, t.price, t.size, t.ts_event_ns / 1000000"
    " FROM trades t JOIN streams s ON s.number = t.stream"
    " ORDER BY t.ts_event_ns DESC, t.stream DESC, t.trade_id DESC LIMIT ?"
)


class Ids(msgspec.Struct):
    """Of a trade only what tells it from others."""

    coin: str
    time: int
    tid: int


class TradesMessage(msgspec.Struct):
    """Of a message only its trades."""

    data: list[Ids]


def settings_for(folder: Path, port: int) -> Settings:
    """The program's defaults, with the local venue, three coins and their trades only."""
    venue = HyperliquidSettings(coins=COINS, streams=(Kind.TRADES,), ws_url=f"ws://127.0.0.1:{port}/ws")
    return Settings(data=DataSettings(dir=str(folder)), venues=VenuesSettings(hyperliquid=venue))


class Watch:
    """Looks at the progress until everything expected has happened."""

    def __init__(self, progress: Progress, messages: int, marks: Sequence[int], *, store: bool) -> None:
        self.progress = progress
        self.messages = messages
        self.marks = list(marks)
        self.store = store
        self.ended_ns = 0
        self.resident: list[int] = []
        self.resident_max = 0

    async def until_done(self) -> None:
        """Return when what was sent is held and nothing has changed for a while."""
        before, look = -1, 0
        while True:
            await asyncio.sleep(POLL_S)
            now_ns = time.monotonic_ns()
            at = self.progress.offset_applied if self.store else self.progress.offset_durable
            if at != before:
                before, self.ended_ns = at, now_ns
            while self.marks and at >= self.marks[0]:
                self.marks.pop(0)
                self.resident.append(resident_bytes())
            look += 1
            if look % 100 == 0:
                self.resident_max = max(self.resident_max, resident_bytes())
            is_all = at >= self.messages and at >= self.progress.offset_appended
            if is_all and now_ns - self.ended_ns > SETTLED_S * 1e9:
                return


def time_commits() -> list[tuple[int, int]]:
    """From now on, the (watermark, monotonic ns) after every commit of any writer of this process."""
    moments: list[tuple[int, int]] = []
    commit = TapeWriter.commit

    def timed(writer: TapeWriter) -> int:
        frames = commit(writer)
        moments.append((writer.watermark, time.monotonic_ns()))
        return frames

    TapeWriter.commit = timed
    return moments


def read_tape(settings: Settings) -> list[Frame]:
    """The market messages on the tape, as its own reader gives them."""
    reader = TapeReader(HostDisk(tape_folder(settings)))
    frames: list[Frame] = []
    at = 0
    while page := reader.read(at, READ_FRAMES):
        at = page[-1].offset + 1
        frames += [f for f in page if f.kind is FrameKind.MESSAGE and f.payload.startswith(PAYLOAD_START)]
    return frames


def latencies_ms(frames: Sequence[Frame], moments: Sequence[tuple[int, int]]) -> list[float]:
    """For each frame the time from its receipt to the first commit that covers it."""
    result = []
    after = iter(moments)
    watermark, durable_ns = next(after)
    for frame in frames:
        while frame.offset >= watermark:
            watermark, durable_ns = next(after)
        result.append((durable_ns - frame.mono_ns) / 1e6)
    return result


async def record(settings: Settings, order: dict[str, Any], watch_marks: Sequence[int]) -> Watch:
    """Record as the program does, until all is held."""
    process = Process(settings, host_ports(), Telemetry(), serves=False, projects=order["store"])
    running = asyncio.create_task(process.run())
    watch = Watch(process.progress, order["messages"], watch_marks, store=order["store"])
    done = asyncio.create_task(watch.until_done())
    await asyncio.wait({running, done}, return_when=asyncio.FIRST_COMPLETED)
    if not done.done():
        running.result()
        raise RuntimeError("the recorder ended by itself")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return watch


def main() -> None:
    """Print what was held, how fast, and what was asked for besides."""
    order = json.loads(sys.argv[1])
    settings = settings_for(Path(order["folder"]), order["port"])
    moments = time_commits() if order.get("latencies") else []
    trades, messages = order["trades"], order["messages"]
    marks = [mark * messages // trades for mark in order.get("marks", ())]
    watch = uvloop.run(record(settings, order, marks))
    answer: dict[str, Any] = {"resident_bytes": watch.resident, "resident_bytes_max": watch.resident_max}
    if order["store"]:
        file = store_url(settings)
        database = apsw.Connection(file, flags=apsw.SQLITE_OPEN_READONLY)
        answer["trades"] = database.execute("SELECT count(*) FROM trades").get
        answer["store_file"], answer["statement"] = file, STATEMENT
        first = TapeReader(HostDisk(tape_folder(settings))).read(0, 100)
        began_ns = next(frame.mono_ns for frame in first if frame.payload.startswith(PAYLOAD_START))
    else:
        frames = read_tape(settings)
        began_ns = frames[0].mono_ns
        read = msgspec.json.Decoder(TradesMessage).decode
        answer["trades"] = len({(t.coin, t.time, t.tid) for frame in frames for t in read(frame.payload).data})
        if moments:
            times = latencies_ms(frames, moments)
            answer["p50_ms"], answer["p99_ms"] = percentile(times, 0.5), percentile(times, 0.99)
            tape_bytes = sum(path.stat().st_size for path in tape_folder(settings).iterdir())
            answer["group_bytes"] = tape_bytes // len(moments)
    answer["seconds"] = (watch.ended_ns - began_ns) / 1e9
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
