"""GET /trades as most people write it: FastAPI, a pydantic response model, rows of the same SQLite file.

uvicorn with uvloop and httptools, one worker, no access log: its fastest ordinary set-up. The endpoint is
`async`, which is faster here than a thread pool, and the statement reads the same rows in the same order.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
import threading
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Query
from pydantic import BaseModel


class Trade(BaseModel):
    """One trade as served: the fields and names of our own answer."""

    venue: str
    coin: str
    tid: int
    side: str
    px: str
    sz: str
    time: int


class Page(BaseModel):
    """The answer."""

    trades: list[Trade]


def application(file: str, statement: str) -> FastAPI:
    """The service over one SQLite file; `statement` takes the limit and gives the fields of Trade in order."""
    service = FastAPI()
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True, check_same_thread=False)

    @service.get("/trades", response_model=Page)
    async def trades(limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000) -> Page:
        rows = database.execute(statement, (limit,)).fetchall()
        return Page(
            trades=[
                Trade(venue=venue, coin=coin, tid=tid, side=side, px=px, sz=sz, time=time)
                for venue, coin, tid, side, px, sz, time in rows
            ]
        )

    return service


def main() -> None:
    """Serve until standard input closes."""
    order = json.loads(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application(order["file"], order["statement"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
    )
    server = uvicorn.Server(config)

    def wait_for_end() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=wait_for_end, daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
