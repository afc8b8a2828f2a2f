"""What the simulated venue's accounts hold: shares of what was traded, so that it always agrees with the market."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from everytick.sim.coin import CoinView

START_WORTH = Decimal(1_000_000)


def account_state(address: str, vaults: Sequence[str], views: Mapping[str, CoinView], now_ms: int) -> dict[str, object]:
    """The answer to clearinghouseState. An unknown address is an account that holds nothing, as at the venue."""
    rank = next((n for n, vault in enumerate(vaults, 1) if vault.lower() == address.lower()), 0)
    positions = [_position(coin, held) for coin, view in views.items() if rank and (held := view.held(_share(rank)))]
    worth = START_WORTH * rank
    text = f"{worth:f}.0"
    margin = {"accountValue": text, "totalNtlPos": "0.0", "totalRawUsd": text, "totalMarginUsed": "0.0"}
    return {
        "marginSummary": margin,
        "crossMarginSummary": margin,
        "crossMaintenanceMarginUsed": "0.0",
        "withdrawable": text,
        "assetPositions": [one for one in positions if one is not None],
        "time": now_ms,
    }


def _share(rank: int) -> Decimal:
    """The first account is long, the second short of half as much, and so on."""
    return Decimal(1 if rank % 2 else -1) / (10 * rank)


def _position(coin: str, held: tuple[Decimal, Decimal]) -> dict[str, object] | None:
    size, worth = held
    if not size:
        return None  # the venue lists no empty position
    return {
        "type": "oneWay",
        "position": {
            "coin": coin,
            "szi": f"{size:f}",
            "positionValue": f"{worth:f}",
            "entryPx": None,
            "leverage": {"type": "cross", "value": 20},
            "liquidationPx": None,
            "marginUsed": "0.0",
            "returnOnEquity": "0.0",
            "unrealizedPnl": "0.0",
        },
    }
