"""What `doctor` looks at. Each check gives findings and never raises: a machine in trouble is what it is for."""

from __future__ import annotations

import asyncio
import errno
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import apsw
import msgspec

from everytick.config import Examined, Settings, is_server, store_address, store_path, tape_folder
from everytick.errors import EverytickError, Refused, Retryable
from everytick.host.disk import FolderDisk
from everytick.host.http import HostHttp
from everytick.host.websocket import HostSockets
from everytick.model.units import NS_PER_MS, NS_PER_S, NS_PER_US
from everytick.ports import Clock, Disk, File
from everytick.stores.open import open_reader
from everytick.tape.verify import verify
from everytick.tape.writer import LOCK_NAME

PYTHON_MIN, PYTHON_END = (3, 11), (3, 15)
# Before 3.51.3 a reset of the write-ahead log could corrupt a database. https://sqlite.org/changes.html (2026-11)
SQLITE_MIN = (3, 51, 3)

MIB = 1 << 20
ROOM_FAIL_BYTES = 500 * MIB  # a few hours of a busy venue
ROOM_WARN_BYTES = 5_000 * MIB

SYNC_ROUNDS = 100  # p99 is then the second worst; about a second on a slow disk
SYNC_BYTES = 4_096
SYNC_SECONDS_MAX = 5  # give up measuring a disk in trouble
SYNC_SLOW_NS = 50 * NS_PER_MS  # receipt to durable would be felt
SYNC_UNREAL_NS = 8 * NS_PER_US  # no medium answers so fast: memory, or a layer that does not wait

CLOCK_WATCH_S = 0.2
CLOCK_DRIFT_NS_MAX = 2 * NS_PER_MS  # over that short a time only a step of the wall clock does this
WALL_MIN_NS = 1_767_225_600 * NS_PER_S  # 2026-01-01: this program did not exist before

VERIFY_BYTES_MAX = 1_024 * MIB  # checked within seconds; more is for `everytick verify`
ONLINE_TIMEOUT_S = 10.0


class Finding(msgspec.Struct, frozen=True):
    """One line of the answer. `action` says what to do, empty when nothing is to be done."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    found: str
    action: str = ""


def python() -> Finding:
    """The interpreter's version."""
    found = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}"
    if PYTHON_MIN <= sys.version_info[:2] < PYTHON_END:
        return Finding("python", "ok", found)
    return Finding("python", "fail", found, "use Python 3.11 to 3.14")


def sqlite() -> Finding:
    """The SQLite that the store uses, which comes with apsw and not from the system."""
    version = apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")) >= SQLITE_MIN:
        return Finding("sqlite", "ok", version)
    return Finding("sqlite", "fail", version, "install apsw 3.54 or newer: this SQLite can corrupt its log")


def settings(examined: Examined) -> list[Finding]:
    """Every fault in the settings."""
    if not examined.faults:
        return [Finding("settings", "ok", examined.source or "defaults and environment")]
    return [Finding("settings", "fail", str(fault), "see everytick config schema") for fault in examined.faults]


def folder(values: Settings, clock: Clock) -> list[Finding]:
    """Whether the data folder can be written, its free room, and how long its disk takes to confirm a write."""
    wanted = Path(values.data.dir)
    here = _existing(wanted)
    if here == wanted and not here.is_dir():
        return [Finding("folder", "fail", f"{wanted} is not a folder", "set data.dir to a folder")]
    try:
        room = shutil.disk_usage(here).free
        times_ns = _sync_times(FolderDisk(here), clock)
    except OSError as error:
        found = f"cannot write in {here}: {error.strerror}"
        return [Finding("folder", "fail", found, "set data.dir to a folder that this user may write")]
    where = str(wanted) if here == wanted else f"{wanted} (made on first use)"
    return [Finding("folder", "ok", where), _room(room), _sync(times_ns)]


def _room(free_bytes: int) -> Finding:
    found = f"{free_bytes // MIB:,} MiB free"
    if free_bytes < ROOM_FAIL_BYTES:
        return Finding("room", "fail", found, "make room, or set data.dir to a larger disk")
    if free_bytes < ROOM_WARN_BYTES:
        return Finding("room", "warn", found, "make room before it is used up: a full disk stops the recording")
    return Finding("room", "ok", found)


