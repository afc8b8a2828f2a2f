"""The committing thread: one group after another, each as large as what arrived during the one before."""

from __future__ import annotations

from collections.abc import Iterator

from everytick.errors import Retryable
from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.supervise.progress import Progress
from everytick.supervise.threads import Stop
from everytick.tape.trouble import SyncFailed
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry

# While the disk is full or broken, look again this often: soon enough that room is used within a moment of its
# return, seldom enough not to burden a struggling disk.
RETRY_S = 0.25
# Health wants to see the committer alive at least once a second, work or none.
IDLE_S = 0.5


class Committer:
    """Makes appended frames durable. `work` runs on its own thread; the recorder wakes it."""

    def __init__(
        self, writer: TapeWriter, clock: Clock, telemetry: Telemetry, progress: Progress, interval_min_s: float
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._telemetry = telemetry
        self._progress = progress
        self._interval_min_s = interval_min_s

    def work(self, stop: Stop) -> Iterator[float]:
        """In steps: commit until asked to stop, then what is pending. Raises Fatal if the tape is beyond help."""
        self._publish()
        while not stop.is_asked:
            if self._is_idle():
                yield IDLE_S
                self._publish()
            elif self._commit():
                yield self._interval_min_s
            else:
                yield RETRY_S
        while not self._is_idle() and self._commit():
            yield 0.0

    def _is_idle(self) -> bool:
        return self._writer.watermark == self._writer.next_offset

    def _commit(self) -> bool:
        began_ns = self._clock.mono_ns()
        self._progress.commit_tries += 1
        try:
            frames = self._writer.commit()
        except Retryable as trouble:
            if isinstance(trouble, SyncFailed):
                self._telemetry.tape_sync_failed("newest", str(trouble))
            elif not self._progress.tape_trouble:
                self._telemetry.tape_full(str(trouble))
            self._progress.tape_trouble = str(trouble)
            return False
        if self._progress.tape_trouble:
            self._progress.tape_trouble = ""
            self._telemetry.tape_resumed()
        latency_ns = self._clock.mono_ns() - began_ns
        self._progress.commit_latency_ns = latency_ns
        self._telemetry.frames_durable(frames, latency_ns / NS_PER_S)
        self._publish()
        return True

    def _publish(self) -> None:
        progress = self._progress
        progress.offset_durable = self._writer.watermark
        progress.offset_appended = self._writer.next_offset
        progress.bytes_pending = self._writer.pending_bytes
        progress.last_commit_ns = self._clock.wall_ns()
