"""Durable frames in, one batch of store changes out: decode, validate, sequence, cover.

The pipeline's answers depend on the tape alone: not on the clock, not on how the tape is cut into batches, not on
restarts. Live recording, `rebuild` and `replay` run this same code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from everytick.core import sequence
from everytick.core.sequence import CAUSE_RESTART, Judgement, Place, StreamState
from everytick.errors import Fatal
from everytick.model.control import Compared, Covered, Disconnected, Judged, RequestFailed, Subscribed
from everytick.model.event import (
    Answered,
    AssetContext,
    BookSnapshot,
    Candle,
    Event,
    MidPrices,
    Notice,
    Quote,
    RecentTrades,
    Refusal,
    Trade,
    VaultState,
)
from everytick.model.frame import Frame, FrameKind
from everytick.model.ledger import GapState
from everytick.model.stream import Kind, Stream, parse_stream
from everytick.recorder.known import KnownTrades
from everytick.recorder.polled import Brought, Polled
from everytick.recorder.repair import Repairs
from everytick.recorder.runs import take_run
from everytick.recorder.sift import sift
from everytick.stores.protocol import Batch, Mid, Placed, PlacedCandle, Quarantined, RowIdentity, Store, placed_trade
from everytick.venues.protocol import Rule, TradeRuns, Venue

CAUSE_POLL = "poll_failed"  # what a poll alone brings did not come in its turn
CAUSE_DAMAGE = "damage"  # frames of the tape could not be read: what they held is not known
EXCERPT_BYTES_MAX = 2_000
COMPLAINTS = frozenset({"error", "shutdown"})  # kinds of Notice that a person should hear of
# A run that gives less than this was not worth its attempt: then so many frames take the careful road at once, so that
# a stretch of repeats or of mixed messages costs no more than reading it carefully.
RUN_WORTH_FRAMES, CAREFUL_FRAMES = 4, 256

_subscribed = msgspec.json.Decoder(Subscribed)
_disconnected = msgspec.json.Decoder(Disconnected)
_judged = msgspec.json.Decoder(Judged)
_failed = msgspec.json.Decoder(RequestFailed)
_compared = msgspec.json.Decoder(Compared)
_covered = msgspec.json.Decoder(Covered)
_state_json = msgspec.json.Encoder().encode
_state = msgspec.json.Decoder(StreamState)


class Pipeline:
    """Applies frames in tape order. One per store; owned by one thread."""

    def __init__(
        self, venues: Mapping[str, Venue], store: Store, trade_runs: Mapping[str, TradeRuns] | None = None
    ) -> None:
        """`trade_runs` are the venues' faster readers; without them every frame takes the careful road."""
        self._venues = venues
        self._trade_runs = trade_runs or {}
        self._store = store
        self.begin_again()
        self._touched: set[Stream] = set()
        self._grown: set[Stream] = set()
        self._batch = Batch(0, 0)
        self._candles: dict[tuple[Stream, int], PlacedCandle] = {}
        self._refused: set[tuple[int, int]] = set()
        self._counts: Counter[str] = Counter()
        # Streams of the last batch -> (newest event ns, receive ns of the batch's last frame).
        self.newest: dict[str, tuple[int, int]] = {}
        # Of the last batch: (stream's key, account, offset) of each watched account that now reads zero for long.
        self.vaults_zero: list[tuple[str, str, int]] = []
        self.complaints: list[tuple[str, str, str, str]] = []  # venue, channel, kind, text
        self.ts_recv_ns = 0  # receive time of the last frame applied

    def begin_again(self, unstorable: Mapping[RowIdentity, str] | None = None) -> None:
        """Forget what the store has not got: the next `apply` goes on from what it holds, as after a restart.

        With `unstorable` that one puts what no store can hold, and these rows, into quarantine: the batch that they
        were in was refused.
        """
        self._unstorable = unstorable
        self._known: dict[Stream, KnownTrades] = {}
        self._repairs = Repairs(self._store)
        self._states = {parse_stream(key): _state.decode(text) for key, text in self._store.states().items()}
        self._polled = Polled(self._store, self._states)

    def apply(self, frames: Sequence[Frame], offset_from: int, offset_to: int) -> Batch:
        """What the frames of [offset_from, offset_to) change. Frames missing in that range are damage.

        The batch must be applied to the store before the next call.
        """
        for known in self._known.values():
            known.settle()
        self._batch = Batch(offset_from, offset_to)
        self._candles = {}
        self._refused = set()
        self._counts = Counter()
        self._touched, self._grown = set(), set()
        self.vaults_zero = []
        self.complaints = []
        is_whole = frames and frames[0].offset == offset_from and frames[-1].offset - offset_from == len(frames) - 1
        if is_whole and self._unstorable is None:
            self._whole(frames)
        else:
            self._torn(frames, offset_from, offset_to)
        self._unstorable = None
        if frames:
            self.ts_recv_ns = frames[-1].ts_recv_ns
        return self._finish(len(frames))

    def _whole(self, frames: Sequence[Frame]) -> None:
        at = careful_until = 0
        while at < len(frames):
            frame = frames[at]
            if at >= careful_until and frame.kind is FrameKind.MESSAGE and frame.source.venue in self._trade_runs:
                read = self._trade_runs[frame.source.venue]
                state_of, known_of = self._plain_state, self._known_of
                end = take_run(read, frames, at, state_of, known_of, self._batch.trades, self._grown)
                if end - at < RUN_WORTH_FRAMES:
                    careful_until = end + CAREFUL_FRAMES
                if end > at:
                    at = end
                    continue
            self._one(frame)
            at += 1

    def _torn(self, frames: Sequence[Frame], offset_from: int, offset_to: int) -> None:
        expected = offset_from
        for frame in frames:
            if frame.offset != expected:
                self._lose(expected, frame.offset)
            expected = frame.offset + 1
            self._one(frame)
        if expected != offset_to:
            self._lose(expected, offset_to)

    def _one(self, frame: Frame) -> None:
        if frame.kind >= FrameKind.START:
            self._control(frame)
        else:
            self._message(frame)
        self._repairs.settle(self._batch)

    def _plain_state(self, stream: Stream, epoch: int) -> StreamState | None:
        """The stream's state if nothing about its next message on this connection needs judging."""
        state = self._states.get(stream)
        is_plain = state is not None and not state.awaits_first and state.epoch == epoch
        return state if is_plain and not self._repairs.is_open(stream) else None

    def _known_of(self, stream: Stream) -> KnownTrades:
        known = self._known.get(stream)
        if known is None:
            known = self._known[stream] = KnownTrades(stream, self._store)
        return known

    def _finish(self, frame_count: int) -> Batch:
        batch = self._batch
        self.newest = {s.key: (self._states[s].newest_ns, self.ts_recv_ns) for s in self._grown}
        for stream in sorted(self._grown):
            batch.cover_put.extend(sequence.observed(stream, self._states[stream]))
        for stream in sorted(self._touched | self._grown):
            batch.states[stream.key] = _state_json(self._states[stream])
        batch.candles = list(self._candles.values())
        self._counts["frames"] += frame_count
        batch.counts = dict(sorted(self._counts.items()))
        return batch

    # What happened to connections

    def _control(self, frame: Frame) -> None:
        if frame.kind is FrameKind.SUBSCRIBE:
            for key in _subscribed.decode(frame.payload).streams:
                self._ask(parse_stream(key), frame.source.epoch)
        elif frame.kind is FrameKind.DISCONNECT:
            self._end(_disconnected.decode(frame.payload).cause, frame.source.epoch)
        elif frame.kind is FrameKind.START:
            self._end(CAUSE_RESTART)
        elif frame.kind is FrameKind.FAILED:
            self._fail(_failed.decode(frame.payload))
        elif frame.kind is FrameKind.COMPARED:
            told = _compared.decode(frame.payload)
            self._refuse(frame, Refusal(-1, "candle_disagrees", told.stream, f"at {told.ts_open_ns}: {told.detail}"))
        elif frame.kind is FrameKind.JUDGED:
            self._judge(_judged.decode(frame.payload))
        elif frame.kind is FrameKind.COVERED:
            covered = _covered.decode(frame.payload)
            place = Place(frame.offset, frame.source.epoch, frame.ts_recv_ns)
            for key in covered.streams:
                stream = parse_stream(key)
                self._repairs.covered(stream, covered.from_ns, covered.to_ns, place, self._batch)

    def _fail(self, failure: RequestFailed) -> None:
        # The streams that had only this to live by are judged anew when the next answer comes.
        self._counts["requests_failed"] += 1
        for stream in map(parse_stream, failure.lost):
            state = self._states.get(stream)
            if state is not None:
                sequence.ended(state, CAUSE_POLL)
                sequence.asked(state, state.epoch)
                self._touched.add(stream)

    def _judge(self, verdict: Judged) -> None:
        identity = (verdict.from_ns, verdict.offset, verdict.first_id)
        stream, state = parse_stream(verdict.stream), GapState(verdict.state)
        if not self._repairs.judged(stream, identity, state, verdict.cause, self._batch):
            self._counts["verdicts_without_gap"] += 1

    def _ask(self, stream: Stream, epoch: int) -> None:
        state = self._states.get(stream)
        if state is None:
            state = self._states[stream] = StreamState()
            self._batch.streams.append(stream)
        sequence.asked(state, epoch)
        self._touched.add(stream)

    def _end(self, cause: str, epoch: int | None = None) -> None:
        for stream, state in self._states.items():
            if epoch is None or state.epoch == epoch:
                sequence.ended(state, cause)
                self._touched.add(stream)
            elif state.before == epoch:
                sequence.let_go(state, epoch, cause)
                self._touched.add(stream)

    def _lose(self, offset_from: int, offset_to: int) -> None:
        # Unreadable frames may have held messages of any stream and any control frame. Every stream must now
        # prove itself again, as after a cut; since nothing will be asked again on a connection that lives on,
        # the next message of each stream is judged like the first of an epoch.
        self._counts["frames_lost"] += offset_to - offset_from
        for stream, state in self._states.items():
            sequence.ended(state, CAUSE_DAMAGE)
            sequence.asked(state, state.epoch)
            self._touched.add(stream)

    # What venues said

    def _message(self, frame: Frame) -> None:
        venue = self._venues.get(frame.source.venue)
        if venue is None:
            self._refuse(frame, Refusal(-1, "unknown_venue", "venue", frame.source.venue))
            return
        decoded = venue.decode(frame)
        if self._unstorable is not None:
            decoded = sift(decoded, frame, self._unstorable)
        trades: list[Trade] = []
        answers: list[Answered] = []
        bars: dict[Stream, list[Candle]] = {}
        for event in decoded.events:
            if type(event) is Trade:
                trades.append(event)
            elif type(event) is Answered:
                answers.append(event)
            elif frame.kind is FrameKind.REPLY and isinstance(event, Candle):
                bars.setdefault(event.stream, []).append(event)
            else:
                self._other(venue, frame, event)
        if trades:
            self._trades(venue, frame, trades)
        for stream, candles in bars.items():
            self._bars_of(venue, frame, stream, candles)
        for answer in answers:
            self._repairs.answered(answer, Place(frame.offset, frame.source.epoch, frame.ts_recv_ns), self._batch)
        for refusal in decoded.refusals:
            self._refuse(frame, refusal)

    def _trades(self, venue: Venue, frame: Frame, trades: list[Trade]) -> None:
        stream = trades[0].stream
        if len(trades) == 1 or all(trade.stream is stream for trade in trades):
            self._trades_of(venue, frame, stream, trades)
            return
        by_stream: dict[Stream, list[Trade]] = {}
        for trade in trades:
            by_stream.setdefault(trade.stream, []).append(trade)
        for stream, part in by_stream.items():
            self._trades_of(venue, frame, stream, part)

    def _trades_of(self, venue: Venue, frame: Frame, stream: Stream, trades: list[Trade]) -> None:
        state = self._states.get(stream)
        if state is None:
            self._refuse_unasked(frame, stream, len(trades))
            return
        known = self._known_of(stream)
        held, put, counts = known.held, self._batch.trades.append, self._counts
        offset, ts_recv_ns = frame.offset, frame.ts_recv_ns
        old = known.fetch_old((t.ts_event_ns, t.trade_id) for t in trades) if self._may_be_old(known, trades) else {}
        repeated = 0
        fresh: list[Trade] = []
        fresh_in_frame: set[tuple[int, int]] = set()
        oldest_ns = newest_ns = trades[0].ts_event_ns
        for index, trade in enumerate(trades):
            ts_ns = trade.ts_event_ns
            if ts_ns > newest_ns:
                newest_ns = ts_ns
            elif ts_ns < oldest_ns:
                oldest_ns = ts_ns
            key = (ts_ns, trade.trade_id)
            placed = placed_trade(trade, offset, ts_recv_ns)
            values = placed[3:6]
            before = held.get(key) or old.get(key)
            if before is None:
                held[key] = values
                put(placed)
                fresh.append(trade)
                if state.awaits_first:
                    fresh_in_frame.add(key)
                continue
            counts["trades_repeated"] += 1
            # Only what the live record itself reaches back to is proof: an answer may hold newer trades alone.
            if key not in fresh_in_frame and ts_ns <= state.newest_ns:
                repeated += 1
            if before != values:
                path = f"trade {trade.trade_id} at {ts_ns}"
                self._refuse(frame, Refusal(index, "conflict", path, f"held {before}, now {values}"))
        if self._repairs.is_open(stream):
            self._repairs.filled(stream, fresh)
        if frame.kind is not FrameKind.MESSAGE:
            return
        place = Place(offset, frame.source.epoch, ts_recv_ns)
        if venue.SEQUENCING[stream.kind] is Rule.DENSE:
            ids = sorted((trade.trade_id, trade.ts_event_ns) for trade in trades)
            for found in sequence.judge_dense(stream, state, frame.source.epoch, ids, place):
                for judgement in self._repairs.exact(found, self._batch):
                    self._found(stream, judgement)
        elif frame.source.epoch != state.epoch:
            return
        elif state.awaits_first:
            self._found(stream, sequence.judge_first(stream, state, oldest_ns, newest_ns, repeated, place))
        else:
            sequence.advance(state, newest_ns)
        self._grown.add(stream)

    @staticmethod
    def _may_be_old(known: KnownTrades, trades: list[Trade]) -> bool:
        floor_ns = known.floor_ns
        return floor_ns >= 0 and any(trade.ts_event_ns <= floor_ns for trade in trades)

    def _other(self, venue: Venue, frame: Frame, event: Event) -> None:
        if isinstance(event, Candle):
            self._candle(venue, frame, event)
        elif isinstance(event, MidPrices):
            self._mids(frame, event)
        elif isinstance(event, Notice):
            self._counts[f"notices_{event.kind}"] += 1
            if event.kind in COMPLAINTS:
                self.complaints.append((frame.source.venue, frame.source.channel, event.kind, event.text))
        elif isinstance(event, (Quote, BookSnapshot)):
            self._snapshot(frame, event, event.ts_event_ns)
        elif isinstance(event, AssetContext):
            if event.stream in self._states or frame.kind is FrameKind.MESSAGE:
                self._snapshot(frame, event, frame.ts_recv_ns)
            else:
                self._counts["contexts_aside"] += 1  # an answer holds those of every instrument
        elif isinstance(event, VaultState):
            self._bring(venue, frame, self._polled.vault(frame, event))
        elif isinstance(event, RecentTrades):
            self._recent(venue, frame, event)
        else:
            raise Fatal(f"{venue.NAME} decoded a {type(event).__name__} outside its trades")

    def _candle(self, venue: Venue, frame: Frame, candle: Candle) -> None:
        stream = candle.stream
        state = self._states.get(stream)
        if state is None:
            self._refuse_unasked(frame, stream, 1)
            return
        if frame.source.epoch != state.epoch:
            self._counts["candles_aside"] += 1
            return
        if state.candle is not None and candle.ts_open_ns < state.candle.ts_open_ns:
            self._bars_of(venue, frame, stream, [candle])
            return
        place = Place(frame.offset, state.epoch, frame.ts_recv_ns)
        candles, judgement = sequence.judge_candle(stream, state, candle, place)
        for put in candles:
            self._candles[(stream, put.ts_open_ns)] = PlacedCandle(put, frame.offset, frame.ts_recv_ns)
        self._found(stream, judgement)
        self._grown.add(stream)

    def _bars_of(self, venue: Venue, frame: Frame, stream: Stream, candles: list[Candle]) -> None:
        if stream in self._states:
            self._bring(venue, frame, self._polled.bars(frame, stream, candles, self._candles))
        else:
            self._refuse_unasked(frame, stream, len(candles))

    def _recent(self, venue: Venue, frame: Frame, recent: RecentTrades) -> None:
        if recent.stream in self._states:
            known = self._known_of(recent.stream)
            self._bring(venue, frame, self._polled.recent(recent, known, self._batch))
        else:
            self._refuse_unasked(frame, recent.stream, len(recent.trades))

    def _bring(self, venue: Venue, frame: Frame, brought: Brought) -> None:
        self._counts.update(brought.counts)
        for placed in brought.candles:
            self._candles[(placed.candle.stream, placed.candle.ts_open_ns)] = placed
        self._batch.events.extend(brought.snapshots)
        for refusal in brought.refusals:
            self._refuse(frame, refusal)
        if brought.trades:
            self._trades(venue, frame, brought.trades)
        for stream, judgement in brought.judgements:
            self._found(stream, judgement)
        self._touched |= brought.touched
        self._grown |= brought.grown
        self.vaults_zero += [(stream.key, vault, frame.offset) for stream, vault in brought.zeros]

    def _mids(self, frame: Frame, event: MidPrices) -> None:
        kept = 0
        for instrument, price in event.mids.items():
            stream = Stream(event.venue, Kind.MIDS, instrument)
            if stream in self._states:
                kept += 1
                self._judge_snapshot(frame, stream, frame.ts_recv_ns)
                self._batch.mids.append(Mid(stream, frame.ts_recv_ns, frame.offset, price))
        self._counts["mids_not_asked_for"] += len(event.mids) - kept

    def _snapshot(self, frame: Frame, event: Quote | BookSnapshot | AssetContext, ts_ns: int) -> None:
        if event.stream not in self._states:
            self._refuse_unasked(frame, event.stream, 1)
            return
        self._judge_snapshot(frame, event.stream, ts_ns)
        self._batch.events.append(Placed(event, frame.offset, frame.ts_recv_ns))

    def _judge_snapshot(self, frame: Frame, stream: Stream, ts_ns: int) -> None:
        state = self._states[stream]
        if frame.source.epoch != state.epoch or frame.kind is not FrameKind.MESSAGE:
            return
        if state.awaits_first:
            place = Place(frame.offset, state.epoch, frame.ts_recv_ns)
            self._found(stream, sequence.judge_first(stream, state, ts_ns, ts_ns, -1, place))
        else:
            sequence.advance(state, ts_ns)
        self._grown.add(stream)

    def _found(self, stream: Stream, judgement: Judgement) -> None:
        if judgement.seam is not None:
            self._batch.seams.append(judgement.seam)
        if judgement.gap is not None:
            self._batch.gaps.append(judgement.gap)
            self._repairs.found(judgement.gap)
        self._batch.cover_put.extend(judgement.intervals)

    # What could not be kept

    def _refuse_unasked(self, frame: Frame, stream: Stream, count: int) -> None:
        self._refuse(frame, Refusal(-1, "unasked_stream", stream.key, f"{count} events"))

    def _refuse(self, frame: Frame, refusal: Refusal) -> None:
        index = refusal.index
        while (frame.offset, index) in self._refused:
            index = min(index, 0) - 1
        self._refused.add((frame.offset, index))
        self._counts["quarantined"] += 1
        self._counts[f"quarantined_{refusal.reason}"] += 1
        self._batch.quarantined.append(
            Quarantined(
                offset=frame.offset,
                index=index,
                venue=frame.source.venue,
                channel=frame.source.channel,
                reason=refusal.reason,
                path=refusal.path,
                value=refusal.value,
                ts_recv_ns=frame.ts_recv_ns,
                excerpt=frame.payload[:EXCERPT_BYTES_MAX],
            )
        )
