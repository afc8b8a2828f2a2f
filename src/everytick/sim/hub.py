"""Who is connected and who wants what; every message is encoded once and put to all who want it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from everytick.ports import Clock
from everytick.sim.framing import websocket_frame
from everytick.sim.oracle import Ledger
from everytick.sim.prints import Print

Key = tuple[str, str, str]  # what one subscribes to: channel, instrument, interval ("" where there is none)

NO_CODE = 0  # end the line without a close message
NEVER_SENT_CODES = (1005, 1006)  # these only describe a line that ended without a word
DRAIN_POLL_S = 0.001
CLOSE_WAIT_S = 2.0


class Connection:
    """One client. Messages gather in `_out` and leave in one write at `flush`."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport, mono_ns: int) -> None:
        self.ws = ws
        self.subscriptions: set[Key] = set()
        self.is_mute = False
        self.last_sent_ns = mono_ns
        self.messages_received: list[int] = []
        self._transport = transport
        self._out: list[bytes] = []
        self._out_bytes = 0

    def put(self, wire: bytes) -> None:
        """Queue bytes that are framed already. A mute line takes them and says nothing."""
        if not self.is_mute:
            self._out.append(wire)
            self._out_bytes += len(wire)

    def flush(self, mono_ns: int) -> None:
        """Write what has gathered."""
        if self._out:
            if not self._transport.is_closing():
                self._transport.write(b"".join(self._out))
                self.last_sent_ns = mono_ns
            self._out.clear()
            self._out_bytes = 0

    @property
    def backlog_bytes(self) -> int:
        """What the client has not taken yet."""
        return self._out_bytes + (0 if self._transport.is_closing() else self._transport.get_write_buffer_size())

    @property
    def is_gone(self) -> bool:
        """Nothing more can be sent."""
        return self.ws.closed or self._transport.is_closing()

    async def end(self, code: int, reason: str) -> None:
        """Close with this code, everything written before; without a word where the code says so."""
        if code == NO_CODE or code in NEVER_SENT_CODES:
            self._transport.abort()
            return
        try:
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self.ws.close(code=code, message=reason.encode())
        except TimeoutError:
            self._transport.abort()


class Hub:
    """All connections of a venue."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self.clock = clock
        self.ledger = ledger
        self.connections: set[Connection] = set()
        self._wanted: dict[Key, set[Connection]] = {}
        self._changed = asyncio.Event()

    def join(self, connection: Connection) -> None:
        """A client is there."""
        self.connections.add(connection)
        self._changed.set()

    def leave(self, connection: Connection) -> None:
        """A client is gone; safe to say twice."""
        self.connections.discard(connection)
        for key in connection.subscriptions:
            self._wanted.get(key, set()).discard(connection)
        connection.subscriptions = set()
        self._changed.set()

    def subscribe(self, connection: Connection, key: Key) -> None:
        """From now on this client gets what it wants."""
        connection.subscriptions.add(key)
        self._wanted.setdefault(key, set()).add(connection)
        self._changed.set()

    def unsubscribe(self, connection: Connection, key: Key) -> None:
        """From now on it does not."""
        connection.subscriptions.discard(key)
        self._wanted[key].discard(connection)

    def subscribers(self, key: Key) -> set[Connection]:
        """Clients that want it and can still be told; a mute line hears nothing."""
        found = self._wanted.get(key)
        if not found:
            return set()
        return {connection for connection in found if not connection.is_gone and not connection.is_mute}

    def wanted(self, channel: str) -> list[Key]:
        """Everything of this channel that anybody wants."""
        return [key for key, who in self._wanted.items() if key[0] == channel and who]

    def publish(self, key: Key, message: bytes, trades: Sequence[Print] = ()) -> bool:
        """Put one message to all who want it, and in the ledger; whether anybody will see it."""
        heard = self.subscribers(key)
        if not heard:
            return False
        wire = websocket_frame(message)
        for connection in heard:
            connection.put(wire)
        self.ledger.frames[key[0], key[1]] += 1
        if trades:
            self.ledger.emitted(key[1], trades)
        return True

    def tell(self, connection: Connection, message: bytes, *, channel: str = "", trades: Sequence[Print] = ()) -> None:
        """Put one message to one client, and its trades in the ledger."""
        connection.put(websocket_frame(message))
        if trades and not connection.is_mute:
            coin = trades[0].coin
            self.ledger.frames[channel, coin] += 1
            self.ledger.emitted(coin, trades)

    def flush(self) -> None:
        """Write everything that has gathered."""
        mono_ns = self.clock.mono_ns()
        for connection in self.connections:
            connection.flush(mono_ns)

    async def drain(self, bytes_max: int) -> None:
        """Wait until no client that is still there is further behind than that."""
        self.flush()
        await self.clock.sleep(0)
        while any(not c.is_gone and not c.is_mute and c.backlog_bytes > bytes_max for c in self.connections):
            await self.clock.sleep(DRAIN_POLL_S)

    async def until_wanted(self, key: Key) -> None:
        """Wait until somebody wants it."""
        while not self.subscribers(key):
            self._changed.clear()
            await self._changed.wait()

    async def until_connected(self) -> None:
        """Wait until somebody is there."""
        while not any(not connection.is_gone for connection in self.connections):
            self._changed.clear()
            await self._changed.wait()

    async def cut(self, code: int, reason: str) -> None:
        """End every connection, and return when all are gone."""
        self.flush()
        leaving = list(self.connections)
        await asyncio.gather(*(connection.end(code, reason) for connection in leaving))
        for connection in leaving:
            self.leave(connection)
