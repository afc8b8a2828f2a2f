"""The two programs under the same script: how each is started, ended, counted, and where it would say something."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from tests.stores.server import Server

from bench.children import ROOT
from bench.environment import peers_python
from bench.frames import COINS, SYMBOLS

STOP_S_MAX = 30.0
GAP_AGE_S = 2  # how long ours leaves a gap alone; its default of 30 s would only make the script longer
# cryptofeed's own example table: a serial key and no other; `keyed` adds what a careful user would.
PEER_TABLE = (
    "CREATE TABLE trades (id serial PRIMARY KEY, timestamp TIMESTAMP, receipt_timestamp TIMESTAMP,"
    " exchange VARCHAR(32), symbol VARCHAR(32), side VARCHAR(8), amount NUMERIC(64, 32), price NUMERIC(64, 32),"
    " trade_id VARCHAR(64), order_type VARCHAR(32))"
)
PEER_KEY = "ALTER TABLE trades ADD UNIQUE (exchange, symbol, trade_id)"


@dataclass
class Held:
    """What a database holds: rows by symbol, of them repeats, and ids that the program itself says it lacks."""

    rows: int = 0
    ids: dict[str, set[int]] = field(default_factory=dict)
    named: dict[str, set[int]] = field(default_factory=dict)
    quarantined: int = 0
    gaps: list[tuple[str, int, int, str, str]] = field(default_factory=list)  # symbol, first, last, state, cause

    @property
    def distinct(self) -> int:
        """How many different trades."""
        return sum(map(len, self.ids.values()))


class Program:
    """A program as a process of its own, started again after an end as a service manager would."""

    name = ""

    def __init__(self, server: Server, port: int, folder: Path) -> None:
        self.server = server
        self.port = port
        self.folder = folder
        self.database = server.database_name()
        self.process: subprocess.Popen[bytes] | None = None
        self.logs = folder / "said.log"

    @property
    def url(self) -> str:
        """Its database."""
        return self.server.url_of(self.database)

    def start(self) -> None:
        """Start it."""
        with self.logs.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=ROOT, env={**os.environ, **self.environment()}, stdout=log, stderr=log
            )

    def end(self, how: int = signal.SIGTERM) -> None:
        """Signal it and wait until it is gone."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    @property
    def resident_bytes(self) -> int:
        """Its memory now; 0 while it is not there."""
        if self.process is None or self.process.poll() is not None:
            return 0
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    @property
    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def said(self) -> list[str]:
        """The lines of its log so far."""
        return self.logs.read_text(errors="replace").splitlines() if self.logs.exists() else []

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        return {}

    def held(self) -> Held:
        raise NotImplementedError

    # A deadlock: a second session takes `first`, which the writer needs next, and then asks for `second`, which the
    # writer holds.
    deadlock: tuple[str, str] = ("", "")

    def ask(self, text: str) -> list[tuple[Any, ...]]:
        """Ask its database."""
        with psycopg.connect(self.url, autocommit=True, application_name="faults") as asking:
            return asking.execute(text).fetchall()


class Ours(Program):
    """`everytick run`: its defaults, the venue's address, a database, a webhook."""

    name = "everytick"
    deadlock = ("LOCK TABLE trades IN SHARE MODE", "SELECT epoch FROM writer FOR UPDATE")

    def __init__(self, server: Server, port: int, folder: Path, hook_url: str) -> None:
        super().__init__(server, port, folder)
        self.hook_url = hook_url
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.api_port = int(probe.getsockname()[1])

    def command(self) -> list[str]:
        return [sys.executable, "-m", "everytick", "run"]

    def environment(self) -> Mapping[str, str]:
        venue = "EVERYTICK_VENUES__BINANCE__"
        return {
            "DATABASE_URL": self.url,
            "EVERYTICK_DATA__DIR": str(self.folder / "data"),
            "EVERYTICK_SERVE__PORT": str(self.api_port),
            "EVERYTICK_VENUES__HYPERLIQUID__ENABLED": "false",
            f"{venue}ENABLED": "true",
            f"{venue}SYMBOLS": ",".join(SYMBOLS),
            f"{venue}STREAMS": "agg_trades",
            f"{venue}WS_URL": f"ws://127.0.0.1:{self.port}/stream",
            f"{venue}HTTP_URL": f"http://127.0.0.1:{self.port}",
            "EVERYTICK_ALERTS__WEBHOOK_URL": self.hook_url,
            "EVERYTICK_BACKFILL__GAP_AGE_S": str(GAP_AGE_S),
            "EVERYTICK_LOG__FORMAT": "json",
        }

    def held(self) -> Held:
        """Trades, and the ids inside gaps that are not closed."""
        found = Held()
        with psycopg.connect(self.url, autocommit=True) as asking:
            rows = "SELECT s.instrument, t.trade_id FROM trades AS t JOIN streams AS s ON s.number = t.stream"
            for symbol, identity in asking.execute(rows):
                found.rows += 1
                found.ids.setdefault(symbol, set()).add(identity)
            gaps = (
                "SELECT s.instrument, g.first_id, g.last_id, g.state, g.cause "
                "FROM gaps AS g JOIN streams AS s ON s.number = g.stream"
            )
            for symbol, first, last, state, cause in asking.execute(gaps):
                found.gaps.append((symbol, first, last, state, cause))
                if state != "closed" and first >= 0:
                    found.named.setdefault(symbol, set()).update(range(first, last + 1))
            ((found.quarantined,),) = asking.execute("SELECT count(*) FROM quarantine").fetchall()
        return found

    NEWEST = (
        "SELECT s.instrument, (SELECT t.trade_id FROM trades AS t WHERE t.stream = s.number "
        "ORDER BY t.ts_ns DESC, t.trade_id DESC LIMIT 1) FROM streams AS s"
    )


class Cryptofeed(Program):
    """cryptofeed: its Binance feed and its stock TradePostgres."""

    name = "cryptofeed"
    deadlock = ("ALTER SEQUENCE trades_id_seq CACHE 1", "LOCK TABLE trades IN SHARE MODE")

    def __init__(self, server: Server, port: int, folder: Path, *, is_keyed: bool = False) -> None:
        super().__init__(server, port, folder)
        server.ask(PEER_TABLE, self.database)
        if is_keyed:
            server.ask(PEER_KEY, self.database)

    def command(self) -> list[str]:
        order = {
            "port": self.port,
            "host": str(self.server.folder),
            "database": self.database,
            "log": str(self.folder / "feedhandler.log"),
        }
        return [str(peers_python()), "-m", "bench.peers.faulty", json.dumps(order)]

    def held(self) -> Held:
        found = Held()
        symbols = {f"{coin}-USDT": symbol for coin, symbol in zip(COINS, SYMBOLS, strict=True)}
        with psycopg.connect(self.url, autocommit=True) as asking:
            for symbol, identity in asking.execute("SELECT symbol, trade_id FROM trades"):
                found.rows += 1
                found.ids.setdefault(symbols[symbol], set()).add(int(identity))
        return found

    def said(self) -> list[str]:
        """The warnings in its own log, which it prints as well; without any, what else it printed."""
        log = self.folder / "feedhandler.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        warnings = [line for line in lines if " : WARNING : " in line or " : ERROR : " in line]
        return warnings or super().said()
