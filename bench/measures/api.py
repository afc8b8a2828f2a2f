"""GET /trades?limit=1000, beside FastAPI + pydantic over the same SQLite file."""

from __future__ import annotations

from pathlib import Path

from bench.children import Child, answer_of
from bench.environment import peer_version, peers_python
from bench.machine import two_cpus
from bench.measures.side_by_side import PASSES, median, record, sender
from bench.report import Row, ratio_of, spread

TRADES = 100_000
CONNECTIONS = 16
SECONDS = 3.0
PATH = "/trades?limit=1000"
GOAL = 4.0


def run(work: Path) -> list[Row]:
    """Requests per second of both servers on one processor each, the load on another."""
    folder = work / "api"
    with sender("hyperliquid", TRADES, 1) as (port, _):
        stored = record(port, TRADES, 1, folder, store=True)
    server_cpus, load_cpus = two_cpus()
    peer_order = {"file": stored["store_file"], "statement": stored["statement"]}
    ours: list[float] = []
    peer: list[float] = []
    shapes: list[dict[str, float]] = []
    with (
        Child("bench.ours.serve", {"folder": str(folder)}, cpus=server_cpus, seconds_max=120) as our_server,
        Child(
            "bench.peers.fastapi_server", peer_order, python=peers_python(), cpus=server_cpus, seconds_max=120
        ) as peer_server,
    ):
        ports = our_server.line()["port"], peer_server.line()["port"]
        for _ in range(PASSES):
            for port, rates in zip(ports, (ours, peer), strict=True):
                order = {"port": port, "path": PATH, "connections": CONNECTIONS, "seconds": SECONDS}
                shape = answer_of("bench.load", order, cpus=load_cpus, seconds_max=30)
                rates.append(shape["per_second"])
                shapes.append(shape)
    mine, theirs = shapes[-2], shapes[-1]
    return [
        Row(
            name="api",
            what=f"GET {PATH}",
            ours=median(ours),
            peer=f"FastAPI {peer_version('fastapi')} + pydantic, uvicorn with uvloop and httptools, same SQLite file",
            peer_value=median(peer),
            ratio=ratio_of(ours, peer),
            unit="requests/s",
            conditions=f"{CONNECTIONS} connections, server on one core, load on another; {PASSES} passes of "
            f"{SECONDS:.0f} s in turn, medians; ours {spread(ours)}, p99 {mine['p99_ms']:.1f} ms, "
            f"{mine['answer_bytes'] / 1e3:.0f} kB; peer {spread(peer)}, p99 {theirs['p99_ms']:.1f} ms, "
            f"{theirs['answer_bytes'] / 1e3:.0f} kB",
            goal=GOAL,
        )
    ]
