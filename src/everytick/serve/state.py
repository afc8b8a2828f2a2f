"""/health, /livez, /readyz, /stats and /streams: how the running parts are."""

from __future__ import annotations

from everytick.model.units import ms_from_ns
from everytick.serve.answers import ConnectionRow, Live, Ready, Stats, StreamRow, Streams
from everytick.serve.queries import Nothing
from everytick.serve.refusal import StoreUnanswered
from everytick.serve.route import Reply
from everytick.serve.sources import Sources
from everytick.serve.vitals import vitals
from everytick.supervise.health import Status, is_loop_alive, is_mute
from everytick.supervise.monitor import StreamSeen
from everytick.supervise.progress import Progress

# 200 is a promise that data which is due is arriving, durable and served, so only `ok` gives it: a probe that
# reads the code alone must not take a late record for a good one. What restarts a process asks /livez instead,
# since a restart cures neither a venue that is away nor a full disk.
HEALTH_UNWELL = 503


def health(sources: Sources, _: Nothing) -> Reply:
    """Data health, with reasons; asks no store."""
    found = sources.health()
    status = 200 if found.status is Status.OK else HEALTH_UNWELL
    return Reply(vitals(sources, found), status=status)


def livez(sources: Sources, _: Nothing) -> Reply:
    """Whether the main loop shows life. This answer comes from the API's own thread, so it can say no."""
    seen, mono_ns = sources.look(), sources.clock.mono_ns()
    is_watched = mono_ns - seen.mono_ns <= sources.limits.look_age_ns_max
    is_live = is_watched and is_loop_alive(seen, mono_ns, sources.limits)
    age_ms = ms_from_ns(mono_ns - seen.beat_mono_ns)
    return Reply(Live(is_live, age_ms, is_watched), status=200 if is_live else 503)


def not_ready() -> Reply:
    """The store keeps its thread waiting."""
    return Reply(Ready(False, "the store does not answer"), status=503)


def readyz(sources: Sources, _: Nothing) -> Reply:
    """Whether the store answers and is said to be well."""
    if sources.progress.store_trouble:
        return Reply(Ready(False, sources.progress.store_trouble), status=503)
    try:
        sources.ask(lambda reader: reader.checkpoint())
    except StoreUnanswered as unanswered:
        return Reply(Ready(False, str(unanswered)), status=503)
    return Reply(Ready(True))


def stats(sources: Sources, _: Nothing) -> Reply:
    """Totals of the store, and progress."""
    totals = sources.ask(lambda reader: reader.totals())
    progress = sources.progress
    counted = {name: getattr(totals, name) for name in totals.__struct_fields__ if name != "counts"}
    connections = {
        name: ConnectionRow(
            venue=c.venue,
            channel=c.channel,
            up=c.up,
            since_ms=ms_from_ns(c.since_ns),
            last_message_ms=ms_from_ns(c.last_message_ns),
            connects=c.connects,
            failures=c.failures,
            last_cause=c.last_cause,
            unconfirmed=c.unconfirmed,
        )
        for name, c in list(progress.connections.items())
    }
    return Reply(
        Stats(
            run=progress.run,
            started_ms=ms_from_ns(progress.started_ns),
            now_ms=ms_from_ns(sources.clock.wall_ns()),
            counts=dict(totals.counts),
            appended=progress.offset_appended,
            watermark=progress.offset_durable,
            checkpoint=sources.ask(lambda reader: reader.checkpoint()),
            last_commit_ms=ms_from_ns(progress.last_commit_ns),
            last_apply_ms=ms_from_ns(progress.last_apply_ns),
            connections=connections,
            trading_enabled=sources.switch().is_armed,
            **counted,
        )
    )


def streams(sources: Sources, _: Nothing) -> Reply:
    """Every stream with its newest event."""
    known, latest = sources.ask(lambda reader: (reader.streams(), reader.latest()))
    now_ms, mono_ns = ms_from_ns(sources.clock.wall_ns()), sources.clock.mono_ns()
    watched = sources.look().streams
    rows = []
    for stream in known:
        newest = latest.get(stream)
        received_ms = ms_from_ns(newest[1]) if newest else None
        seen = watched.get(stream.key)
        rows.append(
            StreamRow(
                stream=stream.key,
                venue=stream.venue,
                kind=str(stream.kind),
                coin=stream.instrument,
                interval=stream.interval,
                newest_ms=ms_from_ns(newest[0]) if newest else None,
                received_ms=received_ms,
                received_age_ms=now_ms - received_ms if received_ms is not None else None,
                status=_status(sources.progress, seen, mono_ns),
                silent_ms=ms_from_ns(mono_ns - seen.silent_mono_ns) if seen else None,
                normal_ms=ms_from_ns(seen.bound_ns) if seen else None,
            )
        )
    return Reply(Streams(rows, len(rows)))


def _status(progress: Progress, seen: StreamSeen | None, mono_ns: int) -> str:
    if seen is None:
        return "unknown"
    line = progress.connections.get(seen.line)
    if line is not None and not line.up:
        return "down"
    return "stale" if is_mute(seen, mono_ns) else "ok"


def metrics(sources: Sources, _: Nothing) -> Reply:
    """Prometheus' text format."""
    return Reply(body=sources.metrics())
