"""The venue's messages but for trades."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from everytick.sim.coin import INTERVALS_MS, CoinView
from everytick.sim.hub import Key

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
