"""One question to one venue over HTTP: asked within the venue's allowance, answered usably or failed with a cause."""

from __future__ import annotations

from typing import Final

import msgspec

from everytick.core.pacing import Priority
from everytick.errors import Retryable
from everytick.model.units import NS_PER_S
from everytick.ports import Http, HttpAnswer
from everytick.recorder.governor import Governor
from everytick.venues.protocol import Request, Venue

TIMEOUT_S: Final = 20.0  # the largest page of history takes a few seconds on a poor line
# Where a venue says "too many" and not for how long: its minute has gone by then.
BUSY_WAIT_NS: Final = 60 * NS_PER_S
# 429: too many requests. 418: Binance bans an address that went on asking after a 429.
BUSY: Final = frozenset({418, 429})

_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Failure(msgspec.Struct, frozen=True):
    """Why a question brought nothing usable. `is_refused`: asking the same again is of no use for now."""

    cause: str
    status: int = 0
    is_refused: bool = False


class Questions:
    """Asks one venue. `url` is the address that requests' paths go behind."""

    def __init__(self, venue: Venue, url: str, http: Http, governor: Governor) -> None:
        self.venue = venue
        self.url = url.rstrip("/")
        self._http = http
        self._governor = governor

    async def ask(self, request: Request, priority: Priority) -> HttpAnswer | Failure:
        """Wait for leave, ask once, settle what the answer cost. A venue's wish to be left alone is heeded by all."""
        await self._governor.request(request, priority)
        headers = {"Content-Type": "application/json"} if request.body else {}
        try:
            answer = await self._http.ask(
                request.method,
                self.url + request.path,
                request.body,
                headers,
                timeout_s=TIMEOUT_S,
                body_bytes_max=self.venue.LIMITS.decode_bytes_max,
            )
        except Retryable:
            return Failure("no_answer")
        if answer.status in BUSY:
            header = next((value for name, value in answer.headers.items() if name.lower() == "retry-after"), None)
            self._governor.told_to_wait(header, BUSY_WAIT_NS)
            return Failure("busy", answer.status)
        if answer.status >= 500 or answer.status == 408:
            return Failure("venue_failed", answer.status)
        if not 200 <= answer.status <= 299:
            return Failure("refused", answer.status, is_refused=True)
        if answer.body.lstrip()[:1] not in (b"[", b"{"):
            return Failure("no_json", answer.status)  # a page for people, as proxies send with a 200
        self._governor.settle(request, _count(answer.body))
        return answer


def _count(body: bytes) -> int:
    try:
        return len(_items(body))
    except (msgspec.MsgspecError, ValueError):
        return 0
