"""Audit: what we hold of each stream of trades against what the venue says happened, asked anew over REST.

Where ids are in a row, the venue's history is read again and compared trade by trade. Elsewhere candles built from our
trades are compared with the venue's, over time that we call complete. An audit changes nothing: what differs is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from everytick.core.candles import Bar, differences
from everytick.core.coverage import COMPLETE, clip
from everytick.core.idranges import IdRanges
from everytick.core.pacing import Priority
from everytick.core.validate import decimal_text
from everytick.model.control import Asked, reply_payload
from everytick.model.event import Answered, Candle, Event, Trade
from everytick.model.frame import Frame, FrameKind, Source
from everytick.model.ledger import Gap, GapKind, GapState, Interval
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.recorder.looking import GAPS_MAX, Wanted, on_thread
from everytick.recorder.questions import Failure, Questions
from everytick.stores.protocol import Reader, Row, RowQuery
from everytick.telemetry import Telemetry
from everytick.venues.protocol import Rule

T = TypeVar("T")

PAGE_ROWS: Final = 1_000  # the most ids that a venue tells in one answer
BAR: Final = "1m"
BAR_NS: Final = 60 * NS_PER_S
BARS_MAX: Final = 5_000  # newest; venues keep hardly more of one-minute candles
BARS_AT_ONCE: Final = 500  # of which the trades are read together
DIFFERENCES_MAX: Final = 1_000  # named for each stream; beyond it they are counted


class Difference(msgspec.Struct, frozen=True):
    """One disagreement. `kind`: `missing` (the venue has it and we neither hold nor miss it), `unknown` (we hold what
    the venue has not), `differs`, or `candle`. `trade_id` is -1 for candles."""

    kind: str
    ts_event_ns: int
    trade_id: int
    held: str
    told: str


class StreamReport(msgspec.Struct):
    """One stream. `compared` counts trades (by `ids`) or bars (by `candles`); `known_missing` lie in named gaps."""

    stream: str
    by: str
    compared: int = 0
    known_missing: int = 0
    different: int = 0
    differences: list[Difference] = []
    unanswered: str = ""

    def add(self, found: Difference) -> None:
        """One more disagreement."""
        self.different += 1
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(found)


class AuditReport(msgspec.Struct, frozen=True):
    """All streams. `clean`: nothing differs; `complete`: every question was answered."""

    streams: list[StreamReport]
    clean: bool
    complete: bool


class Auditing:
    """Audits the streams of one store. Only asks and reads, so it may run beside a recorder."""

    def __init__(
        self,
        questions: Mapping[str, Questions],
        open_reader: Callable[[], Reader],
        *,
        clock: Clock,
        telemetry: Telemetry,
        wanted: Wanted,
        every: int = 1,
        on_step: Callable[[StreamReport], None] = lambda _: None,
    ) -> None:
        """`every`: of the pages of ids, compare each n-th. `on_step` is told after each answer."""
        self._questions = questions
        self._open_reader = open_reader
        self._clock = clock
        self._telemetry = telemetry
        self._wanted = wanted
        self._every = every
        self._on_step = on_step

    async def run(self) -> AuditReport:
        """Compare everything that is wanted."""
        streams = await self._read(lambda reader: [*reader.streams()])
        reports = []
        for stream in streams:
            if stream.kind is not Kind.TRADES or not self._wanted.holds(stream) or stream.venue not in self._questions:
                continue
            is_dense = self._questions[stream.venue].venue.SEQUENCING[stream.kind] is Rule.DENSE
            report = await (self._by_ids(stream) if is_dense else self._by_candles(stream))
            self._telemetry.audited(stream.key, report.compared, report.different)
            reports.append(report)
        return AuditReport(
            reports, all(not one.different for one in reports), all(not one.unanswered for one in reports)
        )

    # Ids in a row

    async def _by_ids(self, stream: Stream) -> StreamReport:
        report = StreamReport(stream.key, "ids", differences=[])
        named = await self._read(lambda reader: _named(reader, stream))
        query = RowQuery(
            (stream,),
            since_ns=self._wanted.from_ns,
            until_ns=self._wanted.to_ns,
            descending=False,
            limit=PAGE_ROWS,
        )
        turn = 0
        while rows := await self._rows(query):
            if turn % self._every == 0 and not await self._page(stream, rows, named, report):
                break
            turn += 1
            query = msgspec.structs.replace(query, after=_after(rows))
        return report

    async def _page(self, stream: Stream, rows: Sequence[Row], named: Sequence[IdRanges], report: StreamReport) -> bool:
        """Compare one page of ids; whether it was answered."""
        held = {row.trade_id: row for row in rows}
        first_id, last_id = min(held), max(held)
        events = await self._ask(_span(stream, rows[0].ts_event_ns, rows[-1].ts_event_ns, first_id, last_id), report)
        if events is None:
            return False
        told = {e.trade_id: e for e in events if isinstance(e, Trade) and first_id <= e.trade_id <= last_id}
        known_to = max((event.last_id for event in events if isinstance(event, Answered)), default=-1)
        for trade_id, trade in told.items():
            row = held.get(trade_id) or await self._elsewhere(trade)
            if row is None and any(trade_id in ids for ids in named):
                report.known_missing += 1
            elif row is None:
                report.add(Difference("missing", trade.ts_event_ns, trade_id, "", _told(trade)))
            elif (row.ts_event_ns, _held(row)) != (trade.ts_event_ns, _told(trade)):
                report.add(Difference("differs", row.ts_event_ns, trade_id, _held(row), _told(trade)))
        for trade_id, row in held.items():
            if trade_id not in told and trade_id <= known_to:
                report.add(Difference("unknown", row.ts_event_ns, trade_id, _held(row), ""))
        report.compared += len(told)
        self._on_step(report)
        return True

    async def _elsewhere(self, trade: Trade) -> Row | None:
        """The trade's row where it does not stand in the order of its id."""
        at = RowQuery((trade.stream,), since_ns=trade.ts_event_ns, until_ns=trade.ts_event_ns + 1, limit=PAGE_ROWS)
        rows = await self._rows(at)
        return next((row for row in rows if row.trade_id == trade.trade_id), None)

    # Candles from our own trades

    async def _by_candles(self, stream: Stream) -> StreamReport:
        report = StreamReport(stream.key, "candles", differences=[])
        now_ns = self._clock.wall_ns()
        low, high = max(self._wanted.from_ns, now_ns - BARS_MAX * BAR_NS), min(self._wanted.to_ns, now_ns)
        covers = await self._read(lambda reader: reader.coverage(stream, low, high))
        for from_ns, to_ns in _whole_bars(clip(covers, low, high)):
            for at in range(from_ns, to_ns, BARS_AT_ONCE * BAR_NS):
                if not await self._bars(stream, at, min(at + BARS_AT_ONCE * BAR_NS, to_ns), report):
                    return report
        return report

    async def _bars(self, stream: Stream, from_ns: int, to_ns: int, report: StreamReport) -> bool:
        """Compare the bars of one stretch; whether the venue answered."""
        bars = Stream(stream.venue, Kind.CANDLES, stream.instrument, BAR)
        events = await self._ask(_span(bars, from_ns, to_ns - BAR_NS), report)
        if events is None:
            return False
        candles = {event.ts_open_ns: event for event in events if isinstance(event, Candle)}
        answered = [event for event in events if isinstance(event, Answered)]
        prints: dict[int, list[tuple[int, Decimal, Decimal]]] = {}
        query = RowQuery((stream,), since_ns=from_ns, until_ns=to_ns, descending=False, limit=PAGE_ROWS)
        while rows := await self._rows(query):
            for row in rows:
                opens_ns = row.ts_event_ns - row.ts_event_ns % BAR_NS
                prints.setdefault(opens_ns, []).append((row.ts_event_ns, Decimal(row.price), Decimal(row.size)))
            query = msgspec.structs.replace(query, after=_after(rows))
        for opens_ns in range(from_ns, to_ns, BAR_NS):
            candle, ours = candles.get(opens_ns), prints.get(opens_ns, [])
            if candle is None and not any(one.from_ns <= opens_ns <= one.to_ns for one in answered):
                continue  # the venue keeps no candle this old
            report.compared += 1
            difference = differences(ours, _bar(candle)) if candle else "no candle told" if ours else ""
            if difference:
                report.add(Difference("candle", opens_ns, -1, f"{len(ours)} trades", difference))
        self._on_step(report)
        return True

    # Asking and reading

    async def _ask(self, span: Gap, report: StreamReport) -> list[Event] | None:
        """What the venue tells of a span; None where it did not answer all of it."""
        questions = self._questions[span.stream.venue]
        requests = questions.venue.history(span)
        if requests is None:
            report.unanswered = "the venue keeps no history of it"
            return None
        events: list[Event] = []
        for request in requests:
            answer = await questions.ask(request, Priority.AUDIT)
            if isinstance(answer, Failure):
                report.unanswered = f"the venue did not answer: {answer.cause}"
                return None
            payload = reply_payload(Asked(request.name, request.said, answer.status), answer.body)
            source = Source(span.stream.venue, "audit", -1)
            frame = Frame(-1, FrameKind.REPLY, source, self._clock.wall_ns(), 0, payload)
            events += questions.venue.decode(frame).events
        return events

    async def _rows(self, query: RowQuery) -> list[Row]:
        return await self._read(lambda reader: reader.trades(query))

    async def _read(self, question: Callable[[Reader], T]) -> T:
        def work() -> T:
            reader = self._open_reader()
            try:
                return question(reader)
            finally:
                reader.close()

        return await on_thread("audit look", work)


