"""Lines of the venue's archive: which of them are wanted, and the trades that they hold.

    node_fills_by_block  {"local_time":"…","block_time":"…","block_number":N,"events":[[address, fill],…]}
    node_fills           [address, fill]
    node_trades          {"coin":"BTC","side":"B","time":"2025-03-22T10:00:00.123456789","px":"…","sz":"…","hash":"0x…",
                          "trade_dir_override":"Na","side_info":[{"user":"0x…","oid":1,…},{"user":"0x…","oid":2,…}]}
    fill                 {"coin":"BTC","px":"…","sz":"…","side":"B","time":1753603200123,"crossed":true,"tid":3,…}

docs: historical-data; info-endpoint, userFills (read 2026-11-20). A trade is two fills with one tid: `crossed` is true
for the one who took, whose side is the aggressor's. Both are folded into one trade, the taker's half first; a maker's
half alone says as much, with the side turned round.

node_trades states nanoseconds and no tid. Its time is cut to the millisecond that the venue states everywhere else.
Its id is made here from the two order ids, as the venue makes its own: the same for the same trade, and beyond the 50
bits of the venue's, so that the two kinds never meet by accident.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from everytick.core.fields import TROUBLE, Raw, Shape, invalid_from
from everytick.core.refusals import Findings
from everytick.core.validate import TIME_MS_MAX, TIME_MS_MIN, Invalid, latest_ms
from everytick.model.event import Decoded, Side, Trade
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_MS
from everytick.venues.archived import PREFIX, Wanted
from everytick.venues.hyperliquid import names, wire
from everytick.venues.hyperliquid.archive_hours import BUCKET, BY_BLOCK, FILLS, LATE_NS, TRADES, hours, kind_of
from everytick.venues.hyperliquid.rules import NAME

__all__ = ["BUCKET", "LATE_NS", "NAME", "decode_lines", "hours", "kind_of", "names_ids", "select", "time_ms"]

OWN_ID: Final = 1 << 62


class WireFill(msgspec.Struct, gc=False):
    """One side of a trade."""

    coin: str
    px: str
    sz: str
    side: Literal["B", "A"]
    time: wire.TimeMs
    tid: wire.Identity
    crossed: bool


class WireSide(msgspec.Struct, gc=False):
    """One side of a line of node_trades."""

    oid: wire.Identity


class WirePrint(msgspec.Struct, gc=False):
    """One line of node_trades."""

    coin: str
    side: Literal["B", "A"]
    time: str
    px: str
    sz: str
    side_info: tuple[WireSide, WireSide]


class _Where(msgspec.Struct, gc=False):
    coin: str
    time: int | str


class _Block(msgspec.Struct, gc=False):
    """A line of node_fills_by_block; what we do not look at stays as it was written."""

    events: list[Raw]
    local_time: Raw = Raw(b"null")
    block_time: Raw = Raw(b"null")
    block_number: Raw = Raw(b"null")


_block: Final = Shape(_Block)
_where: Final = Shape(_Where)
_fill_where: Final = Shape(tuple[Raw, _Where])
_fill: Final = Shape(tuple[Raw, WireFill])
_print: Final = Shape(WirePrint)
_encode: Final = msgspec.json.Encoder().encode
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?Z?", re.ASCII
)


def names_ids(kind: str) -> bool:
    """Whether lines of this kind name the venue's own trade ids."""
    return kind != TRADES


def select(kind: str, line: bytes, wanted: Wanted) -> bytes:
    """What of a line is wanted, its fills byte for byte as written; empty where nothing is.

    Raises Invalid for a line that cannot be read: what it held is not known.
    """
    if kind != BY_BLOCK:
        where = _fill_where.read(line)[1] if kind == FILLS else _where.read(line)
        return line if _is_wanted(where, wanted) else b""
    block = _block.read(line)
    kept = [event for event in block.events if _is_wanted(_fill_where.read(event)[1], wanted)]
    if len(kept) == len(block.events):
        return line if kept else b""
    return _encode(msgspec.structs.replace(block, events=kept)) if kept else b""


