"""Every metric, by name, and the meter that moves them. Each meter has a registry of its own.

Names: `everytick_` + noun + unit; counters end in `_total`. Labels are words of ours and names of venues, channels
and routes: never an address, an id or a value that a stranger chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics import MetricWrapperBase

# Children of one metric. A label that turns out to be unbounded ends in `other` instead of eating the memory.
CHILDREN_MAX = 500
OTHER = "other"

# From an NVMe disk's sync (about 50 us) to a disk in trouble (10 s).
COMMIT_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
API_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metric(msgspec.Struct, frozen=True):
    """One metric: its full name as scraped, what it counts, and its labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"everytick_{name}", "counter", text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"everytick_{name}", "gauge", text, labels)


METRICS: tuple[Metric, ...] = (
    _gauge("info", "1; the program's version is the label", "version"),
    _gauge("recording", "1 while a recorder runs in this process"),
    _counter("recorder_starts_total", "Starts of a recorder in this process"),
    _counter("recorder_stops_total", "Orderly stops of a recorder in this process"),
    _gauge("connection_up", "1 while the connection is up", "venue", "channel"),
    _counter("connects_total", "Connections made", "venue", "channel"),
    _counter("disconnects_total", "Connections ended, by cause", "venue", "channel", "cause"),
    _counter("connect_failures_total", "Connections that could not be made", "venue", "channel"),
    _counter("connect_budget_wait_seconds_total", "Time spent waiting for leave to connect", "venue"),
    _gauge("budget_left", "What the venue would allow now: connects, sends, request weight", "venue", "kind"),
    _counter("request_budget_wait_seconds_total", "Time requests waited for leave", "venue", "priority"),
    _counter("told_to_wait_seconds_total", "Time that the venue told this address to stay away", "venue"),
    _counter("requests_answered_total", "Requests to a venue with a usable answer", "venue", "name"),
    _counter("polls_skipped_total", "Cycles of polls left out because the one before took too long", "venue"),
    _counter("subscriptions_unconfirmed_total", "Subscriptions not confirmed in time", "venue", "channel"),
    _counter("requests_failed_total", "Requests to a venue without a usable answer", "venue", "name", "cause"),
    _counter("venue_notices_total", "What the venue said about the connection, by kind", "venue", "kind"),
    _gauge("backpressure", "1 while reading from the connection is paused", "venue", "channel"),
    _counter("frames_durable_total", "Frames made durable on the tape"),
    Metric(
        "everytick_commit_latency_seconds",
        "histogram",
        "How long a group of frames took to become durable",
        buckets=COMMIT_BUCKETS_S,
    ),
    _counter("tape_cut_bytes_total", "Bytes of torn tail cut off in recovery"),
    _counter("tape_damaged_blocks_total", "Blocks of the tape that fail their check"),
    _gauge("tape_full", "1 while the tape has no room"),
    _counter("tape_sync_failures_total", "Failed syncs of the tape"),
    _counter("frames_applied_total", "Frames whose events are in the store"),
    _counter("trades_applied_total", "Distinct trades written to the store"),
    _counter("trades_duplicate_total", "Trades received again and not written again"),
    _gauge("checkpoint_lag_frames", "Durable frames not yet in the store"),
    _gauge("checkpoint_lag_seconds", "Age of the oldest durable frame not yet in the store"),
    _counter("quarantined_total", "Refused items, by reason", "venue", "reason"),
    _counter("seams_total", "Joins of one connection's record to the one before, by verdict", "venue", "verdict"),
    _counter("gaps_found_total", "Gaps found, by kind", "venue", "kind"),
    _counter("gaps_closed_total", "Gaps that are no longer open, by the state they ended in", "venue", "state"),
    _counter("audit_mismatches_total", "Trades the venue names that we neither hold nor miss", "venue"),
    _counter("candles_revised_total", "Closed candles that the venue changed", "venue"),
    _counter("candles_checked_total", "Closed candles compared with our own trades, by outcome", "venue", "outcome"),
    _counter("vaults_zero_total", "Watched accounts that read zero three times in a row", "venue"),
    _counter("backfill_steps_total", "Times gaps were taken to a source that may close them", "venue"),
    _counter("backfill_gaps_closed_total", "Gaps that a step of backfill closed", "venue"),
    _counter("archive_files_total", "Files of an archive read to their end"),
    _counter("archive_bytes_total", "Bytes of archive files read"),
    _counter("archive_files_not_whole_total", "Files of an archive that were missing, cut or damaged"),
    _counter("audit_compared_total", "Items compared with what the venue says", "venue"),
    _counter("audit_differences_total", "Items that differ from what the venue says", "venue"),
    _gauge("store_up", "0 while the store does not answer"),
    _counter("store_failures_total", "Times the store stopped answering"),
    _counter("projector_failures_total", "Times the projector had to be started again"),
    _counter("task_deaths_total", "Tasks that died, by name", "task"),
    _counter("worker_wedges_total", "Times a worker was found wedged", "worker"),
    _counter("watchdog_failures_total", "Looks of the watchdog that failed"),
    _counter("stack_dumps_total", "Dumps of all stacks"),
    _counter("clock_steps_total", "Times the wall clock was set while we ran"),
    _gauge("trading_armed", "1 while the kill switch lets orders out"),
    _counter("api_requests_total", "Requests answered", "route", "status"),
    Metric("everytick_api_request_seconds", "histogram", "Time to answer a request", ("route",), buckets=API_BUCKETS_S),
    _counter("api_errors_total", "Requests that failed by our fault", "route"),
    _counter("alerts_raised_total", "Alert messages raised", "rule", "severity"),
    _counter("alerts_sent_total", "Alert messages that a channel took", "channel"),
    _counter("alert_failures_total", "Alert messages that a channel did not take", "channel", "cause"),
    _counter("alerts_dropped_total", "Alert messages given up", "severity"),
    _counter("alert_memory_failures_total", "Times the alerts' memory could not be written or read"),
    _gauge("alerts_pending", "Alert messages that wait for a channel"),
    _gauge("alerts_open", "Incidents that are open"),
    _counter("ping_failures_total", "Outside pings without a good answer", "target"),
    _counter("listener_failures_total", "Facts that a listener could not take"),
    _counter("log_lines_lost_total", "Log lines that could not be written"),
    _counter("log_lines_held_total", "Log lines held back because one like it was just written", "fact"),
)


