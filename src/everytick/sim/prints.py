"""A trade as a simulated venue knows it: values in wire text, and how it is spelled on the wire."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

_MASK_256 = (1 << 256) - 1
_MASK_160 = (1 << 160) - 1
# Odd constants: multiplying by them spreads neighbouring ids over the whole hash, the same way every time.
_SPREAD_HASH = 0x9E3779B97F4A7C15F39CC0605CEDC8341082276BF3A27251F86C6A11D0C18E95
_SPREAD_BUYER = 0xD1B54A32D192ED03A0761D6478BD642F5851F42D
_SPREAD_SELLER = 0x8CB92BA72F3D8DD7C2B2AE3D27D4EB4F14057B7F


class Print(msgspec.Struct, frozen=True, gc=False):
    """One public trade. `side` is the venue's letter: B, the buyer crossed; A, the seller did."""

    coin: str
    side: str
    px: str
    sz: str
    time_ms: int
    tid: int

    @property
    def key(self) -> tuple[int, int]:
        """Identity within its coin."""
        return (self.time_ms, self.tid)

    @property
    def values(self) -> tuple[str, str, str]:
        """Price, size and aggressor side, as a store keeps them."""
        return (self.px, self.sz, "buy" if self.side == "B" else "sell")


def trade_json(trade: Print) -> bytes:
    """The trade as the venue writes it. Hash and users follow from its identity: the same bytes each time."""
    seed = (trade.time_ms << 50) ^ trade.tid
    return (
        f'{{"coin":"{trade.coin}","side":"{trade.side}","px":"{trade.px}","sz":"{trade.sz}","time":{trade.time_ms},'
        f'"hash":"0x{trade.time_ms * _SPREAD_HASH & _MASK_256:064x}","tid":{trade.tid},'
        f'"users":["0x{seed * _SPREAD_BUYER & _MASK_160:040x}","0x{seed * _SPREAD_SELLER & _MASK_160:040x}"]}}'
    ).encode()


def trades_frame(trades: Iterable[Print]) -> bytes:
    """A whole `trades` message."""
    return b'{"channel":"trades","data":[' + b",".join(map(trade_json, trades)) + b"]}"
