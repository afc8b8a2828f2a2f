"""The only ways to touch the world. `host/` holds the real ones, `sim/` the ones without a world.

Methods raise everytick.errors.Retryable for what may work again; a Disk raises OSError, since its callers
must tell ENOSPC from EIO.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import msgspec

from everytick.model.alert import Message


class Clock(Protocol):
    """Two clocks that are never mixed: wall time can step, monotonic time cannot."""

    def wall_ns(self) -> int:
        """Nanoseconds UTC since 1970."""
        ...

    def mono_ns(self) -> int:
        """Nanoseconds since some fixed moment; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...


class Ids(Protocol):
    """The program's dice."""

    def token(self, byte_count: int) -> bytes:
        """That many unguessable bytes."""
        ...

    def jitter(self) -> float:
        """A number in [0, 1), to spread retries."""
        ...


class Closed(msgspec.Struct, frozen=True):
    """Why a socket is gone: `cause` is closed, cut, mute or refused; `code` the close code, 0 if none."""

    cause: str
    code: int = 0
    detail: str = ""


class Socket(Protocol):
    """One open message connection. Messages arrive by the callback given to `connect`."""

    def send(self, message: bytes) -> None:
        """Send one text message; never blocks. Raises Retryable if the connection is gone."""
        ...

    def pause(self) -> None:
        """Stop reading from the network until `resume`: the sender feels it."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...

    async def closed(self) -> Closed:
        """Wait for the end of the connection and say why."""
        ...

    def close(self) -> None:
        """Begin to close; `closed` tells when it is done."""
        ...


class Sockets(Protocol):
    """Opens message connections (WebSocket)."""

    async def connect(
        self, url: str, on_messages: Callable[[list[bytes]], None], *, message_bytes_max: int, timeout_s: float
    ) -> Socket:
        """A connection that calls `on_messages` with what each read of the network brought, in order, never empty.

        The list is the callee's to keep. Raises Retryable.
        """
        ...


class HttpAnswer(msgspec.Struct, frozen=True):
    """A complete answer. Any status is an answer; no answer is an error."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    """Asks over HTTP, with limits on size and time."""

    async def ask(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        body_bytes_max: int,
    ) -> HttpAnswer:
        """The answer, whatever its status. Raises Retryable when none came, or it was too large."""
        ...

    async def close(self) -> None:
        """Let idle connections go."""
        ...


class File(Protocol):
    """A file open for appending."""

    def write(self, data: bytes | memoryview) -> int:
        """Append; returns how many bytes were taken, which may be fewer than given. Raises OSError."""
        ...

    def datasync(self) -> None:
        """Return only when what was written would survive a power cut. Raises OSError: never call it again
        on this handle then, since the system may have thrown the bytes away and call them clean."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Lock(Protocol):
    """A lock held by this process."""

    def release(self) -> None:
        """Let go."""
        ...


class Disk(Protocol):
    """One folder of files, named without slashes. All methods raise OSError."""

    def names(self) -> list[str]:
        """Every file's name, sorted."""
        ...

    def size(self, name: str) -> int:
        """The file's length in bytes."""
        ...

    def read(self, name: str, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`; fewer only at the end of the file."""
        ...

    def create(self, name: str) -> File:
        """A new empty file, open for appending. FileExistsError if it is there already."""
        ...

    def append(self, name: str) -> File:
        """An existing file, open for appending at its end."""
        ...

    def truncate(self, name: str, length: int) -> None:
        """Cut the file to `length` bytes, durably."""
        ...

    def remove(self, name: str) -> None:
        """Remove the file, durably."""
        ...

    def sync_folder(self) -> None:
        """Make created and removed names durable."""
        ...

    def publish(self, name: str, data: bytes) -> None:
        """Put a few bytes where other processes can read them at once; nothing is made durable."""
        ...

    def lock(self, name: str, owner: str) -> Lock:
        """Take the lock file `name`, writing who has it. Raises Refused, naming the holder, if it is taken."""
        ...


class Notifier(Protocol):
    """One way to reach a person: a chat, a webhook, a mailbox."""

    async def notify(self, message: Message) -> None:
        """Hand the message over; return when the other side has taken it.

        Raises Retryable (with the other side's own wish to wait, if it gave one) when it may work again, Refused
        when somebody must change the settings first.
        """
        ...


class Archive(Protocol):
    """Files that are read once, from start to end. Blocking: for a thread of its own."""

    @property
    def where(self) -> str:
        """Which archive it is, for people."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """The file's bytes in pieces, by its path with slashes. Raises FileNotFoundError, OSError, Retryable."""
        ...
