"""The real HTTP client behind ports.Http: its bounds hold whatever a server does."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from everytick.errors import Refused, Retryable
from everytick.host.http import HostHttp
from everytick.ports import HttpAnswer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def ask(handler: Handler, *, bytes_max: int = 1000, timeout_s: float = 2.0, path: str = "/info") -> HttpAnswer:
    async def main() -> HttpAnswer:
        http = HostHttp()
        try:
            async with serving(handler) as url:
                return await http.ask("POST", url + path, b"{}", {}, timeout_s=timeout_s, body_bytes_max=bytes_max)
        finally:
            await http.close()

    return asyncio.run(main())


def answering(status: int, body: bytes, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return handler


@pytest.mark.parametrize("status", [200, 204, 404, 422, 429, 500])
def test_any_status_is_an_answer(status: int) -> None:
    answer = ask(answering(status, b"" if status == 204 else b"said", Retry_After="3"))
    assert (answer.status, answer.body) == (status, b"" if status == 204 else b"said")
    assert answer.headers["Retry-After"] == "3"


def test_the_request_arrives_as_it_was_given() -> None:
    async def handler(request: web.Request) -> web.Response:
        said = f"{request.method} {request.path_qs} {(await request.read()).decode()} {request.headers['X-Mine']}"
        return web.Response(text=said)

    async def main() -> None:
        http = HostHttp()
        async with serving(handler) as url:
            answer = await http.ask(
                "POST", url + "/a?b=c", b'{"type":"meta"}', {"X-Mine": "1"}, timeout_s=2, body_bytes_max=99
            )
            assert answer.body == b'POST /a?b=c {"type":"meta"} 1'
        await http.close()

    asyncio.run(main())


def test_a_body_at_its_bound_passes_and_one_byte_more_does_not() -> None:
    assert len(ask(answering(200, b"x" * 1000)).body) == 1000
    with pytest.raises(Retryable, match="larger than 1000 bytes"):
        ask(answering(200, b"x" * 1001))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_inflated_body_is_bounded_too(encoding: str) -> None:
    squeeze = gzip.compress if encoding == "gzip" else zlib.compress
    assert ask(answering(200, squeeze(b"x" * 1000), Content_Encoding=encoding)).body == b"x" * 1000
    with pytest.raises(Retryable, match="inflates to more than 1000 bytes"):
        ask(answering(200, squeeze(b"x" * 50_000), Content_Encoding=encoding))


def test_a_broken_or_unasked_encoding_is_no_answer() -> None:
    with pytest.raises(Retryable, match="cannot be inflated"):
        ask(answering(200, b"no gzip at all", Content_Encoding="gzip"))
    with pytest.raises(Retryable, match="ends too early"):
        ask(answering(200, gzip.compress(b"x" * 900)[:-9], Content_Encoding="gzip"))
    with pytest.raises(Retryable, match="not asked for"):
        ask(answering(200, b"?", Content_Encoding="br"))


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    answer = ask(answering(302, b"", Location="http://127.0.0.1:1/elsewhere"))
    assert answer.status == 302


def test_a_slow_answer_is_given_up_in_time() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.Event().wait()
        return response

    with pytest.raises(Retryable, match=r"within 0\.2 s"):
        ask(handler, timeout_s=0.2)


def test_no_server_is_retryable_and_a_query_never_shows_in_an_error() -> None:
    async def main(url: str) -> None:
        http = HostHttp()
        try:
            await http.ask("GET", url, b"", {}, timeout_s=2, body_bytes_max=10)
        finally:
            await http.close()

    with pytest.raises(Retryable) as refused:
        asyncio.run(main("http://127.0.0.1:1/path?key=hunter2"))
    assert "127.0.0.1:1/path" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    for bad in ("ftp://x/", "nonsense", "http://"):
        with pytest.raises(Refused):
            asyncio.run(main(bad))
