"""What is answered, per route. Times are ms since 1970 UTC; prices and sizes are exact text, never floats."""

from __future__ import annotations

import msgspec

from everytick.supervise.health import Health


class TradeRow(msgspec.Struct, frozen=True, gc=False):
    """A public print: `side` is the aggressor's, `time` the venue's own, `tid` the venue's id."""

    venue: str
    coin: str
    tid: int
    side: str
    px: str
    sz: str
    time: int


class CandleRow(msgspec.Struct, frozen=True, gc=False):
    """Open, high, low, close and volume over [time, time_close). `state`: forming, closed or revised."""

    venue: str
    coin: str
    interval: str
    time: int
    time_close: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    trades: int
    state: str


class OpenInterestRow(msgspec.Struct, frozen=True, gc=False):
    """Open interest, funding and reference prices; `ts_ms` is our receipt, since the venue gives no time of its own."""

    venue: str
    coin: str
    ts_ms: int
    open_interest: str
    funding_rate: str
    mark_px: str
    oracle_px: str | None
    day_ntl_vlm: str | None
    premium: str | None
    mid_px: str | None
    prev_day_px: str | None


class VaultsRow(msgspec.Struct, frozen=True, gc=False):
    """What all watched accounts held of the coin; `ts_ms` is the oldest of the venue's times for them.

    `net_btc` and `net_usd` are the sums of sizes (in the coin, whatever its name) and of their worth at the mark
    price, below zero when short; `strat_a_btc` and `strat_b_btc` the first two accounts' sizes; `total_acv` what
    all accounts are worth; `vaults` each account's own `address time size notional account_value`, by semicolons.
    """

    venue: str
    coin: str
    ts_ms: int
    net_btc: str
    net_usd: str
    strat_a_btc: str | None
    strat_b_btc: str | None
    total_acv: str
    vaults: str


class PriceRow(msgspec.Struct, frozen=True, gc=False):
    """A mid price; `ts_ms` is our receipt, since the venue gives no time of its own."""

    venue: str
    coin: str
    ts_ms: int
    px: str


class GapRow(msgspec.Struct, frozen=True, gc=False):
    """What we may not hold: venue times, both ends inclusive. -1: that cannot be known."""

    venue: str
    coin: str
    stream: str
    from_ms: int
    to_ms: int
    kind: str
    state: str
    cause: str
    estimated_missing: int
    first_id: int
    last_id: int
    offset: int
    seen_ms: int


class SeamRow(msgspec.Struct, frozen=True, gc=False):
    """Where one connection's record of a stream ends and the next begins, and the verdict on the join."""

    venue: str
    coin: str
    stream: str
    verdict: str
    cause: str
    shared: int
    before_ms: int
    after_ms: int
    epoch: int
    offset: int
    seen_ms: int


class CoverRow(msgspec.Struct, frozen=True, gc=False):
    """[from_ms, to_ms) has this cover; `unobserved`: nothing was ever recorded there. `offset` is the evidence."""

    from_ms: int
    to_ms: int
    cover: str
    complete: bool
    offset: int


class StreamRow(msgspec.Struct, frozen=True, gc=False):
    """One stream; the newest event's venue time and receive time, null before the first.

    `status`: ok, stale (silent for longer than `normal_ms`, what its habit explains), down (its connection is), or
    unknown (not recorded by this process).
    """

    stream: str
    venue: str
    kind: str
    coin: str
    interval: str
    newest_ms: int | None
    received_ms: int | None
    received_age_ms: int | None
    status: str = "unknown"
    silent_ms: int | None = None
    normal_ms: int | None = None


class QuarantineRow(msgspec.Struct, frozen=True, gc=False):
    """One refused item and its place on the tape; `excerpt` is the start of its frame."""

    offset: int
    index: int
    venue: str
    channel: str
    reason: str
    path: str
    value: str
    received_ms: int
    excerpt: str


class Trades(msgspec.Struct, frozen=True):
    """A page of trades. `next_cursor` gives the page after; null on the last one."""

    trades: list[TradeRow]
    count: int
    next_cursor: str | None


class Candles(msgspec.Struct, frozen=True):
    """A page of candles. `next_cursor` gives the page after; null on the last one."""

    candles: list[CandleRow]
    count: int
    next_cursor: str | None


class OpenInterest(msgspec.Struct, frozen=True):
    """A page of open interest. `next_cursor` gives the page after; null on the last one."""

    oi: list[OpenInterestRow]
    count: int
    next_cursor: str | None


