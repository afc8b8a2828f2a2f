"""A request must arrive in time and within bounds: uvicorn has no such limits of its own."""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BoundedReceipt(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with a deadline and a size for each request's arrival.

    A client that sends a byte now and then holds a connection for ever, and one that never ends its headers
    holds memory: both are cut off. Between requests uvicorn's own keep-alive limit holds.
    """

    # A GET is one packet. Ten seconds are many retransmissions on the worst of lines.
    receipt_s_max = 10.0
    # Ours are under 5 kB; cookies and proxies' headers may add some.
    request_bytes_max = 65_536

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._received = 0
        self._deadline: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A new client: its first request is due."""
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request; too many of them end the connection."""
        if self.transport.is_closing():
            return
        self._received += len(data)
        super().data_received(data)
        if self._received > self.request_bytes_max and not self.transport.is_closing():
            self.send_400_response("The request is too large.")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._deadline is None:
            self._expect_request()

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self._received = 0
        self._expect_nothing()
        super().on_message_complete()

    def _expect_request(self) -> None:
        self._deadline = self.loop.call_later(self.receipt_s_max, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
