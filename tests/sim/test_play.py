"""Recordings played over real sockets: the same frames, the same reconnects, the same replays."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from everytick.errors import Retryable
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.hyperliquid.schedule import schedule
from everytick.sim.prints import Print, trades_frame
from everytick.sim.recordings import Recording, TimedFrame, read_recording
from tests.sim.client import Client, connect, running

S = 1_000_000_000


def frame(ts_s: float, coin: str, tids: Sequence[int], *, raw: bool = False) -> TimedFrame:
    """Trades of these ids; a trade's time follows from its id, 100 ms apart."""
    trades = tuple(Print(coin, "B", f"{tid}.5", "1.0", 1_000_000 + tid * 100, tid) for tid in tids)
    return TimedFrame(int(ts_s * S), "trades", coin, trades, trades_frame(trades) if raw else b"")


def recording(coin: str, *lives: Sequence[TimedFrame]) -> Recording:
    return Recording(f"{coin}.csv", False, tuple(map(tuple, lives)))


BTC = recording(
    "BTC",
    [frame(1000, "BTC", range(30)), *(frame(1001 + i, "BTC", [30 + i]) for i in range(50))],
    [frame(1070, "BTC", range(100, 130)), frame(1071, "BTC", [130, 131]), frame(1072, "BTC", [132])],
)
ETH = recording("ETH", [frame(1000.5, "ETH", range(30)), *(frame(1001.5 + i * 3, "ETH", [30 + i]) for i in range(25))])


async def follow(sim: HyperliquidSim, *wanted: tuple[str, str], lives: int) -> list[Client]:
    """Connect, subscribe, and connect again after each cut; the clients of all lives, the last still open."""
    clients: list[Client] = []
    while len(clients) < lives:
        try:
            client = await connect(sim)
        except Retryable:
            await asyncio.sleep(0.002)
            continue
        for kind, coin in wanted:
            client.subscribe(kind, coin)
        clients.append(client)
        if len(clients) < lives:
            end = await client.socket.closed()
            assert (end.cause, end.code) == ("closed", 1001)
    await sim.finished()
    return clients


async def complete(sim: HyperliquidSim, clients: list[Client], coin: str) -> list[list[int]]:
    """Per life the trade ids of a coin, once everything sent has arrived."""

    def ids(client: Client) -> list[int]:
        return [t["tid"] for t in client.trades(coin)]

    await clients[-1].until(lambda _: len({i for c in clients for i in ids(c)}) == sim.ledger.sent_count(coin))
    return [ids(client) for client in clients]


def test_every_frame_arrives_and_a_cut_of_one_file_costs_the_others_nothing() -> None:
    async def main() -> None:
        async with running(HyperliquidSim(recordings=[BTC, ETH], speed=0)) as sim:
            clients = await follow(sim, ("trades", "BTC"), ("trades", "ETH"), lives=2)
            assert await complete(sim, clients, "BTC") == [list(range(80)), list(range(100, 133))]
            first, second = await complete(sim, clients, "ETH")
            # The cut falls at the first frame of BTC's second life: ETH's 24th trade and later come after it.
            assert first == list(range(53))
            assert second == [*range(23, 53), 53, 54]
            assert len(sim.ledger.cuts) == 1
            assert not any(sim.ledger.unseen.values())

    asyncio.run(main())


def test_the_first_trades_message_of_each_life_is_the_recorded_replay() -> None:
    async def main() -> None:
        async with running(HyperliquidSim(recordings=[BTC], speed=0)) as sim:
            clients = await follow(sim, ("trades", "BTC"), lives=2)
            await complete(sim, clients, "BTC")
            for client, life in zip(clients, BTC.lives, strict=True):
                assert client.messages[1:] == [trades_frame(f.trades) for f in life]

    asyncio.run(main())


def test_the_same_recording_gives_the_same_bytes_each_time() -> None:
    def play() -> list[list[bytes]]:
        async def main() -> list[list[bytes]]:
            async with running(HyperliquidSim(recordings=[BTC], speed=0)) as sim:
                clients = await follow(sim, ("trades", "BTC"), lives=2)
                await complete(sim, clients, "BTC")
                return [client.messages for client in clients]

        return asyncio.run(main())

    assert play() == play()


def test_nothing_is_sent_before_its_coin_is_subscribed() -> None:
    async def main() -> None:
        async with running(HyperliquidSim(recordings=[BTC, ETH], speed=0)) as sim:
            client = await connect(sim)
            client.subscribe("trades", "BTC")
            await client.until_count("trades", 1)
            while sim.waiting_for != ("trades", "ETH", ""):
                await asyncio.sleep(0)
            assert [t["tid"] for t in client.trades("BTC")] == list(range(30))
            client.subscribe("trades", "ETH")
            await client.socket.closed()
            assert len(client.trades("BTC")) == 80

    asyncio.run(main())


