"""The kill switch for trading: armed or halted, latched in the data folder, every change on record.

It fails closed: a latch that cannot be read or fails its check means halted, and so does one that has not been read
lately. The setting `trading.enabled` (TRADING_ENABLED) is the state before anyone has touched the switch; turned
off it also halts a switch that was armed, while turned on it never arms one that was halted.

Two files. `switch.json` is the latch: one line, with a checksum, replaced as a whole. `switch.jsonl` is the record:
one line for each change, appended before the latch is replaced, each holding the digest of the line before it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec

from everytick.errors import Refused, Retryable
from everytick.model.units import ms_from_ns
from everytick.ports import Clock

T = TypeVar("T", bound=msgspec.Struct)

LATCH, RECORD, LOCK = "switch.json", "switch.jsonl", "switch.lock"
REASON_CHARACTERS_MAX = 500
# A latch is some 300 bytes and a record's line some 500; more is not ours.
BYTES_MAX = 8_192
_FLAGS = os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


class Trading(StrEnum):
    """`armed`: orders may go out. `halted`: none may."""

    ARMED = "armed"
    HALTED = "halted"


class SwitchState(msgspec.Struct, frozen=True):
    """The state, who set it when and why, and how many changes there have been (0: as the setting says)."""

    trading: Trading
    reason: str
    who: str
    ts_ms: int
    number: int

    @property
    def is_armed(self) -> bool:
        """Whether orders may go out."""
        return self.trading is Trading.ARMED


class _Latch(msgspec.Struct, frozen=True):
    state: SwitchState
    check: str


class _Entry(msgspec.Struct, frozen=True):
    state: SwitchState
    before: Trading
    previous: str  # the digest of the line before


_encode = msgspec.json.Encoder(order="deterministic").encode


def initial(is_enabled: bool) -> SwitchState:
    """The state of a switch that nobody has touched."""
    trading = Trading.ARMED if is_enabled else Trading.HALTED
    return SwitchState(trading, f"trading.enabled is {str(is_enabled).lower()}", "settings", 0, 0)


def unreadable(why: str) -> SwitchState:
    """What a latch that cannot be trusted means."""
    return SwitchState(Trading.HALTED, f"the latch cannot be trusted: {why}", "everytick", 0, -1)


def checked(reason: str) -> str:
    """The reason on one line. Raises Refused for an empty or endless one."""
    reason = " ".join(reason.split())
    if not reason or len(reason) > REASON_CHARACTERS_MAX:
        raise Refused(
            f"a reason of 1 to {REASON_CHARACTERS_MAX} characters is wanted",
            path="reason",
            value=reason[:40],
            suggestion="say why, for whoever reads the record later",
        )
    return reason


def read(folder: Path, *, is_enabled: bool) -> SwitchState:
    """The state now, from the latch; halted if there is any doubt. Needs no running process and never raises."""
    try:
        data = _read(folder / LATCH)
    except FileNotFoundError:
        # A record without a latch: somebody took the latch away.
        return unreadable("it is gone and its record is not") if (folder / RECORD).exists() else initial(is_enabled)
    except OSError as error:
        return unreadable(error.strerror or type(error).__name__)
    latch = _decoded(data, _Latch)
    if latch is None:
        return unreadable(f"{LATCH} is damaged")
    if latch.check != _digest(_encode(latch.state)):
        return unreadable(f"{LATCH} fails its check")
    return latch.state


def change(folder: Path, clock: Clock, to: Trading, reason: str, who: str, *, is_enabled: bool) -> SwitchState:
    """Set the switch, durably: the record first, then the latch. Setting what is set already is a change as well.

    Raises Refused for an empty or endless reason, Retryable when another change is under way or the disk refuses.
    """
    reason = checked(reason)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(folder):
            before = read(folder, is_enabled=is_enabled)
            last = _last_line(folder)
            number = max(before.number, _number(last)) + 1
            state = SwitchState(to, reason, who, ms_from_ns(clock.wall_ns()), number)
            _append(folder, _encode(_Entry(state, before.trading, _digest(last))) + b"\n")
            _replace(folder, _encode(_Latch(state, _digest(_encode(state)))) + b"\n")
    except OSError as error:
        raise Retryable(f"the switch in {folder} could not be set: {error.strerror}") from error
    return state


def history(folder: Path, limit: int) -> list[SwitchState]:
    """The newest changes, newest first; lines that cannot be read are left out."""
    try:
        data = (folder / RECORD).read_bytes()
    except OSError:
        return []
    entries = (_decoded(line, _Entry) for line in reversed(data.splitlines()[-limit:]))
    return [entry.state for entry in entries if entry is not None]


def is_record_whole(folder: Path) -> bool:
    """Whether every line of the record holds the digest of the one before it: nothing was changed or taken out."""
    previous = b""
    try:
        lines = (folder / RECORD).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return True
    for line in lines:
        entry = _decoded(line, _Entry)
        if entry is None or entry.previous != _digest(previous):
            return False
        previous = line
    return True


def _decoded(data: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        return os.read(descriptor, BYTES_MAX)
    finally:
        os.close(descriptor)


def _number(line: bytes) -> int:
    entry = _decoded(line, _Entry)
    return entry.state.number if entry is not None else 0


def _last_line(folder: Path) -> bytes:
    """The record's last whole line; a torn one, left by a crash, is ended so that the next stands on its own."""
    try:
        descriptor = os.open(folder / RECORD, os.O_RDWR | _FLAGS)
    except FileNotFoundError:
        return b""
    try:
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, BYTES_MAX, max(size - BYTES_MAX, 0))
        if tail and not tail.endswith(b"\n"):
            os.pwrite(descriptor, b"\n", size)
            tail += b"\n"
        lines = tail.splitlines(keepends=True)
        return lines[-1] if lines else b""
    finally:
        os.close(descriptor)


def _append(folder: Path, line: bytes) -> None:
    descriptor = os.open(folder / RECORD, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _FLAGS, 0o600)
    try:
        _write(descriptor, line)
    finally:
        os.close(descriptor)


def _replace(folder: Path, data: bytes) -> None:
    fresh = folder / f"{LATCH}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
    try:
        _write(descriptor, data)
    finally:
        os.close(descriptor)
    os.replace(fresh, folder / LATCH)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # a change is two small writes: whoever has it lets go at once
        yield
    finally:
        os.close(descriptor)
