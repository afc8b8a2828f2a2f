"""What can be chosen about the simulated venue: every trait of its wire format and every fault, as an option."""

from __future__ import annotations

import msgspec

VAULTS = ("0x" + "a1" * 20, "0x" + "b2" * 20)


class WsLimits(msgspec.Struct, frozen=True):
    """What the venue allows per address. Beyond it: HTTP 429 on connect, an error message, or a close."""

    connections_max: int = 10
    connects_per_minute: int = 30
    subscriptions_max: int = 1_000
    messages_per_minute: int = 2_000


class VenueTraits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the venue behaves. The defaults are a good day at Hyperliquid; shares are in [0, 1], dice are seeded.

    Wire format: `replay_trades` are sent after each trades subscribe, without a flag; `partial_replay_share`
    of those replays end inside a block, which the next frame repeats whole; `multi_block_share` of blocks
    wait to share a frame with the next one; `greeting` is sent first, as text that is no JSON.

    Faults: an outage comes every `outage_every_s` on average (0: never); `outage_long_share` of them last
    `outage_long_s` (from, to), the others `outage_short_s`. Trading goes on while nobody can connect, so a
    short one is bridged by the replay and a long one leaves a gap. `close_codes` are drawn from; 0 means that
    the line ends without a word.
    """

    replay_trades: int = 30
    partial_replay_share: float = 0.0
    multi_block_share: float = 0.03
    blocks_per_frame_max: int = 5
    greeting: str = ""
    ack_after_data: bool = False
    echo_normalised: bool = True
    idle_close_s: float = 60.0
    close_codes: tuple[int, ...] = (1000, 1001, 1006, 1011, 1012, 0)

    book_every_s: float = 0.5
    mids_every_s: float = 1.0
    context_every_s: float = 1.0
    candle_every_s: float = 0.25
    empty_book_share: float = 0.0

    outage_every_s: float = 0.0
    outage_short_s: tuple[float, float] = (0.05, 0.3)
    outage_long_s: tuple[float, float] = (2.0, 5.0)
    outage_long_share: float = 0.5

    info_429_share: float = 0.0
    info_422_share: float = 0.0
    info_slow_share: float = 0.0
    info_slow_s: float = 5.0
    info_retry_after: str = ""  # header of a 429: seconds, or `date` for an HTTP date two seconds ahead
    info_503_share: float = 0.0
    info_html_share: float = 0.0  # a page for people, with status 200
    info_cut_share: float = 0.0  # the line ends in the middle of the answer
    vaults: tuple[str, ...] = VAULTS  # accounts that hold something; any other address holds nothing
    info_weight_per_minute: int = 0  # the venue's own budget is 1200; 0: none

    ws_limits: WsLimits | None = None
    # Beyond this a client is too slow: dropped while the market is live, waited for while playing a recording.
    buffer_bytes_max: int = 4 * 1024 * 1024
