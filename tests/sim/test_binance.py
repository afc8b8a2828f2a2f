"""Each habit of the simulated Binance is seen by a real client on a real socket, and REST agrees with what was sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from everytick.host.http import HostHttp
from everytick.host.websocket import HostSockets
from everytick.model.control import Asked, reply_payload
from everytick.model.event import Answered, Candle, Trade
from everytick.model.frame import Frame, FrameKind, Source
from everytick.ports import HttpAnswer
from everytick.sim.binance import BinanceSim, BinanceTraits
from everytick.sim.binance.recordings import parse_message
from everytick.sim.market import MarketTraits
from everytick.sim.recordings import Recording
from everytick.venues import binance
from everytick.venues.protocol import Request
from tests.sim.client import Client

MARKET = MarketTraits(coins=("BTCUSDT", "ETHUSDT"), trades_per_s=400.0)


@contextlib.asynccontextmanager
async def running(sim: BinanceSim) -> AsyncIterator[BinanceSim]:
    await sim.start()
    try:
        async with asyncio.timeout(30):
            yield sim
    finally:
        await sim.stop()


async def connect(sim: BinanceSim) -> Client:
    client = Client()
    client.socket = await HostSockets().connect(sim.ws_url, client.heard, message_bytes_max=1_000_000, timeout_s=5)
    return client


async def ask(sim: BinanceSim, request: Request | str) -> HttpAnswer:
    path = request if isinstance(request, str) else request.path
    http = HostHttp()
    try:
        return await http.ask("GET", sim.url + path, b"", {}, timeout_s=5, body_bytes_max=10_000_000)
    finally:
        await http.close()


def parsed(client: Client) -> list[Any]:
    return [json.loads(message) for message in client.messages]


def events(client: Client, stream: str) -> list[Any]:
    return [message["data"] for message in parsed(client) if message.get("stream") == stream]


def decoded(request: Request, answer: HttpAnswer) -> list[Any]:
    payload = reply_payload(Asked(request.name, request.said, answer.status), answer.body)
    found = binance.decode(Frame(1, FrameKind.REPLY, Source("binance", "http", 0), 2**62, 0, payload))
    assert found.refusals == []
    return found.events


async def subscribed(sim: BinanceSim, *names: str) -> Client:
    client = await connect(sim)
    client.say(method="SUBSCRIBE", params=list(names), id=1)
    await client.until(lambda messages: bool(messages))
    assert client.messages[0] == b'{"result":null,"id":1}'
    return client


def test_subscribing_listing_and_leaving_are_answered_by_their_ids() -> None:
    async def scene() -> None:
        async with running(BinanceSim(market=MARKET)) as sim:
            client = await subscribed(sim, "btcusdt@bookTicker", "btcusdt@trade")
            client.say(method="LIST_SUBSCRIPTIONS", id=2)
            client.say(method="UNSUBSCRIBE", params=["btcusdt@trade"], id="three")
            client.say(method="SING", id=4)
            await client.until(lambda _: any(message.get("id") == 4 for message in parsed(client)))
            answers = {message["id"]: message for message in parsed(client) if "id" in message}
            assert answers[2]["result"] == ["btcusdt@bookTicker", "btcusdt@trade"]
            assert answers["three"] == {"result": None, "id": "three"}
            assert answers[4]["code"] == 2
            client.socket.send(b"{")
            await client.until(lambda _: any(message.get("code") == 3 for message in parsed(client)))

    asyncio.run(scene())


def test_live_trades_have_ids_in_a_row_and_every_stream_says_what_it_should() -> None:
    names = ["btcusdt@trade", "btcusdt@aggTrade", "btcusdt@bookTicker", "btcusdt@depth20@100ms", "btcusdt@kline_1m"]

    async def scene() -> None:
        async with running(BinanceSim(BinanceTraits(candle_every_s=0.05), market=MARKET, seed=3)) as sim:
            client = await subscribed(sim, *names)
            await client.until(lambda _: len(events(client, names[0])) > 60 and all(events(client, n) for n in names))
            await sim.quiesce()
            ids = [event["t"] for event in events(client, names[0])]
            assert ids == list(range(ids[0], ids[0] + len(ids)))
            numbers = [event["a"] for event in events(client, names[1])]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            for message in client.messages:
                found = binance.decode(Frame(1, FrameKind.MESSAGE, Source("binance", "ws", 0), 2**62, 0, message))
                assert found.refusals == []

    asyncio.run(scene())


def test_a_connection_is_pinged_warned_and_cut_at_the_end_of_its_life() -> None:
    # Pongs count as messages too, and here they come faster than at the venue.
    traits = BinanceTraits(
        ping_every_s=0.1, pong_within_s=0.3, connection_life_s=1.5, shutdown_notice_s=0.7, messages_per_s=30
    )

    async def scene() -> None:
        async with running(BinanceSim(traits, market=MARKET)) as sim:
            client = await subscribed(sim, "btcusdt@trade")
            closed = await client.socket.closed()
            # Four times the patience for a pong: only a client that answers lives to the end.
            assert closed.code == 1008
            assert "life" in closed.detail
            assert any(message.get("e") == "serverShutdown" for message in parsed(client))

    asyncio.run(scene())


def test_more_than_five_messages_a_second_end_the_connection() -> None:
    async def scene() -> None:
        async with running(BinanceSim(market=MARKET)) as sim:
            client = await connect(sim)
            for number in range(7):
                client.say(method="LIST_SUBSCRIPTIONS", id=number)
            assert (await client.socket.closed()).code == 1008

    asyncio.run(scene())


def test_what_was_kept_back_is_in_the_history_and_a_hole_is_not() -> None:
    traits = BinanceTraits(drop_share=0.1, hole_share=0.05)

    async def scene() -> None:
        async with running(BinanceSim(traits, market=MARKET, seed=5)) as sim:
            client = await subscribed(sim, "btcusdt@trade")
            await client.until(lambda _: len(events(client, "btcusdt@trade")) > 100)
            await sim.quiesce()
            ids = [event["t"] for event in events(client, "btcusdt@trade")]
            missing = set(range(ids[0], ids[-1] + 1)) - set(ids)
            dropped = {tid for _, tid in sim.ledger.dropped["BTCUSDT"]}
            holes = {number for number in sim.ledger.holes["BTCUSDT"] if ids[0] < number < ids[-1]}
            assert missing == {number for number in dropped if ids[0] < number < ids[-1]} | holes
            assert dropped
            assert holes
            request = binance.historical_trades("BTCUSDT", ids[0], 1_000)
            found = decoded(request, await ask(sim, request))
            history = {event.trade_id: event for event in found if isinstance(event, Trade)}
            assert set(history) >= set(ids) | (missing - holes)
            assert not holes & set(history)
            assert isinstance(found[-1], Answered)
            for (time_ms, tid), values in sim.ledger.sent["BTCUSDT"].items():
                event = history[tid]
                assert (event.ts_event_ns, str(event.price), str(event.size), event.side.value) == (
                    time_ms * 10**6,
                    *values,
                )

    asyncio.run(scene())


def test_candles_and_aggregates_of_rest_agree_with_its_trades() -> None:
    async def scene() -> None:
        async with running(BinanceSim(market=MARKET, seed=1)) as sim:
            trades_asked = binance.recent_trades("BTCUSDT")
            trades = decoded(trades_asked, await ask(sim, trades_asked))
            agg_asked = binance.agg_trades("BTCUSDT", 0)
            aggregates = [e for e in decoded(agg_asked, await ask(sim, agg_asked)) if isinstance(e, Trade)]
            last_ms = trades[-1].ts_event_ns // 10**6
            bars_asked = binance.klines("BTCUSDT", "1m", last_ms - 3_600_000, last_ms)
            bars = [e for e in decoded(bars_asked, await ask(sim, bars_asked)) if isinstance(e, Candle)]
            assert len(trades) == 1_000
            assert bars[-1].trade_count > 0
            numbers = [aggregate.trade_id for aggregate in aggregates]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            between = await ask(sim, f"/api/v3/aggTrades?symbol=BTCUSDT&startTime={last_ms - 50}&endTime={last_ms}")
            assert all(last_ms - 50 <= one["T"] <= last_ms for one in json.loads(between.body))

    asyncio.run(scene())


def test_every_answer_tells_the_used_weight_and_too_much_is_refused_then_banned() -> None:
    traits = BinanceTraits(weight_per_minute=60, bans_after=2, ban_s=9)

    async def scene() -> None:
        async with running(BinanceSim(traits, market=MARKET)) as sim:
            request = binance.recent_trades("BTCUSDT")
            answers = [await ask(sim, request) for _ in range(6)]
            assert [answer.status for answer in answers] == [200, 200, 429, 429, 418, 418]
            assert [binance.used_weight(answer.headers) for answer in answers[:2]] == [25, 50]
            assert [answer.headers["Retry-After"] for answer in answers[2:]] == ["60", "60", "9", "9"]

    asyncio.run(scene())


def test_bad_questions_get_the_venues_own_codes() -> None:
    questions = {
        "/api/v3/historicalTrades": -1102,
        "/api/v3/historicalTrades?symbol=NOPE": -1121,
        "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=x": -1100,
        "/api/v3/klines?symbol=BTCUSDT&interval=7m": -1120,
        "/api/v3/aggTrades?symbol=BTCUSDT&fromId=1&startTime=1": -1128,
    }

    async def scene() -> None:
        async with running(BinanceSim(market=MARKET)) as sim:
            for question, code in questions.items():
                answer = await ask(sim, question)
                assert (answer.status, json.loads(answer.body)["code"]) == (400, code)
            for name in ("time", "exchangeInfo", "depth?symbol=BTCUSDT"):
                assert (await ask(sim, f"/api/v3/{name}")).status == 200
            assert (await ask(sim, "/api/v3/secrets")).status == 404

    asyncio.run(scene())


def a_recording(count: int) -> Recording:
    frames = []
    for number in range(count):
        trade = (
            f'{{"e":"trade","E":{10**12 + number},"s":"BTCUSDT","t":{number},"p":"1.5","q":"2","T":{10**12 + number}'
        )
        for payload in (
            f'{{"stream":"btcusdt@trade","data":{trade},"m":true,"M":true}}}}',
            '{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}}',
        ):
            frames.append(parse_message(10**18 + number * 10**6, payload.encode()))
    return Recording("made", True, (tuple(frames),))


def test_the_same_seed_keeps_back_the_same_trades_and_another_seed_others() -> None:
    async def played(seed: int) -> tuple[list[int], set[int], set[int]]:
        traits = BinanceTraits(drop=40, holes=10)
        async with running(BinanceSim(traits, recordings=[a_recording(600)], speed=0, seed=seed)) as sim:
            client = await subscribed(sim, "btcusdt@trade")
            await sim.finished()
            sent = sim.ledger.sent_count("BTCUSDT")
            await client.until(lambda _: len(events(client, "btcusdt@trade")) == sent)
            ids = [event["t"] for event in events(client, "btcusdt@trade")]
            return ids, {tid for _, tid in sim.ledger.dropped["BTCUSDT"]}, sim.ledger.holes["BTCUSDT"]

    first, again, other = (asyncio.run(played(seed)) for seed in (1, 1, 2))
    assert first == again != other
    for ids, dropped, holes in (first, other):
        assert (ids[0], ids[-1]) == (0, 599)
        assert set(ids) | dropped | holes == set(range(600))
        assert len(ids) + len(dropped) + len(holes) == 600
        assert len(holes) == 10
        assert len(dropped) > 20
