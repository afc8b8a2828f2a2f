"""From facts, health and the room on the disk to signals: which rule each raises, about what, in which words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from everytick.model.alert import Severity, Signal
from everytick.model.units import NS_PER_S
from everytick.supervise.health import Health, Reason, Status

Fields = Mapping[str, object]

# Rules of health's codes; a code that is not named here falls under `stale` or `degraded` by its status.
HEALTH_RULES: Mapping[str, str] = {
    "store_trouble": "store_unreachable",
    "tape_trouble": "tape_stuck",
    "connection_down": "connection_down",
    "loop_wedged": "wedged",
    "watchdog_dead": "wedged",
}

# Shares of a full disk, in percent, and how loud each is. At 95 % a busy hour can fill the rest.
DISK_LEVELS: tuple[tuple[int, Severity], ...] = (
    (95, Severity.CRITICAL),
    (90, Severity.WARNING),
    (80, Severity.INFO),
)


class Room(msgspec.Struct, frozen=True):
    """Bytes on the disk of the data folder."""

    free: int
    total: int


def of_fact(name: str, fields: Fields) -> Iterator[Signal]:
    """What a fact raises; nothing for most."""
    make = FACT_SIGNALS.get(name)
    if make is not None:
        yield from make(fields)


def of_health(found: Health) -> list[Signal]:
    """One signal for each reason: as long as it stands, its condition holds."""
    return [_of_reason(reason) for reason in found.reasons if reason.code != "not_started"]


def of_room(room: Room, folder: str) -> list[Signal]:
    """The disk's level, if it has reached one."""
    if room.total <= 0:
        return []
    used = 100 * (room.total - room.free) // room.total
    for level, severity in DISK_LEVELS:
        if used >= level:
            text = f"{used} % full, {room.free // 2**20:,} MiB left in {folder}: make room or move data.dir"
            return [Signal("disk", "data", text, severity)]
    return []


def of_channel(name: str, failures: int, detail: str) -> Signal:
    """A channel of alerts that fails."""
    return Signal("channel_failing", name, f"{failures} failures in a row, last: {detail}")


def _of_reason(reason: Reason) -> Signal:
    other = "stale" if reason.status is Status.STALE else "degraded"
    return Signal(HEALTH_RULES.get(reason.code, other), reason.subject, f"{reason.message}; {reason.action}")


def _text(fields: Fields, name: str) -> str:
    return str(fields.get(name, ""))


def _started(fields: Fields) -> Iterator[Signal]:
    text = f"version {_text(fields, 'version')}, run {_text(fields, 'run')}, offset {_text(fields, 'offset')}"
    yield Signal("started", "recorder", text)
    if fields.get("is_after_crash"):
        yield Signal("crash_loop", "recorder", text)


def _task_died(fields: Fields) -> Iterator[Signal]:
    error = fields.get("error")
    is_final = bool(fields.get("is_final"))
    fate = "it is beyond help: the process ends" if is_final else "it is started again"
    text = f"{type(error).__name__}: {error}; {fate}"
    yield Signal("worker_crashed", _text(fields, "task"), text, Severity.CRITICAL if is_final else None)


def _projector_failed(fields: Fields) -> Iterator[Signal]:
    is_final = fields.get("family") == "fatal"
    text = f"stopped at offset {_text(fields, 'offset')}: {_text(fields, 'detail')}"
    yield Signal("worker_crashed", "projector", text, Severity.CRITICAL if is_final else None)


def _gap_found(fields: Fields) -> Iterator[Signal]:
    from_ns, to_ns, offset = (_whole(fields, name) for name in ("from_ns", "to_ns", "offset"))
    yield of_gap(_text(fields, "stream"), _text(fields, "kind"), _text(fields, "cause"), from_ns, to_ns, offset)


def of_gap(stream: str, kind: str, cause: str, from_ns: int, to_ns: int, offset: int) -> Signal:
    """A gap in one stream, told by a fact or found in the ledger."""
    return Signal("gap", stream, f"{kind}, cause {cause}, from {_utc(from_ns)} to {_utc(to_ns)}", mark=offset)


def _whole(fields: Fields, name: str) -> int:
    value = fields.get(name, 0)
    return value if isinstance(value, int) else 0


def _utc(ts_ns: int) -> str:
    """A venue's time; one beyond the calendar is left as it is."""
    try:
        return f"{datetime.fromtimestamp(ts_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{ts_ns} ns"


def _quarantined(fields: Fields) -> Iterator[Signal]:
    # Neither the path nor the value: both are the venue's words.
    text = f"reason {_text(fields, 'reason')}, offset {_text(fields, 'offset')}"
    yield Signal("quarantine", _text(fields, "venue"), text)


def _wedged(fields: Fields) -> Iterator[Signal]:
    text = f"no progress for {_text(fields, 'idle_s')} s: {_text(fields, 'why')}; try {_text(fields, 'tries')}"
    yield Signal("wedged", _text(fields, "worker"), text)


def _final(subject: str, *words: str) -> Callable[[Fields], Iterator[Signal]]:
    """The process ends over this."""

    def make(fields: Fields) -> Iterator[Signal]:
        named = _text(fields, subject) or subject
        yield Signal("worker_crashed", named, f"the process ends: {_said(fields, words)}", Severity.CRITICAL)

    return make


def _told(rule: str, subject: str, *words: str) -> Callable[[Fields], Iterator[Signal]]:
    """Signals of `rule` about the field `subject` (or that very word), in the words of these fields."""

    def make(fields: Fields) -> Iterator[Signal]:
        yield Signal(rule, _text(fields, subject) or subject, _said(fields, words))

    return make


def _said(fields: Fields, words: Sequence[str]) -> str:
    return ", ".join(_text(fields, word) if word == "detail" else f"{word} {_text(fields, word)}" for word in words)


FACT_SIGNALS: Mapping[str, Callable[[Fields], Iterator[Signal]]] = {
    "recorder_started": _started,
    "task_died": _task_died,
    "projector_failed": _projector_failed,
    "gap_found": _gap_found,
    "event_quarantined": _quarantined,
    "store_unavailable": _told("store_unreachable", "store", "detail"),
    "tape_full": _told("tape_stuck", "tape", "detail"),
    "tape_damaged": _told("tape_damaged", "segment", "at", "detail"),
    "tape_sync_failed": _told("tape_damaged", "segment", "detail"),
    "worker_wedged": _wedged,
    "watchdog_gave_up": _final("worker", "why", "tries"),
    "watchdog_failed": _told("worker_crashed", "watchdog", "detail"),
    "stop_too_long": _final("stop", "stop_s_max", "watermark"),
    "clock_stepped": _told("clock_offset", "clock", "step_s"),
    "vault_zero": _told("vault_zero", "vault", "stream", "offset"),
    "trading_switched": _told("trading", "switch", "state", "who", "reason"),
    "switch_unreadable": _told("trading", "switch", "detail"),
}
