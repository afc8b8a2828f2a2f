"""What is seen of a run from outside, several times a second: /health, memory, what the venue made, what is stored."""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from bench.children import Child
from bench.faults.sides import Ours, Program

LOOK_S = 0.2
STORED_LOOK_S = 0.05
# docs/HEALTH.md: a checkpoint that stands for 12 s is late. A look may come one of ours and one of its own later.
LATE_S = 12.0 + 1.0

Newest = dict[str, int]


@dataclass(frozen=True)
class Seen:
    """One answer of /health: when it was asked for, its code (0: none came), its word, and how long it took."""

    at_s: float
    code: int
    status: str
    took_ms: float
    reasons: str


@dataclass
class Watch:
    """Threads that look until the block ends. Times are of the wall clock, in seconds."""

    program: Program
    venue: Child
    health: list[Seen] = field(default_factory=list)
    resident: list[tuple[float, int]] = field(default_factory=list)
    made: list[tuple[float, Newest]] = field(default_factory=list)
    stored: list[tuple[float, Newest]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._asking = threading.Lock()
        works: list[tuple[Callable[[], None], float]] = [(self._look, LOOK_S)]
        if isinstance(self.program, Ours):
            works += [(self._ask_health, LOOK_S), (self._ask_store, STORED_LOOK_S)]
        self._threads = [threading.Thread(target=self._repeat, args=work, daemon=True) for work in works]
        self._store: psycopg.Connection[tuple[str, int]] | None = None

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        if self._store is not None:
            self._store.close()

    def tell(self, **word: object) -> dict[str, object]:
        """Say something to the venue."""
        with self._asking:
            return self.venue.ask(json.dumps(word))

    def _repeat(self, look: Callable[[], None], every_s: float) -> None:
        due = time.monotonic()
        while not self._end.is_set():
            look()
            due = max(due + every_s, time.monotonic())
            self._end.wait(due - time.monotonic())

    def _look(self) -> None:
        newest = self.tell(newest=True)["newest"]
        assert isinstance(newest, dict)
        self.made.append((time.time(), newest))
        with suppress(OSError):
            if resident := self.program.resident_bytes:
                self.resident.append((time.time(), resident))

    def _ask_health(self) -> None:
        assert isinstance(self.program, Ours)
        began, at_s = time.perf_counter(), time.time()
        connection = http.client.HTTPConnection("127.0.0.1", self.program.api_port, timeout=2)
        code, status, reasons = 0, "", ""
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            answer = connection.getresponse()
            told = json.loads(answer.read())
            code, status = answer.status, told["status"]
            reasons = ",".join(reason["code"] for reason in told["reasons"])
        connection.close()
        self.health.append(Seen(at_s, code, status, (time.perf_counter() - began) * 1e3, reasons))

    def _ask_store(self) -> None:
        assert isinstance(self.program, Ours)
        try:
            if self._store is None or self._store.closed:
                self._store = psycopg.connect(self.program.url, autocommit=True, application_name="faults")
            rows = self._store.execute(Ours.NEWEST).fetchall()
        except psycopg.Error:
            return
        self.stored.append((time.time(), {symbol: identity for symbol, identity in rows if identity is not None}))

    # What it shows afterwards

    def resident_mb(self, from_s: float, to_s: float) -> float:
        """Median memory within a stretch of time, in MB; 0 if nobody looked."""
        found = [size for at_s, size in self.resident if from_s <= at_s <= to_s]
        return statistics.median(found) / 1e6 if found else 0.0

    def made_between(self, from_s: float, to_s: float) -> int:
        """How many trades the venue made within a stretch of time, to the nearest look."""
        return _total(_at(self.made, to_s)) - _total(_at(self.made, from_s))

    def late_s(self, at_s: float) -> float:
        """For how long, at least, the oldest trade that was not stored at that time had been due."""
        stored = _at(self.stored, at_s)
        late = 0.0
        for symbol, first in self.made[0][1].items():
            wanted = stored.get(symbol, first - 1) + 1
            due_s = next((made_s for made_s, newest in self.made if newest[symbol] >= wanted), at_s)
            late = max(late, at_s - due_s)
        return late

    def lies(self, away: tuple[float, float] | None) -> list[Seen]:
        """Answers of `ok` while due data was not stored beyond its bound, or the server was away for five seconds."""
        from_s, to_s = away or (0.0, 0.0)
        return [
            seen
            for seen in self.health
            if seen.status == "ok" and (from_s + 5.0 < seen.at_s < to_s or self.late_s(seen.at_s) > LATE_S)
        ]

    def catch_up(self, from_s: float, rate: float) -> tuple[int, float]:
        """After a stretch in which nothing was stored: how many trades it took to be level, and in how many seconds.

        From the last look that showed nothing new to the first that is within a quarter of a second of the venue.
        """
        stood, before_s = -1, from_s
        for at_s, stored in self.stored:
            if at_s < from_s:
                continue
            if stood in (-1, _total(stored)):
                stood = _total(stored)
                before_s = at_s
            elif _total(_at(self.made, at_s)) - _total(stored) <= rate * 0.25 + 1:
                return _total(stored) - stood, at_s - before_s
        return 0, 0.0


def _at(samples: list[tuple[float, Newest]], at_s: float) -> Newest:
    place = bisect_right(samples, at_s, key=lambda sample: sample[0]) - 1
    return samples[max(place, 0)][1] if samples else {}


def _total(newest: Newest) -> int:
    return sum(newest.values())