class Vaults(msgspec.Struct, frozen=True):
    """A page of watched accounts' positions. `next_cursor` gives the page after; null on the last one."""

    hlp: list[VaultsRow]
    count: int
    next_cursor: str | None


class Prices(msgspec.Struct, frozen=True):
    """A page of mid prices. `next_cursor` gives the page after; null on the last one."""

    prices: list[PriceRow]
    count: int
    next_cursor: str | None


class Gaps(msgspec.Struct, frozen=True):
    """Gaps, newest first."""

    gaps: list[GapRow]
    count: int


class Seams(msgspec.Struct, frozen=True):
    """Seams, newest first."""

    seams: list[SeamRow]
    count: int


class Streams(msgspec.Struct, frozen=True):
    """Every stream in the store."""

    streams: list[StreamRow]
    count: int


class Quarantine(msgspec.Struct, frozen=True):
    """Refused items, newest first."""

    quarantine: list[QuarantineRow]
    count: int


class Coverage(msgspec.Struct, frozen=True):
    """Is [from_ms, to_ms) of this stream complete? A yes or a no, in words, and every interval with its verdict."""

    stream: str
    from_ms: int
    to_ms: int
    complete: bool
    sentence: str
    intervals: list[CoverRow]
    missing: list[CoverRow]


class HealthAnswer(Health, frozen=True):
    """Data health: 200 only when `status` is ok, else 503, with every reason and what to do about it.

    The fields after `reasons` are those that older consumers know; docs/HEALTH.md says what each means now. Ages are
    whole seconds, null where it has not happened in this process.
    """

    coin: str = ""
    trading_enabled: bool = False
    trading_reason: str = ""
    started_at: str = ""
    started_s: int = 0
    collector_alive: bool = False
    watchdog_alive: bool = False
    loop_heartbeat_age_s: int = 0
    trade_poll_stale: bool = True
    trade_ok_age_s: int | None = None
    last_trade_success_s: int | None = None
    candle_data_stale: bool = True
    last_candle_success_s: int | None = None
    last_candle_ts_ms: int | None = None
    last_price: str | None = None
    db_type: str = ""
    db_connected: bool = False
    db_last_ok_s: int | None = None
    db_last_ok_age_s: int | None = None
    total_trades: int | None = None
    total_candles: int | None = None
    total_gaps: int | None = None
    total_oi_snapshots: int | None = None
    derivs_ok_age_s: int | None = None
    errors: int = 0
    restarts: int = 0


class Live(msgspec.Struct, frozen=True):
    """Whether the process's main loop shows life: 200 or 503. `loop_age_ms`: since its last sign of it."""

    live: bool
    loop_age_ms: int = 0
    watched: bool = True


class TradingAnswer(msgspec.Struct, frozen=True):
    """The kill switch: whether orders may go out, since when, by whom and why. `number` -1: it cannot be trusted."""

    trading_enabled: bool
    state: str
    reason: str
    who: str
    since_ms: int
    number: int


class Ready(msgspec.Struct, frozen=True):
    """Whether questions can be answered now: 200 or 503."""

    ready: bool
    reason: str = ""


class ConnectionRow(msgspec.Struct, frozen=True):
    """One connection; times in ms, 0 where it has not happened yet."""

    venue: str
    channel: str
    up: bool
    since_ms: int
    last_message_ms: int
    connects: int
    failures: int
    last_cause: str
    unconfirmed: int


class Stats(msgspec.Struct, frozen=True):
    """Counts over the whole store, and how far tape and store are (offsets: next frame to come)."""

    run: str
    started_ms: int
    now_ms: int
    trades: int
    candles: int
    quotes: int
    books: int
    mids: int
    contexts: int
    vaults: int
    quarantined: int
    gaps: int
    gaps_open: int
    counts: dict[str, int]
    appended: int
    watermark: int
    checkpoint: int
    last_commit_ms: int
    last_apply_ms: int
    connections: dict[str, ConnectionRow]
    trading_enabled: bool


class RouteRow(msgspec.Struct, frozen=True):
    """One route."""

    path: str
    method: str
    summary: str
    parameters: list[str]
    formats: list[str]


class Index(msgspec.Struct, frozen=True):
    """What can be asked here."""

    name: str
    routes: list[RouteRow]
    document: str
