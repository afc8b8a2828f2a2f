"""The same Binance bytes on both sides: socket → tape beside socket → callback, and both into PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.children import Child, answer_of
from bench.environment import peer_version, peers_python
from bench.frames import start_before_now_ms
from bench.measures.side_by_side import PASSES, median, record, sender
from bench.report import Row, ratio_of, spread

TAPE_TRADES = 600_000
STORE_TRADES = 300_000
GOAL = 6.0
DIALECT = "binance"
SECONDS_MAX = 120


def run(work: Path) -> list[Row]:
    """One row up to the tape, one up to the database."""
    folder = work / "postgres-binance"
    folder.mkdir()
    with Child(
        "bench.peers.postgres_server", {"folder": str(folder)}, python=peers_python(), seconds_max=600
    ) as server:
        where = server.line()
        if where["fsync"] != "on":
            raise RuntimeError(f"PostgreSQL runs with fsync {where['fsync']}: its defaults are wanted")
        return [_tape(work / "tape"), _store(work / "store", server, where)]


def _tape(folder: Path) -> Row:
    def ours(port: int) -> float:
        return _rate(TAPE_TRADES, record(port, TAPE_TRADES, 1, folder, store=False, dialect=DIALECT))

    def peer(port: int) -> float:
        return _rate(TAPE_TRADES, _cryptofeed("callback", port, TAPE_TRADES))

    return _row(
        "binance-tape",
        "Binance aggTrade: socket → durable tape",
        "socket → async callback, nothing stored",
        "last one fdatasynced",
        TAPE_TRADES,
        ours,
        peer,
    )


def _store(folder: Path, server: Child, where: dict[str, str]) -> Row:
    def ours(port: int) -> float:
        url = server.ask("fresh")["url"]
        return _rate(STORE_TRADES, record(port, STORE_TRADES, 1, folder, store=True, dialect=DIALECT, url=url))

    def peer(port: int) -> float:
        server.ask("reset")
        answer = _cryptofeed("postgres", port, STORE_TRADES, host=where["host"])
        answer["trades"] = server.ask("count")["distinct"]
        return _rate(STORE_TRADES, answer)

    return _row(
        "binance-postgres",
        "Binance aggTrade: socket → tape → decoded → deduplicated → PostgreSQL, with its key",
        f"socket → TradePostgres → PostgreSQL {where['version']}, no key, no dedupe",
        "last one committed; the same server, fsync on",
        STORE_TRADES,
        ours,
        peer,
    )


def _cryptofeed(what: str, port: int, trades: int, **more: str) -> dict[str, float]:
    order = {"port": port, "trades": trades, "dialect": DIALECT, **more}
    return answer_of(f"bench.peers.{what}", order, python=peers_python(), seconds_max=SECONDS_MAX)


def _rate(trades: int, answer: dict[str, float]) -> float:
    if answer["trades"] != trades:
        raise RuntimeError(f"sent {trades} distinct trades, held are {answer['trades']}")
    return trades / float(answer["seconds"])


def _row(
    name: str,
    what: str,
    peer_does: str,
    until: str,
    trades: int,
    ours: Callable[[int], float],
    peer: Callable[[int], float],
) -> Row:
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    # Both senders make the same bytes; they differ in what they wait for: cryptofeed asks in the address alone.
    same = {"start_ms": start_before_now_ms(trades)}
    with (
        sender(DIALECT, trades, 1, client_messages=1, **same) as (our_port, message_bytes),
        sender(DIALECT, trades, 1, client_messages=0, **same) as (peer_port, _),
    ):
        for _ in range(PASSES):
            rates["ours"].append(ours(our_port))
            rates["peer"].append(peer(peer_port))
    return Row(
        name=name,
        what=what,
        ours=median(rates["ours"]),
        peer=f"cryptofeed {peer_version('cryptofeed')}: {peer_does}",
        peer_value=median(rates["peer"]),
        ratio=ratio_of(rates["ours"], rates["peer"]),
        unit="trades/s",
        conditions=f"{trades:,} distinct trades, one a message of {message_bytes} B, the same bytes on both sides; "
        f"first message → {until}; {PASSES} passes in turn, medians; ours {spread(rates['ours'])}, "
        f"peer {spread(rates['peer'])}",
        goal=GOAL,
    )
