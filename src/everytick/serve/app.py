"""The ASGI application: one request in, one answer out. What asks the store is answered on the store's thread, so
that a store which hangs never keeps /health and /livez from being answered."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from everytick.errors import Fatal
from everytick.model.units import NS_PER_S
from everytick.serve import formats
from everytick.serve.parameters import Parameters
from everytick.serve.refusal import RequestRefused, StoreUnanswered, Trouble, nearest, shorten
from everytick.serve.route import AnyRoute, Reply, Thread
from everytick.serve.route import Scope as Allowed
from everytick.serve.routes import ROUTES
from everytick.serve.sources import Sources
from everytick.supervise.asking import Asking, Busy

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# Every query that can be right is far shorter; a longer one only costs us.
URL_BYTES_MAX = 4_096

# A page is made in milliseconds; a thread that takes longer to end hangs.
END_S_MAX = 1.0

# What we serve is data: no page may frame it, guess its type, run it or keep a stale copy of it.
_ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"vary", b"accept, authorization"),
)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class _Asked:
    """A request that is understood and allowed."""

    route: AnyRoute
    query: Any
    wanted: str


class Api:
    """The API over `sources`. With a `token`, every route but the open ones asks for it as a Bearer token.

    `control_token` opens the routes that change something, and all others. `threads` are those that routes are
    answered on; a route whose thread is not there is answered where the request came in.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        token: str = "",
        control_token: str = "",
        routes: Iterable[AnyRoute] = ROUTES,
        threads: Mapping[Thread, Asking] | None = None,
    ) -> None:
        self._sources = sources
        self._table = {route.path: (route, Parameters(route.query)) for route in routes}
        self._threads = dict(threads or {})
        # Digests have one length, so that the comparison tells nothing about the token's own.
        self._read_digest = _digest(token.encode()) if token else b""
        self._control_digest = _digest(control_token.encode()) if control_token else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI conversation: a request, or the life of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            raise Fatal(f"this application speaks HTTP, not {scope['type']}")
        began_ns = self._sources.clock.mono_ns()
        status, headers, body = await self.answer(scope)
        route = scope["path"] if scope["path"] in self._table else "other"
        self._sources.answered(route, status, (self._sources.clock.mono_ns() - began_ns) / NS_PER_S)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        self._refresh()

    async def answer(self, scope: Scope) -> tuple[int, Headers, bytes]:
        """Status, headers and body for one request; an error of ours becomes a fixed sentence and an id."""
        try:
            asked = self._understand(scope)
            thread = self._threads.get(asked.route.thread)
            if thread is None:
                return self._respond(asked, scope)
            try:
                return await thread.ask(lambda: self._respond(asked, scope), asked.route.timeout_s)
            except Busy as busy:
                if asked.route.busy is None:
                    raise StoreUnanswered(str(busy)) from busy
                return _finished(asked, asked.route.busy())
        except RequestRefused as refused:
            return _json(refused.status, refused.body, refused.headers)
        except StoreUnanswered as unanswered:
            cause = unanswered.__cause__ or unanswered
            return self._trouble(503, "the store did not answer; ask again later", scope, cause)
        except Exception as error:  # noqa: BLE001 — the last line: told to `report`, never to the caller
            return self._trouble(500, "this server failed to answer; its log knows why", scope, error)

    def _understand(self, scope: Scope) -> _Asked:
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > URL_BYTES_MAX:
            raise RequestRefused(414, f"the address is longer than {URL_BYTES_MAX} bytes")
        path = scope["path"]
        found = self._table.get(path)
        accept, authorization = _wishes(scope["headers"])
        self._authorize(authorization, found[0].scope if found else Allowed.READ)
        if found is None:
            raise self._no_route(path)
        route, parameters = found
        if scope["method"] not in route.methods:
            methods = ", ".join(route.methods)
            sentence = f"{path} answers {' and '.join(route.methods)} only"
            raise RequestRefused(405, sentence, expected=methods, headers=((b"allow", methods.encode()),))
        wanted = formats.choose(accept, route.formats)
        return _Asked(route, parameters.parse(scope["query_string"]), wanted)

    def _respond(self, asked: _Asked, scope: Scope) -> tuple[int, Headers, bytes]:
        route = asked.route
        if route.scope is Allowed.CONTROL:
            client = scope.get("client")
            self._sources.caller = f"api from {client[0]}" if client else "api"
        if route.fast is not None and asked.wanted == formats.JSON:
            return _finished(asked, route.fast(self._sources, asked.query))
        return _finished(asked, route.respond(self._sources, asked.query))

    def _refresh(self) -> None:
        """Let the store's thread look again at what answers from memory show of the store."""
        thread = self._threads.get(Thread.STORE)
        if thread is not None and not thread.is_late and self._sources.wants_totals():
            thread.post(self._sources.refresh_totals)

    def _authorize(self, authorization: bytes, needed: Allowed) -> None:
        if needed is Allowed.OPEN or (needed is Allowed.READ and not self._read_digest):
            return
        scheme, _, token = authorization.partition(b" ")
        digest = _digest(token.strip()) if scheme.lower() == b"bearer" else b""
        may_control = hmac.compare_digest(digest, self._control_digest) if self._control_digest else False
        may_read = hmac.compare_digest(digest, self._read_digest) if self._read_digest else False
        is_known = may_read or not self._read_digest
        if needed is Allowed.CONTROL and not self._control_digest and is_known:
            raise RequestRefused(
                403, "this server changes nothing: it has no control token", expected="set serve.control_token"
            )
        if needed is Allowed.CONTROL and may_read and not may_control:
            raise RequestRefused(403, "this token may read and change nothing", expected="the control token")
        if not may_control and not (may_read and needed is Allowed.READ):
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
                for thread in self._threads.values():
                    thread.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self._end()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _end(self) -> None:
        # The reader belongs to the store's thread; one that hangs is left behind, it ends with the process.
        store = self._threads.pop(Thread.STORE, None)
        if store is None:
            self._sources.close()
        else:
            store.end(self._sources.close, END_S_MAX)
        for thread in self._threads.values():
            thread.end(_nothing, END_S_MAX)


def _nothing() -> None:
    return None


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


def _finished(asked: _Asked, reply: Reply) -> tuple[int, Headers, bytes]:
    body = _body(asked.route, reply, asked.wanted)
    headers = _headers(formats.CONTENT_TYPES[asked.wanted], body)
    if reply.next_cursor:  # CSV and Arrow have no other place for it
        headers.append((b"x-next-cursor", reply.next_cursor.encode()))
    return reply.status, headers, body


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