def _is_wanted(where: _Where, wanted: Wanted) -> bool:
    spans = wanted.get(where.coin)
    if spans is None:
        return False
    at_ms = time_ms(where.time) if isinstance(where.time, str) else where.time
    return any(from_ms <= at_ms < to_ms for from_ms, to_ms in spans)


def decode_lines(name: str, body: bytes, ts_recv_ns: int) -> Decoded:
    """The trades in lines of the archive, each once. `name` is `archive:` and the kind of lines. Never raises.

    Refusals count lines, or the fills of all lines where a line holds several.
    """
    kind = kind_of(name.removeprefix(PREFIX))
    trades: dict[tuple[str, int, int], tuple[Trade, bool]] = {}
    findings = Findings("line")
    last_ms = latest_ms(ts_recv_ns)
    index = -1
    for index, item in enumerate(_items(kind, body)):
        try:
            if isinstance(item, Invalid):
                raise item
            trade, is_taker = _trade(kind, item)
            if trade.ts_event_ns > last_ms * NS_PER_MS:
                raise Invalid("future", trade.ts_event_ns // NS_PER_MS)
            key = (trade.stream.instrument, trade.ts_event_ns, trade.trade_id)
            held = trades.get(key)
            if held is not None:
                _agree(held[0], trade)
            if held is None or is_taker:
                trades[key] = (trade, is_taker)
        except Invalid as finding:
            findings.add(index, finding)
        except TROUBLE as trouble:
            findings.add(index, invalid_from(trouble, b""))
    return Decoded([trade for trade, _ in trades.values()], findings.refusals())


def _items(kind: str, body: bytes) -> Iterator[bytes | Raw | Invalid]:
    for line in body.split(b"\n"):
        if not line.strip():
            continue
        if kind != BY_BLOCK:
            yield line
            continue
        try:
            yield from _block.read(line).events
        except Invalid as finding:
            yield finding


def _trade(kind: str, item: bytes | Raw) -> tuple[Trade, bool]:
    """The trade of one fill or print, and whether it is the taker's own word."""
    if kind == TRADES:
        line = _print.read(item)
        return _event(line.coin, time_ms(line.time), _own_id(line), line.px, line.sz, names.SIDES[line.side]), True
    if kind not in (FILLS, BY_BLOCK):
        raise Invalid("unknown_request", kind)
    fill = _fill.read(item)[1]
    side = names.SIDES[fill.side]
    if not fill.crossed:
        side = Side.SELL if side is Side.BUY else Side.BUY
    return _event(fill.coin, fill.time, fill.tid, fill.px, fill.sz, side), fill.crossed


def _event(coin: str, at_ms: int, trade_id: int, price: str, size: str, side: Side) -> Trade:
    stream: Stream = names.TRADES[coin]
    return Trade(stream, at_ms * NS_PER_MS, trade_id, names.POSITIVE[price], names.POSITIVE[size], side)


def _agree(one: Trade, other: Trade) -> None:
    if (one.price, one.size, one.side) != (other.price, other.size, other.side):
        raise Invalid("conflict", f"{other.size} at {other.price} {other.side.value}, its other half differs")


def _own_id(line: WirePrint) -> int:
    first, second = sorted(side.oid for side in line.side_info)
    digest = blake2b(f"{first}/{second}".encode(), digest_size=7).digest()
    return OWN_ID | int.from_bytes(digest, "big")


def time_ms(text: str) -> int:
    """The millisecond of a time as nodes write it, `2025-03-22T10:00:00.123456789`. Raises Invalid."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise Invalid("wrong_type", text)
    year, month, day, hour, minute, second = (int(found[group]) for group in range(1, 7))
    is_real = year >= 1970 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]
    if not is_real or hour > 23 or minute > 59 or second > 59:
        raise Invalid("wrong_type", text)
    fraction_ms = int((found[7] or "").ljust(3, "0")[:3])
    at_ms = calendar.timegm((year, month, day, hour, minute, second)) * 1_000 + fraction_ms
    if not TIME_MS_MIN <= at_ms <= TIME_MS_MAX:
        raise Invalid("wrong_type", text)
    return at_ms
