"""What holds for every test: nothing leaves this machine."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import pytest

from everytick.host.http import HostHttp
from everytick.host.websocket import HostSockets


def is_here(url: str) -> bool:
    """Whether the address can only be this machine, or a name that resolves nowhere by design (RFC 2606)."""
    host = urlsplit(url).hostname or ""
    if urlsplit(url).scheme not in ("http", "https", "ws", "wss"):
        return True  # no address at all: what is tested is how it is refused
    if host == "localhost" or host.endswith((".invalid", ".test", ".example")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == ""


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection or request of ours to anywhere else ends the test."""
    connect, ask = HostSockets.connect, HostHttp.ask

    async def connect_here(self: HostSockets, url: str, *rest: Any, **options: Any) -> Any:
        assert is_here(url), f"a test tried to connect to {url}"
        return await connect(self, url, *rest, **options)

    async def ask_here(self: HostHttp, method: str, url: str, *rest: Any, **options: Any) -> Any:
        assert is_here(url), f"a test tried to ask {url}"
        return await ask(self, method, url, *rest, **options)

    monkeypatch.setattr(HostSockets, "connect", connect_here)
    monkeypatch.setattr(HostHttp, "ask", ask_here)
