"""Messages on their way: which goes to which channel when. No I/O here; times are ns of the engine's clock.

A critical message goes to every channel. Any other goes to the first channel, in the order of the settings, that
takes it. A channel that fails is left alone for a while (what it asked for, else ever longer), so that the next one
is tried at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from everytick.model.alert import Message, Severity
from everytick.model.units import NS_PER_S

PARCELS_MAX = 1_000  # a night of trouble is dozens; beyond this the oldest that is not critical gives way
AGE_NS_MAX = 24 * 3_600 * NS_PER_S  # older news is in the ledger and in the log; nobody acts on it any more
REST_FIRST_S = 1.0
REST_MAX_S = 60.0
RETRY_AFTER_S_MAX = 600.0  # a channel that asks for more is asked again after ten minutes all the same
REFUSED_REST_S = 60.0  # a refusal (401, 404) is for a person to mend; asking each minute tells when it is

_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
_replace = msgspec.structs.replace


class Parcel(msgspec.Struct, frozen=True):
    """One message for one channel; `channel` empty: for the first that takes it.

    `is_under_way` is durable before a send: a parcel found so at a start may have arrived, and says so when it is
    sent again.
    """

    message: Message
    channel: str
    since_ns: int
    attempts: int = 0
    is_under_way: bool = False

    @property
    def id(self) -> str:
        """Names the parcel in the memory."""
        return f"{self.message.id}/{self.channel}"


class Rest(msgspec.Struct, frozen=True):
    """A channel that is left alone until `until_ns`, after `failures` in a row."""

    failures: int
    until_ns: int
    detail: str


class Outbox:
    """The parcels. `dropped` is told of each message that is given up, with why."""

    def __init__(
        self,
        channels: Iterable[str],
        jitter: Callable[[], float],
        dropped: Callable[[Message, str], None] = lambda _message, _cause: None,
    ) -> None:
        self.channels = tuple(channels)
        self.resting: dict[str, Rest] = {}
        self.changed: dict[str, Parcel | None] = {}  # since the last save: None is gone
        self._parcels: dict[str, Parcel] = {}
        self._jitter = jitter
        self._dropped = dropped

    def __len__(self) -> int:
        return len(self._parcels)

    def restore(self, parcels: Iterable[Parcel]) -> None:
        """Take up what an earlier process left."""
        for parcel in parcels:
            if parcel.channel and parcel.channel not in self.channels:
                parcel = _replace(parcel, channel="")
            if parcel.is_under_way:
                message = _replace(parcel.message, may_repeat=True)
                parcel = _replace(parcel, message=message, is_under_way=False)
            self._put(parcel)

    def add(self, message: Message, now_ns: int) -> None:
        """Take a message. Without channels there is nowhere to send it, and it is not kept."""
        if not self.channels:
            return
        for channel in self.channels if message.severity is Severity.CRITICAL else ("",):
            self._put(Parcel(message, channel, now_ns))
        while len(self._parcels) > PARCELS_MAX:
            others = [p for p in self._parcels.values() if p.message.severity is not Severity.CRITICAL]
            self._drop(min(others or self._parcels.values(), key=lambda p: p.since_ns), "too many wait")

    def take(self, channel: str, now_ns: int) -> Parcel | None:
        """The next parcel that this channel may send now, marked as under way; None: nothing."""
        rest = self.resting.get(channel)
        if rest is not None and now_ns < rest.until_ns:
            return None
        is_first = channel == self._first(now_ns)
        found = None
        for parcel in list(self._parcels.values()):
            if now_ns - parcel.since_ns > AGE_NS_MAX and not parcel.is_under_way:
                self._drop(parcel, "too old")
            elif not parcel.is_under_way and (parcel.channel == channel or (is_first and not parcel.channel)):
                found = parcel if found is None or _order(parcel) < _order(found) else found
        if found is None:
            return None
        return self._put(_replace(found, is_under_way=True, attempts=found.attempts + 1))

    def arrived(self, parcel: Parcel, channel: str) -> None:
        """The channel took it."""
        self.resting.pop(channel, None)
        self._remove(parcel)

    def failed(
        self, parcel: Parcel, channel: str, detail: str, now_ns: int, *, retry_after_s: float | None, is_refused: bool
    ) -> Rest:
        """The channel did not take it: it rests, and the parcel waits for it or for another one."""
        failures = self.resting[channel].failures + 1 if channel in self.resting else 1
        rest_s = min(REST_FIRST_S * 2 ** min(failures - 1, 10), REST_MAX_S) * (0.75 + self._jitter() / 2)
        if is_refused:
            rest_s = REFUSED_REST_S
        if retry_after_s is not None:
            rest_s = max(min(retry_after_s, RETRY_AFTER_S_MAX), 0.0)
        rest = self.resting[channel] = Rest(failures, now_ns + int(rest_s * NS_PER_S), detail)
        self._put(_replace(parcel, is_under_way=False))
        return rest

    def oldest_ns(self, now_ns: int) -> int:
        """How long the longest waiting parcel has waited; 0 if none waits."""
        return max((now_ns - parcel.since_ns for parcel in self._parcels.values()), default=0)

    def _first(self, now_ns: int) -> str:
        awake = (name for name in self.channels if name not in self.resting or self.resting[name].until_ns <= now_ns)
        return next(awake, "")

    def _put(self, parcel: Parcel) -> Parcel:
        self._parcels[parcel.id] = self.changed[parcel.id] = parcel
        return parcel

    def _remove(self, parcel: Parcel) -> None:
        if self._parcels.pop(parcel.id, None) is not None:
            self.changed[parcel.id] = None

    def _drop(self, parcel: Parcel, cause: str) -> None:
        self._remove(parcel)
        self._dropped(parcel.message, cause)


def _order(parcel: Parcel) -> tuple[int, int, int]:
    # One that a channel keeps refusing must not stand in the way of the others.
    return (_RANK[parcel.message.severity], parcel.attempts, parcel.since_ns)
