"""The API on a real socket."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.serve.asking import CountingIds, FixedClock, filled_store

from everytick.errors import Fatal, Refused
from everytick.host.listen import is_loopback
from everytick.serve.receipt import BoundedReceipt
from everytick.serve.server import ApiServer
from everytick.serve.sources import Sources
from everytick.supervise.progress import Progress


class Hasty(BoundedReceipt):
    """Cuts off what takes longer than a fifth of a second."""

    receipt_s_max = 0.2


class Patient(BoundedReceipt):
    """Waits an hour, so that only the size of a request can end it."""

    receipt_s_max = 3_600.0


class Witness:
    """Opens readers and remembers on which threads they were opened and closed."""

    def __init__(self) -> None:
        self.store = filled_store()
        self.opened: list[int] = []
        self.closed: list[int] = []

    def open(self) -> Any:
        self.opened.append(threading.get_ident())
        reader = self.store.reader()
        witness = self

        class Closing:
            def __getattr__(self, name: str) -> Any:
                return getattr(reader, name)

            def close(self) -> None:
                witness.closed.append(threading.get_ident())

        return Closing()


def sources_of(witness: Witness) -> Sources:
    return Sources(witness.open, Progress(started_ns=1), FixedClock(), CountingIds())


@contextmanager
def running(witness: Witness | None = None, **more: Any) -> Iterator[tuple[ApiServer, threading.Thread]]:
    server = ApiServer(sources_of(witness or Witness()), port=0, **more)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server, thread
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


def get(server: ApiServer, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        line.request(method, path, headers=headers)
        answer = line.getresponse()
        return answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()
    finally:
        line.close()


def raw(server: ApiServer, payload: bytes) -> bytes:
    """All that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        received = b""
        try:
            line.sendall(payload)
            while chunk := line.recv(65_536):
                received += chunk
        except (ConnectionResetError, BrokenPipeError):
            return received
        return received


def test_it_answers_from_its_own_thread_and_lets_everything_go_when_stopped() -> None:
    witness = Witness()
    with running(witness) as (server, thread):
        status, headers, body = get(server, "/trades?limit=2&coin=BTC")
        assert (status, headers["content-type"]) == (200, "application/json")
        assert body.count(b'"coin":"BTC"') == 2
        assert "server" not in headers
        assert get(server, "/trades", "HEAD")[2] == b""
        assert get(server, "/trades?limit=abc")[0] == 400
        assert get(server, "/livez")[0] == 200
        assert server.is_answering
        address = server.address
    # One reader, opened and closed on one thread, and that is not the one that answers /health.
    assert len(witness.opened) == 1
    assert witness.opened == witness.closed != [thread.ident]
    assert address == f"http://127.0.0.1:{server.port}"
    assert not server.is_answering
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_the_owner_can_stop_it_by_being_asked() -> None:
    asked = threading.Event()
    server = ApiServer(sources_of(Witness()), port=0)
    thread = threading.Thread(target=server.run, args=(asked.is_set,))
    thread.start()
    assert get(server, "/livez")[0] == 200
    asked.set()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(Fatal, match="served before"):
        server.run()


def test_one_connection_carries_many_requests() -> None:
    with running() as (server, _):
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for _ in range(50):
            line.request("GET", "/trades?limit=3")
            answer = line.getresponse()
            assert answer.status == 200
            answer.read()
        line.close()


def test_a_port_in_use_is_one_clear_sentence() -> None:
    first = ApiServer(sources_of(Witness()), port=0)
    with pytest.raises(Refused, match=rf"serve\.port: port {first.port} on 127\.0\.0\.1 is in use \(stop"):
        ApiServer(sources_of(Witness()), port=first.port)
    first.close()
    again = ApiServer(sources_of(Witness()), port=first.port)
    again.close()


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(Refused, match=r"serve\.host: "):
        ApiServer(sources_of(Witness()), host="192.0.2.1", port=0, token="t")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_without_a_token_only_this_machine_is_served(host: str) -> None:
    with pytest.raises(Refused, match=r"serve\.host: .*no token is set"):
        ApiServer(sources_of(Witness()), host=host, port=0)


def test_with_a_token_any_address_is_served_and_asks_for_it() -> None:
    with running(host="0.0.0.0", token="a-token") as (server, _):
        assert get(server, "/trades")[0] == 401
        assert get(server, "/livez")[0] == 200
        assert get(server, "/trades", authorization="Bearer a-token")[0] == 200


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org"]))


@pytest.mark.parametrize("payload", [b"", b"GET /livez HTT", b"GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: "])
def test_a_request_that_does_not_arrive_is_cut_off(payload: bytes) -> None:
    with running(protocol=Hasty) as (server, _):
        assert raw(server, payload) == b""
        assert get(server, "/livez")[0] == 200


def test_a_second_request_on_the_same_line_must_arrive_in_time_too() -> None:
    with running(protocol=Hasty) as (server, _):
        received = raw(server, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /livez HTTP/1.1\r\n")
        assert received.count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"GET /livez HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 20_000,
        b"GET /livez HTTP/1.1\r\nx: " + b"a" * 200_000,
        b"GET /" + b"a" * 200_000,
    ],
)
def test_headers_without_end_are_cut_off(payload: bytes) -> None:
    with running(protocol=Patient) as (server, _):
        received = raw(server, payload)
        assert received == b"" or received.startswith(b"HTTP/1.1 4")
        assert get(server, "/livez")[0] == 200


@pytest.mark.parametrize(
    "payload",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /trades?limit=5#x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET http://elsewhere/trades HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n",
        b"POST /trades HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc",
    ],
)
def test_no_bytes_on_the_line_make_it_fail(payload: bytes) -> None:
    with running(protocol=Hasty) as (server, _):
        assert b"HTTP/1.1 5" not in raw(server, payload)
        assert get(server, "/livez")[0] == 200
