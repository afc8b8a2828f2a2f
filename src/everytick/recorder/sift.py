"""What a store could not hold is taken out of what a frame brought, and put on record as refused."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from everytick.core.validate import excerpt
from everytick.model.event import (
    AssetContext,
    BookSnapshot,
    Candle,
    Decoded,
    Event,
    MidPrices,
    Quote,
    Refusal,
    Trade,
)
from everytick.model.frame import Frame
from everytick.model.stream import Kind, Stream
from everytick.stores.holding import reason_of
from everytick.stores.protocol import RowIdentity

REASON = "store_refused"


def sift(decoded: Decoded, frame: Frame, unstorable: Mapping[RowIdentity, str]) -> Decoded:
    """The same without events that no store can hold, and without those that this store named in `unstorable`."""
    events: list[Event] = []
    refusals = list(decoded.refusals)
    for index, event in enumerate(decoded.events):
        if isinstance(event, MidPrices):
            mids = _mids(event, frame, index, unstorable, refusals)
            events.append(msgspec.structs.replace(event, mids=mids))
        elif reason := reason_of(event) or unstorable.get(_identity(event, frame), ""):
            refusals.append(Refusal(index, REASON, type(event).__name__.lower(), excerpt(reason)))
        else:
            events.append(event)
    return Decoded(events, refusals)


def _mids(
    event: MidPrices, frame: Frame, index: int, unstorable: Mapping[RowIdentity, str], refusals: list[Refusal]
) -> dict[str, object]:
    kept: dict[str, object] = {}
    for instrument, price in event.mids.items():
        identity = (Stream(event.venue, Kind.MIDS, instrument), frame.ts_recv_ns, frame.offset)
        if reason := reason_of(price) or unstorable.get(identity, ""):
            refusals.append(Refusal(index, REASON, f"mids.{instrument}", excerpt(reason)))
        else:
            kept[instrument] = price
    return kept


def _identity(event: Event, frame: Frame) -> RowIdentity:
    if isinstance(event, Trade):
        return (event.stream, event.ts_event_ns, event.trade_id)
    if isinstance(event, Candle):
        return (event.stream, event.ts_open_ns, 0)
    if isinstance(event, (Quote, BookSnapshot)):
        return (event.stream, event.ts_event_ns, frame.offset)
    if isinstance(event, AssetContext):
        return (event.stream, frame.ts_recv_ns, frame.offset)
    return (NO_STREAM, -1, -1)


NO_STREAM = Stream("", Kind.TRADES, "")
