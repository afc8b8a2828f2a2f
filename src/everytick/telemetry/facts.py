"""The facts. Each method is one: calling it moves its metrics and writes its line, always together.

`cause`, `reason`, `kind`, `verdict` and `route` are words of ours and become labels;
`detail` is free text for people. docs/FACTS.md is this module, read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO

from everytick.model.secret import Redactor, Secret
from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.telemetry.fact import Fact, fact
from everytick.telemetry.log import Log, LogSettings
from everytick.telemetry.metrics import Meter
from everytick.telemetry.watching import WatchFacts

HOLD_NS = 10 * NS_PER_S  # of a limited fact, one line for each value in this time: a person can still read it
HELD_VALUES_MAX = 1_000  # values remembered for that; beyond it they are forgotten, which only costs a line


class Telemetry(WatchFacts):
    """Everything a process tells about itself, handed to each part by wiring. Safe to use from any thread."""

    def __init__(
        self,
        clock: Clock,
        settings: LogSettings | None = None,
        *,
        out: BinaryIO | None = None,
        secrets: Iterable[Secret] = (),
    ) -> None:
        """`out` is stderr unless given. The text of `secrets` is masked wherever it turns up."""
        self._clock = clock
        self._meter = Meter()
        self._listeners: tuple[Callable[[str, dict[str, object]], None], ...] = ()
        self.redactor = Redactor(secrets)
        self._log = Log(clock, settings or LogSettings(), out, self.redactor, self._line_lost)
        self._written: dict[tuple[str, str], tuple[int, int]] = {}  # (fact, value) -> (mono ns, held since)
        self._observe_commit = self._meter.observer("commit_latency_seconds")
        self._meter.set("store_up", 1)
        self._meter.set("tape_full", 0)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return self._meter.exposition()

    @property
    def meter(self) -> Meter:
        """The metrics themselves, for a part that adds a collector of its own to the registry."""
        return self._meter

    def listen(self, hear: Callable[[str, dict[str, object]], None]) -> None:
        """Let `hear(fact, fields)` know of every fact that has a level, also of those whose line is held back.

        It is called on the thread of whoever reports: it must be quick, must not wait and must not keep `fields`.
        """
        self._listeners = (*self._listeners, hear)

    def line(self, fact: Fact, fields: dict[str, object]) -> None:
        """Write the fact's line, unless it is limited and one of the same value was just written."""
        if fact.level is None:
            return
        for hear in self._listeners:
            try:
                hear(fact.name, fields)
            except Exception:  # noqa: BLE001 - a listener's fault must not stop the part that reports; it is counted
                self._meter.count("listener_failures_total", 1)
        if fact.limited_by is not None:
            value = str(fields[fact.limited_by])
            held = self._held(fact.name, value)
            if held < 0:
                self._meter.count("log_lines_held_total", 1, fact.name)
                return
            if held:
                fields = {**fields, "held_back": held}
        self._log.write(fact.level, fact.name, fields)

    def _held(self, name: str, value: str) -> int:
        """How many lines were held back since the last one, or -1: hold this one back too."""
        now_ns = self._clock.mono_ns()
        last_ns, held = self._written.get((name, value), (now_ns - HOLD_NS, 0))
        if now_ns - last_ns < HOLD_NS:
            self._written[(name, value)] = (last_ns, held + 1)
            return -1
        if len(self._written) >= HELD_VALUES_MAX:
            self._written.clear()
        self._written[(name, value)] = (now_ns, 0)
        return held

    def _line_lost(self) -> None:
        self._meter.count("log_lines_lost_total", 1)

    # The process

    @fact("info")
    def config_loaded(self, source: str, from_environment: list[str]) -> None:
        """The settings were read: from which file (empty: none), and which names of the environment stand over it."""

    @fact("info", "recorder_starts_total", "recording", "info")
    def recorder_started(self, run: str, version: str, offset: int, is_after_crash: bool = False) -> None:
        """A recorder began; its first frame gets `offset`. `is_after_crash`: the last one left no word of its end."""
        self._meter.count("recorder_starts_total", 1)
        self._meter.set("recording", 1)
        self._meter.set("info", 1, version)

    @fact("info", "info")
    def view_started(self, run: str, version: str, projects: bool, serves: bool) -> None:
        """A process began that records nothing: it keeps a store up with another one's tape, or serves, or both."""
        self._meter.set("info", 1, version)

    @fact("info", "recorder_stops_total", "recording")
    def recorder_stopped(self, run: str, offset: int, cause: str) -> None:
        """A recorder ended in order: everything below `offset` is durable."""
        self._meter.count("recorder_stops_total", 1)
        self._meter.set("recording", 0)

    @fact("error", "task_deaths_total")
    def task_died(self, task: str, error: BaseException, is_final: bool) -> None:
        """A task ended that should not have; it is started again, unless `is_final`: then the process ends."""
        self._meter.count("task_deaths_total", 1, task)

    # Connections to venues

    @fact("info", "connection_up", "connects_total")
    def connection_up(self, venue: str, channel: str, url: str, streams: int) -> None:
        """A connection to a venue is up, and `streams` streams are asked for on it."""
        self._meter.set("connection_up", 1, venue, channel)
        self._meter.count("connects_total", 1, venue, channel)

    @fact("warning", "connection_up", "disconnects_total")
    def connection_down(self, venue: str, channel: str, cause: str, detail: str) -> None:
        """A connection ended: the venue closed it, it was cut, it went mute, or we are stopping. It is made again."""
        self._meter.set("connection_up", 0, venue, channel)
        self._meter.count("disconnects_total", 1, venue, channel, cause)

    @fact("warning", "connect_failures_total", limited_by="channel")
    def connection_refused(self, venue: str, channel: str, detail: str) -> None:
        """A connection could not be made. It is tried again, ever more slowly, for as long as it takes."""
        self._meter.count("connect_failures_total", 1, venue, channel)

    @fact("info", "connect_budget_wait_seconds_total", limited_by="venue")
    def connect_budget_wait(self, venue: str, wait_s: float) -> None:
        """Connecting waits, because the venue allows only so many connections in a minute."""
        self._meter.count("connect_budget_wait_seconds_total", wait_s, venue)

    @fact("debug", "request_budget_wait_seconds_total", limited_by="venue")
    def request_budget_wait(self, venue: str, priority: str, wait_s: float) -> None:
        """A request waited, because the venue allows only so much in a minute or others went first."""
        self._meter.count("request_budget_wait_seconds_total", wait_s, venue, priority)

    @fact("warning", "told_to_wait_seconds_total", limited_by="venue")
    def told_to_wait(self, venue: str, wait_s: float) -> None:
        """The venue said that this address asks too much. Nobody connects or asks there for `wait_s`."""
        self._meter.count("told_to_wait_seconds_total", wait_s, venue)

    @fact(None, "requests_answered_total")
    def request_answered(self, venue: str, name: str) -> None:
        """A request to a venue got a usable answer, which may be empty."""
        self._meter.count("requests_answered_total", 1, venue, name)

    @fact("info", "polls_skipped_total", limited_by="poll")
    def polls_skipped(self, venue: str, poll: str, cycles: int) -> None:
        """A poll took so long that `cycles` of its turns were left out; it goes on at its old beat."""
        self._meter.count("polls_skipped_total", cycles, venue)

    @fact("warning", "subscriptions_unconfirmed_total", limited_by="channel")
    def subscription_unconfirmed(self, venue: str, channel: str, stream: str) -> None:
        """A stream was asked for and the venue has not confirmed it. It is asked for again."""
        self._meter.count("subscriptions_unconfirmed_total", 1, venue, channel)

    @fact("warning", "requests_failed_total", limited_by="name")
    def request_failed(self, venue: str, name: str, cause: str, status: int = 0) -> None:
        """A request to a venue got no usable answer (`status` 0: none at all). This is never an empty answer."""
        self._meter.count("requests_failed_total", 1, venue, name, cause)

    @fact("warning", "venue_notices_total", limited_by="kind")
    def venue_notice(self, venue: str, channel: str, kind: str, text: str) -> None:
        """The venue complained about what we asked, or is about to go away. Acks, pongs and greetings are not told."""
        self._meter.count("venue_notices_total", 1, venue, kind)

    @fact("warning", "backpressure")
    def backpressure_on(self, venue: str, channel: str, bytes_pending: int) -> None:
        """Reading from a connection is paused: the disk is slower than the venue."""
        self._meter.set("backpressure", 1, venue, channel)

    @fact("info", "backpressure")
    def backpressure_off(self, venue: str, channel: str) -> None:
        """Reading from the connection goes on."""
        self._meter.set("backpressure", 0, venue, channel)

    # The tape

    @fact(None, "frames_durable_total", "commit_latency_seconds")
    def frames_durable(self, frames: int, latency_s: float) -> None:
        """A group of frames would survive a power cut; making it so took `latency_s`."""
        self._meter.count("frames_durable_total", frames)
        self._observe_commit(latency_s)

    @fact("warning", "tape_cut_bytes_total")
    def tape_recovered(self, segment: str, cut_at: int, bytes_cut: int, detail: str) -> None:
        """A torn tail, left by a crash, was cut off at byte `cut_at`. Nothing in it had been called durable."""
        self._meter.count("tape_cut_bytes_total", bytes_cut)

    @fact("error", "tape_damaged_blocks_total")
    def tape_damaged(self, segment: str, at: int, detail: str) -> None:
        """A block of the tape fails its check at byte `at`. It is skipped and named; good blocks after it are read."""
        self._meter.count("tape_damaged_blocks_total", 1)

    @fact("error", "tape_full")
    def tape_full(self, detail: str) -> None:
        """The tape takes no frames, mostly for want of room; they wait in memory. Make room: it goes on by itself."""
        self._meter.set("tape_full", 1)

    @fact("info", "tape_full")
    def tape_resumed(self) -> None:
        """The tape takes frames again, the waiting ones first."""
        self._meter.set("tape_full", 0)

    @fact("critical", "tape_sync_failures_total")
    def tape_sync_failed(self, segment: str, detail: str) -> None:
        """The disk did not confirm a block; it is written again to a new segment. If this repeats, move the tape."""
        self._meter.count("tape_sync_failures_total", 1)

    # Meaning: the projector and the store

    @fact(None, "frames_applied_total", "trades_applied_total", "trades_duplicate_total")
    def batch_applied(self, frames: int, trades: int, duplicates: int) -> None:
        """A stretch of tape is in the store, together with its checkpoint."""
        self._meter.count("frames_applied_total", frames)
        self._meter.count("trades_applied_total", trades)
        self._meter.count("trades_duplicate_total", duplicates)

    @fact(None, "checkpoint_lag_frames", "checkpoint_lag_seconds")
    def checkpoint_lag(self, frames: int, seconds: float) -> None:
        """How far the store is behind the tape."""
        self._meter.set("checkpoint_lag_frames", frames)
        self._meter.set("checkpoint_lag_seconds", seconds)

    @fact("warning", "quarantined_total", limited_by="reason")
    def event_quarantined(self, venue: str, reason: str, offset: int, path: str, value: str) -> None:
        """One item was refused: it cannot be read, or cannot be true. The raw bytes stay on the tape at `offset`."""
        self._meter.count("quarantined_total", 1, venue, reason)

    @fact("info", "seams_total")
    def seam_joined(self, stream: str, verdict: str, cause: str, shared: int) -> None:
        """A connection's record of a stream was joined to the one before, with a verdict: first, lossless or gap."""
        self._meter.count("seams_total", 1, _venue(stream), verdict)

    @fact("warning", "gaps_found_total")
    def gap_found(self, stream: str, kind: str, cause: str, from_ns: int, to_ns: int, offset: int = 0) -> None:
        """An interval of a stream exists that we may not hold: venue times, inclusive; shown by frame `offset`."""
        self._meter.count("gaps_found_total", 1, _venue(stream), kind)

    @fact("info", "gaps_closed_total")
    def gap_closed(self, stream: str, state: str, cause: str, from_ns: int, to_ns: int) -> None:
        """A gap is no longer open: closed with proof, or permanent with its reason in `cause`."""
        self._meter.count("gaps_closed_total", 1, _venue(stream), state)

    @fact("error", "audit_mismatches_total", limited_by="stream")
    def audit_mismatch(self, stream: str, offset: int, detail: str) -> None:
        """The venue names a trade, in time that we called complete, that we do not hold or hold otherwise."""
        self._meter.count("audit_mismatches_total", 1, _venue(stream))

    @fact("warning", "candles_revised_total", limited_by="stream")
    def candle_revised(self, stream: str, offset: int, detail: str) -> None:
        """The venue changed a candle that it had closed. Both are kept: the new in its place, the old in quarantine."""
        self._meter.count("candles_revised_total", 1, _venue(stream))

    @fact("warning", "candles_checked_total", limited_by="stream")
    def candle_disagrees(self, stream: str, offset: int, detail: str) -> None:
        """A closed candle is not the one that our trades make, though we hold all of them. Both are kept."""
        self._meter.count("candles_checked_total", 1, _venue(stream), "disagrees")

    @fact(None, "candles_checked_total")
    def candles_agree(self, stream: str, count: int) -> None:
        """So many closed candles are the ones that our trades make."""
        self._meter.count("candles_checked_total", count, _venue(stream), "agrees")

    @fact("info", limited_by="detail")
    def audit_postponed(self, detail: str) -> None:
        """The audit of candles could not ask the store. It asks again at its next turn."""

    @fact("warning", "vaults_zero_total")
    def vault_zero(self, stream: str, vault: str, offset: int) -> None:
        """A watched account held nothing of the instrument in three answers running. Its address may have changed."""
        self._meter.count("vaults_zero_total", 1, _venue(stream))

    @fact("info", "backfill_steps_total", "backfill_gaps_closed_total", limited_by="stream")
    def backfill_step(self, stream: str, gaps: int, closed: int, left: int) -> None:
        """Gaps of a stream were taken to the venue's history or an archive; `left` are open in all streams."""
        self._meter.count("backfill_steps_total", 1, _venue(stream))
        self._meter.count("backfill_gaps_closed_total", closed, _venue(stream))

    @fact("info", "archive_files_total", "archive_bytes_total")
    def archive_read(self, file: str, size: int, lines: int) -> None:
        """A file of an archive was read to its end; `lines` of it were wanted and are on the tape."""
        self._meter.count("archive_files_total", 1)
        self._meter.count("archive_bytes_total", size)

    @fact("warning", "archive_files_not_whole_total", limited_by="file")
    def archive_not_whole(self, file: str, detail: str) -> None:
        """A file of an archive is missing, cut or damaged: the gap that it would have closed stays open."""
        self._meter.count("archive_files_not_whole_total", 1)

    @fact("info", "audit_compared_total", "audit_differences_total")
    def audited(self, stream: str, compared: int, differences: int) -> None:
        """What we hold of a stream was compared with what the venue says; the report names every difference."""
        self._meter.count("audit_compared_total", compared, _venue(stream))
        self._meter.count("audit_differences_total", differences, _venue(stream))

    @fact("error", "store_up", "store_failures_total")
    def store_unavailable(self, detail: str) -> None:
        """The store does not answer. Recording goes on; the store catches up from the tape when it is back."""
        self._meter.set("store_up", 0)
        self._meter.count("store_failures_total", 1)

    @fact("info", "store_up")
    def store_back(self) -> None:
        """The store answers again and catches up from the tape."""
        self._meter.set("store_up", 1)

    @fact("error", "projector_failures_total")
    def projector_failed(self, family: str, detail: str, offset: int) -> None:
        """The projector stopped at `offset`: retryable ones go on by themselves, fatal ones wait for a person."""
        self._meter.count("projector_failures_total", 1)

    # The API

    @fact(None, "api_requests_total", "api_request_seconds")
    def api_request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is the route's pattern, never the path as asked."""
        self._meter.count("api_requests_total", 1, route, str(status))
        self._meter.observe("api_request_seconds", seconds, route)

    @fact("error", "api_errors_total", limited_by="route")
    def api_error(self, route: str, error_id: str, detail: str) -> None:
        """A request failed by our fault. The caller got a fixed sentence and `error_id`."""
        self._meter.count("api_errors_total", 1, route)

    # Alerts

    @fact("info", "alerts_raised_total")
    def alert_raised(self, rule: str, severity: str, state: str, subject: str, text: str) -> None:
        """The alerts have something to tell; it is handed to the channels, if there are any."""
        self._meter.count("alerts_raised_total", 1, rule, severity)

    @fact("info", "alerts_sent_total")
    def alert_sent(self, channel: str, rule: str, waited_s: float) -> None:
        """A channel took a message, `waited_s` after it was raised."""
        self._meter.count("alerts_sent_total", 1, channel)

    @fact("warning", "alert_failures_total", limited_by="channel")
    def alert_not_sent(self, channel: str, cause: str, detail: str, rest_s: float) -> None:
        """A channel did not take a message. It waits `rest_s` for this channel, or goes to the next one at once."""
        self._meter.count("alert_failures_total", 1, channel, cause)

    @fact("error", "alerts_dropped_total")
    def alert_dropped(self, rule: str, severity: str, cause: str) -> None:
        """A message was given up: no channel took it for a day, or too many wait."""
        self._meter.count("alerts_dropped_total", 1, severity)

    @fact("error", "alert_memory_failures_total", limited_by="detail")
    def alert_memory_failed(self, detail: str) -> None:
        """The alerts cannot write down what they remember. They go on; a restart could repeat or lose messages."""
        self._meter.count("alert_memory_failures_total", 1)

    @fact(None, "alerts_pending", "alerts_open")
    def alerts_waiting(self, pending: int, is_open: int) -> None:
        """How many messages wait for a channel, and how many incidents are open."""
        self._meter.set("alerts_pending", pending)
        self._meter.set("alerts_open", is_open)

    @fact("warning", "ping_failures_total", limited_by="target")
    def ping_failed(self, target: str, detail: str) -> None:
        """An outside address that wants to hear from us regularly did not answer."""
        self._meter.count("ping_failures_total", 1, target)

    # Other people's code

    @fact("debug", limited_by="text")
    def library_said(self, logger: str, text: str) -> None:
        """A library wrote to its log, below warning."""

    @fact("warning", limited_by="text")
    def library_warned(self, logger: str, text: str) -> None:
        """A library wrote a warning or an error to its log."""


def _venue(stream: str) -> str:
    """The venue in a stream's key: `hyperliquid/trades/BTC`."""
    return stream.partition("/")[0]
