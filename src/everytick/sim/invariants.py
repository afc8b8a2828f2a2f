"""What must hold, whatever happens: checked as a run goes and at its audits. The first that does not ends the run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from everytick.core.coverage import COMPLETE
from everytick.model.frame import Frame
from everytick.model.ledger import Gap, GapState, Interval, Verdict
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_MS
from everytick.ports import Disk
from everytick.recorder.backfill import Left
from everytick.recorder.pipeline import CAUSE_DAMAGE, Pipeline
from everytick.recorder.repair import CAUSE_HOLE
from everytick.sim.dense import audit_ids
from everytick.sim.oracle import Key, Ledger, Values
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Reader, Row, RowQuery
from everytick.tape.reader import TapeReader
from everytick.venues.protocol import Rule
from everytick.venues.registry import TRADE_RUNS, VENUES

ALL = 2**31
# A venue's bad message cannot be the cause of these.
OUR_OWN_REASONS = frozenset(
    {"conflict", "audit_mismatch", "unasked_stream", "candle_disagrees", "candle_revised", "store_refused"}
)
# Ids in the texts of the simulated venues, whether or not a decoder could read them.
_HYPERLIQUID = re.compile(r'"time":([0-9]+),"hash":"[^"]*","tid":([0-9]+)')
_ITEM = re.compile(r"\{\"coin\":[^{}]*\}")
_BINANCE = re.compile(r'"t":([0-9]+),"p":"[^"]*","q":"[^"]*","T":([0-9]+)')
FRAMES_AT_ONCE = 5_000
EXAMPLES_MAX = 3


class Broken(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
        self.detail = detail


@dataclass
class Found:
    """One stream's audit. `silent`, `wrong`, `unknown` and `misnamed` must be empty."""

    emitted: int = 0
    stored: int = 0
    lost: int = 0
    gaps: int = 0
    empty_gaps: int = 0
    unprovable: int = 0  # gaps that cover nothing, as nobody could have known
    silent: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    false_gaps: list[str] = field(default_factory=list)


@dataclass
class Judge:
    """What a run has found so far."""

    hours: float = 0.0
    steps: int = 0
    trace: str = ""
    met: dict[str, int] = field(default_factory=dict)
    emitted: int = 0
    stored: int = 0
    lost: int = 0  # emitted, not held, and named by a gap
    silent_loss: int = 0
    gaps: int = 0  # of trades, not closed at the audit
    empty_gaps: int = 0  # of them, such that cover nothing lost
    unprovable: int = 0  # of those, such that nobody could have known to be empty
    false_gaps: int = 0  # of them, on ids that are in no order
    lie_s: float = 0.0
    late_s: float = 0.0
    watched_s: float = 0.0
    heal_s: float = 0.0
    restarts: int = 0
    left: Sequence[Left] = ()
    strange_deaths: list[str] = field(default_factory=list)

    def take(self, found: Sequence[Found], when: str) -> None:
        """One audit of all streams. Raises Broken."""
        for one in found:
            if one.silent:
                self.silent_loss += len(one.silent)
                raise Broken("I-CONS", f"{when}: {len(one.silent)} lost and not named: {one.silent[0]}")
            if one.wrong:
                name, _, detail = one.wrong[0].partition(": ")
                raise Broken(name, f"{when}: {detail}")
            if one.false_gaps:
                self.false_gaps += len(one.false_gaps)
                raise Broken("I-GAP2", f"{when}: {one.false_gaps[0]}")
        self.emitted = sum(one.emitted for one in found)
        self.stored = sum(one.stored for one in found)
        self.lost = sum(one.lost for one in found)
        self.gaps = sum(one.gaps for one in found)
        self.empty_gaps = sum(one.empty_gaps for one in found)
        self.unprovable = sum(one.unprovable for one in found)

    def check_left(self) -> None:
        """What the venue's history has, backfill has brought."""
        if self.left:
            raise Broken("I-FILL", f"backfill has left what it could close: {self.left[0]}")


def truth_of(ledger: Ledger, name: str) -> dict[Key, Values]:
    """Everything that happened to one instrument since anybody first asked for it, and what was replayed."""
    return {**ledger.dropped.get(name, {}), **ledger.unseen.get(name, {}), **ledger.sent.get(name, {})}


def rows_of(reader: Reader, stream: Stream) -> list[Row]:
    """Every stored trade of a stream, read page by page as an API would: its cursor must neither repeat nor skip."""
    rows: list[Row] = []
    query = RowQuery((stream,), descending=False, limit=ALL)
    rows += reader.trades(query)
    return rows


