"""Telling systemd that the program is up, alive or ending: one datagram each to the socket that it names.

The protocol is that of sd_notify(3): lines of NAME=value, sent to the unix socket in NOTIFY_SOCKET, where a leading
@ names an abstract socket. https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html (read 2026-11)
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Systemd:
    """A line to systemd, or to nobody where no socket is named."""

    def __init__(self, address: str = "", watchdog_us: int = 0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = watchdog_us / 1_000_000  # 0: systemd does not watch

    def tell(self, *lines: str) -> bool:
        """Send the lines; whether they were sent. systemd being away is no reason to stop."""
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)
                line.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True


def systemd(environ: Mapping[str, str] = os.environ) -> Systemd:
    """What this process's environment says of systemd."""
    watchdog_us = environ.get("WATCHDOG_USEC", "0")
    is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return Systemd(environ.get("NOTIFY_SOCKET", ""), int(watchdog_us) if is_ours and watchdog_us.isdecimal() else 0)
