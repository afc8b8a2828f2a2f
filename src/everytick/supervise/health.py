"""Is data that is due arriving, durable and applied? A pure function of what the parts say about themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.supervise.progress import ConnectionProgress, Progress


class Status(StrEnum):
    """`degraded`: a part is broken. `stale`: every part works and data that is due is late. Worst last."""

    OK = "ok"
    STALE = "stale"
    DEGRADED = "degraded"


_RANK = {Status.OK: 0, Status.STALE: 1, Status.DEGRADED: 2}


class Reason(msgspec.Struct, frozen=True):
    """One thing that is not well: which part, since how long (`age_ms`, -1: not known), and what to do."""

    status: Status
    code: str
    subject: str
    message: str
    age_ms: int
    action: str


class Health(msgspec.Struct, frozen=True):
    """The verdict and its reasons, worst first. `ok` has no reasons."""

    status: Status
    reasons: tuple[Reason, ...] = ()


class Facts(msgspec.Struct, frozen=True):
    """What health needs besides Progress.

    `due` names the streams that should be speaking now (open session, not a quiet instrument), each with
    the longest silence in ns that is still normal. A stream that is not due may be silent for ever.
    `records` and `projects` tell which parts run in this process: a part that runs in another is judged
    there, and here by the streams it should feed.
    """

    due: Mapping[str, int] = {}
    records: bool = True
    projects: bool = True


class HealthLimits(msgspec.Struct, frozen=True):
    """Ages that are still well, in ns, and a backlog in frames."""

    # A group commit takes milliseconds and a slow disk's fsync a second or two; ten seconds is a stuck one.
    watermark_age_ns_max: int = 10 * NS_PER_S
    # The projector applies many times a second; half a minute covers a checkpoint of a large store.
    checkpoint_age_ns_max: int = 30 * NS_PER_S
    # About half a minute of a busy day: a projector that works but cannot keep up is late data as well.
    checkpoint_lag_frames_max: int = 60_000
    # Hyperliquid ends a line after 60 s without a message and a ping is sent well before that: an open
    # line always speaks within a minute, even when the market does not.
    connection_silence_ns_max: int = 90 * NS_PER_S
    # A clock that stepped back makes every age negative; this much is jitter between threads.
    future_ns_max: int = 5 * NS_PER_S


def health(progress: Progress, facts: Facts, now_ns: int, limits: HealthLimits) -> Health:
    """What is not well now; `ok` only if nothing is.

    Units: `now_ns` is wall time, as are all `*_ns` of `progress`. `last_commit_ns` and `last_apply_ns` are
    refreshed by their owners also when there was nothing to do, so that a thread that died is told from
    one that is idle.
    """
    reasons = [
        *_process(progress, now_ns, limits),
        *(_tape(progress, now_ns, limits) if facts.records else ()),
        *(_store(progress, now_ns, limits) if facts.projects else ()),
        *(r for name, c in sorted(progress.connections.items()) for r in _connection(name, c, now_ns, limits)),
        *_streams(progress, facts, now_ns),
    ]
    if not reasons:
        return Health(Status.OK)
    reasons.sort(key=lambda reason: -_RANK[reason.status])  # stable: tape before store before connections
    return Health(reasons[0].status, tuple(reasons))


def _process(progress: Progress, now_ns: int, limits: HealthLimits) -> Iterator[Reason]:
    if progress.started_ns == 0:
        yield Reason(
            Status.DEGRADED, "not_started", "process", "nothing has been started yet", -1, "wait, then look at the log"
        )
    newest_ns = max(progress.last_commit_ns, progress.last_apply_ns, progress.started_ns)
    if newest_ns - now_ns > limits.future_ns_max:
        yield Reason(
            Status.DEGRADED,
            "clock",
            "clock",
            f"the last progress lies {_seconds(newest_ns - now_ns)} in the future: the wall clock stepped back",
            -1,
            "check the machine's time service; ages cannot be told until the clock has caught up",
        )


def _tape(progress: Progress, now_ns: int, limits: HealthLimits) -> Iterator[Reason]:
    age_ns = now_ns - (progress.last_commit_ns or progress.started_ns)
    if progress.tape_trouble:
        yield Reason(
            Status.DEGRADED,
            "tape_trouble",
            "tape",
            progress.tape_trouble,
            _ms(age_ns),
            "make room or repair the disk; recording resumes by itself",
        )
    if age_ns > limits.watermark_age_ns_max:
        waiting = progress.offset_appended - progress.offset_durable
        yield Reason(
            Status.STALE,
            "watermark_old",
            "tape",
            f"the watermark has stood at {progress.offset_durable} for {_seconds(age_ns)}, {waiting} frames wait",
            _ms(age_ns),
            "look at the disk's latency and at the log of the tape writer",
        )


def _store(progress: Progress, now_ns: int, limits: HealthLimits) -> Iterator[Reason]:
    age_ns = now_ns - (progress.last_apply_ns or progress.started_ns)
    if progress.store_trouble:
        yield Reason(
            Status.DEGRADED,
            "store_trouble",
            "store",
            progress.store_trouble,
            _ms(age_ns),
            "repair the store; nothing is lost, it catches up from the tape",
        )
    lag = progress.offset_durable - progress.offset_applied
    if age_ns > limits.checkpoint_age_ns_max or lag > limits.checkpoint_lag_frames_max:
        yield Reason(
            Status.STALE,
            "checkpoint_old",
            "store",
            f"the checkpoint is {lag} frames behind the watermark, last seen to {_seconds(age_ns)} ago",
            _ms(age_ns),
            "look at the log of the projector; what is served is older than what is recorded",
        )


def _connection(name: str, progress: ConnectionProgress, now_ns: int, limits: HealthLimits) -> Iterator[Reason]:
    if not progress.up:
        cause = f": {progress.last_cause}" if progress.last_cause else ""
        age_ns = now_ns - progress.since_ns if progress.since_ns else -1
        since = f" for {_seconds(age_ns)}" if progress.since_ns else " since the start"
        yield Reason(
            Status.DEGRADED,
            "connection_down",
            name,
            f"the connection {name} has been down{since}{cause}",
            _ms(age_ns),
            "reconnecting by itself; if it lasts, check the network and the venue's status page",
        )
        return
    silence_ns = now_ns - max(progress.last_message_ns, progress.since_ns)
    if silence_ns > limits.connection_silence_ns_max:
        yield Reason(
            Status.STALE,
            "connection_mute",
            name,
            f"the connection {name} is up and has said nothing for {_seconds(silence_ns)}",
            _ms(silence_ns),
            "it is given up and opened again by itself; if it lasts, check the venue's status page",
        )
    if progress.unconfirmed:
        age_ns = now_ns - progress.since_ns
        yield Reason(
            Status.STALE,
            "unconfirmed",
            name,
            f"the venue has not confirmed {progress.unconfirmed} of the streams asked for on {name}",
            _ms(age_ns),
            "asked again by itself; if it lasts, check the names of the instruments",
        )


def _streams(progress: Progress, facts: Facts, now_ns: int) -> Iterator[Reason]:
    for key, silence_ns_max in sorted(facts.due.items()):
        _, recv_ns = progress.newest.get(key, (0, 0))
        silence_ns = now_ns - (recv_ns or progress.started_ns)
        if silence_ns > silence_ns_max:
            heard = f"for {_seconds(silence_ns)}" if recv_ns else "since the start"
            yield Reason(
                Status.STALE,
                "stream_mute",
                key,
                f"{key} is due and has brought nothing {heard}",
                _ms(silence_ns),
                "compare with the venue's own page; a delisted instrument should leave the settings",
            )


def _ms(age_ns: int) -> int:
    return max(age_ns // NS_PER_MS, -1)


def _seconds(age_ns: int) -> str:
    return f"{age_ns // NS_PER_S}.{age_ns % NS_PER_S // (100 * NS_PER_MS)} s"
