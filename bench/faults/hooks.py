"""A webhook on loopback: takes every alert and notes when it came."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Told:
    """One alert: when it came (wall clock, s), its rule and its state."""

    at_s: float
    rule: str
    state: str


@dataclass
class Hook:
    """Where alerts come in."""

    url: str
    told: list[Told]

    def first(self, rule: str, state: str, since_s: float) -> float:
        """When that was first told at or after `since_s`; -1 if it was not."""
        return next((t.at_s for t in list(self.told) if (t.rule, t.state) == (rule, state) and t.at_s >= since_s), -1.0)

    def count(self, rule: str, state: str, since_s: float) -> int:
        """How often that was told at or after `since_s`."""
        return sum((t.rule, t.state) == (rule, state) and t.at_s >= since_s for t in list(self.told))


@contextmanager
def hook() -> Iterator[Hook]:
    """A running one."""
    told: list[Told] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.append(Told(time.time(), body["rule"], body["state"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield Hook(f"http://127.0.0.1:{server.server_address[1]}/hook", told)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
