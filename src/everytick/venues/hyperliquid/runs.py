"""Runs of trade messages read at once: the same answers as `fast`, as rows and without an object for each trade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from everytick.core.fields import TROUBLE
from everytick.core.validate import Invalid, latest_ms
from everytick.model.event import PlacedTrade
from everytick.model.frame import Frame, FrameKind
from everytick.model.units import NS_PER_MS
from everytick.venues.hyperliquid import names, wire
from everytick.venues.hyperliquid.names import POSITIVE, SIDES
from everytick.venues.hyperliquid.rules import LIMITS

_TRADES_BEGIN: Final = b'{"channel":"trades",'
_read: Final = msgspec.json.Decoder(wire.TradesMessage).decode
_SIDE_TEXT: Final = {code: side.value for code, side in SIDES.items()}


def trade_run(frames: Sequence[Frame], start: int, stop: int, rows: list[PlacedTrade]) -> int:
    """See venues.protocol.TradeRuns. Texts go on as the venue wrote them: the tables have checked them."""
    streams, positive, sides = names.TRADES, POSITIVE, _SIDE_TEXT
    read, put = _read, rows.append
    source = frames[start].source
    for at in range(start, stop):
        frame = frames[at]
        payload = frame.payload
        is_trades = frame.kind is FrameKind.MESSAGE and payload.startswith(_TRADES_BEGIN)
        if not is_trades or frame.source is not source or len(payload) > LIMITS.decode_bytes_max:
            return at
        offset, ts_recv_ns = frame.offset, frame.ts_recv_ns
        last_ms = latest_ms(ts_recv_ns)
        before = len(rows)
        try:
            for item in read(payload).data:
                ts_ms, price, size = item.time, item.px, item.sz
                if ts_ms > last_ms:
                    raise Invalid("future", ts_ms)
                positive[price]
                positive[size]
                stream, side = streams[item.coin], sides[item.side]
                put((stream, ts_ms * NS_PER_MS, item.tid, price, size, side, ts_recv_ns, offset))
        except TROUBLE:
            del rows[before:]
            return at
    return stop
