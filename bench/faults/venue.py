"""A Binance of our own for the faults: aggregate trades at a steady rate, the same bytes for whoever listens.

It remembers every trade that it made and which of them left on a socket. Its history (`GET /api/v3/aggTrades`) is on
the same port, as the venue's is public. Trades are made from the first client on and go on whether or not anybody
listens: a market does not wait. Run as a process; one line of JSON in, one out:

{"rate": 1500}, {"burst": 2000}, {"burst": 1000, "poison": "nan"}, {"quiet": true}, {"newest": true}, {"truth": true}
"""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

from bench.frames import SYMBOLS, agg_trade, websocket_header
from bench.sender import Client, Gone

TICK_S = 0.005
SEND_S_MAX = 5.0  # a client that takes nothing for so long is gone
PAGE_MAX = 1_000
FIRST_ID = 1_000_000_000
PING, PONG, CLOSE = 0x89, 0x8A, 0x88

Made = tuple[int, str, str, bool]  # ms, price, size, whether a seller took


class Listener:
    """One client of the stream; whole messages leave under its lock."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lock = threading.Lock()

    def send(self, data: bytes) -> None:
        """Raises OSError."""
        with self.lock:
            self.client.connection.sendall(data)


class Market:
    """Everything that was ever traded, by symbol; ids in a row."""

    def __init__(self, seed: int, rate: float) -> None:
        self.rate = rate
        self.trades: dict[str, list[Made]] = {symbol: [] for symbol in SYMBOLS}
        self.first = {symbol: (n + 1) * FIRST_ID for n, symbol in enumerate(SYMBOLS)}
        self.wired: dict[str, list[list[int]]] = {symbol: [] for symbol in SYMBOLS}
        self.listeners: list[Listener] = []
        self.lock = threading.Lock()
        self._dice = random.Random(seed)
        self._price = 612_345
        self._turn = 0
        self._is_quiet = False

    def run(self) -> None:
        """Trade at the rate for ever, from the first listener on."""
        while not self.listeners:
            time.sleep(TICK_S)
        before, owed = time.perf_counter(), 0.0
        while True:
            time.sleep(TICK_S)
            now = time.perf_counter()
            owed += self.rate * (now - before)
            before = now
            if not self._is_quiet:
                self.make(int(owed))
            owed -= int(owed)

    def quiet(self) -> None:
        """Make no more."""
        with self.lock:
            self._is_quiet = True

    def make(self, count: int, poison: str = "") -> None:
        """Make so many trades now and send them in one write, in the middle of them one that is no good."""
        with self.lock:
            messages, made = [], []
            for number in range(count):
                symbol, identity, one = self._next()
                made.append((symbol, identity))
                message = agg_trade(symbol, identity, one[1], one[2], one[0], is_sell=one[3])
                messages.append(websocket_header(len(message)) + message)
                if poison and number == count // 2:
                    bad = spoiled(message, poison)
                    messages.append(websocket_header(len(bad)) + bad)
            self._send(b"".join(messages), made)

    def _next(self) -> tuple[str, int, Made]:
        bits = self._dice.getrandbits(24)
        self._price += (bits & 7) - (bits >> 3 & 7)
        self._turn += 1
        symbol = SYMBOLS[self._turn % len(SYMBOLS)]
        price = f"{self._price // 10}.{self._price % 10}0000000"
        one = (int(time.time() * 1_000), price, f"0.{bits >> 6 | 1:06d}00", bool(bits >> 23))
        held = self.trades[symbol]
        held.append(one)
        return symbol, self.first[symbol] + len(held) - 1, one

    def _send(self, data: bytes, made: list[tuple[str, int]]) -> None:
        heard = False
        for listener in list(self.listeners):
            try:
                listener.send(data)
                heard = True
            except OSError:
                self.drop(listener)
        if heard:
            for symbol, identity in made:
                ranges = self.wired[symbol]
                if ranges and ranges[-1][1] == identity - 1:
                    ranges[-1][1] = identity
                else:
                    ranges.append([identity, identity])

    def drop(self, listener: Listener) -> None:
        """It is gone; safe to say twice."""
        if listener in self.listeners:
            self.listeners.remove(listener)
        listener.client.connection.close()

    def page(self, symbol: str, from_id: int, limit: int) -> list[dict[str, object]]:
        """The past from an id on, as the venue's history tells it."""
        held, first = self.trades[symbol], self.first[symbol]
        start = max(from_id - first, 0)
        return [
            {"a": first + n, "p": price, "q": size, "f": first + n, "l": first + n, "T": ms, "m": is_sell, "M": True}
            for n, (ms, price, size, is_sell) in enumerate(held[start : start + limit], start)
        ]

    def newest(self) -> dict[str, int]:
        """The newest id of each symbol."""
        return {symbol: self.first[symbol] + len(held) - 1 for symbol, held in self.trades.items()}