def _sync(times_ns: list[int]) -> Finding:
    ordered = sorted(times_ns)
    p50, p99 = ordered[len(ordered) // 2], ordered[max(0, len(ordered) * 99 // 100 - 1)]
    found = f"a write is confirmed in {p50 / NS_PER_MS:.3f} ms (p50), {p99 / NS_PER_MS:.3f} ms (p99)"
    if p50 < SYNC_UNREAL_NS:
        return Finding("sync", "warn", found, "this is memory, or a layer that does not wait: use a real disk")
    if p99 > SYNC_SLOW_NS:
        return Finding("sync", "warn", found, "frames become durable that late: use a faster or less busy disk")
    return Finding("sync", "ok", found)


def _sync_times(disk: Disk, clock: Clock) -> list[int]:
    """Nanoseconds of one small append and its sync, again and again, in a file that is removed."""
    name = f"everytick-doctor-{os.getpid()}.tmp"
    file = disk.create(name)
    try:
        return list(_timed(file, clock))
    finally:
        file.close()
        disk.remove(name)


def _timed(file: File, clock: Clock) -> Iterator[int]:
    began_ns = clock.mono_ns()
    for _ in range(SYNC_ROUNDS):
        before_ns = clock.mono_ns()
        file.write(b"\0" * SYNC_BYTES)
        file.datasync()
        after_ns = clock.mono_ns()
        yield after_ns - before_ns
        if after_ns - began_ns > SYNC_SECONDS_MAX * NS_PER_S:
            return


async def clocks(clock: Clock) -> Finding:
    """Whether the wall clock goes as fast as the monotonic one, and shows a possible date."""
    wall_ns, mono_ns = clock.wall_ns(), clock.mono_ns()
    await clock.sleep(CLOCK_WATCH_S)
    drift_ns = (clock.wall_ns() - wall_ns) - (clock.mono_ns() - mono_ns)
    found = f"wall and monotonic differ by {abs(drift_ns) // NS_PER_US:,} us in {CLOCK_WATCH_S} s"
    if wall_ns < WALL_MIN_NS:
        return Finding("clock", "fail", "the date lies before 2026", "set the clock, and keep it by NTP")
    if abs(drift_ns) > CLOCK_DRIFT_NS_MAX:
        return Finding("clock", "warn", found, "the clock is being stepped: let NTP slew it")
    return Finding("clock", "ok", found)


async def port(values: Settings) -> Finding:
    """Whether the API's port can be listened on."""
    host, number = values.serve.host, values.serve.port
    try:
        server = await asyncio.start_server(lambda _r, _w: None, host, number)
    except OSError as error:
        recorder = _recorder(values) if error.errno == errno.EADDRINUSE else ""
        if recorder:
            return Finding("port", "ok", f"{host}:{number} is taken while {recorder} records into this data folder")
        found = f"cannot listen on {host}:{number}: {os.strerror(error.errno) if error.errno else error}"
        return Finding("port", "fail", found, "stop what listens there, or set serve.host and serve.port")
    server.close()
    return Finding("port", "ok", f"{host}:{number} is free")


def _recorder(values: Settings) -> str:
    """Who writes the tape now; empty if nobody does."""
    where = tape_folder(values)
    if not (where / LOCK_NAME).exists():
        return ""
    try:
        FolderDisk(where).lock(LOCK_NAME, "everytick doctor").release()
    except Refused as taken:
        return str(taken.value)
    except OSError:
        return ""
    return ""


def store(values: Settings) -> Finding:
    """Whether the store, if there is one, opens and reads."""
    if is_server(values):
        return _server(values)
    path = store_path(values)
    if not path.exists():
        return Finding("store", "ok", f"{path} is not there yet: made on first use")
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").get
        finally:
            connection.close()
    except apsw.Error as error:
        action = "everytick rebuild makes it again from the tape"
        return Finding("store", "fail", f"{path} does not open: {error}", action)
    return Finding("store", "ok", f"{path}, {tables} tables")


def _server(values: Settings) -> Finding:
    where = values.store.url.shown()
    try:
        reader = open_reader(store_address(values))
        try:
            found = f"{where}, applied up to offset {reader.checkpoint():,}"
        finally:
            reader.close()
    except EverytickError as error:
        action = "recording does not wait for it; the store catches up when it can be used"
        return Finding("store", "warn" if isinstance(error, Retryable) else "fail", str(error), action)
    return Finding("store", "ok", found)


def tape(values: Settings) -> Finding:
    """Whether the tape, if there is one, is intact. A large one is left to `everytick verify`."""
    where = tape_folder(values)
    if not where.is_dir():
        return Finding("tape", "ok", f"{where} is not there yet: made on first use")
    try:
        disk = FolderDisk(where)
        size = sum(disk.size(name) for name in disk.names())
        if size > VERIFY_BYTES_MAX:
            return Finding("tape", "ok", f"{where}, {size // MIB:,} MiB, not read", "everytick verify reads all of it")
        report = verify(disk)
    except OSError as error:
        return Finding("tape", "fail", f"cannot read {where}: {error.strerror}", "check its owner and the disk")
    except EverytickError as error:
        return Finding("tape", "fail", f"{where}: {error}", "everytick verify tells more")
    found = f"{where}: {report.frames:,} frames in {report.segments} segments, {len(report.damage)} damaged places"
    if not report.is_intact:
        return Finding("tape", "warn", found, "everytick verify names each; a recorder that is running may be one")
    return Finding("tape", "ok", found)


async def online(values: Settings) -> list[Finding]:
    """Whether the venue answers, over HTTP and WebSocket. One small request and one handshake."""
    venue = values.venues.hyperliquid
    if not venue.enabled:
        return []
    return [await _http(venue.http_url), await _websocket(venue.ws_url)]


async def _http(url: str) -> Finding:
    http = HostHttp()
    try:
        answer = await http.ask(
            "POST",
            f"{url}/info",
            b'{"type":"exchangeStatus"}',
            {"Content-Type": "application/json"},
            timeout_s=ONLINE_TIMEOUT_S,
            body_bytes_max=MIB,
        )
    except EverytickError as error:
        return Finding("hyperliquid http", "fail", f"{url}: {error}", "check the network and the address")
    finally:
        await http.close()
    verdict: Literal["ok", "warn"] = "ok" if answer.status < 500 else "warn"
    return Finding("hyperliquid http", verdict, f"{url} answers {answer.status}")


async def _websocket(url: str) -> Finding:
    try:
        socket = await HostSockets().connect(
            url, lambda _message: None, message_bytes_max=MIB, timeout_s=ONLINE_TIMEOUT_S
        )
    except EverytickError as error:
        return Finding("hyperliquid ws", "fail", f"{url}: {error}", "check the network and the address")
    socket.close()
    await socket.closed()
    return Finding("hyperliquid ws", "ok", f"{url} is open")


def _existing(path: Path) -> Path:
    """The nearest folder above that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())
