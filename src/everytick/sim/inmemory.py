"""The simulated venues without sockets: the same markets, ledgers and conversations, message by message.

A venue here is on the other side of a simulated network (`sim.network`): it hears what a client says, puts messages to
whoever wants them, and answers questions. What it does wrong is the network's business, or asked of it by a fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import parse_qsl

import msgspec

from everytick.model.units import NS_PER_MS
from everytick.ports import Clock
from everytick.sim.binance import messages as binance_messages
from everytick.sim.binance import rest as binance_rest
from everytick.sim.binance.live import LiveFeed as BinanceFeed
from everytick.sim.binance.server import BinanceSim
from everytick.sim.binance.traits import BinanceTraits
from everytick.sim.hub import Connection, Hub, Key
from everytick.sim.hyperliquid import info
from everytick.sim.hyperliquid.live import LiveFeed as HyperliquidFeed
from everytick.sim.hyperliquid.poison import KINDS, UNREADABLE, poison_message
from everytick.sim.hyperliquid.server import HyperliquidSim
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import Block, Market, MarketTraits
from everytick.sim.oracle import Ledger, Poison
from everytick.sim.prints import Print, trades_frame
from everytick.sim.swarm import Swarm

WARM_UP_MS = 600_000
Happened = Callable[[str, int], None]  # a coin traded, at this venue time in ms


class MemoryConnection(Connection):
    """One client. `deliver` takes what has gathered to the network."""

    def __init__(self, number: int, deliver: Callable[[list[bytes]], None]) -> None:
        self.number = number
        self.subscriptions: set[Key] = set()
        self.is_mute = False
        self.last_sent_ns = 0
        self.messages_received: list[int] = []
        self.has_left = False
        self._deliver = deliver
        self._out: list[bytes] = []
        self._out_bytes = 0

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other

    def flush(self, mono_ns: int) -> None:
        """Hand over what has gathered."""
        if self._out:
            out, self._out = self._out, []
            self.last_sent_ns = mono_ns
            self._deliver(out)

    @property
    def backlog_bytes(self) -> int:
        """Nothing waits here."""
        return 0

    @property
    def is_gone(self) -> bool:
        """Whether the client has left."""
        return self.has_left

    async def end(self, code: int, reason: str) -> None:
        """The network ends connections."""


class MemoryHub(Hub):
    """Who is connected and who wants what; messages go unframed. What is sent on a stream that stalls waits."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        super().__init__(clock, ledger)
        self._stalled: dict[Key, list[tuple[Connection, bytes]]] = {}

    def stall(self, key: Key) -> None:
        """From now on this stream says nothing, while the others flow."""
        self._stalled.setdefault(key, [])

    def is_stalled(self, key: Key) -> bool:
        """Whether the stream says nothing now."""
        return key in self._stalled

    def flow(self, key: Key) -> None:
        """It speaks again, and what has waited comes first."""
        for connection, message in self._stalled.pop(key, ()):
            if not connection.is_gone:
                connection.put(message)

    def flow_all(self) -> None:
        """Nothing stalls."""
        for key in list(self._stalled):
            self.flow(key)

    def publish(self, key: Key, message: bytes, trades: Sequence[Print] = ()) -> bool:
        """Put one message to all who want it, and in the ledger; whether anybody will see it."""
        heard = self.subscribers(key)
        waiting = self._stalled.get(key)
        for connection in heard:
            if waiting is None:
                connection.put(message)
            else:
                waiting.append((connection, message))
        if heard and trades:
            self.ledger.emitted(key[1], trades)
        return bool(heard)

    def tell(self, connection: Connection, message: bytes, *, channel: str = "", trades: Sequence[Print] = ()) -> None:
        """Put one message to one client, and its trades in the ledger."""
        waiting = self._stalled.get((channel, trades[0].coin, "")) if trades else None
        if waiting is None:
            connection.put(message)
        else:
            waiting.append((connection, message))
        if trades:
            self.ledger.emitted(trades[0].coin, trades)


