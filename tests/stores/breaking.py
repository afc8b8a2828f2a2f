"""A file layer for SQLite that fails at a chosen operation, as a dying disk would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

NAME = "breaking"


class Fuse:
    """Counts writes and syncs, and raises `result` at the one numbered `fail_at` (0: never), once."""

    def __init__(self) -> None:
        self.count = 0
        self.fail_at = 0
        self.result = apsw.SQLITE_IOERR
        self.is_blown = False

    def set(self, fail_at: int, result: int) -> None:
        self.count, self.fail_at, self.result, self.is_blown = 0, fail_at, result, False

    def burn(self) -> None:
        self.count += 1
        if self.count == self.fail_at:
            self.is_blown = True
            raise apsw.exception_for(self.result)


@contextmanager
def breaking_disk() -> Iterator[Fuse]:
    """Registers the layer under NAME while the block runs."""
    fuse = Fuse()

    class File(apsw.VFSFile):
        def __init__(self, name: str, flags: list[int]) -> None:
            super().__init__("", name, flags)

        def xWrite(self, data: bytes, offset: int) -> None:
            fuse.burn()
            super().xWrite(data, offset)

        def xSync(self, flags: int) -> None:
            fuse.burn()
            super().xSync(flags)

    class Layer(apsw.VFS):
        def __init__(self) -> None:
            super().__init__(NAME, "")

        def xOpen(self, name: str, flags: list[int]) -> File:
            return File(name, flags)

    layer = Layer()
    try:
        yield fuse
    finally:
        layer.unregister()