class Meter:
    """All metrics of one owner, with every child bound on first use: a hot path pays one dict lookup."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, processor time, open files
        self._families: dict[str, MetricWrapperBase] = {m.name: _family(m, self.registry) for m in METRICS}
        self._labels: dict[str, int] = {m.name: len(m.labels) for m in METRICS}
        self._children: dict[tuple[str, ...], MetricWrapperBase] = {}
        self._counts: dict[str, int] = {}

    def count(self, name: str, amount: float, *labels: str) -> None:
        """Add to a counter."""
        child = self._child(name, labels)
        assert isinstance(child, Counter)
        child.inc(amount)

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        child = self._child(name, labels)
        assert isinstance(child, Gauge)
        child.set(value)

    def watch(self, name: str, value: Callable[[], float], *labels: str) -> None:
        """Let a gauge ask `value`, on any thread, whenever it is scraped."""
        child = self._child(name, labels)
        assert isinstance(child, Gauge)
        child.set_function(value)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add one observation to a histogram."""
        child = self._child(name, labels)
        assert isinstance(child, Histogram)
        child.observe(value)

    def observer(self, name: str, *labels: str) -> Callable[[float], None]:
        """A histogram's bound `observe`, for the hottest paths."""
        child = self._child(name, labels)
        assert isinstance(child, Histogram)
        return child.observe

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _child(self, name: str, labels: tuple[str, ...]) -> MetricWrapperBase:
        key = (name, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._bind(name, labels)
        return child

    def _bind(self, name: str, labels: tuple[str, ...]) -> MetricWrapperBase:
        family = self._families[f"everytick_{name}"]
        if not labels:
            child = family
        elif self._counts.get(name, 0) >= CHILDREN_MAX:
            return family.labels(*[OTHER] * len(labels))
        else:
            self._counts[name] = self._counts.get(name, 0) + 1
            child = family.labels(*labels)
        self._children[(name, *labels)] = child
        return child


def _family(metric: Metric, registry: CollectorRegistry) -> MetricWrapperBase:
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels, registry=registry)
    if metric.kind == "gauge":
        return Gauge(metric.name, metric.help, metric.labels, registry=registry)
    return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
