"""ports.Http over aiohttp: bounded in time, in bytes on the wire and in bytes after inflation."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from everytick.errors import Refused, Retryable
from everytick.ports import HttpAnswer

# More at once than any venue's budget allows per second; beyond it requests wait their turn.
CONNECTIONS_MAX = 16
CHUNK_BYTES = 64 * 1024


class HostHttp:
    """Asks over HTTP. Follows no redirect: a 3xx is an answer like any other, so no request and no header
    ever reaches a host that the caller did not name."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        """`resolver` turns names into addresses in place of the system's."""
        self._session: aiohttp.ClientSession | None = None
        self._resolver = resolver

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
        """The answer, whatever its status.

        `timeout_s` covers everything from the connect to the last byte. `body_bytes_max` bounds the body
        both as sent and as inflated. Raises Retryable when no whole answer came within these bounds,
        Refused when `url` is not an http(s) address.
        """
        address = _address(url)
        shown = str(address.with_query(None).with_fragment(None))  # a query may hold a key: keep it out of errors
        try:
            async with self._open_session().request(
                method,
                address,
                data=body or None,
                headers={"Accept-Encoding": "gzip, deflate", **headers},
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as answer:
                raw = await _read(answer, body_bytes_max, shown)
                encoding = answer.headers.get("Content-Encoding", "").strip().lower()
                return HttpAnswer(answer.status, dict(answer.headers), _inflate(raw, encoding, body_bytes_max, shown))
        except TimeoutError as error:
            raise Retryable(f"{method} {shown}: no whole answer within {timeout_s} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Retryable(f"{method} {shown}: {type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Let idle connections go. A later `ask` opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, resolver=self._resolver),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # inflated here, where it can be bounded
                raise_for_status=False,
                trust_env=False,
            )
        return self._session


def _address(url: str) -> URL:
    try:
        address = URL(url)
    except ValueError as error:
        raise Refused(f"{url!r} is not an address", path="url", value=url, suggestion="http(s)://host/path") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise Refused(f"{url!r} is not an http address", path="url", value=url, suggestion="http(s)://host/path")
    return address


async def _read(answer: aiohttp.ClientResponse, bytes_max: int, shown: str) -> bytes:
    parts: list[bytes] = []
    total = 0
    async for part in answer.content.iter_chunked(CHUNK_BYTES):
        total += len(part)
        if total > bytes_max:
            raise Retryable(f"{shown}: the answer is larger than {bytes_max} bytes")
        parts.append(part)
    return b"".join(parts)


def _inflate(raw: bytes, encoding: str, bytes_max: int, shown: str) -> bytes:
    """The body without its Content-Encoding, never holding more than `bytes_max` of it."""
    if encoding in ("", "identity") or not raw:
        return raw
    if encoding not in ("gzip", "deflate"):
        raise Retryable(f"{shown}: the answer is encoded as {encoding!r}, which was not asked for")
    # 47 = the largest window, with the header (gzip or zlib) told from the bytes themselves.
    inflater = zlib.decompressobj(wbits=47)
    try:
        body = inflater.decompress(raw, bytes_max + 1)
    except zlib.error as error:
        raise Retryable(f"{shown}: the {encoding} answer cannot be inflated: {error}") from error
    if len(body) > bytes_max:
        raise Retryable(f"{shown}: the answer inflates to more than {bytes_max} bytes")
    if not inflater.eof:
        raise Retryable(f"{shown}: the {encoding} answer ends too early")
    return body
