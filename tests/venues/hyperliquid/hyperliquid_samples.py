"""Messages of Hyperliquid, made by hand, and the frames around them.

Provenance: written 2026-11-20 after the field lists of the venue's documentation (websocket/subscriptions and
info-endpoint) with the key order, the number of digits and the trailing `.0` seen in recorded traffic of
2025-01-26. Hashes and addresses are made up. No recorded byte stands here; the recorded ones are read by
test_hyperliquid_recordings.py where they are at hand.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from everytick.model.control import Asked, reply_payload
from everytick.model.event import Decoded
from everytick.model.frame import Frame, FrameKind, Source
from everytick.venues import hyperliquid

RECORDINGS = Path(__file__).parents[4] / "shared" / "data" / "hyperliquid"
WITHOUT_RECORDINGS = "the folder ../shared/data is not here: recordings are kept outside the project"

RECV_NS = 1_737_918_845_000_000_000
TIME_MS = 1_737_918_844_873
SOURCE = Source("hyperliquid", "ws", 7)


def frame(payload: bytes, kind: FrameKind = FrameKind.MESSAGE, ts_recv_ns: int = RECV_NS) -> Frame:
    return Frame(11, kind, SOURCE, ts_recv_ns, 5, payload)


def decode(payload: bytes | str, ts_recv_ns: int = RECV_NS) -> Decoded:
    payload = payload.encode() if isinstance(payload, str) else payload
    return hyperliquid.decode(frame(payload, ts_recv_ns=ts_recv_ns))


ADDRESS = "0x" + "ab" * 20
QUESTION = '{"user":"' + ADDRESS + '"}'


def decode_reply(
    name: str, body: bytes | str, status: int = 200, ts_recv_ns: int = RECV_NS, asked: str = QUESTION
) -> Decoded:
    body = body.encode() if isinstance(body, str) else body
    payload = reply_payload(Asked(name, asked, status), body)
    return hyperliquid.decode(frame(payload, FrameKind.REPLY, ts_recv_ns))


def message(channel: str, data: object) -> bytes:
    return json.dumps({"channel": channel, "data": data}, separators=(",", ":")).encode()


def trade(number: int = 0, **changes: object) -> dict[str, object]:
    """The number-th of a run of good trades; a change of ... (Ellipsis) leaves the field out."""
    fields: dict[str, object] = {
        "coin": "BTC",
        "hash": f"0x{number:064x}",
        "px": f"{105_056 + number % 7}.0",
        "side": "AB"[number % 2],
        "sz": f"0.{number + 1:05}",
        "tid": 121_451_470_284_048 + number * 7_919,
        "time": TIME_MS - 10 * number,
        "users": [f"0x{number:040x}", "0x6802b4267f7f2bf7003dcf993c51542245b38329"],
    }
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not ...}


def position(coin: str = "BTC", size: str = "-0.00785", value: str = "211.64542") -> dict[str, object]:
    """The parts of a position that are read, and two that are not."""
    return {"type": "oneWay", "position": {"coin": coin, "szi": size, "positionValue": value, "liquidationPx": None}}


def account(*positions: dict[str, object], worth: str = "1182.312496", **changes: object) -> dict[str, object]:
    summary = {"accountValue": worth, "totalMarginUsed": "171.740766"}
    fields = {"marginSummary": summary, "assetPositions": list(positions or [position()]), "time": TIME_MS}
    return {name: value for name, value in {**fields, **changes}.items() if value is not ...}


def candle(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "t": 1_737_918_840_000,
        "T": 1_737_918_899_999,
        "s": "BTC",
        "i": "1m",
        "o": "105056.0",
        "c": "105049.0",
        "h": "105060.0",
        "l": "105041.0",
        "v": "3.12345",
        "n": 17,
    }
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not ...}


def level(px: str, sz: str = "1.5", n: int = 2) -> dict[str, object]:
    return {"px": px, "sz": sz, "n": n}


def book(**changes: object) -> dict[str, object]:
    sides = [[level("105055.0"), level("105054.0")], [level("105056.0"), level("105057.0", "0.00219", 1)]]
    return {"coin": "BTC", "levels": sides, "time": TIME_MS} | changes


def bbo(bid: object, ask: object, **changes: object) -> dict[str, object]:
    return {"coin": "BTC", "time": TIME_MS, "bbo": [bid, ask]} | changes


def context(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "funding": "-0.0000015186",
        "openInterest": "27353.17682",
        "prevDayPx": "76317.0",
        "dayNtlVlm": "1516669192.1953897476",
        "premium": "-0.0005927453",
        "oraclePx": "77605.0",
        "markPx": "77562.0",
        "midPx": "77558.5",
        "impactPxs": ["77558.0", "77559.0"],
    }
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not ...}


def good_messages() -> list[bytes]:
    """One of each kind that streams, all right."""
    return [
        message("trades", [trade(0)]),
        message("trades", [trade(number) for number in range(30)]),
        message("trades", []),
        message("candle", candle()),
        message("bbo", bbo(level("105055.0"), level("105056.0"))),
        message("bbo", bbo(None, level("105056.0"))),
        message("l2Book", book()),
        message("l2Book", book(levels=[[], []])),
        message("allMids", {"mids": {"BTC": "105055.5", "@107": "24.1", "PURR/USDC": "0.2", "#5": "0.41"}}),
        message("activeAssetCtx", {"coin": "BTC", "ctx": context()}),
        message("activeAssetCtx", {"coin": "OLD", "ctx": context(midPx=None, premium=None)}),
    ]


def recorded_frames() -> list[tuple[int, bytes]]:
    """(receive time in ns, message) of 25 seconds of 2025-01-26."""
    with gzip.open(RECORDINGS / "hftbacktest_btcusd_20250126.gz") as lines:
        return [(int(ts_ns), payload) for ts_ns, payload in (line.rstrip(b"\n").split(b" ", 1) for line in lines)]
