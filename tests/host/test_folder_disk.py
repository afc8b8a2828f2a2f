"""The real disk: what it makes, what it refuses, and a tape on it when it is full."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from everytick.errors import Refused
from everytick.host.clock import HostClock
from everytick.host.disk import AppendedFile, FolderDisk
from everytick.host.ids import HostIds
from everytick.model.frame import FrameKind
from everytick.tape.reader import TapeReader
from everytick.tape.settings import TapeSettings
from everytick.tape.trouble import DiskFull
from everytick.tape.verify import verify
from everytick.tape.writer import TapeWriter


def new_writer(folder: Path, **settings: int) -> TapeWriter:
    return TapeWriter(FolderDisk(folder), HostClock(), HostIds(), TapeSettings(**settings), "test recorder")


def test_folders_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path / "a" / "tape")
    disk.create("x").close()
    disk.lock("LOCK", "me").release()
    assert stat.S_IMODE((tmp_path / "a" / "tape").stat().st_mode) == 0o700
    for name in ("x", "LOCK"):
        assert stat.S_IMODE((tmp_path / "a" / "tape" / name).stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_made_is_refused_with_the_setting_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=r"file/tape: the folder cannot be made: Not a directory \(set data\.dir"):
        FolderDisk(tmp_path / "file" / "tape")


def test_a_folder_that_may_not_be_written_is_refused_at_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FolderDisk(tmp_path)

    def forbidden(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(Refused, match="cannot be written: Read-only file system"):
        disk.lock("LOCK", "me")


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path / "tape")
    (tmp_path / "secret").write_text("s")
    os.symlink(tmp_path / "secret", tmp_path / "tape" / "link")
    for name in ("../secret", "/etc/passwd", "", ".", "..", "link"):
        with pytest.raises(OSError):
            disk.read(name, 0, 10)
        with pytest.raises(OSError):
            disk.create(name)
    assert disk.names() == []


def test_a_lock_is_refused_with_the_holder_named_and_freed_by_death(tmp_path: Path) -> None:
    program = (
        "import sys; from everytick.host.disk import FolderDisk;"
        "lock = FolderDisk(sys.argv[1]).lock('LOCK', 'recorder, process 4711'); print('held', flush=True);"
        "sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        disk = FolderDisk(tmp_path)
        with pytest.raises(Refused, match="in use by recorder, process 4711") as refused:
            disk.lock("LOCK", "me")
        assert refused.value.path == str(tmp_path / "LOCK")
        with pytest.raises(Refused, match="4711"):
            new_writer(tmp_path).open()
    finally:
        holder.kill()
        holder.communicate()
    lock = disk.lock("LOCK", "x")
    with pytest.raises(Refused, match="in use by x"):
        FolderDisk(tmp_path).lock("LOCK", "second in this process")
    lock.release()
    lock.release()
    disk.lock("LOCK", "y").release()


def test_a_device_without_room_says_so() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    file = AppendedFile(os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(OSError) as error:
        file.write(b"x")
    assert error.value.errno == errno.ENOSPC
    file.close()
    file.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command here; the simulated disk has the same test")
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here ({mounted.stderr.strip()}); the simulated disk has the same test")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_on_a_full_disk_recording_stops_with_one_sentence_and_resumes_when_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(120_000))
    folder = small_disk / "tape"
    writer = new_writer(folder, segment_bytes_max=30_000, tail_bytes_max=0)
    writer.open()
    source = writer.connect("v", "ws", b"")
    sentences: set[str] = set()
    for _ in range(60):
        for _ in range(5):
            writer.append(source, FrameKind.MESSAGE, os.urandom(700))
        try:
            writer.commit()
        except DiskFull as error:
            sentences.add(str(error).split(";")[0])
            assert verify(FolderDisk(folder)).is_intact
    assert len(sentences) == 1
    assert sentences.pop().startswith("the disk is full: no room for the tape at ")
    reader = TapeReader(FolderDisk(folder))
    assert [f.offset for f in reader.read(0, 10_000, writer.watermark)] == list(range(writer.watermark))
    assert 0 < writer.watermark < writer.next_offset
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    ballast.unlink()
    writer.close()
    assert writer.watermark == writer.next_offset == 301
    frames = reader.read(0, 10_000, writer.watermark)
    assert [frame.offset for frame in frames] == list(range(301))
    report = verify(FolderDisk(folder))
    assert report.is_intact
    assert report.frames == 301


def test_a_restart_on_a_full_disk_is_refused_in_the_same_words_and_nothing_is_lost(small_disk: Path) -> None:
    writer = new_writer(small_disk / "tape")
    writer.open()
    source = writer.connect("v", "ws", b"")
    writer.append(source, FrameKind.MESSAGE, os.urandom(9_000))
    writer.close()
    with open(small_disk / "ballast", "wb", buffering=0) as ballast:
        while True:
            try:
                ballast.write(bytes(4096))
            except OSError:
                break
    with pytest.raises(DiskFull, match="the disk is full"):
        new_writer(small_disk / "tape").open()
    assert verify(FolderDisk(small_disk / "tape")).is_intact
    (small_disk / "ballast").unlink()
    again = new_writer(small_disk / "tape")
    assert again.open().next_offset == 2
    again.close()


def test_a_tape_on_a_real_folder_survives_restarts(tmp_path: Path) -> None:
    for life in range(4):
        writer = new_writer(tmp_path, segment_bytes_max=5_000)
        assert writer.open().next_offset == life * 51
        source = writer.connect("v", "ws", b"")
        for number in range(50):
            writer.append(source, FrameKind.MESSAGE, b'{"n":%d}' % number * 20)
            if number % 7 == 0:
                writer.commit()
        writer.close()
    assert [f.offset for f in TapeReader(FolderDisk(tmp_path)).read(0, 1_000, 204)] == list(range(204))
    assert verify(FolderDisk(tmp_path)).is_intact
