"""Gaps in time filled from a venue's archive of files: wanted lines go on the tape, then what they prove.

Each chunk of lines is a REPLY frame, so a rebuilt store decodes it again. After a whole hour one COVERED frame per
instrument and stretch says that the archive has nothing else of it; an hour whose file is missing, cut or unreadable
gets none, and its gap stays open. The last moments of an hour may stand in the next file, so they wait for that one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from everytick.model.control import Asked, Connected, Covered, control_payload, reply_payload
from everytick.model.event import Trade
from everytick.model.frame import FrameKind, Source
from everytick.model.ledger import Gap
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_MS
from everytick.ports import Archive, Clock
from everytick.recorder.archive_lines import NotWhole, Select, chunks, require_lz4
from everytick.recorder.looking import on_thread
from everytick.stores.protocol import Reader, RowQuery
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry
from everytick.venues.archived import PREFIX, ArchiveDialect, Hour

POLL_S: Final = 0.02
PAGE_ROWS: Final = 5_000
FILES_NAMED_MAX: Final = 20

Span = tuple[int, int]  # [from_ns, to_ns), whole milliseconds
Print = tuple[str, int, str, str, str]  # instrument, ns, price, size, side


class ImportProgress(msgspec.Struct):
    """What was read so far, for whoever watches."""

    hours: int = 0
    hours_done: int = 0
    bytes: int = 0
    lines: int = 0
    file: str = ""


class ArchiveImport:
    """Imports one venue's archive. Appends to the tape, so it runs on the event loop of the tape's writer."""

    def __init__(
        self,
        dialect: ArchiveDialect,
        files: Archive,
        open_reader: Callable[[], Reader],
        *,
        tape: TapeWriter,
        wake_committer: Callable[[], None],
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        """Raises Refused where the files could not be unpacked."""
        require_lz4()
        self._dialect = dialect
        self._files = files
        self._open_reader = open_reader
        self._tape = tape
        self._wake_committer = wake_committer
        self._clock = clock
        self._telemetry = telemetry
        self._source: Source | None = None
        self.progress = ImportProgress()

    def has(self, stream: Stream) -> bool:
        """Whether the archive may know the stream's past: it has trades alone."""
        return has_files_of(self._dialect, stream)

    async def fill(self, gaps: Sequence[Gap]) -> str:
        """Put everything that the archive has of these gaps on the tape, oldest hour first.

        Returns which files were not whole, as a sentence; empty if none.
        """
        wanted = _spans(gaps)
        needed = {h.from_ns: h for spans in wanted.values() for a, b in spans for h in self._dialect.hours(a, b)}
        self.progress = ImportProgress(hours=len(needed))
        troubles: list[str] = []
        before_whole = -1  # start of the newest hour that was whole
        for hour in (needed[at] for at in sorted(needed)):
            trouble = await self._hour(hour, wanted)
            if trouble:
                troubles.append(trouble)
            else:
                self._cover(hour, wanted, is_joined=before_whole == hour.from_ns - (hour.to_ns - hour.from_ns))
                before_whole = hour.from_ns
            self.progress.hours_done += 1
        more = f" and {len(troubles) - FILES_NAMED_MAX} more" if len(troubles) > FILES_NAMED_MAX else ""
        return "; ".join(troubles[:FILES_NAMED_MAX]) + more

    async def _hour(self, hour: Hour, wanted: dict[Stream, list[Span]]) -> str:
        """Import the first choice of files that is whole; why none was, or nothing."""
        since_ns = hour.from_ns - self._dialect.LATE_NS
        spans = {s: [_clip(span, since_ns, hour.to_ns) for span in of] for s, of in wanted.items()}
        in_ms = {s.instrument: [(a // NS_PER_MS, b // NS_PER_MS) for a, b in of if a < b] for s, of in spans.items()}
        troubles = []
        for choice in hour.choices:
            trouble = ""
            for file in choice:
                kind = self._dialect.kind_of(file)
                select = self._select(kind, in_ms)
                if not self._dialect.names_ids(kind):
                    held = await on_thread("archive look", lambda: self._held(spans))
                    select = self._not_held(kind, select, held)
                trouble = await self._file(file, kind, select)
                if trouble:
                    break
            if not trouble:
                return ""
            troubles.append(trouble)
        return "; ".join(troubles) or f"no file of the archive holds the hour from {hour.from_ns // NS_PER_MS} ms"

    async def _file(self, file: str, kind: str, select: Select) -> str:
        """Import one file; why it was not whole, or nothing."""
        self.progress.file = file
        size = lines = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for piece in self._files.read(file):
                size += len(piece)
                self.progress.bytes += len(piece)
                yield piece

        reading = chunks(counted(), select)
        try:
            while (chunk := await on_thread("archive", lambda: next(reading, None))) is not None:
                body, count = chunk
                lines += count
                self.progress.lines += count
                asked = Asked(f"{PREFIX}{kind}", file, 200)
                self._put(FrameKind.REPLY, reply_payload(asked, body))
                while self._tape.pending_bytes > self._tape.settings.backlog_bytes_max // 2:
                    await self._clock.sleep(POLL_S)
        except NotWhole as trouble:
            self._telemetry.archive_not_whole(file, str(trouble))
            return f"{file}: {trouble}"
        self._telemetry.archive_read(file, size, lines)
        return ""

    def _cover(self, hour: Hour, wanted: dict[Stream, list[Span]], *, is_joined: bool) -> None:
        """Say what a whole hour proves: all of it but its last moments, and those of the hour before it."""
        late_ns = self._dialect.LATE_NS
        from_ns = hour.from_ns - late_ns if is_joined else hour.from_ns
        for stream, spans in wanted.items():
            for span in spans:
                low, high = _clip(span, from_ns, hour.to_ns - late_ns)
                if low < high:
                    proof = Covered([stream.key], low, high, f"{PREFIX}{self._files.where}")
                    self._put(FrameKind.COVERED, control_payload(proof))

    # Lines that name no id of the venue's

    def _select(self, kind: str, in_ms: dict[str, list[Span]]) -> Select:
        return lambda line: self._dialect.select(kind, line, in_ms)

    def _held(self, spans: dict[Stream, list[Span]]) -> Counter[Print]:
        """What we hold where lines are wanted, as they would tell it."""
        held: Counter[Print] = Counter()
        reader = self._open_reader()
        try:
            for stream, of in spans.items():
                for low, high in of:
                    query = RowQuery((stream,), since_ns=low, until_ns=high, descending=False, limit=PAGE_ROWS)
                    while low < high and (rows := reader.trades(query)):
                        held.update((stream.instrument, r.ts_event_ns, r.price, r.size, r.side) for r in rows)
                        query = msgspec.structs.replace(
                            query, after=(rows[-1].ts_event_ns, rows[-1].number, rows[-1].trade_id)
                        )
        finally:
            reader.close()
        return held

    def _not_held(self, kind: str, select: Select, held: Counter[Print]) -> Select:
        """Leaves out a line that equals a trade we hold in moment, price, size and side: it is taken for that one.

        Without the venue's id there is no other way to tell them apart; one held trade stands for one line.
        """

        def chosen(line: bytes) -> bytes:
            wanted = select(line)
            if not wanted:
                return b""
            for event in self._dialect.decode_lines(f"{PREFIX}{kind}", wanted, self._clock.wall_ns()).events:
                if isinstance(event, Trade):
                    at = event.stream.instrument, event.ts_event_ns
                    key: Print = (*at, str(event.price), str(event.size), event.side.value)
                    if held[key] > 0:
                        held[key] -= 1
                        return b""
            return wanted

        return chosen

    def _put(self, kind: FrameKind, payload: bytes) -> None:
        if self._source is None:
            where = control_payload(Connected(self._files.where))
            self._source = self._tape.connect(self._dialect.NAME, "archive", where)
        self._tape.append(self._source, kind, payload)
        self._wake_committer()


def has_files_of(dialect: ArchiveDialect, stream: Stream) -> bool:
    """Whether an archive holds the stream: trades of its venue alone."""
    return stream.venue == dialect.NAME and stream.kind is Kind.TRADES


def _spans(gaps: Sequence[Gap]) -> dict[Stream, list[Span]]:
    """What the gaps want of each stream, in order and without overlap."""
    spans: dict[Stream, list[Span]] = {}
    for gap in sorted(gaps, key=lambda gap: gap.from_ns):
        low = gap.from_ns - gap.from_ns % NS_PER_MS
        high = gap.to_ns - gap.to_ns % NS_PER_MS + NS_PER_MS
        of = spans.setdefault(gap.stream, [])
        if of and low <= of[-1][1]:
            of[-1] = (of[-1][0], max(of[-1][1], high))
        else:
            of.append((low, high))
    return spans


def _clip(span: Span, low: int, high: int) -> Span:
    return max(span[0], low), min(span[1], high)
