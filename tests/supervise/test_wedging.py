"""A real process, wedged in real ways: what it answers meanwhile, how it heals, and when it gives up."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.supervise.wedging import SLOW_S, WEDGE_S

ROOT = Path(__file__).resolve().parent.parent.parent
ANSWERED_S_MAX = 0.05
START_S_MAX = 20.0


class Running:
    """The process, its port, and its log."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    def get(self, path: str) -> tuple[int, Any, float]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        began = time.perf_counter()
        try:
            line.request("GET", path)
            answer = line.getresponse()
            body = json.loads(answer.read())
            return answer.status, body, time.perf_counter() - began
        finally:
            line.close()

    def facts(self, name: str) -> list[dict[str, Any]]:
        lines = self._log.read_text().splitlines()
        return [
            line for line in map(json.loads, filter(lambda text: text.startswith("{"), lines)) if line["fact"] == name
        ]

    def until(self, is_true: Any, seconds: float, what: str) -> None:
        ends = time.monotonic() + seconds
        while not is_true():
            assert self.process.poll() is None, f"it ended with {self.process.returncode} before {what}"
            assert time.monotonic() < ends, f"not within {seconds} s: {what}\n{self._log.read_text()[-3000:]}"
            time.sleep(0.05)

    def ends_with(self, seconds: float) -> int:
        return self.process.wait(seconds)


@contextmanager
def running(folder: Path, mode: str) -> Iterator[Running]:
    log = folder / "log"
    with log.open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.supervise.wedging", str(folder / "data"), "0", mode],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=err, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        assert ready.startswith("ready"), log.read_text()[-3000:]
        yield Running(process, int(ready.rsplit(":", 1)[1]), log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_blocked_loop_is_told_at_once_interrupted_and_recovers(tmp_path: Path) -> None:
    with running(tmp_path, "block") as it:
        it.until(lambda: it.get("/health")[1]["status"] == "ok", START_S_MAX, "well")
        assert it.get("/livez")[0] == 200
        checkpoint = it.get("/stats")[1]["checkpoint"]
        it.process.send_signal(signal.SIGHUP)
        slowest, seen = [], set()

        def told() -> bool:
            code, live, live_s = it.get("/livez")
            status, body, health_s = it.get("/health")
            slowest.append(min(live_s, health_s))
            seen.add((code, status, body["reasons"][0]["code"] if body["reasons"] else ""))
            return code == 503 and live["loop_age_ms"] > 5_000

        it.until(told, WEDGE_S + 3, "/livez says no")
        # Asked the whole time that the loop was blocked; one slow answer in ten is the test machine's.
        assert sorted(slowest)[len(slowest) * 9 // 10] < ANSWERED_S_MAX
        assert (503, 503, "loop_wedged") in seen
        it.until(lambda: it.facts("worker_wedged"), 5, "the watchdog acts")
        it.until(lambda: it.get("/livez")[0] == 200, 10, "it lives again")
        it.until(lambda: it.get("/stats")[1]["checkpoint"] > checkpoint + 20, 10, "it records again")
        stacks = (tmp_path / "data" / "stacks.txt").read_text()
        assert "loop is wedged" in stacks
        assert "block_well" in stacks
        assert "block_well" in it.facts("stacks_dumped")[0]["places"]
        it.process.send_signal(signal.SIGUSR1)
        it.until(lambda: any(f["why"] == "SIGUSR1" for f in it.facts("stacks_dumped")), 5, "SIGUSR1 dumps")
        assert (tmp_path / "data" / "stacks.txt").read_text().count("most recent call first") > stacks.count(
            "most recent call first"
        )
        it.process.send_signal(signal.SIGTERM)
        assert it.ends_with(10) == 0
        assert it.facts("recorder_stopped")


def test_a_loop_that_cannot_be_interrupted_ends_the_process_with_one(tmp_path: Path) -> None:
    with running(tmp_path, "stubborn") as it:
        it.until(lambda: it.get("/livez")[0] == 200, START_S_MAX, "well")
        it.process.send_signal(signal.SIGHUP)
        assert it.ends_with(4 * WEDGE_S) == 1
        assert len(it.facts("worker_wedged")) == 1
        assert it.facts("watchdog_gave_up")[0]["worker"] == "loop"
        assert "block_stubbornly" in (tmp_path / "data" / "stacks.txt").read_text()


def test_a_slow_disk_alone_is_never_taken_for_a_wedge(tmp_path: Path) -> None:
    with running(tmp_path, "slow_disk") as it:
        it.until(lambda: it.get("/stats")[1]["checkpoint"] > 20, START_S_MAX, "it records")
        it.process.send_signal(signal.SIGHUP)
        began = time.monotonic()
        assert it.process.stdout is not None
        assert it.process.stdout.readline() == "synced\n"
        assert time.monotonic() - began > SLOW_S - 1 > WEDGE_S
        checkpoint = it.get("/stats")[1]["checkpoint"]
        it.until(lambda: it.get("/stats")[1]["checkpoint"] > checkpoint + 20, 10, "it records on")
        assert not it.facts("worker_wedged")
        assert not it.facts("task_died")


def test_a_stop_that_does_not_end_is_ended_with_seventy(tmp_path: Path) -> None:
    with running(tmp_path, "no_end") as it:
        it.until(lambda: it.get("/livez")[0] == 200, START_S_MAX, "well")
        it.process.send_signal(signal.SIGTERM)
        assert it.ends_with(10) == 70
        assert it.facts("stop_too_long")
        assert "the stop took longer" in (tmp_path / "data" / "stacks.txt").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, "no_end") as it:
        it.until(lambda: it.get("/livez")[0] == 200, START_S_MAX, "well")
        it.process.send_signal(number)
        time.sleep(0.2)
        it.process.send_signal(number)
        assert it.ends_with(0.7) == 128 + number
