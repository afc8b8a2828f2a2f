"""Candles from trades, and whether a venue's candle is the one that the trades make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal

import msgspec

# Wide enough for the sum of any sizes that the decoders accept: nothing is rounded.
_EXACT = Context(prec=60)

Print = tuple[int, Decimal, Decimal]  # event ns, price, size


class Bar(msgspec.Struct, frozen=True, gc=False):
    """What trades make of one interval: [ts_open_ns, ts_open_ns + span)."""

    ts_open_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trade_count: int


def build(prints: Iterable[Print], span_ns: int) -> Iterator[Bar]:
    """Bars of `span_ns`, aligned to 1970, from trades in the order in which they happened; none for an empty interval.

    The venue's order within one millisecond is that of arrival: the first trade opens and the last one closes.
    """
    own: list[Print] = []
    ts_open_ns = -1
    for one in prints:
        opens_ns = one[0] - one[0] % span_ns
        if own and opens_ns != ts_open_ns:
            yield _bar(ts_open_ns, own)
            own = []
        ts_open_ns = opens_ns
        own.append(one)
    if own:
        yield _bar(ts_open_ns, own)


def differences(prints: Sequence[Print], told: Bar) -> str:
    """How a bar differs from what the trades of its interval make, in words; empty if it does not.

    `prints` are in order of time; within one moment their order may be lost, so the bar may open with any price of
    the first moment and close with any of the last.
    """
    if not prints:
        return "" if told.trade_count == 0 and not told.volume else f"no trades, {told.trade_count} told"
    ours = _bar(told.ts_open_ns, prints)
    first_ns, last_ns = prints[0][0], prints[-1][0]
    opens = {price for ts_ns, price, _ in prints if ts_ns == first_ns}
    closes = {price for ts_ns, price, _ in prints if ts_ns == last_ns}
    found = [
        f"{name} {getattr(ours, name)}, told {getattr(told, name)}"
        for name in ("high", "low", "volume", "trade_count")
        if getattr(ours, name) != getattr(told, name)
    ]
    if told.open not in opens:
        found.append(f"open {ours.open}, told {told.open}")
    if told.close not in closes:
        found.append(f"close {ours.close}, told {told.close}")
    return "; ".join(found)


def _bar(ts_open_ns: int, prints: Sequence[Print]) -> Bar:
    prices = [price for _, price, _ in prints]
    volume = Decimal(0)
    for _, _, size in prints:
        volume = _EXACT.add(volume, size)
    return Bar(ts_open_ns, prices[0], max(prices), min(prices), prices[-1], volume, len(prints))
