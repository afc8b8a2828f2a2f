"""The stacks of all threads, in a file in the data folder: for a person who asks why nothing moves.

A dump holds files, lines and names of functions, and never a value. SIGUSR1 makes one whatever the process does,
since the system's own handler writes it without the interpreter's help.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

FILE = "stacks.txt"
# A dump is some 20 kB. Beyond this a new start begins the file anew.
BYTES_MAX = 4 << 20
# Enough to see where a thread stands, in a log line of bounded length.
FRAMES_TOLD = 4


class Stacks:
    """An open file for dumps. Opened before anything can go wrong, since a wedged process opens nothing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / FILE
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor = os.open(self.path, flags, 0o600)
        if os.fstat(self._descriptor).st_size > BYTES_MAX:
            os.truncate(self.path, 0)
        self._size = self._length()
        self._has_signal = False

    def dump_on_signal(self) -> None:
        """Let SIGUSR1 dump. Only from the main thread, where handlers may be set."""
        if hasattr(signal, "SIGUSR1"):
            faulthandler.register(signal.SIGUSR1, file=self._descriptor, all_threads=True)
            self._has_signal = True

    def dump(self, why: str) -> None:
        """Write all stacks now. A disk that takes nothing is no reason to fail: the log has the places as well."""
        try:
            os.write(self._descriptor, f"\n==== {why}\n".encode())
            faulthandler.dump_traceback(file=self._descriptor, all_threads=True)
        except OSError:
            return
        finally:
            self._size = self._length()

    def was_dumped_by_signal(self) -> bool:
        """Whether somebody else wrote into the file since the last look: the handler of SIGUSR1."""
        before, self._size = self._size, self._length()
        return self._size > before

    def close(self) -> None:
        """Let SIGUSR1 and the file go."""
        if self._has_signal:
            faulthandler.unregister(signal.SIGUSR1)
        os.close(self._descriptor)

    def _length(self) -> int:
        return os.fstat(self._descriptor).st_size


def modules_of(thread_id: int) -> Iterator[str]:
    """The modules of a thread's frames now, innermost first; none for a thread that is gone."""
    frame: FrameType | None = sys._current_frames().get(thread_id)
    while frame is not None:
        yield str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back


def places() -> str:
    """Where each thread stands, innermost first: `MainThread: sleep < work < run; ...`."""
    frames = sys._current_frames()
    told = []
    for thread in threading.enumerate():
        frame: FrameType | None = frames.get(thread.ident or 0)
        names: list[str] = []
        while frame is not None and len(names) < FRAMES_TOLD:
            module = str(frame.f_globals.get("__name__", "?")).removeprefix("everytick.")
            names.append(f"{module}:{frame.f_code.co_name}:{frame.f_lineno}")
            frame = frame.f_back
        told.append(f"{thread.name}: {' < '.join(names)}")
    return "; ".join(told)
