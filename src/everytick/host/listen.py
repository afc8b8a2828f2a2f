"""A listening socket, or one clear sentence why there is none."""

from __future__ import annotations

import errno
import ipaddress
import socket

from everytick.errors import Refused

# Connections that the system keeps while the loop is busy with a large page.
BACKLOG = 512


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`. An unknown name is not taken for safe."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """A TCP socket that listens on host and port; port 0 takes a free one.

    Raises Refused, naming `setting` (the prefix of its `.host` and `.port`), when the port is in use, not
    allowed or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise Refused(f"{host} is not an address of this machine", path=f"{setting}.host", value=host) from None
    listener = socket.socket(family, kind, protocol)
    try:
        # A restart must not wait for the last process's connections to be forgotten.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _refused(error, host, port, setting) from None
    return listener


def port_or_any(host: str, port: int) -> int:
    """`port` if it can be had now, else 0 (any free one): for a demo, which must not fail over it."""
    try:
        listen(host, port, setting="serve").close()
    except Refused:
        return 0
    return port


def port_of(listener: socket.socket) -> int:
    """The port that the socket listens on."""
    port: int = listener.getsockname()[1]
    return port


def _refused(error: OSError, host: str, port: int, setting: str) -> Refused:
    if error.errno == errno.EADDRINUSE:
        return Refused(
            f"port {port} on {host} is in use",
            path=f"{setting}.port",
            value=port,
            suggestion="stop the other program, choose another port, or 0 for any free one",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return Refused(
            f"this user may not listen on port {port}",
            path=f"{setting}.port",
            value=port,
            suggestion="choose a port from 1024 up",
        )
    return Refused(f"cannot listen on {host}: {error.strerror}", path=f"{setting}.host", value=host)