def _named(reader: Reader, stream: Stream) -> list[IdRanges]:
    """The ids that we say we miss."""
    gaps = reader.gaps([stream], open_only=False, limit=GAPS_MAX)
    return [IdRanges(gap.first_id, gap.last_id) for gap in gaps if gap.state is not GapState.CLOSED]


def _span(stream: Stream, from_ns: int, to_ns: int, first_id: int = -1, last_id: int = -1) -> Gap:
    """A stretch to ask for, as if all of it were missing."""
    return Gap(stream, from_ns, to_ns, -1, GapKind.SUSPECTED, "audit", GapState.OPEN, -1, first_id, last_id, 0)


def _whole_bars(covers: Sequence[Interval]) -> Iterator[tuple[int, int]]:
    """Stretches of whole bars over which everything is held, [from_ns, to_ns)."""
    joined: list[list[int]] = []
    for cover in covers:
        if cover.cover not in COMPLETE:
            continue
        if joined and joined[-1][1] == cover.from_ns:
            joined[-1][1] = cover.to_ns
        else:
            joined.append([cover.from_ns, cover.to_ns])
    for from_ns, to_ns in joined:
        low, high = -(-from_ns // BAR_NS) * BAR_NS, to_ns // BAR_NS * BAR_NS
        if low < high:
            yield low, high


def _bar(candle: Candle) -> Bar:
    return Bar(
        candle.ts_open_ns,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.trade_count,
    )


def _after(rows: Sequence[Row]) -> tuple[int, int, int]:
    return rows[-1].ts_event_ns, rows[-1].number, rows[-1].trade_id


def _held(row: Row) -> str:
    return f"{row.side} {row.size} at {row.price}"


def _told(trade: Trade) -> str:
    return f"{trade.side.value} {decimal_text(trade.size)} at {decimal_text(trade.price)}"
