"""The demo's live view: one line per instrument, and what happened to the connection."""

from __future__ import annotations

from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from everytick.cli.console import say, terminal
from everytick.errors import Retryable
from everytick.host.clock import HostClock
from everytick.model.ledger import Verdict
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.stores.protocol import Reader
from everytick.wiring.rehearsal import Rehearsal

SEAMS_MAX = 100_000
LINE_EVERY_S = 2  # without a terminal: one line that often


class Board:
    """Shows a rehearsal: a table in a terminal, a line now and then in a pipe, nothing when quiet."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._clock = HostClock()
        self._console = terminal()
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._is_live = self._console.is_terminal and not is_quiet
        self._reader: Reader | None = None
        self._before: tuple[int, dict[str, int]] = (0, {})
        self._began_ns = 0
        self._line_ns = 0

    def __enter__(self) -> Board:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_live:
            self._live.stop()
        if self._reader is not None:
            self._reader.close()

    def show(self, rehearsal: Rehearsal) -> None:
        """Show how it stands now."""
        if self._is_quiet:
            return
        now_ns = self._clock.mono_ns()
        if not self._began_ns:
            self._began_ns = now_ns
            if not self._is_live:
                say(f"simulated venue at {rehearsal.sim.url}; API at {rehearsal.process.address}")
        try:
            self._reader = self._reader or rehearsal.process.reader()
            streams = [s for s in self._reader.streams() if s.kind is Kind.TRADES]
        except Retryable:
            return  # the store is being made
        if self._is_live:
            self._live.update(self._table(rehearsal, self._reader, streams, now_ns), refresh=True)
        elif now_ns - self._line_ns >= LINE_EVERY_S * NS_PER_S:
            self._line_ns = now_ns
            say(self._line(rehearsal, self._reader, streams, now_ns))

    def _table(self, rehearsal: Rehearsal, reader: Reader, streams: list[Stream], now_ns: int) -> Group:
        sent = {stream.instrument: rehearsal.sim.ledger.sent_count(stream.instrument) for stream in streams}
        rates = self._rates(sent, now_ns)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for column in ("instrument", "sent", "trades/s", "lag", "joins proved", "gaps"):
            table.add_column(column, justify="left" if column == "instrument" else "right")
        newest = rehearsal.process.progress.newest
        for stream in streams:
            event_ns, receive_ns = newest.get(stream.key, (0, 0))
            lag = f"{max(receive_ns - event_ns, 0) // NS_PER_MS} ms" if event_ns else ""
            proved, gaps = joins(reader, stream)
            rate = str(rates.get(stream.instrument, 0))
            table.add_row(stream.instrument, str(sent[stream.instrument]), rate, lag, str(proved), str(gaps))
        return Group(Text(self._headline(rehearsal, now_ns)), table)

    def _headline(self, rehearsal: Rehearsal, now_ns: int) -> str:
        progress = rehearsal.process.progress
        connection = next(iter(progress.connections.values()))
        state = "connected" if connection.up else "DISCONNECTED"
        return (
            f"{(now_ns - self._began_ns) // NS_PER_S} s   venue {rehearsal.sim.url} {state}, "
            f"{connection.connects} connects   durable to {progress.offset_durable} in "
            f"{progress.commit_latency_ns // 10_000 / 100} ms, applied to {progress.offset_applied}\n"
            f"API {rehearsal.process.address}/trades?limit=5   (Ctrl-C ends with an audit)\n"
        )

    def _line(self, rehearsal: Rehearsal, reader: Reader, streams: list[Stream], now_ns: int) -> str:
        sent = {stream.instrument: rehearsal.sim.ledger.sent_count(stream.instrument) for stream in streams}
        rate = sum(self._rates(sent, now_ns).values())
        totals = reader.totals()
        counted = [joins(reader, stream) for stream in streams]
        connection = next(iter(rehearsal.process.progress.connections.values()))
        return (
            f"{(now_ns - self._began_ns) // NS_PER_S:>3} s  sent {sum(sent.values())}  stored {totals.trades}  "
            f"{rate}/s  connects {connection.connects}  joins proved lossless {sum(p for p, _ in counted)}  "
            f"gaps found {sum(g for _, g in counted)}"
        )

    def _rates(self, sent: dict[str, int], now_ns: int) -> dict[str, int]:
        before_ns, before = self._before
        self._before = (now_ns, sent)
        if not before_ns:
            return {}
        return {coin: (count - before.get(coin, 0)) * NS_PER_S // (now_ns - before_ns) for coin, count in sent.items()}


def joins(reader: Reader, stream: Stream) -> tuple[int, int]:
    """How many joins of connections were proved lossless, and how many left a gap."""
    verdicts = [seam.verdict for seam in reader.seams([stream], limit=SEAMS_MAX)]
    return verdicts.count(Verdict.LOSSLESS), verdicts.count(Verdict.GAP)
