"""What comes beside the stream: candles of the venue's history, watched accounts, and trades to compare.

Says what each brings to the record; the pipeline, which has the batch, puts it there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from everytick.core import sequence, vaults
from everytick.core.sequence import Judgement, Place, StreamState
from everytick.model.event import Candle, RecentTrades, Refusal, Trade, VaultState
from everytick.model.frame import Frame
from everytick.model.stream import Kind, Stream
from everytick.recorder import crosscheck
from everytick.recorder.bars import Bars, Outcome, values_of, words
from everytick.recorder.known import KnownTrades
from everytick.stores.protocol import Batch, Placed, PlacedCandle, Store


class Brought(msgspec.Struct):
    """What one frame brings to the record."""

    counts: Counter[str] = msgspec.field(default_factory=Counter)
    candles: list[PlacedCandle] = []
    snapshots: list[Placed] = []
    trades: list[Trade] = []  # to be stored like any of the venue's history
    refusals: list[Refusal] = []
    judgements: list[tuple[Stream, Judgement]] = []
    touched: set[Stream] = set()  # their state changed
    grown: set[Stream] = set()  # and their cover
    zeros: list[tuple[Stream, str]] = []  # accounts that have now read zero for long


class Polled:
    """Judges what polls and histories bring. `states` are the pipeline's own, changed here as there."""

    def __init__(self, store: Store, states: Mapping[Stream, StreamState]) -> None:
        self._store = store
        self._states = states
        self._bars = Bars(store)

    def bars(
        self,
        frame: Frame,
        stream: Stream,
        candles: Sequence[Candle],
        put: Mapping[tuple[Stream, int], PlacedCandle],
    ) -> Brought:
        """Candles of one stream that was asked for: from the venue's history, or late ones."""
        brought = Brought()
        judged_all = self._bars.judge(stream, self._states[stream], candles, frame.ts_recv_ns, put)
        for index, judged in enumerate(judged_all):
            brought.counts[f"candles_{judged.outcome.value}"] += 1
            if judged.outcome in (Outcome.ASIDE, Outcome.CONFIRMED):
                continue
            candle = judged.candle
            brought.candles.append(PlacedCandle(candle, frame.offset, frame.ts_recv_ns))
            if judged.before is not None:
                value = f"at {candle.ts_open_ns}: was {words(judged.before)}, is {words(values_of(candle))}"
                brought.refusals.append(Refusal(index, "candle_revised", stream.key, value))
        return brought

    def vault(self, frame: Frame, told: VaultState) -> Brought:
        """One watched account, for every instrument that is recorded of it."""
        brought = Brought()
        for stream, state in self._states.items():
            if stream.kind is not Kind.VAULTS or stream.venue != told.venue or state.epoch != frame.source.epoch:
                continue
            brought.touched.add(stream)
            snapshot, is_spread = vaults.take_part(stream, state, told)
            if is_spread:
                brought.counts["vaults_spread"] += 1
            if snapshot is None:
                continue
            brought.snapshots.append(Placed(snapshot, frame.offset, frame.ts_recv_ns))
            brought.grown.add(stream)
            for vault in vaults.count_zeros(state, snapshot.positions):
                brought.counts["vaults_zero"] += 1
                brought.zeros.append((stream, vault))
            at_ns = snapshot.ts_event_ns
            if state.awaits_first:
                place = Place(frame.offset, state.epoch, frame.ts_recv_ns)
                judgement = sequence.judge_first(stream, state, at_ns, at_ns, -1, place)
                brought.judgements.append((stream, judgement))
            else:
                sequence.advance(state, at_ns)
        return brought

    def recent(self, recent: RecentTrades, known: KnownTrades, batch: Batch) -> Brought:
        """The venue's newest trades of a stream that was asked for; `batch` is the stretch of tape so far."""
        brought = Brought()
        state = self._states[recent.stream]
        for one in crosscheck.check(recent, state, known, self._store, batch):
            brought.counts[f"audit_{one.standing.value}"] += 1
            if one.standing in (crosscheck.Standing.HELD, crosscheck.Standing.OUTSIDE):
                continue
            told = crosscheck.values_of(one.trade)
            held = f"held {one.held}" if one.held else "not held"
            value = f"trade {one.trade.trade_id} at {one.trade.ts_event_ns}: {held}, told {told}"
            brought.refusals.append(Refusal(one.index, "audit_mismatch", recent.stream.key, value))
            if one.standing is crosscheck.Standing.MISSING:
                brought.trades.append(one.trade)
        return brought
