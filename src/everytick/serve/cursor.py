"""An opaque cursor: the key of the last row given, bound to the query it belongs to."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from everytick.serve.queries import CandlesQuery, PointsQuery, TradesQuery
from everytick.serve.refusal import RequestRefused

Key = tuple[int, int, int]  # (time ns, stream number, id)

_FORM = struct.Struct(">Bqqq8s")
_VERSION = 1


def fingerprint(route: str, query: TradesQuery | CandlesQuery | PointsQuery) -> bytes:
    """Eight bytes that stand for everything that decides which rows come in which order; the limit does not."""
    interval = query.interval if isinstance(query, CandlesQuery) else ""
    # No part can hold a zero byte's neighbour by accident: lengths are written before texts.
    texts = [route, query.venue, query.coin, interval, query.order]
    written = "".join(f"{len(text)}:{text}" for text in texts) + f"{query.since_ms},{query.until_ms}"
    return hashlib.blake2b(written.encode(), digest_size=8).digest()


def write(key: Key, print_: bytes) -> str:
    """The cursor for the page after `key`."""
    return base64.urlsafe_b64encode(_FORM.pack(_VERSION, *key, print_)).rstrip(b"=").decode("ascii")


def read(cursor: str, print_: bytes) -> Key:
    """The key in the cursor. Raises RequestRefused if it is damaged or belongs to another query."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, ts_ns, number, row_id, held = _FORM.unpack(raw)
    except (UnicodeEncodeError, binascii.Error, struct.error):
        raise _refused(cursor, "cursor is not one that this server gave out") from None
    if version != _VERSION:
        raise _refused(cursor, "cursor comes from another version of this server")
    if held != print_:
        raise _refused(cursor, "cursor belongs to another query: repeat all parameters but limit unchanged")
    return ts_ns, number, row_id


def _refused(cursor: str, message: str) -> RequestRefused:
    return RequestRefused(
        400,
        message,
        parameter="cursor",
        value=cursor,
        expected="next_cursor of the page before, with the same parameters",
    )
