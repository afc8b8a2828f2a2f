"""An audit beside the recording: the venue's closed candles against those that our own trades make.

Only where the ledger calls the trades of the interval complete can a difference mean anything; there it is put on
the tape, so that every store made from it knows. It reads from the store on a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

import msgspec

from everytick.core import candles
from everytick.core.candles import Bar, Print
from everytick.core.coverage import is_complete
from everytick.errors import EverytickError
from everytick.model.control import Compared, control_payload
from everytick.model.event import CandleState
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.stores.protocol import CandleRow, Reader, RowQuery
from everytick.supervise.threads import Stop
from everytick.telemetry import Telemetry

EVERY_S: Final = 30.0
# A longer candle adds up shorter ones: reading a day of trades to see the same difference again is of no use.
SPAN_NS_MAX: Final = 3_600 * NS_PER_S
# After a start the newest few are compared; whoever wants all of them rebuilds the store beside the tape.
CANDLES_AT_START: Final = 50
CANDLES_AT_ONCE: Final = 200
TRADES_AT_ONCE: Final = 5_000
# A busy hour of the busiest instrument is below this; an hour beyond it is left out and counted as not comparable.
TRADES_MAX: Final = 500_000


class CandleCheck:
    """Compares each closed candle once. `put` hands the payload of a COMPARED frame to the tape's own thread."""

    def __init__(
        self, open_reader: Callable[[], Reader], telemetry: Telemetry, put: Callable[[str, bytes], None]
    ) -> None:
        """`put(venue, payload)`."""
        self._open_reader = open_reader
        self._telemetry = telemetry
        self._put = put
        self._next_ns: dict[Stream, int] = {}  # open time of the next candle to look at

    def work(self, stop: Stop) -> Iterator[float]:
        """In steps: look every half minute until asked to stop. A store that is away is asked again next time."""
        while not stop.is_asked:
            yield EVERY_S
            if not stop.is_asked:
                self._look()

    def _look(self) -> None:
        try:
            reader = self._open_reader()
            try:
                self.step(reader)
            finally:
                reader.close()
        except EverytickError as trouble:
            self._telemetry.audit_postponed(str(trouble))

    def step(self, reader: Reader) -> None:
        """Compare every closed candle that was not looked at yet and whose trades are complete."""
        known = reader.streams()
        for stream in known:
            trades = Stream(stream.venue, Kind.TRADES, stream.instrument)
            if stream.kind is Kind.CANDLES and trades in known:
                self._compare(reader, stream, trades)

    def _compare(self, reader: Reader, stream: Stream, trades: Stream) -> None:
        agreed = 0
        newest_ns = reader.latest().get(trades, (0, 0))[0]
        rows = self._candles(reader, stream)
        for row in rows:
            told = _bar(row)
            span_ns = row.ts_close_ns - row.ts_open_ns
            is_forming = row.state == CandleState.FORMING
            if newest_ns < row.ts_close_ns or (is_forming and row is rows[-1]):
                break  # it is still made, by the venue or by us
            self._next_ns[stream] = row.ts_open_ns + 1
            if is_forming:
                continue  # its last values were missed: a gap names it
            covers = reader.coverage(trades, row.ts_open_ns, row.ts_close_ns)
            if span_ns > SPAN_NS_MAX or not is_complete(covers, row.ts_open_ns, row.ts_close_ns):
                continue
            prints = _prints(reader, trades, row.ts_open_ns, row.ts_close_ns)
            if prints is None:
                continue
            found = candles.differences(prints, told)
            if found:
                self._put(stream.venue, control_payload(Compared(stream.key, row.ts_open_ns, f"ours: {found}")))
            else:
                agreed += 1
        if agreed:
            self._telemetry.candles_agree(stream.key, agreed)

    def _candles(self, reader: Reader, stream: Stream) -> list[CandleRow]:
        if stream not in self._next_ns:
            return reader.candles(RowQuery((stream,), limit=CANDLES_AT_START))[::-1]
        query = RowQuery((stream,), since_ns=self._next_ns[stream], descending=False, limit=CANDLES_AT_ONCE)
        return reader.candles(query)


def _prints(reader: Reader, trades: Stream, from_ns: int, until_ns: int) -> list[Print] | None:
    query = RowQuery((trades,), since_ns=from_ns, until_ns=until_ns, descending=False, limit=TRADES_AT_ONCE)
    prints: list[Print] = []
    while rows := reader.trades(query):
        prints += [(row.ts_event_ns, Decimal(row.price), Decimal(row.size)) for row in rows]
        if len(prints) > TRADES_MAX:
            return None
        last = rows[-1]
        query = msgspec.structs.replace(query, after=(last.ts_event_ns, last.number, last.trade_id))
    return prints


def _bar(row: CandleRow) -> Bar:
    first, high, low, last, volume = map(Decimal, (row.open, row.high, row.low, row.close, row.volume))
    return Bar(row.ts_open_ns, first, high, low, last, volume, row.trade_count)