def audit_stream(
    stream: Stream, ledger: Ledger, reader: Reader, refused: set[Key], replay: int, *, is_exact: bool
) -> Found:
    """Compare what is held of one stream of trades with what happened.

    `is_exact`: gaps of ids must name what is not held and nothing else. A damaged tape can leave a gap half filled.

    `refused` stands in quarantine; `replay` is how many trades the venue tells again after each subscribe, 0 where
    its ids are in a row.
    """
    truth, found = truth_of(ledger, stream.instrument), Found()
    rows = rows_of(reader, stream)
    held: dict[Key, Values] = {}
    for row in rows:
        key = (row.ts_event_ns // NS_PER_MS, row.trade_id)
        if key in held:
            found.wrong.append(f"I-UNIQ: {stream.key} holds {key} twice")
        held[key] = (row.price, row.size, row.side)
        true = truth.get(key)
        if true is None:
            found.wrong.append(f"I-UNIQ: {stream.key} holds {key}, which was never emitted")
        elif true != held[key]:
            found.wrong.append(f"I-PAY: {stream.key} holds {key} as {held[key]}, emitted as {true}")
    found.stored = len(held)
    if not held:
        return found
    first_ms = min(time_ms for time_ms, _ in held)
    due = {key for key in truth if key[0] > first_ms}
    found.emitted = len(due)
    missing = sorted(key for key in due if key not in held and key not in refused)
    gaps = [gap for gap in reader.gaps([stream], open_only=False, limit=ALL) if gap.state is not GapState.CLOSED]
    is_dense = VENUES[stream.venue].SEQUENCING[stream.kind] is Rule.DENSE
    covers = reader.coverage(stream, 0, 2**63 - 1)
    _judge_missing(stream, missing, gaps, covers, found, is_dense=is_dense)
    holes = ledger.holes.get(stream.instrument, set())
    # What was refused is not held either: a gap may name it as well.
    unheld = sorted(key for key in due if key not in held)
    ids = {number for _, number in unheld} | holes
    everything = sorted(truth)
    for gap in gaps:
        _judge_gap(gap, unheld, ids, holes, everything, found, replay)
    if is_dense:
        held_ids, true_ids = {key[1] for key in (*held, *refused)}, {key[1] for key in truth}
        told = audit_ids(held_ids, true_ids, holes, gaps, EXAMPLES_MAX)
        if told.unnamed:
            found.silent += told.examples
        if told.misnamed and not refused and is_exact:
            found.wrong.append(f"I-GAP3: {stream.key}: {told.examples}")
    return found


def _judge_missing(
    stream: Stream,
    missing: Sequence[Key],
    gaps: Sequence[Gap],
    covers: Sequence[Interval],
    found: Found,
    *,
    is_dense: bool,
) -> None:
    complete = [(one.from_ns, one.to_ns) for one in covers if one.cover in COMPLETE]
    for time_ms, number in missing:
        ts_ns = time_ms * NS_PER_MS
        if is_dense:
            is_named = any(gap.first_id <= number <= gap.last_id for gap in gaps)
        else:
            is_named = any(gap.from_ns <= ts_ns <= gap.to_ns for gap in gaps)
        if not is_named:
            found.silent.append(f"{stream.key}: id {number} at {time_ms} ms is missing and in no gap")
        elif not is_dense and any(low < ts_ns and ts_ns + NS_PER_MS < high for low, high in complete):
            found.silent.append(f"{stream.key}: id {number} at {time_ms} ms is missing where the record says complete")
        else:
            found.lost += 1


def _judge_gap(
    gap: Gap, unheld: Sequence[Key], ids: set[int], holes: set[int], true: Sequence[Key], found: Found, replay: int
) -> None:
    found.gaps += 1
    if gap.first_id >= 0:
        if gap.cause == CAUSE_HOLE and not set(range(gap.first_id, gap.last_id + 1)) <= holes:
            found.wrong.append(f"I-HOLE: {gap.stream.key}: {gap.first_id} to {gap.last_id} are no hole of the venue")
        if gap.cause != CAUSE_HOLE and not any(gap.first_id <= number <= gap.last_id for number in ids):
            found.empty_gaps += 1
        return
    # Where the tape itself was damaged nobody can know what was in it: such a gap may be empty.
    if gap.cause == CAUSE_DAMAGE or any(gap.from_ns <= time_ms * NS_PER_MS <= gap.to_ns for time_ms, _ in unheld):
        return
    found.empty_gaps += 1
    # As many trades as a replay holds, and nobody can tell that nothing more happened; with fewer it overlaps.
    since = sum(1 for time_ms, _ in true if gap.from_ns < time_ms * NS_PER_MS <= gap.ts_recv_ns)
    if since >= replay:
        found.unprovable += 1
        return
    span = f"[{gap.from_ns}, {gap.to_ns}]"
    found.false_gaps.append(f"{gap.stream.key}: {gap.kind} {gap.cause} {span} covers nothing, and {since} happened")


def check_seams(reader: Reader, streams: Mapping[str, Sequence[Stream]]) -> None:
    """Streams without ids or replay: no two connections here are ever up at once, so none can join without a gap."""
    quotes = [stream for found in streams.values() for stream in found if stream.kind is Kind.QUOTES]
    for seam in reader.seams(quotes, limit=ALL):
        if seam.verdict is Verdict.LOSSLESS:
            raise Broken("I-GAP4", f"{seam.stream.key}: the connection of epoch {seam.epoch} is called lossless")


def trade_streams(streams: Mapping[str, Sequence[Stream]]) -> list[Stream]:
    """The streams that the ledgers know everything of."""
    return [stream for found in streams.values() for stream in found if stream.kind is Kind.TRADES]


def check_store(reader: Reader, watermark: int, reasons: set[str]) -> None:
    """What a store may hold whatever happened: nothing beyond the watermark, and no refusal without a reason."""
    checkpoint = reader.checkpoint()
    if checkpoint > watermark:
        raise Broken("I-CHECK", f"the checkpoint {checkpoint} is beyond the watermark {watermark}")
    refusals = Counter(item.reason for item in reader.quarantined(limit=ALL))
    strange = {reason: count for reason, count in refusals.items() if reason not in reasons}
    if strange:
        raise Broken("I-QUAR", f"refused without a cause: {strange}")


def refused_keys(reader: Reader, frames: Mapping[int, Frame]) -> set[Key]:
    """The (time ms, id) of everything that stands in quarantine: of a list only the items that do."""
    found: set[Key] = set()
    for item in reader.quarantined(limit=ALL):
        frame = frames.get(item.offset)
        if frame is None:
            continue
        text = frame.payload.decode(errors="replace")
        items = _ITEM.findall(text)
        text = items[item.index] if 0 <= item.index < len(items) else text
        found |= {(int(at), int(tid)) for at, tid in _HYPERLIQUID.findall(text)}
        found |= {(int(at), int(tid)) for tid, at in _BINANCE.findall(text)}
    return found


def read_tape(disk: Disk, watermark: int) -> tuple[dict[int, Frame], TapeReader]:
    """Every frame below the watermark, by offset."""
    reader = TapeReader(disk)
    frames: dict[int, Frame] = {}
    at = 0
    while piece := reader.read(at, FRAMES_AT_ONCE, watermark):
        frames.update((frame.offset, frame) for frame in piece)
        at = piece[-1].offset + 1
    return frames, reader


def check_tape(
    frames: Mapping[int, Frame], received: Sequence[tuple[int, int]], acked: int, *, is_rotten: bool
) -> None:
    """Every message that was acknowledged is on the tape, as it came."""
    for offset, crc in received:
        frame = frames.get(offset)
        if frame is None:
            if offset < acked and not is_rotten:
                raise Broken("I-DUR", f"the message at offset {offset} was acknowledged and is not on the tape")
        elif crc32(frame.payload) != crc:
            raise Broken("I-PAY", f"the message at offset {offset} is on the tape with other bytes")


def rebuilt(disk: Disk, watermark: int) -> MemoryStore:
    """A store made anew from the tape alone."""
    store, reader, at = MemoryStore(), TapeReader(disk), 0
    pipeline = Pipeline(VENUES, store, TRADE_RUNS)
    while at < watermark:
        frames = reader.read(at, FRAMES_AT_ONCE, watermark)
        end = frames[-1].offset + 1 if frames else watermark
        store.apply(pipeline.apply(frames, at, end))
        at = end
    return store


def check_same(live: Reader, anew: Reader) -> None:
    """The rebuilt store holds what the live one does, line by line."""
    for ours, theirs in zip(live.dump(), anew.dump(), strict=False):
        if ours != theirs:
            raise Broken("I-REBUILD", f"the live store has {ours[:200]!r}, the rebuilt one {theirs[:200]!r}")
    if live.totals() != anew.totals():
        raise Broken("I-REBUILD", f"the live store counts {live.totals()}, the rebuilt one {anew.totals()}")