def test_a_client_that_reconnects_by_itself_gets_the_thirty_newest_and_misses_nothing() -> None:
    long = recording(
        "BTC", [frame(1000, "BTC", range(30)), *(frame(1001 + i / 100, "BTC", [30 + i]) for i in range(500))]
    )

    async def main() -> None:
        async with running(HyperliquidSim(recordings=[long], speed=20)) as sim:
            first = await connect(sim)
            first.subscribe("trades", "BTC")
            await first.until_count("trades", 60)
            first.socket.close()
            await first.socket.closed()
            second = await connect(sim)
            second.subscribe("trades", "BTC")
            await sim.finished()
            before, after = await complete(sim, [first, second], "BTC")
            assert len(second.of("trades")[0]) == 30
            assert set(before) & set(after[:30])
            assert {*before, *after} == set(range(530))

    asyncio.run(main())


def test_speed_is_a_multiple_of_the_recorded_pace() -> None:
    async def main() -> None:
        async with running(HyperliquidSim(recordings=[ETH], speed=200)) as sim:  # 72 s recorded
            client = await connect(sim)
            start = time.monotonic()
            client.subscribe("trades", "ETH")
            await sim.finished()
            assert 0.3 < time.monotonic() - start < 3

    asyncio.run(main())


def test_raw_frames_are_sent_verbatim_and_the_recorded_conversation_is_left_out() -> None:
    book = b'{"channel":"l2Book","data":{"coin":"BTC","levels":[[],[]],"time":1}}'
    ack = b'{"channel":"subscriptionResponse","data":{"method":"subscribe"}}'
    frames = [
        TimedFrame(1, "l2Book", "BTC", (), book),
        TimedFrame(2, "subscriptionResponse", "", (), ack),
        frame(3, "BTC", range(30), raw=True),
        TimedFrame(4 * S, "l2Book", "BTC", (), book),
        frame(5, "BTC", [30], raw=True),
    ]

    async def main() -> None:
        raw = Recording("x", True, (tuple(frames),))
        async with running(HyperliquidSim(recordings=[raw], speed=0)) as sim:
            (client,) = await follow(sim, ("trades", "BTC"), ("l2Book", "BTC"), lives=1)
            await client.until(lambda messages: len(messages) == 6)
            assert client.messages[2:] == [f.payload for f in frames if f.payload != ack]
            assert (sim.ledger.frames["l2Book", "BTC"], sim.ledger.sent_count("BTC")) == (2, 31)

    asyncio.run(main())


def test_cuts_that_overlap_are_one_outage_and_others_are_not() -> None:
    def file(coin: str, *cuts: float) -> Recording:
        edges = [1000.0, *cuts, 2000.0]
        lives = [
            [frame(start + 0.5, coin, range(30)), frame(end - 20.5, coin, [40])]
            for start, end in itertools.pairwise(edges)
        ]
        return recording(coin, *lives)

    same = schedule([file("BTC", 1100.0), file("ETH", 1100.3), file("SOL")])
    assert [sorted(life.replays) for life in same] == [["BTC", "ETH", "SOL"], ["BTC", "ETH"]]
    apart = schedule([file("BTC", 1100.0), file("ETH", 1300.0)])
    assert [sorted(life.replays) for life in apart] == [["BTC", "ETH"], ["BTC"], ["ETH"]]
    assert all(life.outage_ns > 15 * S for life in apart[1:])
    whole = sorted(f.ts_ns for life in apart for f in (*life.frames, *life.replays.values()))
    assert len(whole) == 8


@pytest.mark.recordings
def test_the_three_real_recordings_play_with_their_one_outage(data_dir: Path) -> None:
    recordings = [read_recording(data_dir / f"djienne_20250904_trades_{c}.csv") for c in ("BTC", "ETH", "WLFI")]

    async def main() -> None:
        async with running(HyperliquidSim(recordings=recordings, speed=0)) as sim:
            clients = await follow(sim, *(("trades", r.coins[0]) for r in recordings), lives=2)
            for whole in recordings:
                coin = whole.coins[0]
                lives = await complete(sim, clients, coin)
                assert lives == [[t.tid for f in life for t in f.trades] for life in whole.lives]
            assert {c: sim.ledger.sent_count(c) for c in sim.ledger.sent} == {"BTC": 6675, "ETH": 6867, "WLFI": 2555}
            (cut,) = sim.ledger.cuts
            assert cut.outage_ms > 17_000

    asyncio.run(main())


@pytest.mark.recordings
def test_the_raw_recording_plays_frame_by_frame(data_dir: Path) -> None:
    path = data_dir / "hftbacktest_btcusd_20250126.gz"
    raw = read_recording(path)

    async def main() -> None:
        async with running(HyperliquidSim(recordings=[raw], speed=0)) as sim:
            (client,) = await follow(sim, *((k, c) for k, c, _ in raw.keys), lives=1)
            await client.until(lambda messages: len(messages) == 57)
            lines = gzip.decompress(path.read_bytes()).splitlines()
            assert client.messages[2:] == [line.split(b" ", 1)[1] for line in lines]

    asyncio.run(main())
