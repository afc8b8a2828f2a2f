"""What each kind of fault does to a world. A strike says whether it met anything: only that counts as a fault."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

from everytick.model.units import NS_PER_S
from everytick.sim.clock import SimClock
from everytick.sim.disk import SimDisk
from everytick.sim.faults import Fault
from everytick.sim.inmemory import MemoryBinance
from everytick.sim.loop import SimLoop
from everytick.sim.network import Line, Place
from everytick.sim.store import Database

HTTP_KINDS: Final = ("server_error", "page", "refused", "hangs")
CLOSE_CODES: Final = (1000, 1001, 1006, 1008, 1011, 1012)
CLOCK_STEPS_S: Final = (-3_600, -120, -5, 5, 60, 3_600, 8 * 3_600)


class InjectedDeath(Exception):
    """A task dies because the plan says so."""


class World(Protocol):
    """What a fault may do to a world (see `sim.world.World`)."""

    loop: SimLoop
    clock: SimClock
    disk: SimDisk
    database: Database
    held: dict[str, int]
    deaths_due: list[str]
    is_rotten: bool

    def place(self, name: str) -> Place:
        """A venue on the network."""
        ...

    def die_after(self, steps: int, *, power: bool, down_s: float) -> None:
        """Die before the step of the program that many from now."""
        ...

    def die_in_io(self, operations: int, *, power: bool, down_s: float) -> None:
        """Die in the middle of the file operation that many from now."""
        ...

    async def stop(self, down_s: float) -> None:
        """Ask for a graceful end."""
        ...


def strike(world: World, fault: Fault) -> bool:
    """Do it; whether it met anything."""
    return STRIKES[fault.kind](world, fault)


def _until(world: World, fault: Fault) -> int:
    return world.loop.now_ns + int(fault.seconds * NS_PER_S)


def _lines(world: World, fault: Fault) -> list[Line]:
    return [line for line in world.place(fault.venue).lines.values() if line.is_open]


def _cut(world: World, fault: Fault) -> bool:
    lines = _lines(world, fault)
    for line in lines:
        line.cut("cut", 0, fault.dice)
    return bool(lines)


def _close(world: World, fault: Fault) -> bool:
    lines = _lines(world, fault)
    for line in lines:
        line.cut("closed", CLOSE_CODES[int(fault.dice * len(CLOSE_CODES))], 1.0)
    return bool(lines)


def _outage(world: World, fault: Fault) -> bool:
    world.place(fault.venue).weather.down_until_ns = _until(world, fault)
    _cut(world, fault)
    return True


def _half_open(world: World, fault: Fault) -> bool:
    lines = _lines(world, fault)
    for line in lines:
        line.is_mute = True
    return bool(lines)


def _mute(world: World, fault: Fault) -> bool:
    world.place(fault.venue).weather.mute_until_ns = _until(world, fault)
    return True


def _slow(world: World, fault: Fault) -> bool:
    weather = world.place(fault.venue).weather
    weather.slow_until_ns, weather.delay_ns = _until(world, fault), int(fault.dice * 10 * NS_PER_S)
    return True


def _twice(world: World, fault: Fault) -> bool:
    world.place(fault.venue).weather.twice_until_ns = _until(world, fault)
    return True


def _stall(world: World, fault: Fault) -> bool:
    hub = world.place(fault.venue).venue.hub
    keys = sorted(key for line in _lines(world, fault) for key in line.connection.subscriptions)
    if not keys:
        return False
    key = keys[int(fault.dice * len(keys))]
    hub.stall(key)
    world.loop.call_later(fault.seconds, hub.flow, key)
    return True


def _busy(world: World, fault: Fault) -> bool:
    weather = world.place(fault.venue).weather
    weather.busy_until_ns, weather.retry_after_s = _until(world, fault), int(fault.dice * 40)
    if fault.dice < 0.5:
        _cut(world, fault)
    return True


def _http(world: World, fault: Fault) -> bool:
    weather = world.place(fault.venue).weather
    weather.http_until_ns = _until(world, fault)
    weather.http_kind = HTTP_KINDS[int(fault.dice * len(HTTP_KINDS))]
    return True


def _kept_back(world: World, fault: Fault) -> bool:
    venue = world.place(fault.venue).venue
    if not isinstance(venue, MemoryBinance):
        return False
    venue.feed.keep_back += fault.count
    return True


def _hole(world: World, fault: Fault) -> bool:
    venue = world.place(fault.venue).venue
    if not isinstance(venue, MemoryBinance):
        return False
    venue.feed.leave_out += 1 + fault.count // 8
    return True


def _poison(world: World, fault: Fault) -> bool:
    dice = random.Random(int(fault.dice * 2**53))
    return world.place(fault.venue).venue.spoil(dice, knows_time=world.clock.step_ns == 0)


def _full(world: World, fault: Fault) -> bool:
    disk = world.disk
    disk.capacity_bytes = disk.used_bytes + int(fault.dice * 4_096)
    world.loop.call_later(fault.seconds, setattr, disk, "capacity_bytes", None)
    return True


def _sync_fails(world: World, fault: Fault) -> bool:
    world.disk.fail_datasync(1 + fault.count % 4)
    return True


def _short_writes(world: World, fault: Fault) -> bool:
    world.disk.short_writes = True
    world.loop.call_later(fault.seconds, setattr, world.disk, "short_writes", False)
    return True


def _rot(world: World, fault: Fault) -> bool:
    sizes = [(name, world.disk.size(name)) for name in world.disk.names() if name.endswith(".tape")]
    place = int(fault.dice * sum(size for _, size in sizes))
    for name, size in sizes:
        if place < size:
            world.disk.flip_bit(name, place * 8 + fault.count % 8)
            world.is_rotten = True
            return True
        place -= size
    return False


def _slow_disk(world: World, fault: Fault) -> bool:
    world.held["committer"] = _until(world, fault)
    return True


def _slow_store(world: World, fault: Fault) -> bool:
    world.held["projector"] = _until(world, fault)
    return True


def _store_away(world: World, fault: Fault) -> bool:
    world.database.away_until_ns = _until(world, fault)
    return True


def _commit_lost_before(world: World, fault: Fault) -> bool:
    world.database.due.append("before" if fault.dice < 0.5 else "during")
    return True


def _commit_lost_after(world: World, fault: Fault) -> bool:
    world.database.due.append("after")
    return True


def _power_cut(world: World, fault: Fault) -> bool:
    world.die_after(fault.count, power=True, down_s=fault.seconds)
    return True


def _kill(world: World, fault: Fault) -> bool:
    world.die_after(fault.count, power=False, down_s=fault.seconds)
    return True


def _power_cut_in_io(world: World, fault: Fault) -> bool:
    world.die_in_io(fault.count % 12, power=True, down_s=fault.seconds)
    return True


def _kill_in_io(world: World, fault: Fault) -> bool:
    world.die_in_io(fault.count % 12, power=False, down_s=fault.seconds)
    return True


def _crash_in_start(world: World, fault: Fault) -> bool:
    world.die_after(0, power=True, down_s=fault.seconds)
    # The first operations after the restart are recovery's.
    again = partial(world.die_in_io, fault.count % 6, power=fault.dice < 0.5, down_s=fault.seconds)
    world.loop.call_later(fault.seconds / 2, again)
    return True


def _stop(world: World, fault: Fault) -> bool:
    world.loop.create_task(world.stop(fault.seconds), name="asked to stop")
    return True


def _task_dies(world: World, fault: Fault) -> bool:
    names = [f"{fault.venue}/ws", "backfill", "heartbeat", f"{fault.venue}/info"]
    world.deaths_due.append(names[int(fault.dice * len(names))])
    return False  # counted when it happens


def _stand_still(world: World, fault: Fault) -> bool:
    world.loop.stand_still(fault.seconds)
    return True


def _clock_step(world: World, fault: Fault) -> bool:
    world.clock.step_ns += CLOCK_STEPS_S[int(fault.dice * len(CLOCK_STEPS_S))] * NS_PER_S
    return True


STRIKES: Final[Mapping[str, Callable[[World, Fault], bool]]] = MappingProxyType(
    {
        "cut": _cut,
        "close": _close,
        "outage": _outage,
        "half_open": _half_open,
        "mute": _mute,
        "slow": _slow,
        "twice": _twice,
        "stall": _stall,
        "busy": _busy,
        "http": _http,
        "kept_back": _kept_back,
        "hole": _hole,
        "poison": _poison,
        "full": _full,
        "sync_fails": _sync_fails,
        "short_writes": _short_writes,
        "rot": _rot,
        "slow_disk": _slow_disk,
        "store_away": _store_away,
        "commit_lost_before": _commit_lost_before,
        "commit_lost_after": _commit_lost_after,
        "slow_store": _slow_store,
        "power_cut": _power_cut,
        "power_cut_in_io": _power_cut_in_io,
        "kill_in_io": _kill_in_io,
        "kill": _kill,
        "stop": _stop,
        "crash_in_start": _crash_in_start,
        "task_dies": _task_dies,
        "stand_still": _stand_still,
        "clock_step": _clock_step,
    }
)