class TruthMarket(Market):
    """A market that tells when anything trades."""

    happened: Happened = staticmethod(lambda coin, time_ms: None)

    def advance(self, until_ms: int) -> list[Block]:
        """Let time pass."""
        blocks = super().advance(until_ms)
        for block in blocks:
            for coin in block.trades:
                self.happened(coin, block.time_ms)
        return blocks


class MemoryVenue(Protocol):
    """What the network and the faults need of a venue."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def hub(self) -> MemoryHub: ...

    @property
    def market(self) -> TruthMarket: ...

    def turn(self) -> None:
        """Everything that is due by now."""
        ...

    def hear(self, connection: MemoryConnection, message: bytes) -> None:
        """Act on one client message."""
        ...

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The answer to one request: status and body."""
        ...

    def spoil(self, dice: random.Random, *, knows_time: bool) -> bool:
        """Send one message that must not be stored; whether anybody listens. A client whose clock is wrong cannot
        tell a wrong time."""
        ...

    def last_words(self) -> None:
        """One more trade of each instrument, so that every loss before it can show; then no more."""
        ...


class MemoryHyperliquid(HyperliquidSim):
    """Hyperliquid in memory."""

    def __init__(self, traits: VenueTraits, market: MarketTraits, clock: Clock, seed: int, happened: Happened) -> None:
        super().__init__(traits, clock=clock, seed=seed, market=market)
        self.hub = MemoryHub(clock, self.ledger)
        self._hub = self.hub
        start_ms = clock.wall_ns() // NS_PER_MS
        self.market = TruthMarket(market, seed, start_ms - WARM_UP_MS)
        self.market.advance(start_ms)
        self.market.happened = happened
        self._feed = self._live = HyperliquidFeed(self.hub, self.market, traits, seed, 1.0)
        self._began_ms, self._began_ns = start_ms, clock.mono_ns()
        self._prods = random.Random(f"{seed}/prods")

    def turn(self) -> None:
        """Trade up to now, and send what is due."""
        now_ns = self._clock.mono_ns()
        self._live.pass_time(self._began_ms + (now_ns - self._began_ns) // NS_PER_MS)
        self._live.publish_states(now_ns)
        self.hub.flush()

    def hear(self, connection: MemoryConnection, message: bytes) -> None:
        """Act on one client message."""
        self._hear(self._live, connection, message)
        self.hub.flush()

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """POST /info."""
        try:
            ask = info.read_question(body)
        except msgspec.MsgspecError:
            return 422, b"Failed to deserialize the JSON body into the target type"
        found = info.respond(ask.type, ask.coin, ask.req, self._live.views, self._live.now_ms)
        return (422, b"no such thing") if found is None else (200, found)

    def spoil(self, dice: random.Random, *, knows_time: bool) -> bool:
        """A message of a bad kind, with good new neighbours where it can be read."""
        kind = dice.choice([kind for kind in KINDS if "huge" not in kind and (knows_time or kind != "time_8h_ahead")])
        for view in self._live.views.values():
            key = ("trades", view.coin, "")
            heard = self.hub.subscribers(key)
            if not heard or not view.recent or self.hub.is_stalled(key):
                continue
            last = view.recent[-1]
            salt = dice.getrandbits(40) << 4
            bad, *good = (msgspec.structs.replace(last, tid=(last.tid ^ salt) & ~3 | n) for n in range(3))
            message = poison_message(kind, bad, tuple(good))
            for connection in heard:
                connection.put(message)
            if kind not in UNREADABLE:
                for trade in good:
                    view.observe(trade)
                self.ledger.emitted(view.coin, good)
            self.ledger.poison.append(Poison(kind, message[:200], len(message)))
            return True
        return False

    def last_words(self) -> None:
        """One more trade of each coin."""
        self.turn()
        self._live.let_go()
        for coin in self.market.coins.values():
            trades = coin.trade(self._prods, self.market.time_ms, 1)
            if not self.hub.publish(("trades", coin.coin, ""), trades_frame(trades), trades):
                self.ledger.missed(coin.coin, trades)
        self.hub.flush()


class MemoryBinance(BinanceSim):
    """Binance in memory."""

    def __init__(
        self, traits: BinanceTraits, market: MarketTraits, clock: Clock, seed: int, happened: Happened
    ) -> None:
        super().__init__(traits, clock=clock, seed=seed, market=market)
        self.hub = MemoryHub(clock, self.ledger)
        self._hub = self.hub
        start_ms = clock.wall_ns() // NS_PER_MS
        self.market = TruthMarket(self._market_traits, seed, start_ms - WARM_UP_MS)
        before = self.market.advance(start_ms)
        self.market.happened = happened
        self._feed = self._live = LossyFeed(self.hub, self.market, before, traits, seed, 1.0)
        self._rest = binance_rest.Rest(self._live, clock, traits, seed)
        self._began_ms, self._began_ns = start_ms, clock.mono_ns()
        self._prods = random.Random(f"{seed}/prods")

    @property
    def feed(self) -> LossyFeed:
        """What sends, and what it is to leave out."""
        return self._live

    def turn(self) -> None:
        """Trade up to now, and send what is due."""
        now_ns = self._clock.mono_ns()
        self._live.pass_time(self._began_ms + (now_ns - self._began_ns) // NS_PER_MS)
        self._live.publish_states(now_ns)
        self.hub.flush()

    def hear(self, connection: MemoryConnection, message: bytes) -> None:
        """Act on one client message."""
        self._hear(connection, message)
        self.hub.flush()

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """GET /api/v3/NAME?QUERY."""
        name, _, query = path.removeprefix("/api/v3/").partition("?")
        return self._rest.tell(name, dict(parse_qsl(query)))

    def spoil(self, dice: random.Random, *, knows_time: bool) -> bool:
        """A broken message, or a trade with a bad price beside its good copy."""
        for symbol, history in self._live.histories.items():
            key = ("trade", symbol, "")
            heard = self.hub.subscribers(key)
            if not heard or not history.trades or self.hub.is_stalled(key):
                continue
            last = history.trades[-1]
            bad = msgspec.structs.replace(last, px=dice.choice(("NaN", "-1", "1_000", "0", "１２")))
            message = binance_messages.event(key, binance_messages.trade(bad))
            if dice.random() < 0.4:
                message = message[: dice.randrange(8, len(message))]
            for connection in heard:
                connection.put(message)
            self.ledger.poison.append(Poison("binance", message[:200], len(message)))
            return True
        return False

    def last_words(self) -> None:
        """One more trade of each symbol, which nothing keeps back."""
        self._live.keep_back = self._live.leave_out = 0
        self.turn()
        for symbol, coin in self.market.coins.items():
            self._live.trade(symbol, coin.trade(self._prods, self.market.time_ms, 1))
        self.hub.flush()


class LossyFeed(BinanceFeed):
    """`keep_back` and `leave_out` are how many of the next trades are sent to nobody, or never were."""

    keep_back = 0
    leave_out = 0

    def trade(self, symbol: str, trades: Sequence[Print]) -> None:
        """These happen now."""
        self._trade(symbol, trades)

    def _trade(self, symbol: str, trades: Sequence[Print]) -> None:
        for trade in trades:
            if self.leave_out > 0:
                self.leave_out -= 1
                self._hub.ledger.never_were(symbol, (trade,))
            elif self.keep_back > 0 and self._hub.ledger.sent_count(symbol):
                self.keep_back -= 1
                self._happen(symbol, trade)
                self._hub.ledger.kept_back(symbol, (trade,))
            else:
                super()._trade(symbol, (trade,))


def venue_of(name: str, swarm: Swarm, clock: Clock, happened: Happened) -> MemoryVenue:
    """The venue of that name as a seed has chosen it. States are told seldom: they cost much and show little here."""
    if name == "hyperliquid":
        market = MarketTraits(swarm.coins, swarm.rates[0], swarm.block_ms)
        traits = VenueTraits(
            replay_trades=swarm.replay_trades,
            partial_replay_share=swarm.partial_replays,
            candle_every_s=5.0,
            context_every_s=30.0,
        )
        return MemoryHyperliquid(traits, market, clock, swarm.seed, happened)
    market = MarketTraits(swarm.symbols, swarm.rates[1], swarm.block_ms, dense_ids=True)
    return MemoryBinance(BinanceTraits(candle_every_s=5.0), market, clock, swarm.seed, happened)
