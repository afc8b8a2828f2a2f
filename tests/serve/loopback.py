"""Servers on loopback that take alerts, and say what they were told to say."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class HttpTaker:
    """What came in, and the answers to give: (status, headers, body), the last one again and again."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=lambda: [(200, {}, b'{"ok":true}')])
    release: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False


@contextmanager
def http_taker() -> Iterator[HttpTaker]:
    """An HTTP server on a thread."""
    taker = HttpTaker()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            taker.asked.append(Asked(self.command, self.path, dict(self.headers), self.rfile.read(length)))
            if taker.hangs:
                taker.release.wait(30)
                return
            status, headers, body = taker.answers[0] if len(taker.answers) == 1 else taker.answers.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    taker.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield taker
    finally:
        taker.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class MailTaker:
    """The mails that were taken; `refuses` is the code given to AUTH or to MAIL."""

    port: int = 0
    mails: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    refuses: str = ""


@contextmanager
def mail_taker(refuses: str = "") -> Iterator[MailTaker]:
    """An SMTP server on a thread with a loop of its own: no TLS, takes any user unless it refuses."""
    taker = MailTaker(refuses=refuses)
    ready, stop = threading.Event(), threading.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 taker")
        while line := (await reader.readline()).decode().strip():
            taker.said.append(line)
            verb = line.split()[0].upper()
            if verb == "EHLO":
                say("250-taker")
                say("250 AUTH PLAIN")
            elif verb == "AUTH":
                say("535 no" if taker.refuses == "535" else "235 ok")
            elif verb == "MAIL" and taker.refuses and taker.refuses != "535":
                say(f"{taker.refuses} no")
            elif verb == "DATA":
                say("354 go on")
                mail = (await reader.readuntil(b"\r\n.\r\n")).decode()
                taker.mails.append(mail)
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                break
            else:
                say("250 ok")
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        taker.port = server.sockets[0].getsockname()[1]
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.01)
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait(5)
    try:
        yield taker
    finally:
        stop.set()
        thread.join()
