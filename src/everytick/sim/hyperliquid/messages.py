"""The venue's messages but for trades, and the framing of WebSocket messages from a server."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

from everytick.sim.coin import INTERVALS_MS, CoinView

Key = tuple[str, str, str]  # what one subscribes to: type, coin, interval ("" where there is none)

json_encode = msgspec.json.Encoder().encode

PONG = b'{"channel":"pong"}'
CHANNELS = ("trades", "candle", "bbo", "l2Book", "allMids", "activeAssetCtx")


class Subscription(msgspec.Struct, frozen=True):
    """A subscription as a client writes it."""

    type: str
    coin: str = ""
    interval: str = ""
    nSigFigs: int | None = None
    mantissa: int | None = None
    fast: bool = False
    dex: str = ""

    @property
    def key(self) -> Key:
        """What it is about; the finer options do not make it another one."""
        return (self.type, self.coin, self.interval)


class ClientMessage(msgspec.Struct, frozen=True):
    """Anything a client may say."""

    method: str
    subscription: msgspec.Raw = msgspec.Raw(b"")


def websocket_frame(message: bytes) -> bytes:
    """One whole text message in one frame, unmasked as a server's are (RFC 6455, section 5.2)."""
    size = len(message)
    if size < 126:
        return b"\x81" + bytes((size,)) + message
    if size < 65_536:
        return b"\x81\x7e" + struct.pack(">H", size) + message
    return b"\x81\x7f" + struct.pack(">Q", size) + message


def websocket_fragments(message: bytes, piece_bytes: int) -> bytes:
    """One text message in several frames."""
    pieces = [message[i : i + piece_bytes] for i in range(0, len(message), piece_bytes)] or [b""]
    out = bytearray()
    for number, piece in enumerate(pieces):
        frame = bytearray(websocket_frame(piece))
        frame[0] = (0x01 if number == 0 else 0x00) | (0x80 if number == len(pieces) - 1 else 0x00)
        out += frame
    return bytes(out)


def problem_with(wanted: Subscription, coins: Mapping[str, CoinView]) -> str:
    """Why the venue would not take this subscription; empty if it would."""
    if wanted.type not in CHANNELS:
        return "unknown type"
    if wanted.type != "allMids" and wanted.coin not in coins:
        return "unknown coin"
    if wanted.type == "candle" and wanted.interval not in INTERVALS_MS:
        return "unknown interval"
    return ""


def ack(method: str, wanted: Subscription, raw: bytes, *, normalised: bool) -> bytes:
    """The venue's confirmation. It echoes its own spelling of the subscription, not the client's bytes."""
    echo = json_encode(_normal(wanted)) if normalised else raw
    return (
        b'{"channel":"subscriptionResponse","data":{"method":'
        + json_encode(method)
        + b',"subscription":'
        + echo
        + b"}}"
    )


def _normal(wanted: Subscription) -> dict[str, object]:
    echo: dict[str, object] = {"type": wanted.type}
    if wanted.coin:
        echo["coin"] = wanted.coin
    if wanted.type == "candle":
        echo["interval"] = wanted.interval
    if wanted.type == "l2Book":
        echo |= {"nSigFigs": wanted.nSigFigs, "mantissa": wanted.mantissa, "fast": wanted.fast}
    if wanted.type == "allMids" and wanted.dex:
        echo["dex"] = wanted.dex
    return echo


def already_subscribed(wanted: Subscription) -> bytes:
    """The answer to a subscription that is there already; the connection stays open."""
    return error(f"Already subscribed: {json_encode(_normal(wanted)).decode()}")


def error(text: str) -> bytes:
    """An error message; the connection stays open."""
    return json_encode({"channel": "error", "data": text})


def bbo(view: CoinView, time_ms: int) -> bytes:
    """Best bid and offer; null on both sides before the first trade."""
    bids, asks = view.levels(1)
    sides = [bids[0] if bids else None, asks[0] if asks else None]
    return json_encode({"channel": "bbo", "data": {"coin": view.coin, "time": time_ms, "bbo": sides}})


def book(view: CoinView, time_ms: int, *, empty: bool = False) -> dict[str, object]:
    """A whole book; as `data` of a message and as an answer of /info alike."""
    return {"coin": view.coin, "time": time_ms, "levels": ([], []) if empty else view.levels()}


def mids(coins: Mapping[str, CoinView]) -> dict[str, str]:
    """The mid price of every coin that has one."""
    found = {coin: view.mid() for coin, view in coins.items()}
    return {coin: mid for coin, mid in found.items() if mid is not None}


def message(channel: str, data: object) -> bytes:
    """Any message of the venue."""
    return json_encode({"channel": channel, "data": data})
