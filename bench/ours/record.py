"""Our recorder, whole, as `everytick record` builds it: one process, real sockets, real disk, no HTTP API.

It records until the expected messages are durable (and applied, with a store) and nothing more happens, says how
long that took by the program's own clocks and progress, and then counts the distinct trades that it holds.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec
import psycopg

from bench.children import Child
from bench.frames import COINS, SYMBOLS
from bench.machine import percentile, resident_bytes
from everytick.config import Settings, store_path, tape_folder
from everytick.config.settings import (
    BinanceSettings,
    DataSettings,
    HyperliquidSettings,
    StoreSettings,
    VenuesSettings,
)
from everytick.host.clock import HostClock
from everytick.host.loop import run
from everytick.model.frame import Frame, FrameKind
from everytick.model.secret import SecretUrl
from everytick.model.stream import Kind
from everytick.stores.open import open_store
from everytick.supervise.progress import Progress
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry
from everytick.wiring.parts import host_ports
from everytick.wiring.process import Process
from everytick.wiring.views import frames

PROJECTOR_SECONDS_MAX = 60
NOBODY = "http://127.0.0.1:9"  # the discard port: a measurement asks nobody anything
POLL_S = 0.001
RESIDENT_EVERY = 20  # looks
SETTLED_S = 0.25
MARKET_STARTS = (b'{"channel":"trades"', b'{"stream":')


class Ids(msgspec.Struct):
    """Of a trade only what tells it from others."""

    coin: str
    time: int
    tid: int


class TradesMessage(msgspec.Struct):
    """Of a message only its trades."""

    data: list[Ids]


class AggTrade(msgspec.Struct):
    """Of an event only what tells it from others."""

    s: str
    a: int


class AggTradeMessage(msgspec.Struct):
    """One event, one trade."""

    data: AggTrade


def settings_for(folder: Path, port: int, dialect: str, url: str) -> Settings:
    """The program's defaults, with the local venue, three instruments and their trades only."""
    address = f"ws://127.0.0.1:{port}"
    is_binance = dialect == "binance"
    venues = VenuesSettings(
        hyperliquid=HyperliquidSettings(
            enabled=not is_binance,
            coins=COINS,
            streams=(Kind.TRADES,),
            ws_url=f"{address}/ws",
            http_url=NOBODY,
            polls=False,
        ),
        binance=BinanceSettings(
            enabled=is_binance, symbols=SYMBOLS, streams=(Kind.AGG_TRADES,), ws_url=f"{address}/stream", http_url=NOBODY
        ),
    )
    return Settings(data=DataSettings(dir=str(folder)), store=StoreSettings(url=SecretUrl(url)), venues=venues)


class Watch:
    """Looks at the progress until everything expected has happened.

    `marks` are offsets. The memory at a mark is the median over the last tenth of the way to it: at one moment
    alone a block under compression or a page of frames is in or out by chance.
    """

    def __init__(self, progress: Progress, messages: int, marks: Sequence[int], *, store: bool) -> None:
        self.progress = progress
        self.messages = messages
        self.marks = marks
        self.store = store
        self.ended_ns = 0
        self.resident: list[tuple[int, int]] = []  # (offset, bytes)

    async def until_done(self) -> None:
        """Return when what was sent is held and nothing has changed for a while."""
        before, look = -1, 0
        while True:
            await asyncio.sleep(POLL_S)
            now_ns = time.monotonic_ns()
            at = self.progress.offset_applied if self.store else self.progress.offset_durable
            if at != before:
                before, self.ended_ns = at, now_ns
            look += 1
            if look % RESIDENT_EVERY == 0:
                self.resident.append((at, resident_bytes()))
            is_all = at >= self.messages and at >= self.progress.offset_appended
            if is_all and now_ns - self.ended_ns > SETTLED_S * 1e9:
                return

    def resident_at_marks(self) -> list[float]:
        """Bytes resident at each mark."""
        step = self.marks[0] // 10 if self.marks else 0
        return [statistics.median(b for at, b in self.resident if mark - step <= at <= mark) for mark in self.marks]


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


def peer_statement(streams: Sequence[tuple[int, str, str]]) -> str:
    """What the peer's API asks of the same file: a SELECT that takes the limit and gives newest rows first.

    Columns: venue, coin, tid, side, px, sz, time (ms). It merges one walk along the primary key for each stream
    and stops at the limit, as our own reader does: a plain ORDER BY would sort the whole table at every request.
    """
    walks = [
        f"SELECT ts_ns, stream, trade_id, '{venue}' AS venue, '{coin}' AS coin, side, price_text, size_text"
        f" FROM trades WHERE stream = {number}"
        for number, venue, coin in streams
    ]
    merged = f"{' UNION ALL '.join(walks)} ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT ?1"
    return f"SELECT venue, coin, trade_id, side, price_text, size_text, ts_ns / 1000000 FROM ({merged})"


