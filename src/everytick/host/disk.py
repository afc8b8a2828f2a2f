"""Files of one folder, as the tape needs them: appended, confirmed by the disk, locked by one owner."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from everytick.errors import Refused

_FOLDER_MODE = 0o700  # raw venue bytes and, later, orders: nobody else's business
_FILE_MODE = 0o600
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW
_OWNER_BYTES_MAX = 500
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

# macOS has no fdatasync, and its fsync stops at the drive's cache: F_FULLFSYNC goes through it.
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)


def _confirm(descriptor: int) -> None:
    if _FULL_SYNC is not None:
        fcntl.fcntl(descriptor, _FULL_SYNC)
    else:
        os.fdatasync(descriptor)


def _unusable(folder: Path, problem: str, error: OSError) -> Refused:
    return Refused(
        f"the folder {problem}: {error.strerror}",
        path=str(folder),
        value=str(folder),
        suggestion="set data.dir to a folder that this user may write",
    )


class AppendedFile:
    """A file open for appending (see ports.File)."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes | memoryview) -> int:
        """Append; returns how many bytes the system took."""
        return os.write(self._descriptor, data)

    def datasync(self) -> None:
        """Wait until the disk has confirmed every byte and the length."""
        _confirm(self._descriptor)

    def close(self) -> None:
        """Let go; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class FileLock:
    """A lock held through an open file: it goes when the process goes, however it goes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; the file stays, so that two processes never lock two different files of one name."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class FolderDisk:
    """One folder (see ports.Disk). Makes the folder if it is not there, for its owner only.

    Raises Refused when it can neither be found nor made.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        if not self._folder.is_dir():
            try:
                self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            except OSError as error:
                raise _unusable(self._folder, "cannot be made", error) from error

    def _path(self, name: str) -> str:
        if not name or "/" in name or "\0" in name or name in {".", ".."}:
            raise OSError(errno.EINVAL, "a file name without slashes is wanted", name)
        return os.path.join(self._folder, name)

    def names(self) -> list[str]:
        """Every file's name, sorted."""
        with os.scandir(self._folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))

    def size(self, name: str) -> int:
        """Length in bytes."""
        return os.stat(self._path(name), follow_symlinks=False).st_size

    def read(self, name: str, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`; fewer only at the end of the file."""
        descriptor = os.open(self._path(name), os.O_RDONLY | _FLAGS)
        try:
            data = os.pread(descriptor, length, start)
            while 0 < len(data) < length:
                # One call hands out at most about 2 GiB, and a signal may cut it short.
                more = os.pread(descriptor, length - len(data), start + len(data))
                if not more:
                    break
                data += more
            return data
        finally:
            os.close(descriptor)

    def create(self, name: str) -> AppendedFile:
        """A new empty file. FileExistsError if it is there already."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | _FLAGS
        return AppendedFile(os.open(self._path(name), flags, _FILE_MODE))

    def append(self, name: str) -> AppendedFile:
        """An existing file, open at its end."""
        return AppendedFile(os.open(self._path(name), os.O_WRONLY | os.O_APPEND | _FLAGS))

    def truncate(self, name: str, length: int) -> None:
        """Cut to `length` bytes and wait for the disk."""
        descriptor = os.open(self._path(name), os.O_WRONLY | _FLAGS)
        try:
            os.ftruncate(descriptor, length)
            _confirm(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, name: str) -> None:
        """Remove and wait for the disk."""
        os.unlink(self._path(name))
        self.sync_folder()

    def sync_folder(self) -> None:
        """Wait until created and removed names are durable."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def publish(self, name: str, data: bytes) -> None:
        """Overwrite the start of the file in one call, so that a reader sees the old bytes or the new ones."""
        descriptor = os.open(self._path(name), os.O_WRONLY | os.O_CREAT | _FLAGS, _FILE_MODE)
        try:
            os.pwrite(descriptor, data, 0)
        finally:
            os.close(descriptor)

    def lock(self, name: str, owner: str) -> FileLock:
        """Take the lock and write `owner` into it. Raises Refused, naming the holder, if it is taken."""
        path = self._path(name)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, _FILE_MODE)
        except OSError as error:
            if error.errno in _FORBIDDEN:
                raise _unusable(self._folder, "cannot be written", error) from error
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, _OWNER_BYTES_MAX, 0).decode(errors="replace").strip() or "an unnamed process"
            os.close(descriptor)
            raise Refused(
                f"in use by {holder}",
                path=path,
                value=holder,
                suggestion="stop that process, or give this one a folder of its own",
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, owner.encode()[:_OWNER_BYTES_MAX], 0)
        return FileLock(descriptor)
