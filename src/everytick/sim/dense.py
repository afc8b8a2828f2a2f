"""The judgement on ids in a row: does the record name exactly the ids that it does not hold?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

import msgspec

from everytick.model.ledger import Gap, GapState


class IdAudit(msgspec.Struct, frozen=True):
    """Every count is of ids between the first and the last one held.

    `missing` exist at the venue or are holes of its own, and are not held; of these `unnamed` are in no gap that is
    still open or permanent; `misnamed` are in such a gap, and yet are held or never were one. `holes` are the venue's
    own, `holes_marked` of them in a permanent gap.
    """

    missing: int
    unnamed: int
    misnamed: int
    holes: int
    holes_marked: int
    examples: list[str]


def audit_ids(held: Set[int], existing: Set[int], holes: Set[int], gaps: Sequence[Gap], examples_max: int) -> IdAudit:
    """Compare ids held, ids that exist, and the venue's own holes with the gaps of one stream. Pure."""
    if not held:
        return IdAudit(0, 0, 0, 0, 0, [])
    first, last = min(held), max(held)
    inside_holes = {number for number in holes if first < number < last}
    due = {number for number in existing if first < number < last and number not in held} | inside_holes
    named = _ids(gap for gap in gaps if gap.state is not GapState.CLOSED)
    marked = _ids(gap for gap in gaps if gap.state is GapState.PERMANENT)
    unnamed, misnamed = sorted(due - named), sorted(named - due)
    examples = [
        *(f"id {number} is missing and in no gap" for number in unnamed[:examples_max]),
        *(f"id {number} is in a gap and is not missing" for number in misnamed[:examples_max]),
    ]
    return IdAudit(len(due), len(unnamed), len(misnamed), len(inside_holes), len(inside_holes & marked), examples)


def _ids(gaps: Iterable[Gap]) -> set[int]:
    return {number for gap in gaps if gap.first_id >= 0 for number in range(gap.first_id, gap.last_id + 1)}
