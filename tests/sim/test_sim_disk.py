"""The simulated disk: one contract with the real one, and faults that bite."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from everytick.errors import Refused
from everytick.host.disk import FolderDisk
from everytick.ports import Disk
from everytick.sim.disk import PowerCut, SimDisk, SimFile

MAKERS: dict[str, Callable[[Path], Disk]] = {"sim": lambda _: SimDisk(1), "host": FolderDisk}


@pytest.fixture(params=MAKERS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return MAKERS[request.param](tmp_path)


def test_what_is_appended_is_read_back(disk: Disk) -> None:
    file = disk.create("b")
    assert file.write(b"hello ") == 6
    assert file.write(memoryview(b"world")) == 5
    file.datasync()
    file.close()
    file.close()
    more = disk.append("b")
    more.write(b"!")
    more.close()
    disk.create("a").close()
    disk.sync_folder()
    assert disk.names() == ["a", "b"]
    assert disk.size("b") == 12
    assert (disk.read("b", 0, 5), disk.read("b", 6, 100), disk.read("b", 12, 5)) == (b"hello", b"world!", b"")


def test_names_are_taken_once_and_missing_ones_are_missing(disk: Disk) -> None:
    disk.create("a").close()
    with pytest.raises(FileExistsError):
        disk.create("a")
    for ask in (disk.size, disk.append, disk.remove, lambda name: disk.read(name, 0, 1), lambda n: disk.truncate(n, 0)):
        with pytest.raises(FileNotFoundError):
            ask("b")


def test_files_are_cut_and_removed_and_go_on_at_their_new_end(disk: Disk) -> None:
    file = disk.create("a")
    file.write(b"0123456789")
    disk.truncate("a", 4)
    file.write(b"xy")
    file.close()
    assert disk.read("a", 0, 99) == b"0123xy"
    disk.remove("a")
    assert disk.names() == []


def test_one_holder_at_a_time(disk: Disk) -> None:
    lock = disk.lock("LOCK", "first")
    with pytest.raises(Refused, match="in use by first"):
        disk.lock("LOCK", "second")
    lock.release()
    disk.lock("LOCK", "second").release()


def written(seed: int, *, sync: bool, folder: bool, length: int = 5_000) -> SimDisk:
    disk = SimDisk(seed)
    file = disk.create("a")
    file.write(bytes([7]) * length)
    file.write(bytes([8]) * length)
    if sync:
        file.datasync()
    if folder:
        disk.sync_folder()
    disk.power_cut()
    return disk


def test_what_was_confirmed_survives_every_cut() -> None:
    for seed in range(100):
        assert written(seed, sync=True, folder=True).read("a", 0, 10_000) == bytes([7]) * 5_000 + bytes([8]) * 5_000


def test_what_was_not_confirmed_is_kept_lost_torn_and_reordered() -> None:
    ends = [written(seed, sync=False, folder=True).read("a", 0, 10_000) for seed in range(300)]
    assert any(data == bytes([7]) * 5_000 + bytes([8]) * 5_000 for data in ends), "kept"
    assert any(data == b"" for data in ends), "lost"
    assert any(len(data) > 0 and data.count(0) % 512 for data in ends), "torn, at the writes' own edges too"
    assert any(set(data[:5_000]) == {0} and data[5_000:] == bytes([8]) * 5_000 for data in ends), "reordered"


def test_a_name_needs_its_folder_synced() -> None:
    there = [written(seed, sync=True, folder=False).names() for seed in range(50)]
    assert [] in there
    assert ["a"] in there


def test_a_failed_datasync_loses_the_bytes_and_calls_them_clean() -> None:
    lost = 0
    for seed in range(50):
        disk = SimDisk(seed)
        file = disk.create("a")
        disk.sync_folder()
        file.write(b"x" * 2_000)
        disk.fail_datasync(1)
        with pytest.raises(OSError) as error:
            file.datasync()
        assert error.value.errno == errno.EIO
        file.datasync()
        assert disk.read("a", 0, 2_000) == b"x" * 2_000
        disk.power_cut()
        lost += disk.read("a", 0, 2_000) != b"x" * 2_000
    assert lost > 30


def test_a_full_disk_writes_short_first() -> None:
    disk = SimDisk(1, capacity_bytes=10)
    file = disk.create("a")
    assert file.write(b"x" * 8) == 8
    assert file.write(b"x" * 8) == 2
    with pytest.raises(OSError) as error:
        file.write(b"x")
    assert error.value.errno == errno.ENOSPC
    disk.truncate("a", 3)
    assert file.write(b"x") == 1


def test_the_power_goes_at_any_operation_and_old_handles_are_dead() -> None:
    for steps in range(4):
        disk = SimDisk(steps)
        disk.cut_power_after(steps)
        files: list[SimFile] = []

        def work(disk: SimDisk = disk, files: list[SimFile] = files) -> None:
            files.append(disk.create("a"))
            files[0].write(b"x")
            files[0].datasync()
            disk.sync_folder()

        with pytest.raises(PowerCut):
            work()
        disk.power_cut()
        assert len(files) == min(steps, 1)
        for file in files:
            with pytest.raises(OSError):
                file.write(b"x")


def test_the_same_seed_is_the_same_disk() -> None:
    for seed in range(20):
        one, two = (written(seed, sync=False, folder=False) for _ in range(2))
        assert one.names() == two.names()
        assert [one.read(n, 0, 10_000) for n in one.names()] == [two.read(n, 0, 10_000) for n in two.names()]


def test_bit_rot_is_on_the_platter() -> None:
    disk = written(1, sync=True, folder=True)
    disk.flip_bit("a", 9)
    disk.power_cut()
    assert disk.read("a", 0, 2) == bytes([7, 5])
