"""Name resolution that never leads a request of ours to where it has no business: a guard against forged requests.

A webhook's name may resolve to a cloud's metadata service or to a service of this machine, at once or only the second
time it is asked. So the addresses are judged where they are used: right before the connection.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from everytick.errors import Refused
from everytick.host.http import HostHttp
from everytick.ports import HttpAnswer

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_forbidden(address: Address, *, allow_private: bool) -> bool:
    """Whether no request may go there. Loopback and private networks may be allowed; link-local never is."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return True
    return not allow_private and not address.is_global


def literal(host: str) -> Address | None:
    """The address that a host is written as, or None: it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


class GuardedResolver(AbstractResolver):
    """Resolves a name and drops every forbidden address; a name without others does not resolve."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner: AbstractResolver | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses that may be asked. Raises OSError when there is none."""
        if self._inner is None:
            self._inner = ThreadedResolver()
        found = await self._inner.resolve(host, port, family)
        # `localhost` says itself that it is this machine; any other name that resolves to it does not.
        allow_private = self._allow_private or host == "localhost"
        allowed = [
            one for one in found if not is_forbidden(ipaddress.ip_address(one["host"]), allow_private=allow_private)
        ]
        if not allowed:
            raise OSError(f"{host} resolves to no address that may be asked")
        return allowed

    async def close(self) -> None:
        """Let the inner resolver go."""
        if self._inner is not None:
            await self._inner.close()


class GuardedHttp:
    """A ports.Http for addresses that come from settings: http and https only, no redirects, no forbidden address.

    An address written as a number is what its owner meant: loopback is asked then, link-local never. Private
    networks are asked with `allow_private`.
    """

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private
        self._http = HostHttp(GuardedResolver(allow_private=allow_private))

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
        """See HostHttp.ask. Raises Refused for a forbidden address, without naming it."""
        address = literal(urlsplit(url).hostname or "")
        # Loopback written as a number is meant.
        if address is not None and not address.is_loopback and is_forbidden(address, allow_private=self._allow_private):
            raise Refused("this address may not be asked", path="url")
        return await self._http.ask(method, url, body, headers, timeout_s=timeout_s, body_bytes_max=body_bytes_max)

    async def close(self) -> None:
        """Let idle connections go."""
        await self._http.close()
