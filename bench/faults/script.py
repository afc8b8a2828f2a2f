"""The faults, each the same for whoever is under test. A fault returns how often it really struck."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from tests.stores.server import Server

from bench.faults.sides import Program
from bench.faults.watch import Watch

BURST = 2_000
CUTS = 5
RESTART_S = 1.0  # what a service manager waits before it starts a program again
WAIT_S = 10.0


@dataclass
class Run:
    """One side under one fault. `away` is when the server was not there; `marks` are times of note, wall clock in s."""

    program: Program
    server: Server
    watch: Watch
    dice: random.Random
    rate: float
    stop_s: float
    away: tuple[float, float] | None = None
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str) -> float:
        """That is now."""
        self.marks[name] = time.time()
        return self.marks[name]


def stop(run: Run) -> int:
    """The server is stopped, stays away, and comes back."""
    from_s = run.mark("away")
    run.server.stop()
    time.sleep(run.stop_s)
    run.mark("back")
    run.server.start()
    run.away = (from_s, run.marks["back"])
    return 1


def cut(run: Run) -> int:
    """The connection is cut in the middle of a transaction, five times at seeded moments."""
    struck = 0
    for _ in range(CUTS):
        time.sleep(run.dice.uniform(0.3, 1.2))
        hunting = threading.Thread(target=run.watch.tell, kwargs={"burst": BURST})
        with _session(run.program, run.server) as session:
            deadline = time.monotonic() + WAIT_S / 2
            hunting.start()
            while time.monotonic() < deadline:
                found = session.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid() AND application_name <> 'faults' AND xact_start IS NOT NULL "
                    "AND backend_xid IS NOT NULL"
                ).fetchall()
                if found:
                    struck += 1
                    break
        hunting.join()
    return struck


def deadlock(run: Run) -> int:
    """A second session takes what the writer needs next, then asks for what the writer holds; the writer loses."""
    first, second = run.program.deadlock
    before = _deadlocks(run)
    with _session(run.program, run.server) as session:
        # Whoever waits first looks first and is the one that gives way: the writer.
        session.execute("SET deadlock_timeout = '60s'")
        session.execute("SET lock_timeout = '20s'")
        session.execute("BEGIN")
        session.execute(first)
        _until(lambda: _waits(run))
        with suppress(psycopg.Error):
            session.execute(second)
        session.execute("ROLLBACK")
    _until(lambda: _deadlocks(run) > before)
    return _deadlocks(run) - before


def repeat(run: Run) -> int:
    """One trade is sent again among a thousand new ones."""
    return _poison(run, "repeat")


def nan(run: Run) -> int:
    """One trade is sent again with NaN as its price, among a thousand new ones."""
    return _poison(run, "nan")


def quote_price(run: Run) -> int:
    """One trade is sent again with a quote in its price, among a thousand new ones."""
    return _poison(run, "quote-price")


def quote_id(run: Run) -> int:
    """One trade is sent again with a quote in its id, among a thousand new ones."""
    return _poison(run, "quote-id")


def quote_symbol(run: Run) -> int:
    """One trade is sent again with a quote in its symbol, among a thousand new ones."""
    return _poison(run, "quote-symbol")


def kill(run: Run) -> int:
    """The process is killed under load, and started again."""
    return _restart(run, signal.SIGKILL)


def graceful(run: Run) -> int:
    """The process is asked to stop under load, and started again."""
    return _restart(run, signal.SIGTERM)


def _restart(run: Run, how: int) -> int:
    run.watch.tell(burst=BURST)
    run.program.end(how)
    run.mark("ended")
    time.sleep(RESTART_S)
    run.program.start()
    return 1


def _poison(run: Run, what: str) -> int:
    run.watch.tell(burst=1_000, poison=what)
    return 1


def _session(program: Program, server: Server) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server.url_of(program.database), autocommit=True, application_name="faults")


def _waits(run: Run) -> bool:
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND application_name <> 'faults'"
    )
    return bool(run.server.ask(waiting, run.program.database))


def _deadlocks(run: Run) -> int:
    ((count,),) = run.server.ask(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", run.program.database
    )
    assert isinstance(count, int)
    return count


def _until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.02)


@dataclass(frozen=True)
class Fault:
    """One line of the table. `rate` and `stop_s` where they differ from what was asked for; 0 means as asked."""

    title: str
    strike: Callable[[Run], int]
    is_keyed: bool = False  # the peer's table has a unique key
    rate: float = 0.0
    stop_s: float = 0.0
    warm_s: float = 0.0


FAULTS: Mapping[str, Fault] = {
    "stop": Fault("server stopped for {stop_s:g} s and started again", stop),
    "cut": Fault("connection cut in the middle of a transaction, five times", cut),
    "deadlock": Fault("deadlock with a second session", deadlock),
    "repeat": Fault("a trade sent again among new ones", repeat),
    "repeat-key": Fault("the same, the peer's table with a unique key", repeat, is_keyed=True),
    "nan": Fault("a price of NaN among new trades", nan),
    "quote-price": Fault("a quote in a price", quote_price),
    "quote-id": Fault("a quote in an id", quote_id),
    "quote-symbol": Fault("a quote in a symbol", quote_symbol),
    "kill": Fault("SIGKILL under load, started again", kill),
    "graceful": Fault("SIGTERM under load, started again", graceful),
    "memory": Fault("server away while {away:,} trades come in", stop, rate=12_000, stop_s=50.0, warm_s=20.0),
}
