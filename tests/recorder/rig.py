"""A recorder's inside without a world: a tape on a simulated disk, a store kept up with it, a clock that obeys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec

from everytick.errors import Retryable
from everytick.model.control import Subscribed, control_payload
from everytick.model.frame import FrameKind, Source
from everytick.model.ledger import Gap, GapState
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_S, ns_from_ms
from everytick.ports import HttpAnswer
from everytick.recorder.backfill import Backfill, Filler
from everytick.recorder.backfill_settings import BackfillSettings
from everytick.recorder.governor import Governor
from everytick.recorder.looking import Wanted
from everytick.recorder.pipeline import Pipeline
from everytick.recorder.questions import Questions
from everytick.sim.disk import SimDisk
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Row, RowQuery
from everytick.tape.reader import TapeReader
from everytick.tape.settings import TapeSettings
from everytick.tape.writer import TapeWriter
from everytick.telemetry import LogSettings, Telemetry
from everytick.venues.registry import VENUES

NOW_MS = 1_757_020_000_000


class RigClock:
    """Time passes when somebody sleeps."""

    def __init__(self, now_ms: int = NOW_MS + 3_600_000) -> None:
        self.now_ns = ns_from_ms(now_ms)
        self.slept: list[float] = []

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += int(seconds * NS_PER_S)
        await asyncio.sleep(0)


class RigIds:
    def token(self, byte_count: int) -> bytes:
        return bytes(byte_count)

    def jitter(self) -> float:
        return 0.5


class Rig:
    """Everything appended is durable and applied at once."""

    def __init__(self) -> None:
        self.clock = RigClock()
        self.ids = RigIds()
        self.disk = SimDisk(1)
        self.telemetry = Telemetry(self.clock, LogSettings(level="error"))
        self.tape = TapeWriter(self.disk, self.clock, self.ids, TapeSettings(), "rig")
        self.tape.open()
        self.store = MemoryStore()
        self.reader = TapeReader(self.disk)
        self.pipeline = Pipeline(VENUES, self.store)
        self.checkpoint = 0
        self.source = Source("", "", 0)

    def pump(self) -> None:
        while self.tape.commit():
            pass
        while self.checkpoint < self.tape.watermark:
            frames = self.reader.read(self.checkpoint, 500, self.tape.watermark)
            batch = self.pipeline.apply(frames, self.checkpoint, frames[-1].offset + 1)
            self.store.apply(batch)
            self.checkpoint = batch.offset_to

    def restart_projector(self) -> None:
        self.pipeline = Pipeline(VENUES, self.store)

    def rebuilt(self) -> MemoryStore:
        """A store made again from the tape alone."""
        store = MemoryStore()
        pipeline = Pipeline(VENUES, store)
        frames = TapeReader(self.disk).read(0, 10**9, self.tape.watermark)
        store.apply(pipeline.apply(frames, 0, self.tape.watermark))
        return store

    def connect(self, *streams: Stream) -> None:
        self.source = self.tape.connect(streams[0].venue, "ws", b"{}")
        self.put(FrameKind.SUBSCRIBE, control_payload(Subscribed([s.key for s in streams])))

    def put(self, kind: FrameKind, payload: bytes) -> None:
        self.tape.append(self.source, kind, payload)
        self.pump()

    def backfill(
        self,
        venues: Mapping[str, FakeHttp],
        settings: BackfillSettings | None = None,
        filler: Filler | None = None,
        wanted: Wanted | None = None,
    ) -> Backfill:
        questions = {
            name: Questions(
                VENUES[name], "http://venue", http, Governor(name, VENUES[name].LIMITS, self.clock, self.telemetry)
            )
            for name, http in venues.items()
        }
        return Backfill(
            questions,
            self.store.reader,
            lambda: self.checkpoint,
            tape=self.tape,
            wake_committer=self.pump,
            clock=self.clock,
            ids=self.ids,
            telemetry=self.telemetry,
            settings=settings or BackfillSettings(gap_age_s=0),
            filler=filler,
            wanted=wanted,
        )

    def gaps(self, stream: Stream, state: GapState | None = None) -> list[Gap]:
        held = self.store.reader().gaps([stream], open_only=False, limit=10**6)
        return sorted((g for g in held if state in (None, g.state)), key=lambda gap: (gap.from_ns, gap.first_id))

    def rows(self, stream: Stream) -> list[Row]:
        return self.store.reader().trades(RowQuery((stream,), descending=False, limit=10**6))


class FakeHttp:
    """A venue's REST: `answer(path, query)` gives its body, or a status; what was asked is kept."""

    def __init__(self, answer: Callable[[str, Mapping[str, str], bytes], bytes | int | HttpAnswer | None]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def ask(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        body_bytes_max: int,
    ) -> HttpAnswer:
        parts = urlsplit(url)
        self.asked.append(f"{parts.path}?{parts.query}" if parts.query else parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        answer = self.answer(parts.path, query, body)
        if answer is None:
            raise Retryable("no answer")
        if isinstance(answer, HttpAnswer):
            return answer
        if isinstance(answer, int):
            return HttpAnswer(answer, {}, b"no")
        return HttpAnswer(200, {}, answer)

    async def close(self) -> None:
        return


def past_trades(ids: Iterable[int], at_ms: Callable[[int], int]) -> Callable[..., bytes]:
    """Binance's historicalTrades over these ids."""
    held = sorted(ids)

    def answer(path: str, query: Mapping[str, str], body: bytes) -> bytes:
        first, limit = int(query["fromId"]), int(query["limit"])
        page = [i for i in held if i >= first][:limit]
        return msgspec.json.encode([_past(i, at_ms(i)) for i in page])

    return answer


def _past(trade_id: int, at_ms: int) -> dict[str, object]:
    return {
        "id": trade_id,
        "price": "100.50",
        "qty": "0.250",
        "quoteQty": "25.1",
        "time": at_ms,
        "isBuyerMaker": trade_id % 2 == 0,
        "isBestMatch": True,
    }


def live_trade(symbol: str, trade_id: int, at_ms: int) -> bytes:
    """Binance's `trade` event on a combined stream."""
    data = {
        "e": "trade",
        "E": at_ms,
        "s": symbol,
        "t": trade_id,
        "p": "100.50",
        "q": "0.250",
        "T": at_ms,
        "m": trade_id % 2 == 0,
        "M": True,
    }
    return msgspec.json.encode({"stream": f"{symbol.lower()}@trade", "data": data})
