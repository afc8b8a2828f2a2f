"""The simulated venue: a real server on loopback, WebSocket on /stream and REST on /api/v3 of one port."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from aiohttp import WSMsgType, web

from everytick.errors import Refused
from everytick.host.clock import HostClock
from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.sim.binance import messages
from everytick.sim.binance.feed import Feed
from everytick.sim.binance.live import LiveFeed
from everytick.sim.binance.player import Player
from everytick.sim.binance.rest import Rest
from everytick.sim.binance.traits import BinanceTraits
from everytick.sim.framing import PING, PONG, control_frame, websocket_frame
from everytick.sim.hub import Connection, Hub, Key
from everytick.sim.market import Market, MarketTraits
from everytick.sim.oracle import Cut, Ledger
from everytick.sim.recordings import Recording
from everytick.sim.tasks import Tasks
from everytick.sim.window import Window

CLIENT_MESSAGE_BYTES_MAX = 64 * 1024
WARM_UP_S_MAX, WARM_UP_TRADES_MAX = 300.0, 5_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
LOOK_S = 0.05
_client_message = msgspec.json.Decoder(messages.ClientMessage)


class _Manners:
    """What the venue keeps of one client: when it came, its pings, and how much it says."""

    def __init__(self, now_ns: int) -> None:
        self.since_ns = now_ns
        self.pinged_ns = now_ns
        self.ponged_ns = now_ns
        self.was_told = False
        self.said = Window(NS_PER_S)


class BinanceSim:
    """A venue that speaks Binance's bytes and remembers the truth it sent, kept back, and never had.

    LIVE by default: a seeded market, `speed` × wall time. PLAY when `recordings` are given: see `Player`. Everything
    random follows from `seed`, in streams of their own for the market, the losses, the outages and REST.
    """

    def __init__(
        self,
        traits: BinanceTraits | None = None,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        market: MarketTraits | None = None,
        recordings: Sequence[Recording] = (),
        speed: float = 1.0,
        start_ms: int | None = None,
    ) -> None:
        if speed < 0 or (speed == 0 and not recordings):
            raise Refused("a market needs a speed above 0", path="speed", value=speed, suggestion="1 is real time")
        self.traits = traits or BinanceTraits()
        self.ledger = Ledger()
        self._clock: Clock = clock or HostClock()
        self._seed = seed
        self._market_traits = msgspec.structs.replace(market or MarketTraits(coins=SYMBOLS), dense_ids=True)
        self._recordings = tuple(recordings)
        self._speed = speed
        self._start_ms = start_ms
        self._hub = Hub(self._clock, self.ledger)
        self._manners: dict[Connection, _Manners] = {}
        self._connects = Window(300 * NS_PER_S)
        self._feed: Feed | None = None
        self._tasks: Tasks | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve, and return the base address (`http://host:port`); `ws_url` is the other one. Raises OSError."""
        feed = self._make_feed()
        app = web.Application(client_max_size=CLIENT_MESSAGE_BYTES_MAX)
        app.router.add_get("/stream", self._serve_ws)
        app.router.add_get("/api/v3/{name}", Rest(feed, self._clock, self.traits, self._seed).answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._feed, self._runner, self._tasks = feed, runner, Tasks()
        self._tasks.start(self._run(feed, self._tasks), "the venue's feed")
        self._tasks.start(self._mind_connections(), "the venue's pings and cuts")
        self.url = f"http://{host}:{runner.addresses[0][1]}"
        return self.url

    @property
    def ws_url(self) -> str:
        """Where clients connect."""
        return self.url.replace("http://", "ws://", 1) + "/stream"

    @property
    def waiting_for(self) -> Key | None:
        """While playing: the stream that nobody has subscribed to yet."""
        return self._feed.waiting_for if isinstance(self._feed, Player) else None

    @property
    def connection_count(self) -> int:
        """Clients that are there."""
        return len(self._hub.connections)

    async def stop(self) -> None:
        """Close every connection and the server. Raises what the venue itself died of, if it did."""
        tasks, self._tasks = self._tasks, None
        runner, self._runner = self._runner, None
        try:
            if tasks is not None:
                await tasks.stop()
        finally:
            await self._hub.cut(1001, "the venue stops")
            if runner is not None:
                await runner.cleanup()

    async def finished(self) -> None:
        """Wait until everything there is to send has been sent (LIVE: until `quiesce`). Raises if the venue died."""
        if self._tasks is None:
            raise Refused("the venue is not started", suggestion="await start() first")
        await self._tasks.ended_shielded()

    async def quiesce(self) -> None:
        """Make no more news and send out what is held back: what the ledger says then stays true."""
        if self._feed is not None and self._tasks is not None:
            await self._feed.quiesce()
            if isinstance(self._feed, LiveFeed):
                self._tasks.finish()

    async def cut(self, cause: str = "cut on request", *, code: int = 1001) -> None:
        """End every connection now, in order: what was sent before arrives. `code` 0 ends without a word."""
        self.ledger.cuts.append(Cut(cause, self._feed.now_ms if self._feed else 0))
        await self._hub.cut(code, cause)

    def mute(self) -> None:
        """From now on the present connections stay open and hear nothing; new ones are served."""
        self._hub.flush()
        for connection in self._hub.connections:
            connection.is_mute = True

    def announce_shutdown(self) -> None:
        """Tell every client now that its server goes soon."""
        for connection in self._hub.connections:
            self._tell_shutdown(connection)
        self._hub.flush()

    def _make_feed(self) -> Feed:
        if self._recordings:
            return Player(self._hub, self._recordings, self.traits, self._speed, self._seed)
        start_ms = self._start_ms if self._start_ms is not None else self._clock.wall_ns() // 1_000_000
        traits = self._market_traits
        warm_up_ms = int(min(WARM_UP_S_MAX, WARM_UP_TRADES_MAX / max(traits.trades_per_s, 0.001)) * 1000)
        market = Market(traits, self._seed, start_ms - warm_up_ms)
        before = market.advance(start_ms)
        return LiveFeed(self._hub, market, before, self.traits, self._seed, self._speed)

    async def _run(self, feed: Feed, tasks: Tasks) -> None:
        await feed.run()
        tasks.finish()

    async def _mind_connections(self) -> None:
        while True:
            await self._clock.sleep(min(LOOK_S, self.traits.ping_every_s / 4))
            now_ns = self._clock.mono_ns()
            for connection, manners in list(self._manners.items()):
                await self._mind(connection, manners, now_ns)
            self._hub.flush()

    async def _mind(self, connection: Connection, manners: _Manners, now_ns: int) -> None:
        traits = self.traits
        age_s = (now_ns - manners.since_ns) / NS_PER_S
        if age_s >= traits.connection_life_s:
            self.ledger.cuts.append(Cut("a connection's life is over", self._feed.now_ms if self._feed else 0))
            await self._leave(connection, 1008, "the connection's life is over")
        elif (now_ns - manners.ponged_ns) / NS_PER_S >= traits.ping_every_s + traits.pong_within_s:
            await self._leave(connection, 1008, "Pong timeout")
        else:
            if age_s >= traits.connection_life_s - traits.shutdown_notice_s and not manners.was_told:
                self._tell_shutdown(connection)
            if (now_ns - manners.pinged_ns) / NS_PER_S >= traits.ping_every_s:
                manners.pinged_ns = now_ns
                connection.put(control_frame(PING, str(now_ns // NS_PER_S).encode()))

    def _tell_shutdown(self, connection: Connection) -> None:
        manners = self._manners.get(connection)
        if manners is not None and self._feed is not None:
            manners.was_told = True
            connection.put(websocket_frame(messages.shutdown(self._feed.now_ms)))

    async def _leave(self, connection: Connection, code: int, reason: str) -> None:
        self._hub.leave(connection)
        connection.flush(self._clock.mono_ns())
        await connection.end(code, reason)

    async def _serve_ws(self, request: web.Request) -> web.StreamResponse:
        feed, transport = self._feed, request.transport
        if feed is None or feed.is_refusing or transport is None:
            return web.Response(status=503, text="no connections now")
        now_ns = self._clock.mono_ns()
        if self._connects.add(now_ns) > self.traits.connects_per_five_minutes:
            return web.Response(status=429, text="too many connections", headers={"Retry-After": "300"})
        # Pings are answered here, since a pong is what a client must show.
        ws = web.WebSocketResponse(compress=False, max_msg_size=CLIENT_MESSAGE_BYTES_MAX, timeout=1.0, autoping=False)
        await ws.prepare(request)
        connection = Connection(ws, transport, now_ns)
        manners = self._manners[connection] = _Manners(now_ns)
        self._hub.join(connection)
        for name in request.query.get("streams", "").split("/"):
            if (key := messages.key_of(name)) is not None:
                self._hub.subscribe(connection, key)
        try:
            async for message in ws:
                now_ns = self._clock.mono_ns()
                if manners.said.add(now_ns) > self.traits.messages_per_s:
                    await ws.close(code=1008, message=b"Too many requests")
                    break
                if message.type is WSMsgType.PONG:
                    manners.ponged_ns = now_ns
                elif message.type is WSMsgType.PING:
                    connection.put(control_frame(PONG, message.data))
                elif message.type is WSMsgType.TEXT:
                    self._hear(connection, message.data.encode())
                self._hub.flush()
        finally:
            self._hub.leave(connection)
            del self._manners[connection]
        return ws

    def _hear(self, connection: Connection, text: bytes) -> None:
        """Act on one client message, as the venue would: a symbol that there is not is taken and never heard of."""
        try:
            said = _client_message.decode(text)
        except msgspec.ValidationError as problem:
            self._hub.tell(connection, messages.error(2, f"Invalid request: {problem}"))
            return
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._hub.tell(connection, messages.error(3, "Invalid JSON: expected value at line 1 column 1"))
            return
        keys = [messages.key_of(name) for name in said.params]
        if said.method == "LIST_SUBSCRIPTIONS":
            held = [messages.name_of(key) for key in sorted(connection.subscriptions)]
            self._hub.tell(connection, messages.answer(said.id, held))
        elif said.method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            text_ = f"Invalid request: unknown variant {said.method}, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, ..."
            self._hub.tell(connection, messages.error(2, text_, said.id))
        elif not keys or None in keys:
            self._hub.tell(connection, messages.error(2, "Invalid request: invalid stream", said.id))
        elif said.method == "SUBSCRIBE":
            new = {key for key in keys if key is not None} - connection.subscriptions
            if len(connection.subscriptions) + len(new) > self.traits.streams_max:
                self._hub.tell(connection, messages.error(2, "Invalid request: too many parameters", said.id))
                return
            self._hub.tell(connection, messages.answer(said.id, None))
            for key in sorted(new):
                self._hub.subscribe(connection, key)
        else:
            for key in {key for key in keys if key is not None} & connection.subscriptions:
                self._hub.unsubscribe(connection, key)
            self._hub.tell(connection, messages.answer(said.id, None))
