"""ports.Sockets over picows. The path of one message is one callback and one copy, and what one read of the
network brought is delivered in one call: everything else is rare."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSHandshakeError,
    WSInvalidURL,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from everytick.errors import Refused, Retryable
from everytick.ports import Closed

# Sixteen times the median message of a busy market, so that a burst is one system call.
READ_BUFFER_BYTES = 256 * 1024
_TEXT = WSMsgType.TEXT  # looked up once, not per message

# How long a peer may take to answer our close message before the line is dropped.
CLOSE_WAIT_S = 2.0
# A line that died without a word: the kernel asks after 30 s of silence, gives up 3 × 10 s later.
KEEPALIVE_IDLE_S, KEEPALIVE_EVERY_S, KEEPALIVE_TRIES = 30, 10, 3


class HostSockets:
    """Opens WebSocket connections, `ws://` and `wss://`.

    A peer that has sent nothing for `ping_idle_s` is sent a WebSocket ping; without an answer within
    `ping_reply_s` the connection ends with cause `mute`. Pings of the peer are answered at once. Certificates
    are checked against the system's, or by `ssl_context` where a venue has an authority of its own.
    """

    def __init__(
        self, *, ping_idle_s: float = 30.0, ping_reply_s: float = 15.0, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._ssl_context = ssl_context
        self._ping_idle_s = ping_idle_s
        self._ping_reply_s = ping_reply_s

    async def connect(
        self, url: str, on_messages: Callable[[list[bytes]], None], *, message_bytes_max: int, timeout_s: float
    ) -> HostSocket:
        """A connection that calls `on_messages` with each read's messages, in order, on the event loop's thread.

        A message longer than `message_bytes_max`, whole or in fragments, ends the connection (cause `cut`).
        `timeout_s` covers the connect and the handshake. Raises Retryable when no connection came of it,
        Refused when `url` is not a WebSocket address.
        """
        line = _Line(on_messages, message_bytes_max)
        try:
            async with asyncio.timeout(timeout_s):
                transport, _ = await ws_connect(
                    lambda: line,
                    url,
                    ssl_context=self._ssl_context,
                    logger_name=_listening_logger(line),
                    websocket_handshake_timeout=timeout_s,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=self._ping_idle_s,
                    auto_ping_reply_timeout=self._ping_reply_s,
                    max_frame_size=message_bytes_max,
                    max_redirects=0,
                    read_buffer_init_size=READ_BUFFER_BYTES,
                )
        except WSInvalidURL as error:
            raise Refused(
                f"{url!r} is not an address", path="url", value=url, suggestion="ws(s)://host/path"
            ) from error
        except WSHandshakeError as error:
            raise _handshake_refused(url, error) from error
        except TimeoutError as error:
            raise Retryable(f"{url}: no connection within {timeout_s} s") from error
        except (WSError, OSError) as error:
            raise Retryable(f"{url}: {type(error).__name__}: {error}") from error
        return HostSocket(line, transport)


class HostSocket:
    """One open WebSocket connection; a ports.Socket."""

    def __init__(self, line: _Line, transport: WSTransport) -> None:
        self._line = line
        self._transport = transport

    def send(self, message: bytes) -> None:
        """Send one text message. Raises Retryable if the connection is gone or closing."""
        if self._line.closed.done() or self._transport.is_close_frame_sent:
            raise Retryable("the connection is closed: nothing can be sent on it")
        self._transport.send(WSMsgType.TEXT, message)

    def pause(self) -> None:
        """Stop reading from the network. What was already read (at most a read buffer) still arrives."""
        self._line.pause()

    def resume(self) -> None:
        """Read again."""
        self._line.resume()

    async def closed(self) -> Closed:
        """Wait for the end of the connection and say why. Raises what `on_messages` raised, if that ended it."""
        end = await asyncio.shield(self._line.closed)
        # picows raises here what we know already, and complains later if nobody takes it.
        with contextlib.suppress(Exception):
            await self._transport.wait_disconnected()
        if self._line.fault is not None:
            raise self._line.fault
        return end

    def close(self) -> None:
        """Begin to close, code 1000. Messages that were under way may still arrive."""
        self._line.close()


class _Line(WSListener):
    """The listener that picows calls. `deliver` is `on_messages` until the line breaks, then nothing."""

    def __init__(self, on_messages: Callable[[list[bytes]], None], message_bytes_max: int) -> None:
        self.closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self.fault: Exception | None = None
        self._deliver = on_messages
        self._read: list[bytes] = []  # messages of the read under way
        self._message_bytes_max = message_bytes_max
        self._transport: WSTransport | None = None
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._paused = False
        self._end: Closed | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        _keep_alive(transport)  # here, while the line is surely open: its first data may end it

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == _TEXT and frame.fin and not self._parts:
            self._read.append(frame.get_payload_as_bytes())
        else:
            self._on_rare_frame(transport, frame)
        if frame.last_in_buffer and self._read:
            self._flush()

    def _flush(self) -> None:
        read, self._read = self._read, []
        try:
            self._deliver(read)
        except Exception as fault:
            self._stop_delivery()
            self.fault = fault
            raise

    def _on_rare_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self._on_close_frame(transport, frame)
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._on_fragment(frame, continues=kind == WSMsgType.CONTINUATION)

    def _on_fragment(self, frame: WSFrame, *, continues: bool) -> None:
        if continues != bool(self._parts):
            self._break("a fragment out of order", WSCloseCode.PROTOCOL_ERROR)
            return
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > self._message_bytes_max:
            self._break(_too_large(self._message_bytes_max, f"{self._parts_bytes} so far, in fragments"))
            return
        self._parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            self._read.append(b"".join(self._parts))
            self._parts, self._parts_bytes = [], 0

    def _on_close_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        # From the bytes: codes of 3000 and above are a venue's own and not in the library's list.
        code = int.from_bytes(frame.get_payload_as_bytes()[:2], "big")
        if self._end is None:
            self._end = Closed("closed", code, frame.get_close_reason() or "the other side closed")
        if not transport.is_close_frame_sent:
            transport.send_close(WSCloseCode.OK)
        transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._read:  # good messages in front of what broke the line
            self._flush()
        self._stop_delivery()
        if not self.closed.done():
            self.closed.set_result(self._end or Closed("cut", 0, "the connection ended without a close message"))

    def send_user_specific_ping(self, transport: WSTransport) -> None:
        if self._paused:  # we are not reading, so an answer could not arrive: count this round as answered
            asyncio.get_running_loop().call_soon(transport.notify_user_specific_pong_received)
        else:
            transport.send_ping()

    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        return frame.msg_type == WSMsgType.PONG

    def heard(self, record: logging.LogRecord) -> None:
        """picows tells of a broken frame, or of a ping without answer, through its log alone."""
        text = record.getMessage()
        if "no PONG was received" in text:
            self._end = self._end or Closed("mute", 0, "no answer to a WebSocket ping")
        elif record.levelno >= logging.ERROR:
            if "exceeding max allowed size" in text:
                end = Closed("cut", 1009, _too_large(self._message_bytes_max, "in one frame"))
            else:
                end = Closed("cut", 1002, text)
            self._end = self._end or end
            # Not at once: picows looks one frame ahead, so the good message before this one is still to come.
            asyncio.get_running_loop().call_soon(self._stop_reading)

    def _stop_reading(self) -> None:
        if self._read:
            self._flush()
        self._stop_delivery()
        self.pause()

    def pause(self) -> None:
        if self._transport is not None and not self._paused and not self.closed.done():
            self._paused = True
            self._transport.underlying_transport.pause_reading()
            self._transport.notify_user_specific_pong_received()

    def resume(self) -> None:
        if self._transport is not None and self._paused and not self.closed.done():
            self._paused = False
            self._transport.underlying_transport.resume_reading()

    def close(self) -> None:
        transport = self._transport
        if transport is None or self.closed.done() or transport.is_close_frame_sent:
            return
        self._end = self._end or Closed("closed", 1000, "closed by us")
        self.resume()  # the answer to our close message must be read
        transport.send_close(WSCloseCode.OK)
        asyncio.get_running_loop().call_later(CLOSE_WAIT_S, transport.disconnect, False)

    def _break(self, detail: str, code: WSCloseCode = WSCloseCode.MESSAGE_TOO_BIG) -> None:
        """End the connection for what the peer sent; what came before is delivered, nothing after."""
        if self._read:
            self._flush()
        self._stop_delivery()
        self._end = self._end or Closed("cut", int(code.value), detail)
        if self._transport is not None:
            self._transport.send_close(code)
            asyncio.get_running_loop().call_soon(self._transport.disconnect, False)

    def _stop_delivery(self) -> None:
        self._deliver = _ignore
        self._parts, self._parts_bytes = [], 0


def _ignore(_: list[bytes]) -> None:
    """Messages behind the one that ended the connection."""


class _Listening(logging.Handler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        self._line.heard(record)


def _listening_logger(line: _Line) -> logging.Logger:
    logger = logging.Logger("everytick.websocket", logging.INFO)
    logger.addHandler(_Listening(line))
    return logger


def _too_large(bytes_max: int, how: str) -> str:
    return f"a message larger than {bytes_max} bytes ({how})"


def _handshake_refused(url: str, error: WSHandshakeError) -> Retryable:
    answer = error.response
    if answer is None:
        return Retryable(f"{url}: no WebSocket there: {error}")
    wish = answer.headers.get("Retry-After", "")
    retry_after_s = float(wish) if wish.isdecimal() else None
    return Retryable(f"{url}: refused with HTTP {int(answer.status)}", retry_after_s=retry_after_s)


def _keep_alive(transport: WSTransport) -> None:
    line = transport.underlying_transport.get_extra_info("socket")
    if line is None:
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_EVERY_S),
        ("TCP_KEEPCNT", KEEPALIVE_TRIES),
    ):
        if hasattr(socket, name):  # macOS names the first one differently
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