def market_frames(settings: Settings) -> Iterator[Frame]:
    """The market messages on the tape, as the program reads them."""
    for frame in frames(settings, host_ports(), 0, None):
        if frame.kind is FrameKind.MESSAGE and frame.payload.startswith(MARKET_STARTS):
            yield frame


def distinct(held: Sequence[Frame], dialect: str) -> int:
    """How many different trades these messages hold."""
    if dialect == "binance":
        one = msgspec.json.Decoder(AggTradeMessage).decode
        return len({(trade.s, trade.a) for trade in (one(frame.payload).data for frame in held)})
    many = msgspec.json.Decoder(TradesMessage).decode
    return len({(t.coin, t.time, t.tid) for frame in held for t in many(frame.payload).data})


def latencies_ms(held: Sequence[Frame], moments: Sequence[tuple[int, int]]) -> list[float]:
    """For each frame the time from its receipt to the first commit that covers it."""
    result = []
    after = iter(moments)
    watermark, durable_ns = next(after)
    for frame in held:
        while frame.offset >= watermark:
            watermark, durable_ns = next(after)
        result.append((durable_ns - frame.mono_ns) / 1e6)
    return result


async def record(settings: Settings, order: dict[str, Any], marks: Sequence[int]) -> Watch:
    """Record as the program does, until all is held, and end as the program does."""
    process = Process(settings, host_ports(), Telemetry(HostClock()), projects=order["store"], serves=False)
    watch = Watch(process.progress, order["messages"], marks, store=order["store"])
    async with asyncio.TaskGroup() as group:
        group.create_task(process.run(heeds_signals=False))
        await watch.until_done()
        process.stop()
    return watch


async def record_beside_projector(settings: Settings, order: dict[str, Any]) -> Watch:
    """Record in this process while another keeps the store: `everytick record` and `everytick project`."""
    process = Process(settings, host_ports(), Telemetry(HostClock()), projects=False, serves=False)
    watch = Watch(process.progress, order["messages"], (), store=False)
    wanted = {name: order.get(name, default) for name, default in (("dialect", "hyperliquid"), ("url", ""))}
    with Child("bench.ours.project", {**order, **wanted}, seconds_max=PROJECTOR_SECONDS_MAX) as projector:
        projector.line()  # it is ready: its start is not what is measured
        async with asyncio.TaskGroup() as group:
            group.create_task(process.run(heeds_signals=False))
            watch.ended_ns = (await asyncio.to_thread(projector.line))["ended_ns"]
            process.stop()
    return watch


def main() -> None:
    """Print what was held, how fast, and what was asked for besides."""
    order = json.loads(sys.argv[1])
    url = order.get("url", "")
    settings = settings_for(Path(order["folder"]), order["port"], order.get("dialect", "hyperliquid"), url)
    if url:
        open_store(url).close()  # its tables are there before the start, as the peer's are
    moments = time_commits() if order.get("latencies") else []
    trades, messages = order["trades"], order["messages"]
    marks = [mark * messages // trades for mark in order.get("marks", ())]
    is_split = order.get("processes", 1) == 2
    watch = run(record_beside_projector(settings, order) if is_split else record(settings, order, marks))
    answer: dict[str, Any] = {"resident_bytes": watch.resident_at_marks()}
    answer["resident_bytes_max"] = max((b for _, b in watch.resident), default=0)
    if url:
        with psycopg.connect(url) as asking:
            answer["trades"] = asking.execute("SELECT count(*) FROM trades").fetchall()[0][0]
        began_ns = next(market_frames(settings)).mono_ns
    elif order["store"]:
        file = str(store_path(settings))
        database = apsw.Connection(file, flags=apsw.SQLITE_OPEN_READONLY)
        answer["trades"] = database.execute("SELECT count(*) FROM trades").get
        streams = list(database.execute("SELECT number, venue, instrument FROM streams ORDER BY number"))
        answer["store_file"], answer["statement"] = file, peer_statement(streams)
        began_ns = next(market_frames(settings)).mono_ns
    else:
        held = list(market_frames(settings))
        began_ns = held[0].mono_ns
        answer["trades"] = distinct(held, order.get("dialect", "hyperliquid"))
        if moments:
            times = latencies_ms(held, moments)
            answer["p50_ms"], answer["p99_ms"] = percentile(times, 0.5), percentile(times, 0.99)
            tape_bytes = sum(path.stat().st_size for path in tape_folder(settings).iterdir())
            answer["group_bytes"] = tape_bytes // len(moments)
    answer["seconds"] = (watch.ended_ns - began_ns) / 1e9
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
