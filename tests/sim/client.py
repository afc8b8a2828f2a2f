"""A client on a real socket, for tests against the simulated venue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from everytick.host.http import HostHttp
from everytick.host.websocket import HostSocket, HostSockets
from everytick.ports import HttpAnswer
from everytick.sim.hyperliquid import HyperliquidSim

PATIENCE_S = 10.0


class Client:
    """Keeps every message it gets, and waits for what a test expects."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.socket: HostSocket
        self._news = asyncio.Event()

    def heard(self, messages: list[bytes]) -> None:
        for message in messages:
            self._heard(message)

    def _heard(self, message: bytes) -> None:
        self.messages.append(message)
        self._news.set()

    def say(self, **message: object) -> None:
        self.socket.send(msgspec.json.encode(message))

    def subscribe(self, kind: str, coin: str = "", **options: object) -> None:
        subscription = {"type": kind, **({"coin": coin} if coin else {}), **options}
        self.say(method="subscribe", subscription=subscription)

    async def until(self, enough: Callable[[list[bytes]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not enough(self.messages):
                self._news.clear()
                await self._news.wait()

    async def until_count(self, channel: str, count: int = 1) -> list[Any]:
        await self.until(lambda _: len(self.of(channel)) >= count)
        return self.of(channel)

    def of(self, channel: str, coin: str = "") -> list[Any]:
        start = f'{{"channel":"{channel}"'.encode()
        found = [msgspec.json.decode(m)["data"] for m in self.messages if m.startswith(start) and m != PONG]
        return [data for data in found if not coin or data[0]["coin"] == coin]

    def trades(self, coin: str) -> list[dict[str, Any]]:
        return [trade for frame in self.of("trades", coin) for trade in frame]


PONG = b'{"channel":"pong"}'


async def connect(sim: HyperliquidSim, *, message_bytes_max: int = 4_000_000) -> Client:
    client = Client()
    client.socket = await HostSockets().connect(
        sim.ws_url, client.heard, message_bytes_max=message_bytes_max, timeout_s=5
    )
    return client


@contextlib.asynccontextmanager
async def running(sim: HyperliquidSim) -> AsyncIterator[HyperliquidSim]:
    await sim.start()
    try:
        async with asyncio.timeout(30):
            yield sim
    finally:
        await sim.stop()


async def ask(sim: HyperliquidSim, body: object) -> HttpAnswer:
    http = HostHttp()
    try:
        return await http.ask(
            "POST", sim.info_url, msgspec.json.encode(body), {}, timeout_s=5, body_bytes_max=10_000_000
        )
    finally:
        await http.close()
