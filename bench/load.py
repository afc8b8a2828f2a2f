"""An HTTP load generator: keep-alive connections over raw sockets, one request under way on each.

Run as a process: `python -m bench.load '{"port": 1, "path": "/trades?limit=1000", "connections": 16, "seconds": 5}'`.
It reads whole answers by their Content-Length, counts those with status 200 and refuses to count any other.
"""

from __future__ import annotations

import json
import selectors
import socket
import statistics
import sys
import time

_BUFFER_BYTES = 1 << 20


class Line:
    """One connection and the answer that it waits for."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = request
        self.head = b""
        self.missing = -1  # body bytes still to come; -1 while the head is not complete
        self.asked_at = 0.0

    def ask(self) -> None:
        """Send the request."""
        self.head, self.missing = b"", -1
        self.asked_at = time.perf_counter()
        self.socket.sendall(self.request)

    def feed(self, piece: memoryview) -> bool:
        """Take what came; true when the answer is complete. Raises RuntimeError unless it is a 200."""
        if self.missing >= 0:
            self.missing -= len(piece)
            return self.missing <= 0
        self.head += bytes(piece)
        head, end, rest = self.head.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the server answered {head[:80]!r} {rest[:200]!r}")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                self.missing = int(line[15:]) - len(rest)
                return self.missing <= 0
        raise RuntimeError(f"no Content-Length in {head!r}")


def run(port: int, path: str, connections: int, seconds: float) -> dict[str, float]:
    """Load the server for that long; answers per second, and the median and p99 time of one (ms)."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n".encode()
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    times: list[float] = []
    received = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            line = Line(port, request)
            selector.register(line.socket, selectors.EVENT_READ, line)
            line.ask()
        begin = now = time.perf_counter()
        while now - begin < seconds:
            for key, _ in selector.select(1.0):
                line = key.data
                count = line.socket.recv_into(buffer)
                if not count:
                    raise RuntimeError("the server closed a connection under load")
                received += count
                if line.feed(buffer[:count]):
                    times.append(time.perf_counter() - line.asked_at)
                    line.ask()
            now = time.perf_counter()
    if len(times) < 2:
        raise RuntimeError(f"{len(times)} answers in {seconds} s: too slow to measure")
    ordered = sorted(times)
    return {
        "per_second": len(times) / (now - begin),
        "p50_ms": statistics.median(ordered) * 1e3,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1e3,
        "answer_bytes": received / len(times),
    }


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    print(json.dumps(run(order["port"], order["path"], order["connections"], order["seconds"])), flush=True)
