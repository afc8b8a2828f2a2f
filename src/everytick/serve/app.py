"""The ASGI application: one request in, one answer out, nothing awaited in between."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from everytick.errors import Fatal
from everytick.serve import formats
from everytick.serve.parameters import Parameters
from everytick.serve.refusal import RequestRefused, StoreUnanswered, Trouble, nearest, shorten
from everytick.serve.route import AnyRoute, Reply
from everytick.serve.routes import ROUTES
from everytick.serve.sources import Sources

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# Every query that can be right is far shorter; a longer one only costs us.
URL_BYTES_MAX = 4_096

# What we serve is data: no page may frame it, guess its type, run it or keep a stale copy of it.
_ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"vary", b"accept, authorization"),
)
_ALLOWED = (b"allow", b"GET, HEAD")

_encode = msgspec.json.Encoder().encode


class Api:
    """The API over `sources`. With a `token`, every route but the open ones asks for it as a Bearer token."""

    def __init__(self, sources: Sources, *, token: str = "", routes: Iterable[AnyRoute] = ROUTES) -> None:
        self._sources = sources
        self._table = {route.path: (route, Parameters(route.query)) for route in routes}
        # Digests have one length, so that the comparison tells nothing about the token's own.
        self._token_digest = _digest(token.encode()) if token else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI conversation: a request, or the life of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            raise Fatal(f"this application speaks HTTP, not {scope['type']}")
        status, headers, body = self.answer(scope)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def answer(self, scope: Scope) -> tuple[int, Headers, bytes]:
        """Status, headers and body for one request; an error of ours becomes a fixed sentence and an id."""
        try:
            return self._answer(scope)
        except RequestRefused as refused:
            return _json(refused.status, refused.body, refused.headers)
        except StoreUnanswered as unanswered:
            cause = unanswered.__cause__ or unanswered
            return self._trouble(503, "the store did not answer; ask again later", scope, cause)
        except Exception as error:  # noqa: BLE001 — the last line: told to `report`, never to the caller
            return self._trouble(500, "this server failed to answer; its log knows why", scope, error)

    def _answer(self, scope: Scope) -> tuple[int, Headers, bytes]:
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > URL_BYTES_MAX:
            raise RequestRefused(414, f"the address is longer than {URL_BYTES_MAX} bytes")
        path = scope["path"]
        found = self._table.get(path)
        accept, authorization = _wishes(scope["headers"])
        if self._token_digest and not (found and found[0].is_open):
            self._authorize(authorization)
        if found is None:
            raise self._no_route(path)
        if scope["method"] not in ("GET", "HEAD"):
            raise RequestRefused(405, f"{path} answers GET and HEAD only", expected="GET, HEAD", headers=(_ALLOWED,))
        route, parameters = found
        wanted = formats.choose(accept, route.formats)
        query = parameters.parse(scope["query_string"])
        if route.fast is not None and wanted == formats.JSON:
            reply = route.fast(self._sources, query)
        else:
            reply = route.respond(self._sources, query)
        body = _body(route, reply, wanted)
        headers = _headers(formats.CONTENT_TYPES[wanted], body)
        if reply.next_cursor:  # CSV and Arrow have no other place for it
            headers.append((b"x-next-cursor", reply.next_cursor.encode()))
        return reply.status, headers, body

    def _authorize(self, authorization: bytes) -> None:
        scheme, _, token = authorization.partition(b" ")
        is_bearer = scheme.lower() == b"bearer"
        if not hmac.compare_digest(_digest(token.strip()), self._token_digest) or not is_bearer:
            raise RequestRefused(
                401,
                "this server wants its token: Authorization: Bearer ...",
                headers=((b"www-authenticate", b'Bearer realm="everytick"'),),
            )

    def _no_route(self, path: str) -> RequestRefused:
        near = nearest(path, self._table)
        hint = f"; did you mean {near}?" if near else ""
        return RequestRefused(404, f"there is no {shorten(path)}{hint}", value=path, expected=", ".join(self._table))

    def _trouble(self, status: int, sentence: str, scope: Scope, error: BaseException) -> tuple[int, Headers, bytes]:
        error_id = self._sources.ids.token(8).hex()
        self._sources.report(error_id, scope["path"], error)
        return _json(status, Trouble(sentence, error_id), ((b"retry-after", b"5"),) if status == 503 else ())

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                self._sources.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _wishes(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, bytes]:
    accepts, authorization = [], b""
    for name, value in headers:
        if name == b"accept":
            accepts.append(value.decode("latin-1"))
        elif name == b"authorization":
            authorization = value
    return ",".join(accepts), authorization


def _body(route: AnyRoute, reply: Reply, wanted: str) -> bytes:
    if reply.body is not None:
        return reply.body
    if wanted == formats.JSON or route.row is None:
        return _encode(reply.value)
    rows = getattr(reply.value, route.rows)
    return formats.csv_bytes(route.row, rows) if wanted == formats.CSV else formats.arrow_bytes(route.row, rows)


def _headers(content_type: bytes, body: bytes) -> Headers:
    return [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *_ALWAYS]


def _json(status: int, value: msgspec.Struct, more: Iterable[tuple[bytes, bytes]] = ()) -> tuple[int, Headers, bytes]:
    body = _encode(value)
    return status, [*_headers(formats.CONTENT_TYPES[formats.JSON], body), *more], body
