"""Is data that is due arriving, durable and applied? A pure function of what the parts say and when they last moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.supervise.monitor import LineSeen, Seen, StreamSeen
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
    """What health needs besides Progress and what the monitor saw.

    `due` names streams whose longest normal silence is known beforehand, in ns (a poll, an open session); all
    others are judged by the habit that the monitor learnt. `closed` names streams that owe nothing now (a session
    that is not open). `records` and `projects` tell which parts run in this process: a part that runs in another
    is judged there, and here by the streams it should feed.
    """

    due: Mapping[str, int] = {}
    closed: frozenset[str] = frozenset()
    records: bool = True
    projects: bool = True


class HealthLimits(msgspec.Struct, frozen=True):
    """Ages that are still well, in ns, and a backlog in frames."""

    # The loop beats twice a second; five seconds without one is a blocked loop and no garbage collection.
    beat_age_ns_max: int = 5 * NS_PER_S
    # The watchdog looks twice a second. What it saw longer ago proves nothing about now.
    look_age_ns_max: int = 5 * NS_PER_S
    # A group commit takes milliseconds and a slow disk's fsync a second or two; ten seconds is a stuck one.
    watermark_age_ns_max: int = 10 * NS_PER_S
    # The projector applies many times a second. What it has not applied after this is late data by the same
    # measure as a mute stream.
    checkpoint_age_ns_max: int = 12 * NS_PER_S
    # About half a minute of a busy day: a projector that works but cannot keep up is late data as well.
    checkpoint_lag_frames_max: int = 60_000
    # Hyperliquid ends a line after 60 s without a message and a ping is sent well before that: an open
    # line always speaks within a minute, even when the market does not.
    connection_silence_ns_max: int = 90 * NS_PER_S


def health(progress: Progress, seen: Seen, facts: Facts, mono_ns: int, limits: HealthLimits) -> Health:
    """What is not well now; `ok` only if nothing is.

    Units: `mono_ns` is the monotonic clock's now, as are all times of `seen`; no wall clock is asked, so that one
    which is set cannot make anything look well or ill. `last_commit_ns` and `last_apply_ns` are refreshed by their
    owners also when there was nothing to do, so that a thread that died is told from one that is idle.
    """
    tape = [*_tape(progress, seen, mono_ns, limits)] if facts.records else []
    store = [*_store(progress, seen, mono_ns, limits)] if facts.projects else []
    reasons = [
        *_process(progress, seen, mono_ns, limits),
        *tape,
        *store,
        *(r for name, c in sorted(progress.connections.items()) for r in _connection(name, c, seen, mono_ns, limits)),
        *_streams(progress, seen, facts, mono_ns, is_late=bool(tape or store)),
    ]
    if not reasons:
        return Health(Status.OK)
    reasons.sort(key=lambda reason: -_RANK[reason.status])  # stable: tape before store before connections
    return Health(reasons[0].status, tuple(reasons))


def is_loop_alive(seen: Seen, mono_ns: int, limits: HealthLimits) -> bool:
    """Whether the event loop has shown life within its bound, as far as is known now."""
    return mono_ns - seen.beat_mono_ns <= limits.beat_age_ns_max


def is_mute(stream: StreamSeen, mono_ns: int) -> bool:
    """Whether a stream is silent for longer than its habit explains."""
    return mono_ns - stream.silent_mono_ns > stream.bound_ns


def _process(progress: Progress, seen: Seen, mono_ns: int, limits: HealthLimits) -> Iterator[Reason]:
    if progress.started_ns == 0:
        yield Reason(
            Status.DEGRADED, "not_started", "process", "nothing has been started yet", -1, "wait, then look at the log"
        )
    look_ns = mono_ns - seen.mono_ns
    if look_ns > limits.look_age_ns_max:
        yield Reason(
            Status.DEGRADED,
            "watchdog_dead",
            "watchdog",
            f"nobody has watched the parts for {_seconds(look_ns)}: what follows is as old",
            _ms(look_ns),
            "restart the process; send SIGUSR1 first, for its stacks",
        )
    elif not is_loop_alive(seen, mono_ns, limits):
        age_ns = mono_ns - seen.beat_mono_ns
        yield Reason(
            Status.DEGRADED,
            "loop_wedged",
            "loop",
            f"the event loop has shown no life for {_seconds(age_ns)}",
            _ms(age_ns),
            "the watchdog dumps all stacks and interrupts it; look at stacks.txt in the data folder",
        )


def _tape(progress: Progress, seen: Seen, mono_ns: int, limits: HealthLimits) -> Iterator[Reason]:
    age_ns = mono_ns - seen.commit_mono_ns
    if progress.tape_trouble:
        yield Reason(
            Status.DEGRADED,
            "tape_trouble",
            "tape",
            progress.tape_trouble,
            _ms(age_ns),
            "make room or repair the disk; recording resumes by itself",
        )
    waiting = progress.offset_appended - progress.offset_durable
    # All that is durable is applied, and something received is not: it waits for the disk, which moves and is too slow.
    is_behind = seen.lag_mono_ns and progress.offset_applied >= progress.offset_durable
    behind_ns = mono_ns - seen.lag_mono_ns if is_behind else 0
    if max(age_ns, behind_ns) > limits.watermark_age_ns_max:
        yield Reason(
            Status.STALE,
            "watermark_old",
            "tape",
            f"the watermark has stood at {progress.offset_durable} for {_seconds(age_ns)}, {waiting} frames wait"
            + (f", the oldest for {_seconds(behind_ns)}" if behind_ns else ""),
            _ms(max(age_ns, behind_ns)),
            "look at the disk's latency and at the log of the tape writer",
        )


def _store(progress: Progress, seen: Seen, mono_ns: int, limits: HealthLimits) -> Iterator[Reason]:
    idle_ns = mono_ns - seen.apply_mono_ns
    lag = progress.offset_durable - progress.offset_applied
    # What the tape has not taken yet the store cannot have: that is told as the tape's.
    late_ns = mono_ns - seen.lag_mono_ns if seen.lag_mono_ns and lag > 0 else 0
    age_ns = max(idle_ns, late_ns)
    if progress.store_trouble:
        yield Reason(
            Status.DEGRADED,
            "store_trouble",
            "store",
            progress.store_trouble,
            _ms(age_ns),
            "repair the store; nothing is lost, it catches up from the tape",
        )
    if age_ns > limits.checkpoint_age_ns_max or lag > limits.checkpoint_lag_frames_max:
        yield Reason(
            Status.STALE,
            "checkpoint_old",
            "store",
            f"the checkpoint is {lag} frames behind the watermark and {_seconds(late_ns)} behind the venue, last seen "
            f"to {_seconds(idle_ns)} ago",
            _ms(age_ns),
            "look at the log of the projector; what is served is older than what is recorded",
        )


def _connection(
    name: str, progress: ConnectionProgress, seen: Seen, mono_ns: int, limits: HealthLimits
) -> Iterator[Reason]:
    line = seen.lines.get(name) or LineSeen(progress.up, mono_ns, mono_ns, mono_ns, 0)
    age_ns = mono_ns - line.changed_mono_ns
    if not progress.up:
        cause = f": {progress.last_cause}" if progress.last_cause else ""
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
    silence_ns = mono_ns - max(line.spoke_mono_ns, line.changed_mono_ns)
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
        yield Reason(
            Status.STALE,
            "unconfirmed",
            name,
            f"the venue has not confirmed {progress.unconfirmed} of the streams asked for on {name}",
            _ms(age_ns),
            "asked again by itself; if it lasts, check the names of the instruments",
        )


def _streams(progress: Progress, seen: Seen, facts: Facts, mono_ns: int, *, is_late: bool) -> Iterator[Reason]:
    """Mute streams, and connections of which every stream together is too silent.

    What is on its way between tape and store has arrived: the delay is told as the store's, not as the stream's.
    """
    late_ns = max(mono_ns - seen.lag_mono_ns if seen.lag_mono_ns else 0, mono_ns - seen.commit_mono_ns)
    is_silent: set[str] = set()
    for name, line in sorted(seen.lines.items()):
        connection = progress.connections.get(name)
        silence_ns = mono_ns - line.quiet_mono_ns
        if connection is not None and not connection.up:
            is_silent.add(name)  # told as down
        elif silence_ns > line.bound_ns and not (is_late and silence_ns - late_ns <= line.bound_ns):
            is_silent.add(name)
            yield Reason(
                Status.STALE,
                "streams_mute",
                name,
                f"nothing has come on any stream of {name} for {_seconds(silence_ns)}, though it is up; "
                f"up to {_seconds(line.bound_ns)} would be normal",
                _ms(silence_ns),
                "check the venue's status page; a connection that stays mute is opened again by itself",
            )
    for key, stream in sorted(seen.streams.items()):
        if key in facts.closed or stream.line in is_silent:
            continue
        bound_ns = facts.due.get(key, stream.bound_ns)
        silence_ns = mono_ns - stream.silent_mono_ns
        if silence_ns <= bound_ns or (is_late and silence_ns - late_ns <= bound_ns):
            continue
        heard = f"for {_seconds(silence_ns)}" if stream.is_heard else "since the start"
        yield Reason(
            Status.STALE,
            "stream_mute",
            key,
            f"{key} is due and has brought nothing {heard}; up to {_seconds(bound_ns)} would be normal",
            _ms(silence_ns),
            "compare with the venue's own page; a delisted instrument should leave the settings",
        )


def _ms(age_ns: int) -> int:
    return max(age_ns // NS_PER_MS, -1)


def _seconds(age_ns: int) -> str:
    return f"{age_ns // NS_PER_S}.{age_ns % NS_PER_S // (100 * NS_PER_MS)} s"
