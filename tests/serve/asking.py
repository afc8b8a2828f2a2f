"""A store with known content, and a caller that speaks ASGI without a socket or a loop."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from everytick.model.event import (
    AssetContext,
    Candle,
    CandleState,
    PlacedTrade,
    Side,
    Trade,
    VaultPosition,
    VaultPositions,
)
from everytick.model.ledger import Cover, Gap, GapKind, GapState, Interval, Seam, Verdict
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_MS
from everytick.serve.app import Api
from everytick.serve.route import AnyRoute
from everytick.serve.sources import Sources
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Batch, Mid, Placed, PlacedCandle, Quarantined, Store, placed_trade
from everytick.supervise.progress import Progress
from everytick.supervise.switch import SwitchState, Trading, checked, initial

BTC = Stream("hyperliquid", Kind.TRADES, "BTC")
ETH = Stream("hyperliquid", Kind.TRADES, "ETH")
PURR = Stream("hyperliquid", Kind.TRADES, 'PURR/"U,SDC')
BARS = Stream("hyperliquid", Kind.CANDLES, "BTC", "5m")
CONTEXTS = Stream("hyperliquid", Kind.CONTEXTS, "BTC")
VAULTS = Stream("hyperliquid", Kind.VAULTS, "BTC")
MIDS = Stream("hyperliquid", Kind.MIDS, "BTC")
BARS_1H = Stream("hyperliquid", Kind.CANDLES, "BTC", "1h")
T0_MS = 1_757_000_000_000
NOW_NS = (T0_MS + 60_000) * NS_PER_MS


class FixedClock:
    """A clock that stands still."""

    def wall_ns(self) -> int:
        return NOW_NS

    def mono_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the API never waits")


class CountingIds:
    """Dice that count."""

    def __init__(self) -> None:
        self._next = itertools.count(1)

    def token(self, byte_count: int) -> bytes:
        return next(self._next).to_bytes(byte_count, "big")

    def jitter(self) -> float:
        return 0.0


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """Asks an Api as uvicorn would."""

    api: Api
    reported: list[tuple[str, str, BaseException]] = field(default_factory=list)

    def __call__(
        self,
        path: str,
        query: Mapping[str, object] | Iterable[tuple[str, object]] | bytes = (),
        *,
        method: str = "GET",
        **headers: str,
    ) -> Answer:
        query_string = query if isinstance(query, bytes) else urlencode(query).encode()
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query_string,
            "headers": [(name.replace("_", "-").lower().encode(), text.encode()) for name, text in headers.items()],
        }
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            raise AssertionError("no route reads a body")

        # Answers await nothing but `send`, so one step runs the whole conversation.
        with pytest.raises(StopIteration):
            self.api(scope, receive, send).send(None)
        start, body = sent
        given = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], given, body["body"])


def trade(stream: Stream, ts_ms: int, trade_id: int, price: str = "105056.0", size: str = "0.010") -> PlacedTrade:
    made = Trade(stream, ts_ms * NS_PER_MS, trade_id, Decimal(price), Decimal(size), Side.BUY)
    return placed_trade(made, trade_id, ts_ms * NS_PER_MS + 5)


def candle(stream: Stream, ts_ms: int) -> PlacedCandle:
    one, two = Decimal("1.0"), Decimal("2.50")
    made = Candle(
        stream, ts_ms * NS_PER_MS, (ts_ms + 300_000) * NS_PER_MS, one, two, one, two, Decimal("0.125"), 7,
        CandleState.CLOSED,
    )  # fmt: skip
    return PlacedCandle(made, 0, ts_ms * NS_PER_MS)


def context(ts_ms: int) -> Placed:
    made = AssetContext(CONTEXTS, *[Decimal("1.50")] * 3, None, Decimal(2), None, None, None)
    return Placed(made, 4, ts_ms * NS_PER_MS)


def vaults(ts_ms: int) -> Placed:
    position = VaultPosition("0xa", ts_ms * NS_PER_MS, Decimal("-1.50"), Decimal("-150.0"), Decimal(7))
    return Placed(VaultPositions(VAULTS, ts_ms * NS_PER_MS, (position,)), 5, ts_ms * NS_PER_MS)


def cover(stream: Stream, from_ms: int, to_ms: int, verdict: Cover, offset: int = 0) -> Interval:
    return Interval(stream, from_ms * NS_PER_MS, to_ms * NS_PER_MS, verdict, offset)


CONTROL = "the-control-token"


class SwitchInMemory:
    """A kill switch without a disk."""

    def __init__(self) -> None:
        self.state = initial(True)

    def set(self, to: Trading, reason: str, who: str) -> SwitchState:
        self.state = SwitchState(to, checked(reason), who, 1, self.state.number + 1)
        return self.state


def ask_route(call: Caller, route: AnyRoute, **headers: str) -> Answer:
    """Ask a route with the least that it wants."""
    query = {"/coverage": {"coin": "BTC"}, "/halt": {"reason": "a test"}, "/arm": {"reason": "a test"}}
    return call(route.path, query.get(route.path, ()), method=route.method, **headers)


def caller_of(
    store: Store, *, token: str = "", control_token: str = "", progress: Progress | None = None, **more: Any
) -> Caller:
    reported: list[tuple[str, str, BaseException]] = []
    sources = Sources(
        store.reader,
        progress or Progress(started_ns=NOW_NS),
        FixedClock(),
        CountingIds(),
        report=lambda *told: reported.append(told),
        **more,
    )
    switch = SwitchInMemory()
    sources.switch, sources.set_switch = lambda: switch.state, switch.set
    return Caller(Api(sources, token=token, control_token=control_token), reported)


def filled_store() -> MemoryStore:
    """30 trades of three instruments (ten share each millisecond), candles, and every kind of doubt."""
    store = MemoryStore()
    gap = Gap(
        BTC, (T0_MS + 10) * NS_PER_MS, (T0_MS + 20) * NS_PER_MS, 7, GapKind.SUSPECTED, "no overlap", GapState.OPEN,
        -1, -1, -1, (T0_MS + 30) * NS_PER_MS,
    )  # fmt: skip
    closed = Gap(
        ETH, (T0_MS + 40) * NS_PER_MS, (T0_MS + 41) * NS_PER_MS, 8, GapKind.PROVED, "a cut", GapState.CLOSED,
        3, 5, 7, (T0_MS + 50) * NS_PER_MS,
    )  # fmt: skip
    store.apply(
        Batch(
            0,
            9,
            streams=[BTC, ETH, PURR, BARS, BARS_1H, CONTEXTS, VAULTS, MIDS],
            events=[context(T0_MS), vaults(T0_MS)],
            mids=[Mid(MIDS, T0_MS * NS_PER_MS, 6, Decimal("105.50"))],
            trades=[
                trade(stream, T0_MS + step, 1_000 * step + index)
                for step in range(3)
                for index, stream in enumerate([BTC, ETH, PURR, *[BTC] * 7])
            ],
            candles=[candle(BARS, T0_MS + 300_000 * n) for n in range(4)] + [candle(BARS_1H, T0_MS)],
            gaps=[gap, closed],
            seams=[Seam(BTC, 3, 2, Verdict.LOSSLESS, "overlap", 4, T0_MS * NS_PER_MS, T0_MS * NS_PER_MS, 0)],
            quarantined=[
                Quarantined(4, 0, "hyperliquid", "ws", "not_json", "", '=1+"2', 0, b'\xff{"px": "NaN"'),
            ],
            cover_put=[
                cover(BTC, T0_MS, T0_MS + 10, Cover.OBSERVED, 1),
                cover(BTC, T0_MS + 10, T0_MS + 20, Cover.SUSPECTED, 7),
                cover(BTC, T0_MS + 20, T0_MS + 100, Cover.OBSERVED, 8),
                cover(BTC, T0_MS + 150, T0_MS + 200, Cover.BACKFILLED, 8),
                cover(BTC, T0_MS + 200, T0_MS + 300, Cover.CONFIRMED_EMPTY, 8),
            ],
            counts={"frames": 9},
        )
    )
    return store
