"""A disk that forgets what was not confirmed, the way real ones do, decided by a seed.

What a program sees (the cache) and what would survive a power cut (the platter) are kept apart. A power cut
keeps, loses, tears at 512 bytes or reorders every write that was not confirmed, and keeps or loses every
name. A failed datasync throws the unconfirmed writes away and calls them clean.
"""

from __future__ import annotations

import errno
import random
from dataclasses import dataclass, field

from everytick.errors import Refused

SECTOR_BYTES = 512


class PowerCut(Exception):
    """The power goes in the middle of an operation. Not an OSError: no program can catch its own end."""


@dataclass
class _Inode:
    cache: bytearray = field(default_factory=bytearray)
    platter: bytearray = field(default_factory=bytearray)
    unsynced: list[tuple[int, bytes]] = field(default_factory=list)  # (position, data), in order

    def settle(self, position: int, data: bytes) -> None:
        if len(self.platter) < position:
            self.platter.extend(bytes(position - len(self.platter)))
        self.platter[position : position + len(data)] = data


class SimDisk:
    """One folder (see ports.Disk). Everything that can be drawn is drawn from `seed`."""

    def __init__(self, seed: int, *, capacity_bytes: int | None = None, short_writes: bool = False) -> None:
        self._dice = random.Random(seed)
        self.capacity_bytes = capacity_bytes
        self.short_writes = short_writes
        self.datasyncs = 0
        self.life = 0  # handles and locks of an earlier life are dead
        self._names: dict[str, _Inode] = {}
        self._durable_names: dict[str, _Inode] = {}
        self._locks: dict[str, str] = {}
        self._steps_left = -1
        self._datasyncs_to_fail: set[int] = set()

    # --- faults, for tests ---

    def cut_power_after(self, steps: int) -> None:
        """Raise PowerCut in the middle of the operation that many from now."""
        self._steps_left = steps

    def fail_datasync(self, number: int) -> None:
        """The `number`-th datasync from now (1: the next) fails with EIO and loses what it should confirm."""
        self._datasyncs_to_fail.add(self.datasyncs + number)

    def heal(self) -> None:
        """No fault is due any more."""
        self._steps_left = -1
        self._datasyncs_to_fail.clear()

    @property
    def is_well(self) -> bool:
        """Whether it takes what it is given, as far as is planned."""
        return self.capacity_bytes is None and self._steps_left < 0 and not self._is_sync_due

    @property
    def _is_sync_due(self) -> bool:
        return any(number > self.datasyncs for number in self._datasyncs_to_fail)

    @property
    def used_bytes(self) -> int:
        """What all files hold together."""
        return sum(len(inode.cache) for inode in self._names.values())

    def kill(self) -> None:
        """The process dies, the machine does not: the cache stays, handles and locks go."""
        self.life += 1
        self._steps_left = -1
        self._datasyncs_to_fail.clear()
        self._locks.clear()

    def power_cut(self) -> None:
        """The machine dies: what was confirmed stays, the rest is decided by the dice."""
        self.kill()
        names = {*self._names, *self._durable_names}
        kept: dict[str, _Inode] = {}
        for name in sorted(names):
            live, durable = self._names.get(name), self._durable_names.get(name)
            inode = durable if live is durable or self._dice.random() < 0.5 else live
            if inode is not None:
                kept[name] = inode
        for inode in kept.values():
            self._decide(inode)
        self._names = dict(kept)
        self._durable_names = dict(kept)

    def _decide(self, inode: _Inode) -> None:
        """What the platter holds of the writes that were not confirmed."""
        unsynced = list(inode.unsynced)
        self._dice.shuffle(unsynced)
        for position, data in unsynced:
            fate = self._dice.choice(("kept", "lost", "torn", "torn", "grown"))
            if fate == "kept":
                inode.settle(position, data)
            elif fate == "torn":
                self._tear(inode, position, data)
            elif fate == "grown":
                # The length came, the bytes did not.
                inode.settle(position + len(data), b"")
        inode.unsynced.clear()
        inode.cache = bytearray(inode.platter)

    def _tear(self, inode: _Inode, position: int, data: bytes) -> None:
        at = 0
        while at < len(data):
            step = min(SECTOR_BYTES - (position + at) % SECTOR_BYTES, len(data) - at)
            if self._dice.random() < 0.5:
                inode.settle(position + at, data[at : at + step])
            at += step

    def flip_bit(self, name: str, bit: int) -> None:
        """Bit rot: one bit of what is on the platter and in the cache is the other way round."""
        for data in (self._names[name].cache, self._names[name].platter):
            if bit // 8 < len(data):
                data[bit // 8] ^= 1 << (bit % 8)

    def place(self, name: str, data: bytes) -> None:
        """Put a file there, durably, as if someone had copied it."""
        self._names[name] = self._durable_names[name] = _Inode(bytearray(data), bytearray(data))

    # --- ports.Disk ---

    def step(self) -> bool:
        """Count one operation; True if the power goes in this one."""
        if self._steps_left < 0:
            return False
        self._steps_left -= 1
        return self._steps_left < 0

    def _inode(self, name: str) -> _Inode:
        try:
            return self._names[name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "no such file", name) from None

    def names(self) -> list[str]:
        """Every file's name, sorted."""
        return sorted(self._names)

    def size(self, name: str) -> int:
        """Length in bytes."""
        return len(self._inode(name).cache)

    def read(self, name: str, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`."""
        return bytes(memoryview(self._inode(name).cache)[start : start + length])

    def create(self, name: str) -> SimFile:
        """A new empty file, whose name is not durable yet."""
        if self.step():
            raise PowerCut
        if name in self._names:
            raise FileExistsError(errno.EEXIST, "file exists", name)
        inode = self._names[name] = _Inode()
        return SimFile(self, inode)

    def append(self, name: str) -> SimFile:
        """An existing file, open at its end."""
        return SimFile(self, self._inode(name))

    def truncate(self, name: str, length: int) -> None:
        """Cut and confirm."""
        inode = self._inode(name)
        is_cut = self.step()
        if is_cut and self._dice.random() < 0.5:
            raise PowerCut
        self.confirm(inode)
        del inode.cache[length:]
        del inode.platter[length:]
        if is_cut:
            raise PowerCut

    def remove(self, name: str) -> None:
        """Remove and confirm."""
        self._inode(name)
        is_cut = self.step()
        del self._names[name]
        if is_cut:
            raise PowerCut
        self.sync_folder()

    def sync_folder(self) -> None:
        """Confirm the names."""
        if self.step():
            raise PowerCut
        self._durable_names = dict(self._names)

    def publish(self, name: str, data: bytes) -> None:
        """Overwrite the start of the file; a power cut may bring back any of its earlier contents, or none."""
        inode = self._names.setdefault(name, _Inode())
        inode.cache[: len(data)] = data
        inode.unsynced = [*inode.unsynced[-2:], (0, bytes(data))]

    def lock(self, name: str, owner: str) -> SimLock:
        """Take the lock. Raises Refused, naming the holder, if it is taken."""
        if name in self._locks:
            holder = self._locks[name]
            raise Refused(f"in use by {holder}", path=name, value=holder, suggestion="stop that process")
        self._locks[name] = owner
        return SimLock(self, name)

    def unlock(self, name: str, life: int) -> None:
        """Release, unless the holder is of an earlier life."""
        if life == self.life:
            self._locks.pop(name, None)

    # --- what SimFile asks ---

    def room(self, wanted: int) -> int:
        """How many of `wanted` bytes fit now."""
        if self.short_writes and wanted > 1 and self._dice.random() < 0.5:
            wanted = self._dice.randint(1, wanted - 1)
        if self.capacity_bytes is None:
            return wanted
        return max(0, min(wanted, self.capacity_bytes - self.used_bytes))

    def confirm(self, inode: _Inode) -> None:
        """Bring the unconfirmed writes to the platter."""
        for position, data in inode.unsynced:
            inode.settle(position, data)
        inode.unsynced.clear()

    def datasync(self, inode: _Inode) -> None:
        """Confirm the file's bytes and length; its name is another matter."""
        self.datasyncs += 1
        if self.step():
            raise PowerCut
        if self.datasyncs in self._datasyncs_to_fail:
            for position, data in inode.unsynced:
                self._tear(inode, position, data)
            inode.unsynced.clear()
            raise OSError(errno.EIO, "input/output error")
        self.confirm(inode)


class SimFile:
    """A file open for appending (see ports.File)."""

    def __init__(self, disk: SimDisk, inode: _Inode) -> None:
        self._disk = disk
        self._inode = inode
        self._life = disk.life
        self._is_open = True

    def _check(self) -> None:
        if not self._is_open or self._life != self._disk.life:
            raise OSError(errno.EBADF, "bad file descriptor")

    def write(self, data: bytes | memoryview) -> int:
        """Append what fits; ENOSPC only when nothing does."""
        self._check()
        is_cut = self._disk.step()
        taken = self._disk.room(len(data))
        if taken == 0 and len(data):
            raise OSError(errno.ENOSPC, "no space left on device")
        self._inode.unsynced.append((len(self._inode.cache), bytes(data[:taken])))
        self._inode.cache += data[:taken]
        if is_cut:
            raise PowerCut
        return taken

    def datasync(self) -> None:
        """Confirm, or fail for good."""
        self._check()
        self._disk.datasync(self._inode)

    def close(self) -> None:
        """Let go; a second call does nothing."""
        self._is_open = False


class SimLock:
    """A lock that goes with its process."""

    def __init__(self, disk: SimDisk, name: str) -> None:
        self._disk = disk
        self._name = name
        self._life = disk.life

    def release(self) -> None:
        """Let go."""
        self._disk.unlock(self._name, self._life)
