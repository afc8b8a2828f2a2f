"""A row that a store cannot hold goes to quarantine, its neighbours are stored; a store that is away is waited for."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import msgspec
import psycopg
import pytest

from everytick.errors import Fatal, Retryable
from everytick.host.clock import HostClock
from everytick.model.event import Candle, Decoded, Event, MidPrices, Quote, Side, Trade
from everytick.model.frame import Frame, FrameKind
from everytick.model.stream import Kind, Stream
from everytick.model.units import ns_from_ms
from everytick.recorder.pipeline import Pipeline
from everytick.recorder.projector import Projector
from everytick.stores.open import open_store
from everytick.stores.protocol import RowQuery, Store
from everytick.supervise.progress import Progress
from everytick.supervise.threads import Stop
from everytick.telemetry import Telemetry
from everytick.venues.protocol import Rule
from tests.recorder.wire import Tape
from tests.stores.records import content
from tests.stores.server import Server
from tests.stores.stores import STORES

TRADES = Stream("hyperliquid", Kind.TRADES, "X")
QUOTES = Stream("hyperliquid", Kind.QUOTES, "X")
CANDLES = Stream("hyperliquid", Kind.CANDLES, "X", "1m")
MIDS = Stream("hyperliquid", Kind.MIDS, "X")
OTHER = Stream("hyperliquid", Kind.MIDS, "Y")
TOO_LARGE = 2**63
ONE = Decimal(1)


def _decode(frame: Frame) -> Decoded:
    """A decoder with a fault: it lets through whatever a message says. ["t", ms, id], ["q", ms], ["c", minute, count]
    and ["m", price, price]."""
    events: list[Event] = []
    for what, *rest in msgspec.json.decode(frame.payload):
        if what == "t":
            events.append(Trade(TRADES, ns_from_ms(rest[0]), rest[1], ONE, ONE, Side.BUY))
        elif what == "q":
            events.append(Quote(QUOTES, rest[0], ONE, None, None, ONE))
        elif what == "c":
            opened = ns_from_ms(rest[0] * 60_000)
            events.append(Candle(CANDLES, opened, opened + 60_000_000_000, ONE, ONE, ONE, ONE, ONE, rest[1]))
        else:
            events.append(MidPrices("hyperliquid", {"X": Decimal(rest[0]), "Y": Decimal(rest[1])}))
    return Decoded(events, [])


SEQUENCING = dict.fromkeys(Kind, Rule.OVERLAP)
VENUE = SimpleNamespace(NAME="hyperliquid", decode=_decode, SEQUENCING=SEQUENCING)


def tape_of(*messages: Sequence[object]) -> list[Frame]:
    tape = Tape()
    tape.start()
    tape.connect(*(stream.key for stream in (TRADES, QUOTES, CANDLES, MIDS, OTHER)))
    for message in messages:
        tape.put(FrameKind.MESSAGE, msgspec.json.encode(message))
    return tape.frames


POISONED = tape_of(
    [["t", n, n] for n in range(500)],
    [["q", 5], ["m", "5", "6"], ["c", 1, 7]],
    [*(["t", 600 + n, 600 + n] for n in range(250)), ["t", 700, TOO_LARGE], ["q", TOO_LARGE], ["q", 7]],
    [["c", 1, TOO_LARGE], ["t", 700, TOO_LARGE]],
    [["c", 2, 1]],
    [["m", "NaN", "8"], *(["t", 900 + n, 900 + n] for n in range(249))],
    [["t", 700, TOO_LARGE], ["t", 5_000, 5_000], ["c", 3, 1]],
)


class Reader:
    """A tape of frames at hand, `size` of them at most at once."""

    def __init__(self, frames: Sequence[Frame], size: int) -> None:
        self._frames, self._size = frames, size

    def read(self, offset: int, frames_max: int, until: int) -> list[Frame]:
        return list(self._frames[offset : min(offset + min(frames_max, self._size), until)])


def projected(store: Store, frames: Sequence[Frame], size: int, progress: Progress | None = None) -> Projector:
    telemetry = Telemetry(HostClock(), out=io.BytesIO())
    pipeline = Pipeline({"hyperliquid": VENUE}, store)
    return Projector(Reader(frames, size), pipeline, store, HostClock(), telemetry, progress or Progress(), 0)


def project(store: Store, frames: Sequence[Frame], size: int = 5_000) -> list[str]:
    projector, stop = projected(store, frames, size), Stop()
    while projector.checkpoint < len(frames):
        assert projector.step(len(frames), stop)
    return content(store.reader())


def test_one_poison_row_is_quarantined_and_its_999_neighbours_are_stored(store: Store) -> None:
    project(store, POISONED)
    reader = store.reader()
    trades = reader.trades(RowQuery((TRADES,), limit=5_000))
    refused = [item for item in reader.quarantined(limit=99) if item.reason == "store_refused"]
    totals = reader.totals()
    reader.close()
    assert len(trades) == 500 + 250 + 249 + 1
    assert (totals.quotes, totals.mids, totals.candles) == (2, 3, 3)
    assert [(item.offset, item.path, item.value) for item in refused] == [
        (9, "trade", f"{TOO_LARGE} does not fit 64 bits"),
        (8, "mids.X", "NaN is no finite number"),
        (6, "trade", f"{TOO_LARGE} does not fit 64 bits"),
        (6, "candle", f"{TOO_LARGE} does not fit 64 bits"),
        (5, "quote", f"{TOO_LARGE} does not fit 64 bits"),
        (5, "trade", f"{TOO_LARGE} does not fit 64 bits"),
    ]
    assert len(refused) == 6
    assert all(item.excerpt.startswith(b"[[") for item in refused)
    assert totals.counts["quarantined_store_refused"] == 6


def test_the_record_of_poison_is_the_same_however_the_tape_is_cut_and_in_every_store(tmp_path: Path) -> None:
    frames = [frame for frame in POISONED if b"NaN" not in frame.payload]
    frames = [msgspec.structs.replace(frame, offset=n) for n, frame in enumerate(frames)]
    dumps = set()
    for name, opening in STORES.items():
        for size in (1, 2, 3, 5_000):
            folder = tmp_path / f"{name}{size}"
            folder.mkdir()
            store = opening(folder)
            dumps.add("\n".join(project(store, frames, size)))
            store.close()
    assert len(dumps) == 1


def test_a_row_that_only_the_database_refuses_is_quarantined_with_the_words_of_the_database(postgres: Server) -> None:
    url = postgres.schema()
    store = open_store(url)
    with psycopg.connect(url, autocommit=True) as plain:
        plain.execute("ALTER TABLE trades ADD CONSTRAINT no_seventh CHECK (trade_id <> 7)")
    project(store, tape_of([["t", n, n] for n in range(1_000)], [["t", 7, 7], ["q", 5]]))
    reader = store.reader()
    assert reader.totals().trades == 999
    assert [(item.reason, item.path) for item in reader.quarantined(limit=9)] == [("store_refused", "trade")] * 2
    assert "no_seventh" in reader.quarantined(limit=1)[0].value
    reader.close()
    store.close()


def test_what_no_quarantine_helps_is_fatal(postgres: Server) -> None:
    url = postgres.schema()
    store = open_store(url)
    with psycopg.connect(url, autocommit=True) as plain:
        plain.execute("ALTER TABLE states ADD CHECK (key = '')")
    with pytest.raises(Fatal, match="cannot hold a value of the batch"):
        project(store, POISONED)
    store.close()


class Flaky:
    """A store whose server is away whenever a die says so, before or after it has done what was asked."""

    def __init__(self, store: Store, seed: int) -> None:
        self._store, self._dice = store, random.Random(seed)
        self.failures = 0

    def __getattr__(self, name: str) -> Callable[..., object]:
        asked = getattr(self._store, name)

        def ask(*values: object) -> object:
            if self._dice.random() < 0.4:
                self.failures += 1
                raise Retryable(f"away at {name}")
            return asked(*values)

        return ask


@pytest.mark.parametrize("seed", range(6))
def test_a_store_that_fails_at_any_question_holds_the_same_in_the_end(seed: int) -> None:
    expected = project(open_store("memory:"), POISONED, 2)
    inner = open_store("memory:")
    flaky = Flaky(inner, seed)
    progress = Progress()
    projector = None
    while projector is None:
        try:
            projector = projected(flaky, POISONED, 2, progress)
        except Retryable:
            continue
    stop = Stop()
    stop.ask()  # so that nothing waits: a step that fails returns, and is taken again
    troubles = set()
    while projector.checkpoint < len(POISONED):
        if not projector.step(len(POISONED), stop):
            troubles.add(progress.store_trouble)
    assert content(inner.reader()) == expected
    assert progress.store_trouble == ""
    assert flaky.failures > 5
    assert troubles


def test_the_last_projection_gives_up_on_a_store_that_is_away() -> None:
    inner = open_store("memory:")
    projector = projected(inner, POISONED, 2)
    projector._store = SimpleNamespace(apply=lambda _batch: (_ for _ in ()).throw(Retryable("away")))
    assert projector.catch_up(len(POISONED)) is False
    projector._store = inner
    assert projector.catch_up(len(POISONED)) is True
