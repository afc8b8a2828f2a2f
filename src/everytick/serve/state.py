"""/health, /livez, /readyz, /stats and /streams: how the running parts are."""

from __future__ import annotations

from everytick.model.units import ms_from_ns
from everytick.serve.answers import ConnectionRow, HealthAnswer, Live, Ready, Stats, StreamRow, Streams
from everytick.serve.queries import Nothing
from everytick.serve.refusal import StoreUnanswered
from everytick.serve.route import Reply
from everytick.serve.sources import Sources
from everytick.supervise.health import Status

# 200 is a promise that data which is due is arriving, durable and served, so only `ok` gives it: a probe that
# reads the code alone must not take a late record for a good one. What restarts a process asks /livez instead,
# since a restart cures neither a venue that is away nor a full disk.
HEALTH_UNWELL = 503


def health(sources: Sources, _: Nothing) -> Reply:
    """Data health, with reasons; asks no store."""
    found = sources.health()
    status = 200 if found.status is Status.OK else HEALTH_UNWELL
    return Reply(HealthAnswer(found.status, found.reasons), status=status)


def livez(_sources: Sources, _: Nothing) -> Reply:
    """That the loop answers is the answer."""
    return Reply(Live(True))


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
            **counted,
        )
    )


def streams(sources: Sources, _: Nothing) -> Reply:
    """Every stream with its newest event."""
    known, latest = sources.ask(lambda reader: (reader.streams(), reader.latest()))
    now_ms = ms_from_ns(sources.clock.wall_ns())
    rows = []
    for stream in known:
        newest = latest.get(stream)
        received_ms = ms_from_ns(newest[1]) if newest else None
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
            )
        )
    return Reply(Streams(rows, len(rows)))


def metrics(sources: Sources, _: Nothing) -> Reply:
    """Prometheus' text format."""
    return Reply(body=sources.metrics())
