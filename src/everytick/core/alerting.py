"""When to tell whom how often: the alert engine as a pure function of what it remembers, what came in and the time.

Nothing is told twice within a cooldown, a critical opening waits for nothing, what lasts is told again louder, what
ends is told once, and a flood becomes one message that says how much of it there was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from everytick.model.alert import MORE, Book, Incident, Message, Mute, Rule, Severity, Signal, State, Storm
from everytick.model.units import NS_PER_S

# A state that changes to and fro is told at most twice in five minutes: more tells nobody anything.
TURNS_MAX = 2
TURNS_WINDOW_NS = 300 * NS_PER_S
# Of one rule at most so many messages in a minute; further subjects are told together at the end of the minute.
RULE_MESSAGES_MAX = 5
RULE_WINDOW_NS = 60 * NS_PER_S
# Keys remembered. A venue has hundreds of instruments; ten thousand keys are some 3 MB.
KEYS_MAX = 10_000
NAMES_SHOWN = 10
RECOVERED = "recovered"  # the rule by which ends are told

_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
_replace = msgspec.structs.replace


def step(
    book: Book, rules: Mapping[str, Rule], signals: Iterable[Signal], mutes: Sequence[Mute], now_ns: int, wall_ns: int
) -> tuple[Book, list[Message]]:
    """What to tell now, criticals first, and the book after it.

    Units: `now_ns` is the engine's own clock (it runs on through restarts and ignores steps of the wall clock),
    `wall_ns` UTC, used for what people read and set: message times and mutes. Raises KeyError for a signal of a
    rule that is not in the table.
    """
    turn = _Turn(book, rules, mutes, max(now_ns, book.now_ns), wall_ns)
    for signal in signals:
        turn.take(signal)
    for key in list(turn.incidents):
        turn.look(key)
    turn.end_storms()
    turn.forget()
    messages = sorted(turn.messages, key=lambda message: -_RANK[message.severity])
    return turn.book(), messages


def resumed(book: Book, wall_ns: int) -> Book:
    """The book at a start: what was open counts as just seen, so that a pause of ours is not taken for recovery."""
    now_ns = max(wall_ns, book.now_ns)
    incidents = {
        key: _replace(incident, seen_ns=now_ns) if incident.is_open else incident
        for key, incident in book.incidents.items()
    }
    return _replace(book, now_ns=now_ns, began_ns=book.began_ns or wall_ns, incidents=incidents)


class _Turn:
    """One step under way."""

    def __init__(self, book: Book, rules: Mapping[str, Rule], mutes: Sequence[Mute], now_ns: int, wall_ns: int) -> None:
        self.incidents = dict(book.incidents)
        self.messages: list[Message] = []
        self._before = book
        self._storms = dict(book.storms)
        self._spoken = dict(book.spoken)
        self._sent = book.sent
        self._rules = rules
        self._mutes = mutes
        self._now_ns = now_ns
        self._wall_ns = wall_ns

    def book(self) -> Book:
        return Book(
            now_ns=self._now_ns,
            began_ns=self._before.began_ns or self._wall_ns,
            incidents=self.incidents,
            storms=self._storms,
            spoken=self._spoken,
            sent=self._sent,
        )

    def take(self, signal: Signal) -> None:
        """Note a signal; `look` decides what it means."""
        rule = self._rules[signal.rule]
        key = signal.key
        if key not in self.incidents and len(self.incidents) >= KEYS_MAX:
            signal = _replace(signal, subject=MORE)
            key = signal.key
        known = self.incidents.get(key) or Incident(rule.name, signal.subject, rule.severity)
        recent = known.recent
        untold = 1 if rule.is_condition else known.untold + signal.count
        if rule.times_min > 1:
            recent = _counted(recent, signal.count, self._now_ns, rule.within_s)
            total = sum(count for _, count in recent)
            if total < rule.times_min and not known.is_open:
                self.incidents[key] = _replace(known, recent=recent)
                return
            untold = untold if known.is_open else total
        severity = signal.severity or rule.severity
        if known.is_open and (rule.is_condition or known.untold):
            severity = _louder(known.severity, severity)
        self.incidents[key] = _replace(
            known,
            severity=severity,
            text=signal.text or known.text,
            is_open=True,
            opened_ns=known.opened_ns if known.is_open else self._now_ns,
            is_told=known.is_told and known.is_open,
            told_as=known.told_as if known.is_open else None,
            steps=known.steps if known.is_open else 0,
            seen_ns=self._now_ns,
            untold=untold,
            recent=recent,
            mark=max(known.mark, signal.mark),
        )

    def look(self, key: str) -> None:
        """Tell what is due about one key."""
        incident = self.incidents[key]
        if not incident.is_open:
            return
        rule = self._rules.get(incident.rule)
        if rule is None:  # of an older version's table
            self.incidents[key] = _replace(incident, is_open=False)
        elif rule.is_condition:
            self._look_at_condition(key, incident, rule)
        else:
            self._look_at_event(key, incident, rule)

    def _look_at_condition(self, key: str, incident: Incident, rule: Rule) -> None:
        if self._now_ns - incident.seen_ns > rule.hold_s * NS_PER_S:
            self._look_at_end(key, incident)
            return
        age_ns = self._now_ns - incident.opened_ns
        if not incident.is_told:
            is_cool = self._is_cool(incident, rule) and self._may_turn(incident)
            if age_ns >= rule.after_s * NS_PER_S and (incident.severity is Severity.CRITICAL or is_cool):
                self._tell(incident, State.OPENED, f"{rule.text}: {incident.text}", is_turn=True)
            return
        text = f"for {_span(age_ns)} now: {incident.text}"
        if rule.escalate_s and age_ns >= _due_ns(rule.escalate_s, incident.steps):
            louder = _replace(incident, steps=incident.steps + 1, severity=Severity.CRITICAL)
            self._tell(louder, State.STILL, text)
        elif incident.told_as is None or _RANK[incident.severity] > _RANK[incident.told_as]:
            self._tell(incident, State.STILL, text)

    def _look_at_end(self, key: str, incident: Incident) -> None:
        closed = _replace(incident, is_open=False, is_told=False, untold=0)
        if not incident.is_told:
            self.incidents[key] = closed
        elif self._may_turn(incident):
            lasted = _span(incident.seen_ns - incident.opened_ns)
            # Also when it is muted: the end of a mute is no time for old good news.
            self.incidents[key] = closed
            self._tell(closed, State.RECOVERED, f"recovered after {lasted}", is_turn=True)

    def _look_at_event(self, key: str, incident: Incident, rule: Rule) -> None:
        is_cool = self._is_cool(incident, rule)
        wanted = rule.times_min if incident.is_told else 1
        if incident.untold >= wanted and (incident.severity is Severity.CRITICAL or is_cool):
            text = incident.text if incident.is_told else f"{rule.text}: {incident.text}"
            if incident.untold > 1:
                since_ns = self._wall_ns - (self._now_ns - max(incident.told_ns, incident.opened_ns))
                text = f"{incident.untold} times since {_clock(since_ns)}; last: {text}"
            self._tell(incident, State.AGAIN if incident.is_told else State.OPENED, text)
        elif is_cool and incident.untold < wanted:
            self.incidents[key] = _replace(incident, is_open=False, is_told=False, untold=0, recent=())

    def _is_cool(self, incident: Incident, rule: Rule) -> bool:
        return not incident.told_ns or self._now_ns - incident.told_ns >= rule.cooldown_s * NS_PER_S

    def _may_turn(self, incident: Incident) -> bool:
        turns = incident.turns
        return len(turns) < TURNS_MAX or self._now_ns - turns[-TURNS_MAX] >= TURNS_WINDOW_NS

    def _tell(self, incident: Incident, state: State, text: str, *, is_turn: bool = False) -> None:
        """Make the message, unless it is muted (then it stays untold) or part of a flood."""
        if any(mute.covers(incident.key, self._wall_ns) for mute in self._mutes):
            return
        is_end = state is State.RECOVERED
        severity = Severity.INFO if is_end else incident.severity
        self.incidents[incident.key] = _replace(
            incident,
            is_told=not is_end,
            told_as=None if is_end else severity,
            told_ns=self._now_ns,
            untold=0,
            turns=(*incident.turns, self._now_ns)[-TURNS_MAX:] if is_turn else incident.turns,
        )
        count = max(incident.untold, 1)
        bucket = RECOVERED if is_end else incident.rule
        if severity is not Severity.CRITICAL and self._is_flood(bucket):
            self._fold(bucket, f"{incident.rule} {incident.subject}" if is_end else incident.subject, count)
        else:
            self._say(incident.rule, incident.subject, state, text, severity, count)

    def _is_flood(self, bucket: str) -> bool:
        if bucket in self._storms:
            return True
        spoken = tuple(at for at in self._spoken.get(bucket, ()) if self._now_ns - at < RULE_WINDOW_NS)
        self._spoken[bucket] = (*spoken, self._now_ns)[-RULE_MESSAGES_MAX:]
        return len(spoken) >= RULE_MESSAGES_MAX

    def _fold(self, bucket: str, name: str, count: int) -> None:
        storm = self._storms.get(bucket) or Storm(self._now_ns)
        names = storm.names if len(storm.names) >= NAMES_SHOWN else (*storm.names, name)
        self._storms[bucket] = Storm(storm.since_ns, storm.keys + 1, storm.signals + count, names)

    def end_storms(self) -> None:
        """One message for each flood whose minute is over."""
        for name, storm in list(self._storms.items()):
            if self._now_ns - storm.since_ns < RULE_WINDOW_NS:
                continue
            del self._storms[name]
            rest = f" and {storm.keys - len(storm.names)} more" if storm.keys > len(storm.names) else ""
            text = f"{storm.signals} times in {storm.keys} places: {', '.join(storm.names)}{rest}"
            severity = self._rules[name].severity if name in self._rules else Severity.WARNING
            self._say(name, f"{storm.keys} places", State.FOLDED, text, severity, storm.signals)

    def _say(self, rule: str, subject: str, state: State, text: str, severity: Severity, count: int) -> None:
        self._sent += 1
        title = f"{RECOVERED}: {rule} {subject}" if state is State.RECOVERED else f"{rule}: {subject}"
        if state in (State.STILL, State.AGAIN):
            title += f" ({state.value})"
        # Unique even where the count was lost with the memory.
        message_id = f"{self._wall_ns:x}-{self._sent}"
        self.messages.append(Message(message_id, self._wall_ns, rule, subject, severity, state, title, text, count))

    def forget(self) -> None:
        """Let go of the longest closed keys once there are many."""
        surplus = len(self.incidents) - KEYS_MAX * 9 // 10
        if surplus <= 0:
            return
        closed = sorted((i.seen_ns, key) for key, i in self.incidents.items() if not i.is_open)
        for _, key in closed[:surplus]:
            del self.incidents[key]


def _counted(
    recent: tuple[tuple[int, int], ...], count: int, now_ns: int, within_s: int
) -> tuple[tuple[int, int], ...]:
    second = now_ns // NS_PER_S
    kept = [(at, n) for at, n in recent if second - at < within_s]
    if kept and kept[-1][0] == second:
        kept[-1] = (second, kept[-1][1] + count)
    else:
        kept.append((second, count))
    return tuple(kept)


def _due_ns(steps: tuple[int, ...], told: int) -> int:
    """The age at which the next escalation is due."""
    further = max(told - len(steps) + 1, 0)
    return (steps[min(told, len(steps) - 1)] + further * steps[-1]) * NS_PER_S


def _louder(one: Severity, other: Severity) -> Severity:
    return one if _RANK[one] >= _RANK[other] else other


def _span(age_ns: int) -> str:
    """`3 m 12 s`."""
    seconds = max(age_ns, 0) // NS_PER_S
    parts = [(seconds // 86_400, "d"), (seconds // 3_600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    shown = [f"{value} {unit}" for value, unit in parts if value]
    return " ".join(shown[:2]) or "under 1 s"


def _clock(wall_ns: int) -> str:
    """`14:03:09 UTC`."""
    seconds = wall_ns // NS_PER_S
    return f"{seconds // 3_600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d} UTC"
