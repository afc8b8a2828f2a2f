"""The simulated venue: a real server on loopback, WebSocket on /ws and POST on /info of one port."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from aiohttp import WSMsgType, web

from everytick.errors import Refused
from everytick.host.clock import HostClock
from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.sim.coin import CoinView
from everytick.sim.framing import websocket_fragments, websocket_frame
from everytick.sim.hub import Connection, Hub, Key
from everytick.sim.hyperliquid import messages
from everytick.sim.hyperliquid.feed import Feed
from everytick.sim.hyperliquid.info import Info
from everytick.sim.hyperliquid.live import LiveFeed
from everytick.sim.hyperliquid.messages import ClientMessage, Subscription
from everytick.sim.hyperliquid.player import Player
from everytick.sim.hyperliquid.poison import HUGE_BYTES, KINDS, UNREADABLE, poison_message
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import Market, MarketTraits
from everytick.sim.oracle import Cut, Ledger, Poison
from everytick.sim.recordings import Recording
from everytick.sim.tasks import Tasks

WARM_UP_S_MAX, WARM_UP_TRADES_MAX = 300.0, 5_000
CLIENT_MESSAGE_BYTES_MAX = 64 * 1024
POISON_EXCERPT_BYTES = 200
_client_message = msgspec.json.Decoder(ClientMessage)
_subscription = msgspec.json.Decoder(Subscription)


class HyperliquidSim:
    """A venue that speaks Hyperliquid's bytes and remembers the truth it sent.

    LIVE by default: a seeded market, `speed` × wall time (venue times run ahead of the clock at speeds above
    1 unless `start_ms` lies far enough back). PLAY when `recordings` are given: see `Player`. Everything
    random follows from `seed`, in streams of their own for the market, the framing, the habits, the faults
    and /info, so that turning one on does not change the others.
    """

    def __init__(
        self,
        traits: VenueTraits | None = None,
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
        self.traits = traits or VenueTraits()
        self.ledger = Ledger()
        self._clock: Clock = clock or HostClock()
        self._seed = seed
        self._market_traits = market or MarketTraits()
        self._recordings = tuple(recordings)
        self._speed = speed
        self._start_ms = start_ms
        self._hub = Hub(self._clock, self.ledger)
        self._feed: Feed | None = None
        self._tasks: Tasks | None = None
        self._runner: web.AppRunner | None = None
        self._connects_ns: list[int] = []
        self.url = ""
        self.asked: Counter[str] = Counter()  # requests to /info by type, whatever came of them

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve, and return the base address (`http://host:port`); `ws_url` is the other one. Raises OSError."""
        feed = self._make_feed()
        app = web.Application(client_max_size=CLIENT_MESSAGE_BYTES_MAX)
        app.router.add_get("/ws", self._serve_ws)
        info = Info(feed, self._clock, self.traits, self._seed)
        self.asked = info.asked
        app.router.add_post("/info", info.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._feed, self._runner, self._tasks = feed, runner, Tasks()
        self._tasks.start(self._run(feed, self._tasks), "the venue's feed")
        self._tasks.start(self._close_idle(), "the venue's idle close")
        self.url = f"http://{host}:{runner.addresses[0][1]}"
        return self.url

    @property
    def ws_url(self) -> str:
        """Where clients connect."""
        return self.url.replace("http://", "ws://", 1) + "/ws"

    @property
    def info_url(self) -> str:
        """Where clients ask."""
        return self.url + "/info"

    @property
    def waiting_for(self) -> Key | None:
        """While playing: the channel, coin and interval that nobody has subscribed to yet."""
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

    async def poison(self, kind: str, coin: str = "", *, huge_bytes: int = HUGE_BYTES) -> None:
        """Send a message that must not be stored to whoever listens to the trades of `coin` (or of any).

        Where it can be read at all, two good new trades stand beside the bad one: the ledger counts them as
        sent. Refused: no such kind, or nobody listens yet.
        """
        if kind not in KINDS:
            raise Refused(f"{kind!r} is no kind of poison", path="kind", value=kind, suggestion=", ".join(KINDS))
        view = self._heard_view(coin)
        last = view.recent[-1]
        # Identities of their own: the bad one, stored, would be a trade that the ledger never sent.
        bad, *good = (msgspec.structs.replace(last, tid=last.tid ^ (1 << bit)) for bit in range(3))
        message = poison_message(kind, bad, tuple(good), huge_bytes)
        in_pieces = kind == "huge_in_fragments"
        wire = websocket_fragments(message, 64 * 1024) if in_pieces else websocket_frame(message)
        for connection in self._hub.subscribers(("trades", view.coin, "")):
            connection.put(wire)
        if kind not in UNREADABLE:
            for trade in good:
                view.observe(trade)
            self.ledger.emitted(view.coin, good)
        self.ledger.poison.append(Poison(kind, message[:POISON_EXCERPT_BYTES], len(message)))
        await self._hub.drain(self.traits.buffer_bytes_max)

    def _heard_view(self, coin: str) -> CoinView:
        views = self._feed.views if self._feed else {}
        for view in views.values():
            if coin in ("", view.coin) and view.recent and self._hub.subscribers(("trades", view.coin, "")):
                return view
        raise Refused("nobody listens to its trades yet", path="coin", value=coin, suggestion="subscribe first")

    def _make_feed(self) -> Feed:
        if self._recordings:
            return Player(self._hub, self._recordings, self.traits, self._speed)
        start_ms = self._start_ms if self._start_ms is not None else self._clock.wall_ns() // 1_000_000
        # The market has traded for a while before anybody comes: there is something to replay.
        traits = self._market_traits
        warm_up_ms = int(min(WARM_UP_S_MAX, WARM_UP_TRADES_MAX / max(traits.trades_per_s, 0.001)) * 1000)
        market = Market(traits, self._seed, start_ms - warm_up_ms)
        market.advance(start_ms)
        return LiveFeed(self._hub, market, self.traits, self._seed, self._speed)

    async def _run(self, feed: Feed, tasks: Tasks) -> None:
        await feed.run()
        tasks.finish()

    async def _close_idle(self) -> None:
        # The server closes a connection on which it has not sent anything for 60 s: the client pings for a pong.
        # hyperliquid.gitbook.io/hyperliquid-docs, websocket/timeouts-and-heartbeats, read 2026-11-20.
        limit_ns = int(self.traits.idle_close_s * NS_PER_S)
        while True:
            await self._clock.sleep(min(1.0, self.traits.idle_close_s / 8))
            now_ns = self._clock.mono_ns()
            for connection in list(self._hub.connections):
                if not connection.is_mute and now_ns - connection.last_sent_ns >= limit_ns:
                    self._hub.leave(connection)
                    await connection.end(1000, "Inactive")

    async def _serve_ws(self, request: web.Request) -> web.StreamResponse:
        feed, transport = self._feed, request.transport
        if feed is None or feed.is_refusing or transport is None:
            return web.Response(status=503, text="no connections now")
        if self._is_over_connect_limits():
            return web.Response(status=429, text="too many connections")
        ws = web.WebSocketResponse(compress=False, max_msg_size=CLIENT_MESSAGE_BYTES_MAX, timeout=1.0)
        await ws.prepare(request)
        connection = Connection(ws, transport, self._clock.mono_ns())
        self._hub.join(connection)
        if self.traits.greeting:
            self._hub.tell(connection, self.traits.greeting.encode())
            self._hub.flush()
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    if self._is_over_message_limit(connection):
                        await ws.close(code=1008, message=b"too many messages")
                        break
                    self._hear(feed, connection, message.data.encode())
                    self._hub.flush()
        finally:
            self._hub.leave(connection)
        return ws

    def _hear(self, feed: Feed, connection: Connection, text: bytes) -> None:
        """Act on one client message, as the venue would."""
        try:
            said = _client_message.decode(text)
            if said.method == "ping":
                self._hub.tell(connection, messages.PONG)
                return
            if said.method not in ("subscribe", "unsubscribe"):
                raise msgspec.ValidationError(said.method)
            wanted = _subscription.decode(said.subscription)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            problem = f"Error parsing JSON into valid websocket request: {text.decode(errors='replace')}"
            self._hub.tell(connection, messages.error(problem))
            return
        raw = bytes(said.subscription)
        if messages.problem_with(wanted, feed.views):
            self._hub.tell(connection, messages.error(f"Invalid subscription {raw.decode(errors='replace')}"))
        elif said.method == "subscribe":
            self._subscribe(feed, connection, wanted, raw)
        else:
            self._unsubscribe(connection, wanted, raw)

    def _subscribe(self, feed: Feed, connection: Connection, wanted: Subscription, raw: bytes) -> None:
        if wanted.key in connection.subscriptions:
            self._hub.tell(connection, messages.already_subscribed(wanted))
            return
        limits = self.traits.ws_limits
        if limits and sum(len(c.subscriptions) for c in self._hub.connections) >= limits.subscriptions_max:
            self._hub.tell(connection, messages.error("Cannot subscribe: too many subscriptions"))
            return
        ack = messages.ack("subscribe", wanted, raw, normalised=self.traits.echo_normalised)
        if not self.traits.ack_after_data:
            self._hub.tell(connection, ack)
        feed.subscribed(connection, wanted)
        if self.traits.ack_after_data:
            self._hub.tell(connection, ack)
        self._hub.subscribe(connection, wanted.key)

    def _unsubscribe(self, connection: Connection, wanted: Subscription, raw: bytes) -> None:
        if wanted.key not in connection.subscriptions:
            self._hub.tell(connection, messages.error(f"Already unsubscribed: {raw.decode(errors='replace')}"))
            return
        self._hub.unsubscribe(connection, wanted.key)
        self._hub.tell(connection, messages.ack("unsubscribe", wanted, raw, normalised=self.traits.echo_normalised))

    def _is_over_connect_limits(self) -> bool:
        limits = self.traits.ws_limits
        if limits is None:
            return False
        now_ns = self._clock.mono_ns()
        self._connects_ns = [at for at in self._connects_ns if now_ns - at < 60 * NS_PER_S]
        if len(self._hub.connections) >= limits.connections_max or len(self._connects_ns) >= limits.connects_per_minute:
            return True
        self._connects_ns.append(now_ns)
        return False

    def _is_over_message_limit(self, connection: Connection) -> bool:
        limits = self.traits.ws_limits
        if limits is None:
            return False
        now_ns = self._clock.mono_ns()
        connection.messages_received = [at for at in connection.messages_received if now_ns - at < 60 * NS_PER_S]
        connection.messages_received.append(now_ns)
        return len(connection.messages_received) > limits.messages_per_minute
