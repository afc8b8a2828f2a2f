"""How an audit is told: a table of what was sent against what is held, and one sentence."""

from __future__ import annotations

from everytick.cli import times
from everytick.cli.console import say, say_table
from everytick.model.units import ns_from_ms
from everytick.sim.oracle import Audit


def say_audit(audit: Audit) -> None:
    """The table, and every gap with its bounds."""
    say_table(
        ["stream", "sent", "stored", "duplicates", "missing", "unseen", "gaps", "verdict"],
        [
            (
                f"{s.venue}/{s.instrument}",
                s.sent,
                s.stored,
                s.duplicates,
                s.missing,
                s.unseen,
                len(s.gaps),
                "ok" if s.is_honest else "fail",
            )
            for s in audit.streams
        ],
    )
    for stream in audit.streams:
        for gap in stream.gaps:
            span_ms = gap.to_ms - gap.from_ms
            since, until = times.utc(ns_from_ms(gap.from_ms)), times.utc(ns_from_ms(gap.to_ms))
            say(f"  gap in {stream.instrument}: {since} to {until} ({span_ms} ms), {gap.kind.value}, {gap.state.value}")
        for example in stream.examples:
            say(f"  {example}", style="red")


def verdict(audit: Audit) -> str:
    """One sentence for a person."""
    sent = sum(stream.sent for stream in audit.streams)
    unseen = sum(stream.unseen for stream in audit.streams)
    missing = sum(stream.missing for stream in audit.streams)
    if not audit.honest:
        return "audit NOT clean: the lines above say what is missing, doubled or changed"
    held = "is held exactly once, as sent" if not missing else f"is held or ({missing}) lies in a named gap"
    away = f"; {unseen} happened while nobody was connected, every one inside a named gap" if unseen else ""
    return f"audit clean: every one of the {sent} trades sent {held}{away}"
