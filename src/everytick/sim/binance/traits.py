"""What can be chosen about the simulated Binance: its habits and every fault, as an option."""

from __future__ import annotations

import msgspec


class BinanceTraits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the venue behaves. The defaults are the documented ones on a good day; shares are in [0, 1].

    Connections: a ping every `ping_every_s`, the end without a pong within `pong_within_s`; a connection lives
    `connection_life_s`, with `serverShutdown` told `shutdown_notice_s` before; more than `messages_per_s` end it.
    REST: `weight_per_minute`; past it 429 with Retry-After, and 418 for `ban_s` after `bans_after` more requests.

    Loss: `drop` deletions from what is sent (a recording), half of them single trades, half whole runs of frames of
    every kind; `drop_share` of live trades. REST still has what was dropped. `holes` trades (a recording) and
    `hole_share` of live trades never were: REST does not have them either, and their ids are skipped.
    Outages are those of `everytick.sim.outages`.
    """

    ping_every_s: float = 20.0
    pong_within_s: float = 60.0
    connection_life_s: float = 86_400.0
    shutdown_notice_s: float = 600.0
    messages_per_s: int = 5
    streams_max: int = 1_024
    connects_per_five_minutes: int = 300

    weight_per_minute: int = 6_000
    bans_after: int = 10
    ban_s: int = 120
    rest_429_share: float = 0.0

    book_every_s: float = 0.1
    candle_every_s: float = 2.0

    drop: int = 0
    drop_share: float = 0.0
    holes: int = 0
    hole_share: float = 0.0

    outage_every_s: float = 0.0
    outage_short_s: tuple[float, float] = (0.05, 0.3)
    outage_long_s: tuple[float, float] = (2.0, 5.0)
    outage_long_share: float = 0.5
    close_codes: tuple[int, ...] = (1000, 1001, 1006, 1008, 0)
    # Beyond this a client is too slow: dropped while the market is live, waited for while playing a recording.
    buffer_bytes_max: int = 4 * 1024 * 1024
