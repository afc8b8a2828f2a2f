"""The simulated venue live, seen by a real client on a real socket: one promise per trait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from everytick.errors import Refused, Retryable
from everytick.sim.hyperliquid import HyperliquidSim, VenueTraits, WsLimits
from everytick.sim.hyperliquid.poison import KINDS, UNREADABLE
from everytick.sim.market import MarketTraits
from tests.sim.client import Client, ask, connect, running

# Blocks come faster than the real ones, so that a test sees many in little time.
BUSY = MarketTraits(coins=("BTC", "WLFI"), trades_per_s=1500.0, block_ms=(12, 36))


def play(work: Callable[[HyperliquidSim], Awaitable[None]], traits: VenueTraits | None = None, seed: int = 1) -> None:
    async def main() -> None:
        async with running(HyperliquidSim(traits, seed=seed, market=BUSY)) as sim:
            await work(sim)

    asyncio.run(main())


def keys(client: Client, coin: str) -> list[tuple[int, int]]:
    return [(t["time"], t["tid"]) for t in client.trades(coin)]


def test_what_a_client_gets_is_what_the_ledger_says_was_sent() -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("trades", "BTC")
        client.subscribe("trades", "WLFI")
        await client.until(lambda m: len(m) > 40)
        await sim.quiesce()
        await sim.finished()
        await client.until(lambda _: all(len(set(keys(client, c))) >= sim.ledger.sent_count(c) for c in BUSY.coins))
        for coin in BUSY.coins:
            got = {(t["time"], t["tid"]): (t["px"], t["sz"], t["side"]) for t in client.trades(coin)}
            sent = {k: (px, sz, "B" if side == "buy" else "A") for k, (px, sz, side) in sim.ledger.sent[coin].items()}
            assert got == sent
            assert not sim.ledger.unseen.get(coin)
            assert sim.ledger.frames["trades", coin] == len(client.of("trades", coin))

    play(work)


def test_a_trades_subscribe_is_acked_then_answered_with_the_thirty_newest_without_a_flag() -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("trades", "BTC")
        await client.until_count("trades", 2)
        acked, replay = client.messages[0], client.messages[1]
        assert acked == (
            b'{"channel":"subscriptionResponse","data":{"method":"subscribe",'
            b'"subscription":{"type":"trades","coin":"BTC"}}}'
        )
        data = msgspec.json.decode(replay)
        assert data.keys() == {"channel", "data"}
        assert len(data["data"]) == 30
        times = [t["time"] for t in data["data"]]
        assert times == sorted(times)
        first = data["data"][0]
        assert list(first) == ["coin", "side", "px", "sz", "time", "hash", "tid", "users"]
        assert (len(first["hash"]), [len(user) for user in first["users"]]) == (66, [42, 42])

    play(work)


def test_a_partial_replay_is_followed_by_its_whole_last_block() -> None:
    async def work(sim: HyperliquidSim) -> None:
        for _ in range(60):  # until a subscribe falls on a block of more than one trade
            client = await connect(sim)
            client.subscribe("trades", "BTC")
            replay, after = (await client.until_count("trades", 2))[:2]
            client.socket.close()
            block = {t["time"] for t in after}
            if replay[-1]["time"] in block:
                assert block == {replay[-1]["time"]}
                cut = [t for t in replay if t["time"] in block]
                assert len(after) > len(cut)
                assert after[: len(cut)] == cut or len(cut) == 30
                return
        raise AssertionError("no replay was cut inside a block")

    play(work, VenueTraits(partial_replay_share=1.0))


def test_frames_carry_several_blocks_and_never_part_of_one() -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("trades", "BTC")
        frames = (await client.until_count("trades", 12))[1:]
        times = [{t["time"] for t in frame} for frame in frames]
        assert max(map(len, times)) > 1
        assert sum(map(len, times)) == len(set().union(*times))

    play(work, VenueTraits(multi_block_share=0.6))


def test_every_channel_speaks_in_the_venues_shape() -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("candle", "BTC", interval="1m")
        for kind in ("bbo", "l2Book", "activeAssetCtx"):
            client.subscribe(kind, "BTC")
        client.subscribe("allMids")
        for channel in ("candle", "bbo", "l2Book", "activeAssetCtx", "allMids"):
            await client.until_count(channel, 2)
        candle = client.of("candle")[-1]
        assert list(candle) == ["t", "T", "s", "i", "o", "c", "h", "l", "v", "n"]
        assert (candle["T"] - candle["t"], candle["s"], candle["i"]) == (59_999, "BTC", "1m")
        assert list(client.of("bbo")[-1]) == ["coin", "time", "bbo"]
        book = client.of("l2Book")[-1]
        assert [len(side) for side in book["levels"]] == [20, 20]
        assert list(book["levels"][0][0]) == ["px", "sz", "n"]
        assert set(client.of("allMids")[-1]["mids"]) == set(BUSY.coins)
        assert {"openInterest", "funding", "markPx", "midPx"} <= set(client.of("activeAssetCtx")[-1]["ctx"])

    play(work, VenueTraits(book_every_s=0.05, mids_every_s=0.05, context_every_s=0.05, candle_every_s=0.05))


def test_an_empty_book_is_sent_as_two_empty_sides() -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("l2Book", "BTC")
        assert (await client.until_count("l2Book", 2))[1]["levels"] == [[], []]

    play(work, VenueTraits(empty_book_share=1.0, book_every_s=0.02))


@pytest.mark.parametrize("normalised", [True, False])
def test_the_echo_of_a_book_subscription_is_the_venues_own_spelling(normalised: bool) -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("l2Book", "BTC")
        (echo,) = await client.until_count("subscriptionResponse")
        full = {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None, "fast": False}
        assert echo["subscription"] == (full if normalised else {"type": "l2Book", "coin": "BTC"})

    play(work, VenueTraits(echo_normalised=normalised))


def test_greeting_pong_errors_and_unsubscribe_leave_the_connection_open() -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("bbo", "BTC")
        client.subscribe("bbo", "BTC")
        client.socket.send(b'{"method":"subscribe","subscription":')
        client.subscribe("trades", "NOSUCH")
        client.subscribe("candle", "BTC", interval="7m")
        client.say(method="unsubscribe", subscription={"type": "bbo", "coin": "BTC"})
        client.say(method="unsubscribe", subscription={"type": "bbo", "coin": "BTC"})
        client.say(method="ping")
        await client.until(lambda messages: b'{"channel":"pong"}' in messages)
        assert client.messages[0] == b"Websocket connection established."
        errors = client.of("error")
        assert errors[0] == 'Already subscribed: {"type":"bbo","coin":"BTC"}'
        assert errors[1].startswith("Error parsing JSON into valid websocket request: {")
        assert any("NOSUCH" in text for text in errors)
        assert any("7m" in text for text in errors)
        assert errors[-1].startswith("Already unsubscribed")
        assert [ack["method"] for ack in client.of("subscriptionResponse")] == ["subscribe", "unsubscribe"]

    play(work, VenueTraits(greeting="Websocket connection established."))


def test_an_ack_may_come_after_the_data() -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("trades", "BTC")
        await client.until_count("subscriptionResponse")
        assert client.messages[0].startswith(b'{"channel":"trades"')

    play(work, VenueTraits(ack_after_data=True))


def test_a_connection_on_which_the_venue_sent_nothing_is_closed_and_a_ping_keeps_it() -> None:
    async def work(sim: HyperliquidSim) -> None:
        silent, pinging = await connect(sim), await connect(sim)
        ended = asyncio.ensure_future(silent.socket.closed())
        while not ended.done():
            pinging.say(method="ping")
            await asyncio.sleep(0.05)
        assert (ended.result().cause, ended.result().code, ended.result().detail) == ("closed", 1000, "Inactive")
        count = len(pinging.messages)
        pinging.say(method="ping")
        await pinging.until(lambda messages: len(messages) > count)

    play(work, VenueTraits(idle_close_s=0.4))


@pytest.mark.parametrize(("code", "cause"), [(1000, "closed"), (1012, "closed"), (1006, "cut"), (0, "cut")])
def test_a_cut_on_request_has_its_code_and_everything_sent_before_arrives_in_order(code: int, cause: str) -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("trades", "BTC")
        await client.until_count("trades", 3)
        await sim.cut("a test", code=code)
        end = await client.socket.closed()
        assert (end.cause, end.code) == (cause, code if cause == "closed" else 0)
        assert sim.connection_count == 0
        assert sim.ledger.cuts[-1].cause == "a test"
        if cause == "closed":
            assert set(keys(client, "BTC")) == set(sim.ledger.sent["BTC"])

    play(work)


def test_a_mute_line_stays_open_and_hears_nothing_while_new_ones_are_served() -> None:
    async def work(sim: HyperliquidSim) -> None:
        mute = await connect(sim)
        mute.subscribe("trades", "BTC")
        await mute.until_count("trades", 2)
        sim.mute()
        mute.say(method="ping")
        fresh = await connect(sim)
        fresh.subscribe("trades", "BTC")
        await fresh.until_count("trades", 4)
        heard = len(mute.messages)
        await fresh.until_count("trades", 8)
        assert len(mute.messages) == heard
        assert b'{"channel":"pong"}' not in mute.messages
        assert set(keys(fresh, "BTC")) <= set(sim.ledger.sent["BTC"])

    play(work)


def outages(long: bool) -> tuple[int, int]:
    """How many reconnects overlapped with what was held, and how many did not."""
    counts = [0, 0]
    refusals: list[str] = []

    async def work(sim: HyperliquidSim) -> None:
        held: set[tuple[int, int]] = set()
        while sum(counts) < 3:
            try:
                client = await connect(sim)
            except Retryable as error:
                refusals.append(str(error))
                await asyncio.sleep(0.01)
                continue
            client.subscribe("trades", "BTC")
            await client.until_count("trades", 1)
            if held:
                counts[0 if held & set(keys(client, "BTC")[:30]) else 1] += 1
            await client.socket.closed()
            held.update(keys(client, "BTC"))
        # Whatever reached nobody is known to the ledger, and only that.
        assert bool(sim.ledger.unseen.get("BTC")) == long
        assert not sim.ledger.unseen.get("BTC", {}).keys() & sim.ledger.sent["BTC"].keys()

    quiet = MarketTraits(coins=("BTC",), trades_per_s=400.0 if long else 20.0, burst_share=0.0)
    traits = VenueTraits(
        outage_every_s=0.3,
        outage_long_share=float(long),
        outage_short_s=(0.01, 0.05),
        outage_long_s=(0.4, 0.5),
        close_codes=(1000, 1001),
    )

    async def main() -> None:
        async with running(HyperliquidSim(traits, seed=4, market=quiet)) as sim:
            await work(sim)

    asyncio.run(main())
    assert all("503" in refusal for refusal in refusals)
    return counts[0], counts[1]


def test_a_short_outage_is_bridged_by_the_replay() -> None:
    assert outages(long=False) == (3, 0)


def test_a_long_busy_outage_leaves_a_gap_that_the_ledger_knows() -> None:
    assert outages(long=True) == (0, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_poison_is_sent_on_request_and_never_counts_as_sent(kind: str) -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim, message_bytes_max=100_000)
        client.subscribe("trades", "BTC")
        await client.until_count("trades", 2)
        await sim.poison(kind, "BTC", huge_bytes=200_000)
        (poison,) = sim.ledger.poison
        assert poison.kind == kind
        if kind.startswith("huge"):
            end = await client.socket.closed()
            assert (end.cause, end.code) == ("cut", 1009)
        else:
            await client.until(lambda messages: any(m.startswith(poison.excerpt) for m in messages))
            if kind not in UNREADABLE:
                (message,) = [m for m in client.messages if m.startswith(poison.excerpt)]
                tids = [trade["tid"] for trade in msgspec.json.decode(message)["data"] if "tid" in trade]
                sent = {tid for _, tid in sim.ledger.sent["BTC"]}
                assert {tids[0], tids[-1]} <= sent, "the good neighbours count"
                assert not set(tids[1:-1]) & sent, "the bad one does not"

    play(work)


def test_poison_of_no_known_kind_is_refused_with_the_kinds_there_are() -> None:
    async def work(sim: HyperliquidSim) -> None:
        with pytest.raises(Refused, match="broken_json"):
            await sim.poison("arsenic")

    play(work)


def test_limits_of_the_venue_refuse_what_is_beyond_them() -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("bbo", "BTC")
        client.subscribe("bbo", "WLFI")
        await client.until_count("error")
        other = await connect(sim)
        with pytest.raises(Retryable, match="429"):
            await connect(sim)
        for _ in range(6):
            other.say(method="ping")
        assert (await other.socket.closed()).code == 1008

    limits = WsLimits(connections_max=2, connects_per_minute=30, subscriptions_max=1, messages_per_minute=5)
    play(work, VenueTraits(ws_limits=limits))


def test_info_answers_agree_with_what_was_sent() -> None:
    async def work(sim: HyperliquidSim) -> None:
        client = await connect(sim)
        client.subscribe("trades", "BTC")
        await client.until_count("trades", 5)
        await sim.quiesce()
        await client.until(lambda _: len(set(keys(client, "BTC"))) == sim.ledger.sent_count("BTC"))

        async def get(**body: object) -> object:
            return msgspec.json.decode((await ask(sim, body)).body)

        assert await get(type="recentTrades", coin="BTC") == client.trades("BTC")[-1:-11:-1]
        wish = {"coin": "BTC", "interval": "1h", "startTime": 0, "endTime": 2**50}
        candles = await get(type="candleSnapshot", req=wish)
        assert isinstance(candles, list)
        assert candles[-1]["c"] == client.trades("BTC")[-1]["px"]
        meta, contexts = await get(type="metaAndAssetCtxs")  # JSON
        assert meta == await get(type="meta")
        assert [coin["name"] for coin in meta["universe"]] == list(BUSY.coins)
        mids = await get(type="allMids")
        assert isinstance(mids, dict)
        assert [context["midPx"] for context in contexts] == [mids[coin] for coin in BUSY.coins]
        book = await get(type="l2Book", coin="BTC")
        assert isinstance(book, dict)
        assert [len(side) for side in book["levels"]] == [20, 20]
        assert await get(type="exchangeStatus") == {"time": book["time"], "specialStatuses": None}
        for bad in ({"type": "nope"}, {"type": "l2Book", "coin": "NOSUCH"}, {"no": 1}, []):
            assert (await ask(sim, bad)).status == 422

    play(work)


def test_info_refuses_by_share_and_by_budget() -> None:
    async def all_429(sim: HyperliquidSim) -> None:
        assert (await ask(sim, {"type": "meta"})).status == 429

    async def all_422(sim: HyperliquidSim) -> None:
        assert (await ask(sim, {"type": "meta"})).status == 422

    async def budget(sim: HyperliquidSim) -> None:
        statuses = [(await ask(sim, {"type": kind})).status for kind in ("meta", "meta", "allMids", "allMids")]
        assert statuses == [200, 200, 200, 429]

    async def slow(sim: HyperliquidSim) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(sim, {"type": "meta"}), 0.2)

    play(all_429, VenueTraits(info_429_share=1.0))
    play(all_422, VenueTraits(info_422_share=1.0))
    play(budget, VenueTraits(info_weight_per_minute=42))
    play(slow, VenueTraits(info_slow_share=1.0, info_slow_s=60))


def test_a_dead_part_of_the_venue_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        sim = HyperliquidSim(seed=1)
        await sim.start()

        def broken(_: int) -> None:
            raise ZeroDivisionError("the feed is broken")

        monkeypatch.setattr(sim._feed, "pass_time", broken)
        with pytest.raises(ZeroDivisionError):
            await sim.finished()
        with pytest.raises(ZeroDivisionError):
            await sim.stop()

    asyncio.run(main())