def spoiled(message: bytes, how: str) -> bytes:
    """The trade again, as a venue would never send it; or unharmed, which is a repeat."""
    told = json.loads(message)
    trade = told["data"]
    if how == "nan":
        trade["p"] = "NaN"
    elif how == "quote-price":
        trade["p"] = trade["p"].replace(".", "'", 1)
    elif how == "quote-id":
        trade["a"] = f"{trade['a']}'"
    elif how == "quote-symbol":
        trade["s"] = trade["s"].replace("USDT", "'USDT")
    elif how != "repeat":
        raise ValueError(f"no poison is called {how!r}")
    return json.dumps(told, separators=(",", ":")).encode()


def serve(market: Market, connection: socket.socket) -> None:
    """One connection, from its request to its end."""
    client = Client(connection)
    try:
        target, key = client.request()
        if not key:
            connection.sendall(_history(market, target))
            connection.close()
            return
        client.accept(key)
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(SEND_S_MAX))
        listener = Listener(client)
        if "streams=" in target:
            market.listeners.append(listener)  # cryptofeed asks in the address
        _listen(market, listener)
    except (OSError, Gone):
        connection.close()


def _listen(market: Market, listener: Listener) -> None:
    try:
        while True:
            opcode, payload = listener.client.message()
            if opcode == 8:
                listener.send(bytes((CLOSE, 0)))
                return
            if opcode == 9:
                listener.send(bytes((PONG, len(payload))) + payload)
            elif opcode == 1:
                answer = json.dumps({"result": None, "id": json.loads(payload)["id"]}).encode()
                listener.send(websocket_header(len(answer)) + answer)
                if listener not in market.listeners:
                    market.listeners.append(listener)
    finally:
        market.drop(listener)


def _history(market: Market, target: str) -> bytes:
    where = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(where.query).items()}
    symbol = query.get("symbol", "")
    if where.path != "/api/v3/aggTrades" or symbol not in market.trades:
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    limit = min(int(query.get("limit", "500")), PAGE_MAX)
    body = json.dumps(market.page(symbol, int(query.get("fromId", "0")), limit)).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    return head.encode() + b"\r\n" + body


def _timeval(seconds: float) -> bytes:
    return int(seconds).to_bytes(8, sys.byteorder) + (0).to_bytes(8, sys.byteorder)


def _obey(market: Market, word: dict[str, object]) -> dict[str, object]:
    if "rate" in word:
        market.rate = float(str(word["rate"]))
    elif "burst" in word:
        market.make(int(str(word["burst"])), str(word.get("poison", "")))
    elif "quiet" in word:
        market.quiet()
    elif "truth" in word:
        return {"first": market.first, "newest": market.newest(), "wired": market.wired}
    return {"newest": market.newest()}


def main() -> None:
    """Say the port, obey until standard input closes."""
    order = json.loads(sys.argv[1])
    market = Market(order["seed"], order["rate"])
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(market, listener.accept()[0]), daemon=True).start()

    for work in (accept, market.run):
        threading.Thread(target=work, daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_obey(market, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
