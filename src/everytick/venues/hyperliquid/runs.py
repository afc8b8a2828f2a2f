"""Runs of trade messages read at once: the same answers as `fast`, as rows and without an object for each trade."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from everytick.core.fields import TROUBLE
from everytick.core.validate import Invalid, latest_ms
from everytick.model.event import PlacedTrade
from everytick.model.frame import Frame, FrameKind
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_MS
from everytick.venues.hyperliquid import names, wire
from everytick.venues.hyperliquid.names import NUMBERS_MAX, POSITIVE, SIDES
from everytick.venues.hyperliquid.rules import LIMITS

_TRADES_BEGIN: Final = b'{"channel":"trades",'
_read: Final = msgspec.json.Decoder(wire.TradesMessage).decode
_SIDE_TEXT: Final = {code: side.value for code, side in SIDES.items()}
# Texts that POSITIVE has accepted. A set answers in half the time of a table of numbers that nobody reads here.
_accepted: Final[set[str]] = set()


def trade_run(frames: Sequence[Frame], start: int, stop: int, found: dict[Stream, list[PlacedTrade]]) -> int:
    """See venues.protocol.TradeRuns. Texts go on as the venue wrote them: they have been checked."""
    message, bytes_max, accepted, sides, read = FrameKind.MESSAGE, LIMITS.decode_bytes_max, _accepted, _SIDE_TEXT, _read
    lists = _Lists(found)
    source, recv_ns, last_ms = frames[start].source, -1, 0
    for at in range(start, stop):
        frame = frames[at]
        payload = frame.payload
        if (
            frame.kind is not message
            or frame.source is not source
            or not payload.startswith(_TRADES_BEGIN)
            or len(payload) > bytes_max
        ):
            return at
        offset = frame.offset
        if frame.ts_recv_ns != recv_ns:
            recv_ns = frame.ts_recv_ns
            last_ms = latest_ms(recv_ns)
        try:
            for item in read(payload).data:
                ts_ms, price, size = item.time, item.px, item.sz
                if ts_ms > last_ms:
                    raise Invalid("future", ts_ms)
                if price not in accepted:
                    _accept(price)
                if size not in accepted:
                    _accept(size)
                stream, put = lists[item.coin]
                put((stream, ts_ms * NS_PER_MS, item.tid, price, size, sides[item.side], recv_ns, offset))
        except TROUBLE:
            for rows in found.values():
                while rows and rows[-1][7] == offset:
                    rows.pop()
            return at
    return stop


class _Lists(dict[str, tuple[Stream, Callable[[PlacedTrade], None]]]):
    """Coin -> its stream, and what puts a row into the stream's list."""

    def __init__(self, found: dict[Stream, list[PlacedTrade]]) -> None:
        super().__init__()
        self._found = found

    def __missing__(self, coin: str) -> tuple[Stream, Callable[[PlacedTrade], None]]:
        stream = names.TRADES[coin]
        self[coin] = pair = (stream, self._found.setdefault(stream, []).append)
        return pair


def _accept(text: str) -> None:
    """Raises Invalid where the text is no positive number."""
    POSITIVE[text]
    if len(_accepted) >= NUMBERS_MAX:
        _accepted.clear()
    _accepted.add(text)
