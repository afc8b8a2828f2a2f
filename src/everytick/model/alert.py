"""What an alert is: the rule it follows, the signal that raises it, the incident it belongs to, the message sent."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

ALL = "all"  # the target of a mute that keeps everything back
MORE = "(more)"  # the subject of signals that came with too many subjects to keep apart


class Severity(StrEnum):
    """`critical`: data is being lost or could be; someone should get up. `warning`: look today."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class State(StrEnum):
    """What a message tells about its incident."""

    OPENED = "opened"
    AGAIN = "again"  # more of the same since the last message
    STILL = "still"  # it lasts, and this is the escalation
    RECOVERED = "recovered"
    FOLDED = "folded"  # many subjects at once, told together
    TEST = "test"


class Rule(msgspec.Struct, frozen=True):
    """One line of the table of alerts.

    A *condition* holds as long as its signal is repeated at least every `hold_s`; it is told once it has lasted
    `after_s`, and its end is told. An *event* has happened; more of the same within `cooldown_s` is counted and told
    together, and `times_min` signals within `within_s` are wanted before anything is told. `escalate_s` are ages of
    a lasting condition at which it is told again, from the first on as critical; after the last, at every further
    such span.
    """

    name: str
    severity: Severity
    watches: str
    text: str
    is_condition: bool
    cooldown_s: int = 300
    hold_s: int = 10
    after_s: int = 0
    escalate_s: tuple[int, ...] = ()
    times_min: int = 1
    within_s: int = 60


class Signal(msgspec.Struct, frozen=True):
    """A rule's condition was seen, or its event happened, `count` times. `severity` stands over the rule's own.

    `mark` is a place in the record (a venue time in ns) up to which this stream's events have now been signalled.
    """

    rule: str
    subject: str
    text: str = ""
    severity: Severity | None = None
    count: int = 1
    mark: int = 0

    @property
    def key(self) -> str:
        """What cooldowns, mutes and folding count by."""
        return f"{self.rule}:{self.subject}"


class Incident(msgspec.Struct, frozen=True):
    """What is remembered of one key. All times are ns of the alert engine's own clock, 0 where it has not happened."""

    rule: str
    subject: str
    severity: Severity
    text: str = ""
    is_open: bool = False
    is_told: bool = False  # the opening was told, so the end will be
    opened_ns: int = 0
    seen_ns: int = 0  # last signal
    told_ns: int = 0  # last message of any kind: what the cooldown counts from
    told_as: Severity | None = None  # the severity that was told, while open
    steps: int = 0  # escalations told
    untold: int = 0  # signals since the last message; of a condition at most 1
    turns: tuple[int, ...] = ()  # when the last two openings or recoveries were told
    recent: tuple[tuple[int, int], ...] = ()  # (second, signals in it), for rules that count
    mark: int = 0

    @property
    def key(self) -> str:
        """See Signal.key."""
        return f"{self.rule}:{self.subject}"


class Storm(msgspec.Struct, frozen=True):
    """Messages of one rule that are held back to be told together."""

    since_ns: int
    keys: int = 0
    signals: int = 0
    names: tuple[str, ...] = ()


class Message(msgspec.Struct, frozen=True):
    """One message as handed to a notifier. `at_ns` is wall time, UTC. `may_repeat`: it may have been sent before."""

    id: str
    at_ns: int
    rule: str
    subject: str
    severity: Severity
    state: State
    title: str
    text: str
    count: int = 1
    may_repeat: bool = False

    @property
    def key(self) -> str:
        """See Signal.key."""
        return f"{self.rule}:{self.subject}"


class Book(msgspec.Struct, frozen=True):
    """All that the alert engine remembers. `now_ns` is its own clock, which never goes back."""

    now_ns: int = 0
    began_ns: int = 0  # wall time of its first step ever
    incidents: Mapping[str, Incident] = {}
    storms: Mapping[str, Storm] = {}
    spoken: Mapping[str, tuple[int, ...]] = {}  # rule -> when its last messages below critical went out
    sent: int = 0  # messages made so far: the number in their ids


class Mute(msgspec.Struct, frozen=True):
    """Messages of `target` (a rule, a `rule:subject`, or `all`) are not sent before `until_ns` (wall time)."""

    target: str
    until_ns: int

    def covers(self, incident_key: str, wall_ns: int) -> bool:
        """Whether a message of that key is kept back now."""
        rule = incident_key.partition(":")[0]
        return wall_ns < self.until_ns and self.target in (ALL, rule, incident_key)
