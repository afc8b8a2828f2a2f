"""Item by item: one bad item of a message is refused alone, its neighbours go on; what is said of them is bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from everytick.core.fields import LIST, Raw, within
from everytick.core.validate import Invalid
from everytick.model.event import Decoded, Event, Refusal

# Eight megabytes hold millions of bad items, and each refusal is an object and a row. Past this many the rest of
# the frame's refusals are counted in one; the raw frame is on the tape.
REFUSALS_MAX: Final = 1_000


def refused(index: int, finding: Invalid) -> Refusal:
    """The refusal that states a finding about the item at `index`, -1 for the whole frame."""
    return Refusal(index, finding.reason, finding.path, finding.value)


def refused_whole(finding: Invalid) -> Decoded:
    """A frame of which nothing can be used."""
    return Decoded([], [refused(-1, finding)])


class Findings:
    """What was refused in one frame, bounded."""

    def __init__(self, at: str) -> None:
        self._at = at
        self._kept: list[Refusal] = []
        self._beyond = 0

    def add(self, index: int, finding: Invalid) -> None:
        """Refuse the item at `index`."""
        if len(self._kept) < REFUSALS_MAX:
            self._kept.append(refused(index, finding.within(self._at)))
        else:
            self._beyond += 1

    def refusals(self) -> list[Refusal]:
        """All of them, those beyond REFUSALS_MAX as one."""
        if not self._beyond:
            return self._kept
        return [*self._kept, Refusal(-1, "too_many_refused", self._at, f"{self._beyond} more")]


def read_list(raw: Raw, read: Callable[[Raw], Event], at: str) -> Decoded:
    """A list of which every item is read on its own."""
    try:
        items = within(at, lambda: LIST.read(raw))
    except Invalid as finding:
        return refused_whole(finding)
    return read_items(items, lambda _, item: read(item), at)


def read_items(items: Sequence[Raw], read: Callable[[int, Raw], Event], at: str) -> Decoded:
    """Items that `read` takes with their index: those it finds Invalid are refused, the others go on."""
    events: list[Event] = []
    findings = Findings(at)
    for index, item in enumerate(items):
        try:
            events.append(read(index, item))
        except Invalid as finding:
            findings.add(index, finding.within(f"[{index}]"))
    return Decoded(events, findings.refusals())


def read_alone(raw: Raw, read: Callable[[Raw], Event], at: str) -> Decoded:
    """One item that stands alone: right, or refused."""
    try:
        return Decoded([within(at, lambda: read(raw))], [])
    except Invalid as finding:
        return Decoded([], [refused(0, finding)])
