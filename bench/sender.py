"""A WebSocket server that is never the limit: every byte is made before the first client comes.

Run as a process: `python -m bench.sender '{"dialect": "hyperliquid", "messages": 1000, ...}'`. It prints one
JSON line with its port when ready, serves each connection the same messages once its client has sent
`client_messages` messages (its subscriptions), and ends when its standard input closes, so it cannot outlive
the run. With `per_second` the messages are paced, one write each; otherwise they leave in large pieces.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator

from bench.frames import GENERATORS, start_before_now_ms, websocket_header

_PIECE_BYTES = 1 << 18
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


class Gone(Exception):
    """The client closed its side."""


class Client:
    """The server's end of one connection: the handshake, and the client's messages as they come."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = bytearray()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _fill(self) -> None:
        try:
            data = self.connection.recv(1 << 16)
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        self.buffer += data

    def handshake(self) -> None:
        """Answer the upgrade request; no extensions, no compression."""
        self.accept(self.request()[1])

    def request(self) -> tuple[str, bytes]:
        """What is asked for, with its query, and the key of an upgrade; empty where it is none."""
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        first, *lines = head.split(b"\r\n")
        key = b""
        for line in lines:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"sec-websocket-key":
                key = value.strip()
        return first.split()[1].decode(), key

    def accept(self, key: bytes) -> None:
        """Take the upgrade."""
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self.connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def message(self) -> tuple[int, bytes]:
        """The client's next message: opcode and payload."""
        while len(self.buffer) < 2:
            self._fill()
        length, start = self.buffer[1] & 0x7F, 2
        if length >= 126:
            width = 2 if length == 126 else 8
            while len(self.buffer) < 2 + width:
                self._fill()
            length, start = int.from_bytes(self.buffer[2 : 2 + width], "big"), 2 + width
        end = start + 4 + length
        while len(self.buffer) < end:
            self._fill()
        opcode, mask = self.buffer[0] & 0x0F, self.buffer[start : start + 4]
        payload = bytes(byte ^ mask[place & 3] for place, byte in enumerate(self.buffer[start + 4 : end]))
        del self.buffer[:end]
        return opcode, payload


def _acknowledge(client: Client, dialect: str, payload: bytes) -> None:
    if dialect == "hyperliquid":
        body = b'{"channel":"subscriptionResponse","data":' + payload + b"}"
    elif dialect == "binance":
        body = json.dumps({"result": None, "id": json.loads(payload)["id"]}).encode()
    else:
        body = b'{"channel":"subscriptions","client_id":"","timestamp":"","sequence_num":0,"events":[]}'
    client.connection.sendall(websocket_header(len(body)) + body)


def _answer_pings(client: Client) -> None:
    # What a client says after its subscriptions is read, so that its writes never block, and not answered:
    # an answer from this thread could fall into the middle of a message.
    try:
        while client.message()[0] != 8:
            pass
    except Gone:
        return


def _pace(connection: socket.socket, messages: list[bytes], per_second: float) -> None:
    begin = time.perf_counter()
    for number, message in enumerate(messages):
        wait = begin + number / per_second - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        connection.sendall(message)


def _pieces(messages: Iterator[bytes]) -> Iterator[bytes]:
    piece = bytearray()
    for message in messages:
        piece += websocket_header(len(message))
        piece += message
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def main() -> None:
    """Make the messages, say the port, serve until standard input closes."""
    order = json.loads(sys.argv[1])
    dialect, count, trades = order["dialect"], order["messages"], order["trades_per_message"]
    per_second = order.get("per_second", 0)

    def generate() -> Iterator[bytes]:
        start_ms = order.get("start_ms") or start_before_now_ms(count * trades)
        return GENERATORS[dialect](count, trades, order.get("seed", 1), start_ms)

    # `lazy` makes the bytes while sending: slower, for long runs whose messages would not fit in memory.
    ready: list[bytes] = []
    if per_second:
        ready = [websocket_header(len(message)) + message for message in generate()]
    elif not order.get("lazy"):
        ready = list(_pieces(generate()))

    def serve(connection: socket.socket) -> None:
        client = Client(connection)
        try:
            client.handshake()
            for _ in range(order["client_messages"]):
                _acknowledge(client, dialect, client.message()[1])
            threading.Thread(target=_answer_pings, args=(client,), daemon=True).start()
            if per_second:
                _pace(connection, ready, per_second)
            else:
                for piece in ready or _pieces(generate()):
                    connection.sendall(piece)
        except (OSError, Gone):
            return

    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    message_bytes = sum(map(len, ready)) // max(count, 1)
    print(json.dumps({"port": listener.getsockname()[1], "message_bytes": message_bytes}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
