"""The real WebSocket behind ports.Sockets, against a server that a test scripts byte by byte."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import shutil
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from everytick.errors import Refused, Retryable
from everytick.host.websocket import HostSocket, HostSockets

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TEXT, BINARY, CONTINUE, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    size = len(payload)
    head = bytes([opcode | (0x80 if fin else 0)])
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65_536:
        return head + b"\x7e" + struct.pack(">H", size) + payload
    return head + b"\x7f" + struct.pack(">Q", size) + payload


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(struct.pack(">H", code) + reason, CLOSE)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One masked frame of the client, unmasked."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    assert second & 0x80, "a client must mask"
    if size == 126:
        size = struct.unpack(">H", await reader.readexactly(2))[0]
    mask = await reader.readexactly(4)
    body = await reader.readexactly(size)
    return first & 0xF, bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))


async def shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    key = next(
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    )
    proof = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
    )


@contextlib.asynccontextmanager
async def serving(script: Script, *, tls: ssl.SSLContext | None = None, hands: bool = True) -> AsyncIterator[str]:
    """A server that runs `script` on each connection; yields its address."""
    lines: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if hands:
                await shake_hands(reader, writer)
            await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(10):
            yield f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/ws"
    finally:
        server.close()
        for line in lines:
            line.transport.abort()
        await asyncio.sleep(0)


async def connect(url: str, on_messages: Callable[[list[bytes]], None], bytes_max: int = 1_000_000) -> HostSocket:
    return await HostSockets().connect(url, on_messages, message_bytes_max=bytes_max, timeout_s=2)


def script_of(data: bytes, *, then_wait: bool = True) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if then_wait:
            await reader.read()

    return script


def test_every_message_arrives_once_in_order_whatever_its_form() -> None:
    sizes = [0, 1, 125, 126, 65_535, 65_536, 300_000]
    whole = [bytes([65 + i]) * size for i, size in enumerate(sizes)]
    data = b"".join(frame(m) for m in whole)
    data += frame(b"binary", BINARY)
    data += frame(b"frag", TEXT, fin=False) + frame(b"", PING) + frame(b"men", CONTINUE, fin=False)
    data += frame(b"ted", CONTINUE) + frame(b"", TEXT, fin=False) + frame(b"late", CONTINUE)
    data += frame(b"last") + close_frame(1000)

    async def main() -> None:
        got: list[bytes] = []
        async with serving(script_of(data)) as url:
            socket = await connect(url, got.extend)
            await socket.closed()
        assert got == [*whole, b"binary", b"fragmented", b"late", b"last"]

    asyncio.run(main())


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 3000, 4999])
def test_the_venues_close_code_and_reason_are_told(code: int) -> None:
    async def main() -> None:
        async with serving(script_of(frame(b"x") + close_frame(code, b"because"))) as url:
            end = await (await connect(url, lambda _: None)).closed()
        assert (end.cause, end.code, end.detail) == ("closed", code, "because")

    asyncio.run(main())


def test_a_line_that_ends_without_a_word_is_a_cut() -> None:
    async def main() -> None:
        got: list[bytes] = []
        async with serving(script_of(frame(b"x"), then_wait=False)) as url:
            end = await (await connect(url, got.extend)).closed()
        assert (end.cause, end.code) == ("cut", 0)
        assert got == [b"x"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("one frame", frame(b"z" * 1001)),
        ("one huge frame", frame(b"z" * 20_000_000)),
        ("fragments", frame(b"z" * 600, TEXT, fin=False) + frame(b"z" * 600, CONTINUE)),
        ("endless fragments", frame(b"z" * 900, TEXT, fin=False) + frame(b"z" * 900, CONTINUE, fin=False) * 5000),
    ],
)
def test_a_message_too_large_is_never_delivered_and_ends_the_connection(what: str, data: bytes) -> None:
    async def main() -> None:
        got: list[bytes] = []
        async with serving(script_of(frame(b"y" * 1000) + data + frame(b"after"))) as url:
            end = await (await connect(url, got.extend, bytes_max=1000)).closed()
        assert got == [b"y" * 1000], what
        assert (end.cause, end.code) == ("cut", 1009)
        assert "larger than 1000 bytes" in end.detail

    asyncio.run(main())


@pytest.mark.parametrize(
    "data", [frame(b"x", CONTINUE), frame(b"x", TEXT, fin=False) + frame(b"y", TEXT), b"\x83\x00", b"\x81\x80abcd"]
)
def test_bytes_that_are_no_websocket_end_the_connection_as_a_cut(data: bytes) -> None:
    async def main() -> None:
        got: list[bytes] = []
        async with serving(script_of(frame(b"good") + data + frame(b"after"))) as url:
            end = await (await connect(url, got.extend)).closed()
        assert got == [b"good"]
        assert (end.cause, end.code) == ("cut", 1002)

    asyncio.run(main())


def test_what_is_sent_arrives_and_a_ping_is_answered() -> None:
    async def main() -> None:
        heard: list[tuple[int, bytes]] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(frame(b"are you there", PING))
            heard.extend([await read_frame(reader), await read_frame(reader)])
            writer.write(close_frame(1000))
            await reader.read()

        async with serving(script) as url:
            socket = await connect(url, lambda _: None)
            socket.send(b'{"method":"ping"}')
            await socket.closed()
        assert sorted(heard) == [(TEXT, b'{"method":"ping"}'), (PONG, b"are you there")]

    asyncio.run(main())


def test_our_close_is_answered_or_forced_and_nothing_can_be_sent_after() -> None:
    async def main() -> None:
        codes: list[bytes] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            kind, body = await read_frame(reader)
            assert kind == CLOSE
            codes.append(body)
            writer.write(close_frame(1000))

        async with serving(script) as url:
            socket = await connect(url, lambda _: None)
            socket.close()
            socket.close()
            with pytest.raises(Retryable, match="closed"):
                socket.send(b"late")
            end = await socket.closed()
        assert (end.cause, end.code, end.detail) == ("closed", 1000, "closed by us")
        assert codes == [struct.pack(">H", 1000)]

    asyncio.run(main())


def test_a_peer_that_answers_no_ping_is_mute() -> None:
    async def main() -> None:
        async with serving(script_of(b"")) as url:
            sockets = HostSockets(ping_idle_s=0.05, ping_reply_s=0.05)
            socket = await sockets.connect(url, lambda _: None, message_bytes_max=100, timeout_s=2)
            end = await socket.closed()
        assert end.cause == "mute"

    asyncio.run(main())


def test_a_paused_reader_holds_the_sender_back_and_is_not_called_mute() -> None:
    async def main() -> None:
        written = 0
        stalled = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            await read_frame(reader)
            for _ in range(64):
                writer.write(frame(b"m" * 1_000_000))
                try:
                    async with asyncio.timeout(0.3):
                        await writer.drain()
                except TimeoutError:
                    stalled.set()
                    await writer.drain()
                written += 1
            writer.write(close_frame(1000))
            await reader.read()

        async with serving(script) as url:
            got: list[int] = []
            sockets = HostSockets(ping_idle_s=0.05, ping_reply_s=0.05)
            socket = await sockets.connect(
                url, lambda m: got.extend(map(len, m)), message_bytes_max=2_000_000, timeout_s=2
            )
            socket.pause()
            socket.send(b"go")
            await stalled.wait()
            assert written < 64
            assert len(got) <= 1
            socket.resume()
            end = await socket.closed()
        assert end.cause == "closed"
        assert got == [1_000_000] * 64

    asyncio.run(main())


def test_a_fault_in_the_callback_ends_the_connection_and_comes_out_of_closed() -> None:
    async def main() -> None:
        calls: list[list[bytes]] = []

        def on_messages(messages: list[bytes]) -> None:
            calls.append(messages)
            raise KeyError("our own bug")

        async with serving(script_of(frame(b"one") + frame(b"two"))) as url:
            socket = await connect(url, on_messages)
            with pytest.raises(KeyError, match="our own bug"):
                await socket.closed()
        assert len(calls) == 1

    asyncio.run(main())


def test_no_connection_is_retryable_and_says_where() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        with pytest.raises(Retryable, match=r"127\.0\.0\.1:1/"):
            await connect("ws://127.0.0.1:1/", lambda _: None)
        async with serving(refuse, hands=False) as url:
            with pytest.raises(Retryable, match="429") as refused:
                await connect(url, lambda _: None)
            assert refused.value.retry_after_s == 7
        async with serving(redirect, hands=False) as url:
            with pytest.raises(Retryable, match="302"):
                await connect(url, lambda _: None)
        async with serving(silence, hands=False) as url:
            with pytest.raises(Retryable, match=r"within 0\.1 s"):
                await HostSockets().connect(url, lambda _: None, message_bytes_max=100, timeout_s=0.1)
        with pytest.raises(Refused):
            await connect("http://127.0.0.1:1/", lambda _: None)

    asyncio.run(main())


def test_wss_works_with_a_trusted_certificate_and_refuses_any_other(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command here to make a certificate with")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    wish = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [openssl, *wish.split(), "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)

    async def main() -> None:
        async with serving(script_of(frame(b"secret") + close_frame(1000)), tls=tls) as url:
            with pytest.raises(Retryable, match=r"(?i)certificate"):
                await connect(url, lambda _: None)
            trusting = HostSockets(ssl_context=ssl.create_default_context(cafile=str(cert)))
            got: list[bytes] = []
            socket = await trusting.connect(url, got.extend, message_bytes_max=100, timeout_s=2)
            assert (await socket.closed()).cause == "closed"
        assert got == [b"secret"]

    asyncio.run(main())
