"""A recorder on a real PostgreSQL server that is away, stops, dies and comes back, end to end over real sockets."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from everytick.cli.session import world
from everytick.config import Settings
from everytick.errors import Fatal, Retryable
from everytick.model.secret import SecretUrl
from everytick.model.stream import Kind
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.market import MarketTraits
from everytick.sim.oracle import Audit
from everytick.stores.open import open_reader, open_store
from everytick.stores.protocol import Batch, Store
from everytick.supervise.progress import Progress
from everytick.supervise.threads import Stop
from everytick.wiring.rehearsal import Rehearsal, turned_to
from everytick.wiring.storing import StoreKeeper
from everytick.wiring.views import rebuild
from tests.stores.server import Server, missing
from tests.stores.test_postgres_faults import WRITER

WAIT_S = 30.0


@pytest.fixture
def server() -> Iterator[Server]:
    if reason := missing():
        pytest.skip(reason)
    with Server() as one:
        yield one


async def until(is_true: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(WAIT_S):
            while not is_true():
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"waited {WAIT_S} s for {what}")


def on_server(settings: Settings, url: str) -> Settings:
    return msgspec.structs.replace(settings, store=msgspec.structs.replace(settings.store, url=SecretUrl(url)))


async def recorded(folder: Path, url: str, during: Callable[[Rehearsal], Awaitable[None]]) -> tuple[Audit, Settings]:
    here = world(None, is_quiet=True)
    sim = HyperliquidSim(seed=5, market=MarketTraits(coins=("BTC",), trades_per_s=400.0))
    await sim.start()
    settings = turned_to(
        here.settings, "hyperliquid", sim, data_dir=str(folder), port=0, coins=("BTC",), kinds=(Kind.TRADES,)
    )
    settings = on_server(settings, url)
    rehearsal = Rehearsal(settings, "hyperliquid", sim, here.ports, here.telemetry)

    async def follow() -> None:
        await rehearsal.is_ready.wait()
        await during(rehearsal)
        progress = rehearsal.process.progress
        await until(lambda: not progress.store_trouble, "the store's return")
        await until(lambda: progress.offset_applied > progress.offset_durable - 5, "the projector to catch up")
        rehearsal.end()

    async with asyncio.TaskGroup() as group:
        group.create_task(follow())
        running = group.create_task(rehearsal.run(for_s=3 * WAIT_S))
    audit = running.result()
    return audit, settings


async def growth(progress: Progress, frames: int) -> None:
    start = progress.offset_durable
    await until(lambda: progress.offset_durable > start + frames, "the tape to grow")


def test_recording_starts_without_a_database_and_nothing_is_lost_through_stops_and_deaths(
    server: Server, tmp_path: Path
) -> None:
    server.stop()

    async def during(rehearsal: Rehearsal) -> None:
        progress = rehearsal.process.progress
        await growth(progress, 8)
        assert "is not running" in progress.store_trouble
        with pytest.raises(Retryable, match="is not running"):
            rehearsal.process.reader()
        await asyncio.to_thread(server.start)
        await until(lambda: progress.offset_applied > 8, "the first rows")
        for how in (signal.SIGINT, signal.SIGQUIT):
            await asyncio.to_thread(server.stop, how)
            await until(lambda: progress.store_trouble, "the trouble")
            await growth(progress, 8)
            await asyncio.to_thread(server.start)
            await until(lambda: not progress.store_trouble, "the return")
        for _ in range(5):
            await asyncio.to_thread(
                server.ask,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'everytick'",
            )
            await growth(progress, 4)

    audit, settings = asyncio.run(recorded(tmp_path / "data", server.url, during))
    assert audit.exact, audit
    reader = open_reader(server.url)
    stored = list(reader.dump())
    reader.close()
    # The same tape in a file of SQLite: the same record, line by line.
    here = world(None, is_quiet=True)
    rebuild(settings, tmp_path / "again.sqlite", here.ports, here.telemetry, lambda _done, _all: None)
    again = open_reader(str(tmp_path / "again.sqlite"))
    assert list(again.dump()) == stored
    again.close()


@pytest.mark.parametrize(
    ("url", "sentence", "mend"),
    [
        ("postgres", "our user may not do what a store needs", "GRANT CREATE ON SCHEMA public TO guest"),
        ("missing", "has no database of that name", "CREATE DATABASE missing OWNER guest"),
    ],
)
def test_what_a_person_must_mend_is_told_while_recording_goes_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, sentence: str, mend: str
) -> None:
    monkeypatch.setattr("everytick.wiring.storing.REFUSED_S", 0.1)
    server.ask("CREATE ROLE guest LOGIN")

    async def during(rehearsal: Rehearsal) -> None:
        progress = rehearsal.process.progress
        await growth(progress, 4)
        await until(lambda: sentence in progress.store_trouble, sentence)
        await asyncio.to_thread(server.ask, mend)

    audit, _ = asyncio.run(recorded(tmp_path / "data", server.url_of(url, "guest"), during))
    assert audit.exact, audit


def kept(url: str, standby: str) -> tuple[StoreKeeper, Progress]:
    here = world(None, is_quiet=True)
    settings = on_server(here.settings, url)
    settings = msgspec.structs.replace(settings, store=msgspec.structs.replace(settings.store, standby=standby))
    progress = Progress()
    return StoreKeeper(settings, here.telemetry, progress), progress


def test_a_standby_writes_within_ten_seconds_of_the_writers_death(server: Server) -> None:
    keeper, progress = kept(server.url, "wait")
    taken = threading.Event()

    def stand_by() -> None:
        def use(store: Store) -> bool:
            reader = store.reader()
            checkpoint = reader.checkpoint()
            reader.close()
            store.apply(Batch(checkpoint, checkpoint + 1))
            return True

        assert keeper.until_open(Stop(), use)
        taken.set()

    with subprocess.Popen([sys.executable, "-c", WRITER, server.url], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        waiting = threading.Thread(target=stand_by)
        waiting.start()
        while "standing by: " not in progress.store_trouble:
            assert waiting.is_alive()
        assert "the first" in progress.store_trouble
        assert not taken.is_set()
        writer.send_signal(signal.SIGKILL)
        assert taken.wait(10.0)
        waiting.join()
    assert progress.store_trouble == ""
    reader = keeper.reader()
    totals, checkpoint = reader.totals(), reader.checkpoint()
    reader.close()
    keeper.close()
    assert totals.counts["frames"] == checkpoint - 2  # the first batch of each writer counted no frame


def test_a_second_writer_that_is_not_to_wait_ends_with_the_holders_name(server: Server) -> None:
    store = open_store(server.url, owner="the first")
    keeper, _ = kept(server.url, "refuse")
    with pytest.raises(Fatal, match="another writer has this store: the first"):
        keeper.until_open(Stop(), lambda _store: True)
    store.close()


def test_a_standby_can_be_stopped_while_it_waits(server: Server) -> None:
    store = open_store(server.url)
    keeper, progress = kept(server.url, "wait")
    stop = Stop()
    waiting = threading.Thread(target=keeper.until_open, args=(stop, lambda _store: True))
    waiting.start()
    while not progress.store_trouble:
        assert waiting.is_alive()
    stop.ask()
    waiting.join(5.0)
    assert not waiting.is_alive()
    store.close()
