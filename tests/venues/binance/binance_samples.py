"""Messages as Binance sends them, for tests: each with the fields of a recorded or documented one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from everytick.model.control import Asked, reply_payload
from everytick.model.event import Decoded
from everytick.model.frame import Frame, FrameKind, Source
from everytick.venues import binance

RECORDINGS = Path(__file__).parents[3].parent / "shared" / "data" / "binance"
WITHOUT_RECORDINGS = "the real recordings (../shared/data) are not here"
SPOT_FILES = ("hftbacktest_spot_btcusdt_20240808.gz", "hftbacktest_spot_btcusdt_20240809.gz")
TIME_MS = 1_723_161_255_342
RECV_NS = (TIME_MS + 20) * 1_000_000


def frame(payload: bytes, kind: FrameKind = FrameKind.MESSAGE, ts_recv_ns: int = RECV_NS) -> Frame:
    return Frame(7, kind, Source("binance", "ws", 3), ts_recv_ns, 0, payload)


def combined(stream: str, data: object) -> bytes:
    return json.dumps({"stream": stream, "data": data}).encode()


def decode(payload: bytes) -> Decoded:
    return binance.decode(frame(payload))


def decode_reply(name: str, question: str, body: object, status: int = 200) -> Decoded:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return binance.decode(frame(reply_payload(Asked(name, question, status), text), FrameKind.REPLY))


def trade(**changes: object) -> dict[str, Any]:
    sent = {"e": "trade", "E": TIME_MS + 1, "s": "BTCUSDT", "t": 3735683259, "p": "61837.63000000", "q": "0.02000000"}
    return {**sent, "T": TIME_MS, "m": True, "M": True, **changes}


def agg_trade(**changes: object) -> dict[str, Any]:
    sent = {"e": "aggTrade", "E": TIME_MS, "s": "BTCUSDT", "a": 12345, "p": "0.001", "q": "100", "f": 100, "l": 105}
    return {**sent, "T": TIME_MS, "m": False, "M": True, **changes}


def quote(**changes: object) -> dict[str, Any]:
    prices = {"b": "61837.63000000", "B": "3.78826000", "a": "61837.64000000", "A": "1.54698000"}
    return {"u": 50093239212, "s": "BTCUSDT", **prices, **changes}


def book(**changes: object) -> dict[str, Any]:
    return {"lastUpdateId": 160, "bids": [["0.0024", "10"], ["0.0023", "0"]], "asks": [["0.0026", "100"]], **changes}


def kline(**changes: object) -> dict[str, Any]:
    bar = {"t": 1_723_161_240_000, "T": 1_723_161_299_999, "s": "BTCUSDT", "i": "1m", "f": 100, "L": 200}
    bar |= {"o": "1.10", "c": "1.20", "h": "1.25", "l": "1.05", "v": "10.5", "n": 100, "x": False, "q": "1"}
    return {"e": "kline", "E": TIME_MS, "s": "BTCUSDT", "k": {**bar, "V": "5", "Q": "0.5", "B": "0", **changes}}


def past_trade(number: int, **changes: object) -> dict[str, Any]:
    sent = {"id": number, "price": "4.00000100", "qty": "12.00000000", "quoteQty": "48.000012", "time": TIME_MS}
    return {**sent, "isBuyerMaker": True, "isBestMatch": True, **changes}


def past_agg_trade(number: int, **changes: object) -> dict[str, Any]:
    sent = {"a": number, "p": "0.01633102", "q": "4.70443515", "f": 27781, "l": 27781, "T": TIME_MS}
    return {**sent, "m": True, "M": True, **changes}


def past_kline(open_ms: int, **at: object) -> list[object]:
    bar = [open_ms, "1.10", "1.25", "1.05", "1.20", "10.5", open_ms + 59_999, "11", 100, "5", "6", "0"]
    for place, value in at.items():
        bar[int(place.removeprefix("at_"))] = value
    return bar


GOOD = {
    "btcusdt@trade": trade(),
    "btcusdt@aggTrade": agg_trade(),
    "btcusdt@bookTicker": quote(),
    "btcusdt@depth20@100ms": book(),
    "btcusdt@kline_1m": kline(),
}


def recorded_lines(name: str) -> Iterator[tuple[int, bytes]]:
    """(receive time ns, payload) of each line of a spot recording."""
    with gzip.open(RECORDINGS / name, "rt") as lines:
        for line in lines:
            stamp, _, payload = line.strip().partition(" ")
            yield int(stamp), payload.encode()
