"""What to ask a venue for its open gaps: pure, from the gaps and the venue's prices alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from everytick.model.ledger import Gap
from everytick.model.stream import Stream
from everytick.venues.protocol import Request, Venue

GapKey = tuple[str, int, int, int]


class Plan(msgspec.Struct, frozen=True):
    """Gaps of one stream and the requests that could close them; None where the venue keeps no history of them."""

    stream: Stream
    gaps: tuple[Gap, ...]
    requests: tuple[Request, ...] | None

    @property
    def weight(self) -> int:
        """What the venue charges for it."""
        return sum(request.weight for request in self.requests or ())


def identity_of(gap: Gap) -> GapKey:
    """A gap's identity as plain values."""
    return gap.stream.key, gap.from_ns, gap.offset, gap.first_id


def plans_of(venues: Mapping[str, Venue], gaps: Sequence[Gap], was_tried: Callable[[Gap], bool]) -> list[Plan]:
    """One plan after another, the one with the oldest gap first. `gaps` come oldest first.

    Neighbours in one stream are asked for together where that costs the venue less, as when one page holds both.
    A gap that was tried before is asked for alone, so that its neighbours cannot hide what is wrong with it.
    """
    plans: list[Plan] = []
    joinable: dict[Stream, int] = {}  # stream -> place of its newest plan that others may join
    for gap in gaps:
        venue = venues.get(gap.stream.venue)
        if venue is None:
            continue
        alone = _plan(venue, gap, (gap,))
        at = joinable.get(gap.stream, -1)
        joined = _joined(venue, plans[at], alone) if at >= 0 and not was_tried(gap) else None
        if joined is not None:
            plans[at] = joined
            continue
        if not was_tried(gap):
            joinable[gap.stream] = len(plans)
        plans.append(alone)
    return plans


def _plan(venue: Venue, span: Gap, gaps: tuple[Gap, ...]) -> Plan:
    requests = venue.history(span)
    return Plan(span.stream, gaps, None if requests is None else tuple(requests))


def _joined(venue: Venue, plan: Plan, alone: Plan) -> Plan | None:
    """Both plans as one, where that is cheaper for the venue, or where neither asks anything."""
    gaps = (*plan.gaps, *alone.gaps)
    if plan.requests is None and alone.requests is None:
        return Plan(plan.stream, gaps, None)
    if plan.requests is None or alone.requests is None:
        return None
    span = msgspec.structs.replace(
        gaps[0],
        to_ns=max(gap.to_ns for gap in gaps),
        first_id=min(gap.first_id for gap in gaps),
        last_id=max(gap.last_id for gap in gaps),
    )
    joined = _plan(venue, span, gaps)
    is_cheaper = joined.requests is not None and joined.weight < plan.weight + alone.weight
    return joined if is_cheaper else None
