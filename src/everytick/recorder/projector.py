"""From tape to store: reads durable frames, applies them and the checkpoint in one transaction, for ever."""

from __future__ import annotations

from everytick.errors import Retryable
from everytick.model.ledger import GapState
from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.recorder.pipeline import Pipeline
from everytick.stores.protocol import Batch, Store
from everytick.supervise.progress import Progress
from everytick.supervise.threads import Stop
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
        progress.offset_applied = checkpoint

    def work(self, stop: Stop) -> None:
        """Apply what becomes durable until asked to stop. A store that is away is waited for; nothing is held."""
        while not stop.is_asked:
            watermark = self._progress.offset_durable
            if self.checkpoint >= watermark:
                self._progress.last_apply_ns = self._clock.wall_ns()
                stop.wait(IDLE_S)
                continue
            self.step(watermark, stop)
            if self.checkpoint >= self._progress.offset_durable and not stop.is_asked:
                stop.wait(PAUSE_S)

    def catch_up(self, watermark: int) -> None:
        """Apply everything below the watermark, then return."""
        stop = Stop()
        while self.checkpoint < watermark:
            self.step(watermark, stop)

    def step(self, watermark: int, stop: Stop) -> None:
        """Apply one batch."""
        frames = self._reader.read(self.checkpoint, FRAMES_MAX, watermark)
        # Nothing readable below the watermark is damage up to it; the pipeline puts that on record.
        offset_to = frames[-1].offset + 1 if frames else watermark
        batch = self._pipeline.apply(frames, self.checkpoint, offset_to)
        if self._apply(batch, stop):
            self.checkpoint = batch.offset_to
            self._report(batch)

    def _apply(self, batch: Batch, stop: Stop) -> bool:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                self._store.apply(batch)
            except Retryable as trouble:
                if not self._progress.store_trouble:
                    self._telemetry.store_unavailable(str(trouble))
                self._progress.store_trouble = str(trouble)
                if stop.is_asked:
                    return False
                stop.wait(wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
                continue
            if self._progress.store_trouble:
                self._progress.store_trouble = ""
                self._telemetry.store_back()
            return True

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
        for seam in batch.seams:
            telemetry.seam_joined(seam.stream.key, seam.verdict.value, seam.cause, seam.shared)
        for gap in batch.gaps:
            key, cause = gap.stream.key, gap.cause
            if gap.state is GapState.OPEN:
                telemetry.gap_found(key, gap.kind.value, cause, gap.from_ns, gap.to_ns, gap.offset)
            elif gap.state in (GapState.CLOSED, GapState.PERMANENT):
                telemetry.gap_closed(key, gap.state.value, cause, gap.from_ns, gap.to_ns)
