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
    """One stream; the newest event's venue time and receive time, null before the first."""

    stream: str
    venue: str
    kind: str
    coin: str
    interval: str
    newest_ms: int | None
    received_ms: int | None
    received_age_ms: int | None


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
    """Data health: 200 only when `status` is ok, else 503, with every reason and what to do about it."""


class Live(msgspec.Struct, frozen=True):
    """The API's own loop answers."""

    live: bool


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


class RouteRow(msgspec.Struct, frozen=True):
    """One route."""

    path: str
    summary: str
    parameters: list[str]
    formats: list[str]


class Index(msgspec.Struct, frozen=True):
    """What can be asked here."""

    name: str
    routes: list[RouteRow]
    document: str
