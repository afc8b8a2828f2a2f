"""Looks at Progress twice a second and remembers, on the clock that cannot step, when each part last moved.

The parts write numbers; that a number changed is the only proof of life taken here. So a wall clock that jumps, a
thread that died between two writes and a part that writes the same value for ever are all seen for what they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from everytick.model.units import NS_PER_S
from everytick.supervise.expect import Expectation
from everytick.supervise.progress import ConnectionProgress, Progress

# Frames that wait longer than this between tape and store say nothing about their streams' habits.
DELAY_NS_MAX = 2 * NS_PER_S
# Ten minutes of looks: how far back "since when does the store lag" can be told exactly.
MARKS_MAX = 1_200
# How often a quiet stream may start afresh with its connection before it must have spoken itself.
AGAIN_MAX = 3


class LineSeen(msgspec.Struct, frozen=True, gc=False):
    """One connection: when it last changed state, last spoke, and whether all its streams together are too silent."""

    is_up: bool
    changed_mono_ns: int
    spoke_mono_ns: int
    quiet_mono_ns: int  # since when none of its streams brought anything
    bound_ns: int


class StreamSeen(msgspec.Struct, frozen=True, gc=False):
    """One stream: since when it is silent, how long that may last, and on which connection it comes."""

    line: str
    is_heard: bool
    silent_mono_ns: int
    bound_ns: int
    mean_gap_ns: int  # 0: not known yet


class Seen(msgspec.Struct, frozen=True):
    """What one look saw. All times are of the monotonic clock, in ns."""

    mono_ns: int
    started_mono_ns: int
    beat_mono_ns: int
    commit_mono_ns: int
    apply_mono_ns: int
    lag_mono_ns: int  # since when the oldest received frame waits to be applied; 0: none waits
    lines: Mapping[str, LineSeen] = {}
    streams: Mapping[str, StreamSeen] = {}


@dataclass(slots=True)
class _Habit:
    """What is remembered of a stream, or of all streams of a connection taken together."""

    value: object
    moved_ns: int
    expected: Expectation
    is_heard: bool = False
    again_ns: int = 0  # when its connection last came back since it last moved
    times_again: int = 0

    def move(self, value: object, now_ns: int, spoilt_ns: int) -> None:
        if self.is_heard and spoilt_ns < self.moved_ns and not self.again_ns:
            self.expected.learn(now_ns - self.moved_ns)
        self.value, self.moved_ns, self.is_heard = value, now_ns, True
        self.again_ns = self.times_again = 0

    def start_afresh(self, now_ns: int, spoke_ns: int) -> None:
        """Its connection is back, and last brought anything at `spoke_ns`."""
        if not self.again_ns or (spoke_ns > self.again_ns and self.times_again < AGAIN_MAX):
            self.again_ns = now_ns
            self.times_again += 1

    @property
    def silent_ns(self) -> int:
        # Of a lively stream the next event is due at once when its connection is back. A quiet one starts afresh,
        # but not for ever, and only while the connection brings other things in between: one that reconnects again
        # and again and never speaks must not look well.
        return self.moved_ns if self.expected.is_lively else max(self.moved_ns, self.again_ns)


@dataclass(slots=True)
class _Line:
    is_up: bool
    connects: int
    changed_ns: int
    message: int
    spoke_ns: int
    all: _Habit


@dataclass
class Monitor:
    """Owned by the watchdog's thread. `streams` maps each stream to be judged to its connection.

    `habits` is what is known of streams from before the start.
    """

    streams: Mapping[str, str] = field(default_factory=dict)
    habits: Mapping[str, Expectation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers: dict[str, tuple[object, int]] = {}
        self._lines: dict[str, _Line] = {}
        self._habits: dict[str, _Habit] = {}
        self._marks: deque[tuple[int, int]] = deque()
        self._started_ns = 0
        self._spoilt_ns = 0
        self._looked_ns = self._now_ns = 0

    def know(self, habits: Mapping[str, Expectation]) -> None:
        """Take over habits of streams that have shown none of their own yet."""
        for key, expected in habits.items():
            habit = self._habits.get(key)
            if habit is not None and not habit.expected.is_known:
                habit.expected = expected
        self.habits = {**self.habits, **habits}

    def look(self, progress: Progress, mono_ns: int) -> Seen:
        """Look once. The parts may be writing meanwhile: each number is read once."""
        if not self._started_ns:
            self._started_ns = mono_ns
        # What is new now may have waited since the last look, or since the loop last showed life.
        looked_ns, self._looked_ns = self._looked_ns or mono_ns, mono_ns
        earliest_ns = min(looked_ns, self._numbers.get("beat", (0, mono_ns))[1])
        # Whoever was not watched for a while may have moved at any time in it: only the next look can tell.
        self._now_ns = mono_ns if mono_ns - looked_ns <= DELAY_NS_MAX else looked_ns
        beat_ns = self.moved("beat", progress.loop_beats)
        commit_ns = self.moved("commit", (progress.last_commit_ns, progress.offset_durable))
        apply_ns = self.moved("apply", (progress.last_apply_ns, progress.offset_applied))
        lag_ns = self._lag(max(progress.offset_received, progress.offset_durable), progress.offset_applied, earliest_ns)
        if (lag_ns and mono_ns - lag_ns > DELAY_NS_MAX) or mono_ns - commit_ns > DELAY_NS_MAX:
            self._spoilt_ns = mono_ns
        if self._now_ns != mono_ns:
            self._spoilt_ns = mono_ns
        for name, line in list(progress.connections.items()):
            self._look_at_line(name, line, self._now_ns)
        newest = progress.newest.copy()
        for key, name in self.streams.items():
            self._look_at_stream(key, name, newest.get(key), self._now_ns)
        lines = {
            n: LineSeen(s.is_up, s.changed_ns, s.spoke_ns, s.all.silent_ns, s.all.expected.bound_ns)
            for n, s in self._lines.items()
        }
        streams = {key: self._seen(key, habit) for key, habit in self._habits.items()}
        return Seen(mono_ns, self._started_ns, beat_ns, commit_ns, apply_ns, lag_ns, lines, streams)

    def _seen(self, key: str, habit: _Habit) -> StreamSeen:
        expected = habit.expected
        mean_ns = int(expected.mean_s * NS_PER_S) if expected.is_known else 0
        return StreamSeen(self.streams[key], habit.is_heard, habit.silent_ns, expected.bound_ns, mean_ns)

    def moved(self, name: str, value: object) -> int:
        """When this number last changed; a name is one number for ever."""
        before = self._numbers.get(name)
        if before is not None and before[0] == value:
            return before[1]
        self._numbers[name] = (value, self._now_ns)
        return self._now_ns

    def _lag(self, received: int, applied: int, mono_ns: int) -> int:
        """Since when, at the earliest, the oldest frame that is not applied is here; 0 if all are applied."""
        marks = self._marks
        if len(marks) < MARKS_MAX and (not marks or marks[-1][0] < received):
            marks.append((received, mono_ns))
        while marks and marks[0][0] <= applied:
            marks.popleft()
        return marks[0][1] if marks else 0

    def _look_at_line(self, name: str, now: ConnectionProgress, mono_ns: int) -> None:
        line = self._lines.get(name)
        if line is None:
            line = _Line(now.up, now.connects, mono_ns, now.last_message_ns, mono_ns, _Habit(0, mono_ns, Expectation()))
            self._lines[name] = line
        if now.up != line.is_up or now.connects != line.connects:
            if now.up:
                down_ns = mono_ns if line.is_up else line.changed_ns
                self._came_back(name, line, mono_ns, line.all.moved_ns, down_ns)
            line.is_up, line.connects, line.changed_ns = now.up, now.connects, mono_ns
        if now.last_message_ns != line.message:
            line.message, line.spoke_ns = now.last_message_ns, mono_ns

    def _came_back(self, name: str, line: _Line, mono_ns: int, spoke_ns: int, down_ns: int) -> None:
        for key, carried_by in self.streams.items():
            habit = self._habits.get(key)
            # What was mute before the line went is not cured by its coming back.
            if carried_by == name and habit is not None and down_ns - habit.silent_ns <= habit.expected.bound_ns:
                habit.start_afresh(mono_ns, spoke_ns)
        line.all.again_ns = line.all.again_ns or mono_ns

    def _look_at_stream(self, key: str, name: str, value: object, mono_ns: int) -> None:
        habit = self._habits.get(key)
        if habit is None:
            known = self.habits.get(key, Expectation())
            habit = self._habits[key] = _Habit(value, mono_ns, known, is_heard=value is not None)
            return
        if value != habit.value:
            habit.move(value, mono_ns, self._spoilt_ns)
            line = self._lines.get(name)
            if line is not None and line.all.moved_ns != mono_ns:
                if mono_ns - line.all.moved_ns > line.all.expected.bound_ns:
                    silent_ns = line.all.moved_ns
                    self._came_back(name, line, mono_ns, mono_ns, silent_ns)  # it was mute as a whole, and is no longer
                line.all.move(mono_ns, mono_ns, self._spoilt_ns)
