"""From tape to store: reads durable frames, applies them and the checkpoint in one transaction, for ever."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from everytick.errors import Retryable
from everytick.model.frame import Frame
from everytick.model.ledger import GapState
from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.recorder.pipeline import Pipeline
from everytick.stores.protocol import Batch, RowIdentity, Store, Unstorable
from everytick.supervise.progress import Progress
from everytick.supervise.threads import Stop, work_through
from everytick.tape.reader import TapeReader
from everytick.telemetry import Telemetry

# A batch this large keeps a transaction short and its memory small; smaller ones pay more syncs per row.
FRAMES_MAX = 5_000
IDLE_S = 0.25
# Of a batch only the last trades can hold the newest price of an instrument that trades at all often.
PRICES_FROM = 256
# One transaction per 20 ms is live enough for a person and leaves the disk to the tape.
PAUSE_S = 0.02
RETRY_FIRST_S, RETRY_MAX_S = 0.1, 5.0
# Taking out what a store refused takes one round, two if it refuses by a rule of its own as well.
POISON_ROUNDS_MAX = 4

# Two tellings of one fact: kept in quarantine, and each a fact of its own besides.
_DISAGREEMENTS: Final[Mapping[str, Callable[[Telemetry], Callable[[str, int, str], None]]]] = MappingProxyType(
    {
        "audit_mismatch": lambda telemetry: telemetry.audit_mismatch,
        "candle_revised": lambda telemetry: telemetry.candle_revised,
        "candle_disagrees": lambda telemetry: telemetry.candle_disagrees,
    }
)


class Projector:
    """Keeps one store up with the tape. `work` runs on its own thread; a new watermark wakes it."""

    def __init__(
        self,
        reader: TapeReader,
        pipeline: Pipeline,
        store: Store,
        clock: Clock,
        telemetry: Telemetry,
        progress: Progress,
        checkpoint: int,
    ) -> None:
        self._reader = reader
        self._pipeline = pipeline
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._progress = progress
        self.checkpoint = checkpoint
        # The batch that waits for the store, and what is known of the attempts to make it.
        self._batch: Batch | None = None
        self._is_torn = False
        self._unstorable: dict[RowIdentity, str] | None = None
        progress.offset_applied = checkpoint

    def work(self, stop: Stop) -> Iterator[float]:
        """In steps: apply what becomes durable until asked to stop. A store that is away is waited for."""
        while not stop.is_asked:
            watermark = self._progress.offset_durable
            if self.checkpoint >= watermark:
                self._progress.last_apply_ns = self._clock.wall_ns()
                yield IDLE_S
                continue
            yield from self._steps(watermark, stop)
            if self.checkpoint >= self._progress.offset_durable and not stop.is_asked:
                yield PAUSE_S

    def catch_up(self, watermark: int) -> bool:
        """Apply everything below the watermark, then return; at the first trouble give up and say False.

        Nothing is lost by that: the next start goes on from the checkpoint.
        """
        stop = Stop()
        stop.ask()
        while self.checkpoint < watermark:
            if not self.step(watermark, stop):
                return False
        return True

    def step(self, watermark: int, stop: Stop) -> bool:
        """Apply one batch. A store that is away is waited for until `stop` is asked; False: it was not applied."""
        before = self.checkpoint
        work_through(self._steps(watermark, stop), stop)
        return self.checkpoint > before

    def _steps(self, watermark: int, stop: Stop) -> Generator[float, None, None]:
        frames = self._reader.read(self.checkpoint, FRAMES_MAX, watermark)
        # Nothing readable below the watermark is damage up to it; the pipeline puts that on record.
        offset_to = frames[-1].offset + 1 if frames else watermark
        wait_s = RETRY_FIRST_S
        while True:
            try:
                batch = self._project(frames, offset_to)
            except Retryable as trouble:
                self._is_away(str(trouble))
                if stop.is_asked:
                    return
                with stop.resting():  # frames that become durable meanwhile do not bring the store back
                    yield wait_s
                wait_s = min(wait_s * 2, RETRY_MAX_S)
                continue
            self._is_back()
            self._batch = None
            self.checkpoint = batch.offset_to
            self._report(batch)
            return

    def _project(self, frames: Sequence[Frame], offset_to: int) -> Batch:
        """Make the batch, unless it is made, and apply it. Raises Retryable with the batch kept."""
        for _ in range(POISON_ROUNDS_MAX):
            batch = self._batch or self._make(frames, offset_to)
            try:
                self._store.apply(batch)
            except Unstorable as poison:
                # What no store can hold is told by rule from the events themselves, so that the record does not
                # depend on where a batch ends; only what this database alone refuses goes by the names it gave.
                self._unstorable = {**(self._unstorable or {}), **({} if poison.is_by_rule else poison.rows)}
                self._batch = None
                self._is_torn = True
                last = poison
            else:
                self._unstorable = None
                return batch
        raise last

    def _make(self, frames: Sequence[Frame], offset_to: int) -> Batch:
        # The pipeline asks the store as it goes: one that fails in the middle leaves it half way through.
        if self._is_torn:
            self._pipeline.begin_again(self._unstorable)
        self._is_torn = True
        self._batch = self._pipeline.apply(frames, self.checkpoint, offset_to)
        self._is_torn = False
        return self._batch

    def _is_away(self, trouble: str) -> None:
        if not self._progress.store_trouble:
            self._telemetry.store_unavailable(trouble)
        # Health shows it to whoever asks, and a driver's error may hold the store's address.
        self._progress.store_trouble = self._telemetry.redactor.clean(trouble)

    def _is_back(self) -> None:
        if self._progress.store_trouble:
            self._progress.store_trouble = ""
            self._telemetry.store_back()

    def _report(self, batch: Batch) -> None:
        progress, telemetry = self._progress, self._telemetry
        progress.offset_applied = batch.offset_to
        progress.last_apply_ns = self._clock.wall_ns()
        for name, value in batch.counts.items():
            progress.counts[name] = progress.counts.get(name, 0) + value
        progress.newest.update(self._pipeline.newest)
        for stream, _, _, price, *_ in batch.trades[-PRICES_FROM:]:
            progress.prices[stream.instrument] = price
        lag = progress.offset_durable - batch.offset_to
        telemetry.checkpoint_lag(lag, max(progress.last_apply_ns - self._pipeline.ts_recv_ns, 0) / NS_PER_S)
        telemetry.batch_applied(
            batch.counts.get("frames", 0), len(batch.trades), batch.counts.get("trades_repeated", 0)
        )
        for item in batch.quarantined:
            telemetry.event_quarantined(item.venue, item.reason, item.offset, item.path, item.value)
            if item.reason in _DISAGREEMENTS:
                _DISAGREEMENTS[item.reason](telemetry)(item.path, item.offset, item.value)
        for complaint in self._pipeline.complaints:
            telemetry.venue_notice(*complaint)
        for zero in self._pipeline.vaults_zero:
            telemetry.vault_zero(*zero)
        for seam in batch.seams:
            telemetry.seam_joined(seam.stream.key, seam.verdict.value, seam.cause, seam.shared)
        for gap in batch.gaps:
            key, cause = gap.stream.key, gap.cause
            if gap.state is GapState.OPEN:
                telemetry.gap_found(key, gap.kind.value, cause, gap.from_ns, gap.to_ns, gap.offset)
            elif gap.state in (GapState.CLOSED, GapState.PERMANENT):
                telemetry.gap_closed(key, gap.state.value, cause, gap.from_ns, gap.to_ns)
