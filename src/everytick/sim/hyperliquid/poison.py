"""Messages that no recorder may store: each is wrong in one way, between good neighbours where it can be."""

from __future__ import annotations

import msgspec

from everytick.sim.hyperliquid.messages import json_encode
from everytick.sim.prints import Print, trade_json, trades_frame

KINDS = (
    "broken_json",
    "nan",
    "infinity",
    "underscore",
    "full_width_digits",
    "negative_size",
    "zero_price",
    "wrong_types",
    "missing_field",
    "unknown_channel",
    "huge",
    "huge_in_fragments",
    "time_in_seconds",
    "time_2262",
    "time_8h_ahead",
)
# Of these nothing can be read, so they have no good neighbours to keep.
UNREADABLE = frozenset(("broken_json", "unknown_channel", "huge", "huge_in_fragments"))
HUGE_BYTES = 20 * 1024 * 1024
HOUR_MS = 3_600_000
MS_2262 = 9_223_372_036_855  # one past the last millisecond that 63 bits of nanoseconds can hold


def poison_message(kind: str, trade: Print, neighbours: tuple[Print, ...], huge_bytes: int = HUGE_BYTES) -> bytes:
    """The message of this kind, made from `trade`, between `neighbours` (two) where it can be.

    ValueError: no such kind.
    """
    if kind == "broken_json":
        return trades_frame([trade])[:-9]
    if kind == "unknown_channel":
        return json_encode({"channel": "surprise", "data": {"coin": trade.coin}})
    if kind in ("huge", "huge_in_fragments"):
        return json_encode({"channel": "trades", "data": [{"coin": trade.coin, "hash": "0" * huge_bytes}]})
    item = _spoil(kind, trade)
    items = [*map(trade_json, neighbours[:1]), item, *map(trade_json, neighbours[1:2])]
    return b'{"channel":"trades","data":[' + b",".join(items) + b"]}"


def _spoil(kind: str, trade: Print) -> bytes:
    replace = msgspec.structs.replace
    if kind == "nan":
        return trade_json(replace(trade, px="NaN"))
    if kind == "infinity":
        return trade_json(replace(trade, px="Infinity"))
    if kind == "underscore":
        return trade_json(replace(trade, px="1_000"))
    if kind == "full_width_digits":
        return trade_json(replace(trade, px="１２３"))
    if kind == "negative_size":
        return trade_json(replace(trade, sz=f"-{trade.sz}"))
    if kind == "zero_price":
        return trade_json(replace(trade, px="0.0"))
    if kind == "wrong_types":
        return json_encode({"coin": trade.coin, "side": 1, "px": [], "sz": {}, "time": "x", "tid": "y", "hash": ""})
    if kind == "missing_field":
        return json_encode({"coin": trade.coin, "side": trade.side, "px": trade.px})
    if kind == "time_in_seconds":
        return trade_json(replace(trade, time_ms=trade.time_ms // 1000))
    if kind == "time_2262":
        return trade_json(replace(trade, time_ms=MS_2262))
    if kind == "time_8h_ahead":
        return trade_json(replace(trade, time_ms=trade.time_ms + 8 * HOUR_MS))
    raise ValueError(f"{kind!r} is no kind of poison: one of {', '.join(KINDS)}")
