"""How an audit is told: a table of what was sent against what is held, and one sentence."""

from __future__ import annotations

from everytick.cli import times
from everytick.cli.console import say, say_table
from everytick.model.units import ns_from_ms
from everytick.sim.dense import IdAudit
from everytick.sim.oracle import Audit


def say_audit(audit: Audit, *, lists_gaps: bool = True) -> None:
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
        for gap in stream.gaps if lists_gaps else ():
            span_ms = gap.to_ms - gap.from_ms
            since, until = times.utc(ns_from_ms(gap.from_ms)), times.utc(ns_from_ms(gap.to_ms))
            ids = f", ids {gap.first_id} to {gap.last_id}" if gap.first_id >= 0 else ""
            where = f"gap in {stream.instrument}: {since} to {until} ({span_ms} ms){ids}"
            say(f"  {where}, {gap.kind.value}, {gap.state.value}")
        if stream.ids is not None:
            say(f"  {_ids_told(stream.instrument, stream.dropped, stream.recovered, stream.ids)}")
        for example in stream.examples:
            say(f"  {example}", style="red")


def _ids_told(instrument: str, dropped: int, recovered: int, ids: IdAudit) -> str:
    """One line on ids in a row: what is missing, and whether the gaps say exactly that."""
    said = "named exactly" if not (ids.unnamed or ids.misnamed) else f"{ids.unnamed} unnamed, {ids.misnamed} misnamed"
    return (
        f"ids of {instrument}: {ids.missing} missing, {said}; {dropped} trades kept back, {recovered} recovered from "
        f"history; {ids.holes} holes of the venue's own, {ids.holes_marked} marked so"
    )


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
