"""A proxy for PostgreSQL's protocol: it counts messages and can cut the line, hold it, or change what the server says.

https://www.postgresql.org/docs/18/protocol-message-formats.html (read 2026-11): after the first one, each message is
one byte of type, four bytes of length (itself included) and the rest.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Change = Callable[[bytes, bytes], bytes]  # (type, body) of a message from the server -> its new body


class Cut(Exception):
    """The line is to be cut here."""


class Proxy:
    """Stands at a Unix socket of its own before a server's. Cuts every line once the count reaches `cut_at`.

    Messages are counted in both directions, in the order in which they pass. `after` cuts behind the message,
    so that it still arrives.
    """

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self._server = server
        self.count = 0
        self.cut_at = 0
        self.after = False
        self.passed: list[str] = []
        self.change: Change | None = None
        self._guard = threading.Lock()
        self._lines: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def arm(self, cut_at: int, after: bool) -> None:
        """Count from here on, and cut at that message; 0 never cuts."""
        with self._guard:
            self.count, self.cut_at, self.after, self.passed = 0, cut_at, after, []

    def close(self) -> None:
        """End every line."""
        self._shut(self._listener)  # the shutdown wakes who waits in accept
        self._cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self._server / ".s.PGSQL.5432"))
            except OSError:
                client.close()
                continue
            with self._guard:
                self._lines += [client, server]
            for source, target, who in ((client, server, "F"), (server, client, "B")):
                threading.Thread(target=self._pump, args=(source, target, who), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, who: str) -> None:
        data = bytearray()
        is_first = who == "F"
        try:
            while part := source.recv(65_536):
                data += part
                is_first = self._pass(data, target, who, is_first)
        except (OSError, Cut):
            pass
        for line in (source, target):
            self._shut(line)

    def _pass(self, data: bytearray, target: socket.socket, who: str, is_first: bool) -> bool:
        while len(data) >= (4 if is_first else 5):
            start = 0 if is_first else 1
            end = start + struct.unpack_from(">I", data, start)[0]
            if len(data) < end:
                break
            kind, body = bytes(data[:start]), bytes(data[start + 4 : end])
            del data[:end]
            is_first = False
            if who == "B" and self.change is not None:
                body = self.change(kind, body)
            self._send(kind + struct.pack(">I", len(body) + 4) + body, target, who + kind.decode("latin-1"))
        return is_first

    def _send(self, message: bytes, target: socket.socket, name: str) -> None:
        with self._guard:
            self.count += 1
            self.passed.append(name)
            is_cut = self.count == self.cut_at
        if not is_cut or self.after:
            target.sendall(message)
        if is_cut:
            self._cut()
            raise Cut

    def _cut(self) -> None:
        with self._guard:
            lines, self._lines = self._lines, []
        for line in lines:
            self._shut(line)

    @staticmethod
    def _shut(line: socket.socket) -> None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()


@contextmanager
def proxy(folder: Path, server: Path) -> Iterator[Proxy]:
    """A proxy in that folder, whose path must be short."""
    standing = Proxy(folder, server)
    try:
        yield standing
    finally:
        standing.close()
