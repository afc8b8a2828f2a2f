"""The ledger of truth: what a simulated venue really sent, and the judgement on what a store holds of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from everytick.model.ledger import Gap, GapKind, GapState
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_MS, ms_from_ns
from everytick.sim.dense import IdAudit, audit_ids
from everytick.sim.prints import Print

Key = tuple[int, int]  # (time ms, trade id), unique within a coin
Values = tuple[str, str, str]  # price, size, side as written


class Poison(msgspec.Struct, frozen=True):
    """One message that must end in quarantine: what was wrong with it, and its first bytes."""

    kind: str
    excerpt: bytes
    bytes_sent: int


class Cut(msgspec.Struct, frozen=True):
    """The venue ended every connection: why, at which venue time, and for how long nobody could connect."""

    cause: str
    at_ms: int
    outage_ms: int = 0


class Ledger:
    """What was sent, per coin, in wire text; what happened while nobody was there to see; what was poison.

    A trade counts as sent once it was written to at least one connection that was up. `unseen` holds the
    trades that happened after a coin's first subscription and reached nobody: a recorder cannot hold them,
    but must name the interval they are in. `dropped` were kept back from every connection, and the venue's history
    has them; `holes` are ids that never were, so that nothing can have them.
    """

    def __init__(self) -> None:
        self.sent: dict[str, dict[Key, Values]] = {}
        self.unseen: dict[str, dict[Key, Values]] = {}
        self.dropped: dict[str, dict[Key, Values]] = {}
        self.holes: dict[str, set[int]] = {}
        self.frames: Counter[tuple[str, str]] = Counter()  # (channel, coin) -> messages sent
        self.poison: list[Poison] = []
        self.cuts: list[Cut] = []
        self.replays = 0
        self.repeated = 0  # trades sent again, in replays and resent blocks

    def emitted(self, coin: str, trades: Iterable[Print]) -> None:
        """These trades went out."""
        sent = self.sent.setdefault(coin, {})
        unseen, dropped = self.unseen.get(coin), self.dropped.get(coin)
        for trade in trades:
            key = trade.key
            if key in sent:
                self.repeated += 1
            else:
                sent[key] = trade.values
                if unseen:
                    unseen.pop(key, None)
                if dropped:
                    dropped.pop(key, None)

    def missed(self, coin: str, trades: Iterable[Print]) -> None:
        """These trades happened while nobody was subscribed. Before a coin's first subscription none count."""
        if coin not in self.sent:
            return
        sent, unseen = self.sent[coin], self.unseen.setdefault(coin, {})
        for trade in trades:
            if trade.key not in sent:
                unseen[trade.key] = trade.values

    def kept_back(self, coin: str, trades: Iterable[Print]) -> None:
        """These trades happened and were sent to nobody, on purpose."""
        self.dropped.setdefault(coin, {}).update((trade.key, trade.values) for trade in trades)

    def never_were(self, coin: str, trades: Iterable[Print]) -> None:
        """The ids of these were left out: the venue itself has no such trades."""
        self.holes.setdefault(coin, set()).update(trade.tid for trade in trades)

    def sent_count(self, coin: str) -> int:
        """Distinct trades sent of this coin."""
        return len(self.sent.get(coin, ()))


class StoredTrade(Protocol):
    """What the audit reads of a stored row; `everytick.stores.protocol.Row` has it."""

    @property
    def stream(self) -> Stream: ...

    @property
    def ts_event_ns(self) -> int: ...

    @property
    def trade_id(self) -> int: ...

    @property
    def price(self) -> str: ...

    @property
    def size(self) -> str: ...

    @property
    def side(self) -> str: ...


class GapSaid(msgspec.Struct, frozen=True):
    """A gap as the audit prints it, in venue milliseconds, both ends inclusive; ids are -1 where they tell nothing."""

    from_ms: int
    to_ms: int
    kind: GapKind
    state: GapState
    cause: str
    estimated_missing: int
    first_id: int
    last_id: int


class StreamAudit(msgspec.Struct, frozen=True):
    """One stream, sent against held. Every count is of distinct trades by identity, but `duplicates`.

    `duplicates` are rows beyond the first of an identity; `wrong` have other values than were sent;
    `unknown` were never sent; `missing_unnamed` are missing and in no gap; `unseen` happened while nobody was
    connected, `unseen_unnamed` of them in no gap; `dropped` were kept back from every connection; `recovered` were
    dropped or unseen and are held all the same, from the venue's history. `ids` is there where ids are in a row.
    """

    venue: str
    instrument: str
    sent: int
    stored: int
    duplicates: int
    missing: int
    gaps: list[GapSaid]
    missing_unnamed: int
    wrong: int
    unknown: int
    unseen: int
    unseen_unnamed: int
    dropped: int
    recovered: int
    ids: IdAudit | None
    examples: list[str]

    @property
    def is_exact(self) -> bool:
        """Every trade sent is held once with its own values, and nothing else is."""
        return self.is_honest and not self.missing

    @property
    def is_honest(self) -> bool:
        """What is held is right, and whatever is missing lies in a gap that was named."""
        if self.ids is not None and (self.ids.unnamed or self.ids.misnamed):
            return False
        return not (self.missing_unnamed or self.duplicates or self.wrong or self.unknown or self.unseen_unnamed)


class Audit(msgspec.Struct, frozen=True):
    """All streams. `exact`: every one is; `honest`: nothing is wrong and every loss is named."""

    streams: list[StreamAudit]
    exact: bool
    honest: bool


EXAMPLES_MAX = 5  # enough to look at by hand; the counts tell the rest


def audit(
    venue: str, ledger: Ledger, rows: Iterable[StoredTrade], gaps: Sequence[Gap], *, dense_ids: bool = False
) -> Audit:
    """Compare the truth with what is held. Pure; `rows` may come in any order and is read once.

    `dense_ids`: the venue's ids are in a row, so the gaps must name exactly the ids that are not held.
    """
    held: dict[str, dict[Key, Values]] = {coin: {} for coin in ledger.sent}
    duplicates: Counter[str] = Counter()
    for row in rows:
        if row.stream.venue != venue or row.stream.kind is not Kind.TRADES:
            continue
        coin = row.stream.instrument
        of_coin = held.setdefault(coin, {})
        # A time that is not whole milliseconds was never sent: keep it apart from every sent one.
        time_ms = row.ts_event_ns // NS_PER_MS if row.ts_event_ns % NS_PER_MS == 0 else -row.ts_event_ns
        key = (time_ms, row.trade_id)
        if key in of_coin:
            duplicates[coin] += 1
        of_coin[key] = (row.price, row.size, row.side)
    streams = [
        _audit_coin(
            Stream(venue, Kind.TRADES, coin),
            ledger,
            of_coin,
            duplicates[coin],
            [gap for gap in gaps if gap.stream == Stream(venue, Kind.TRADES, coin)],
            dense_ids=dense_ids,
        )
        for coin, of_coin in sorted(held.items())
    ]
    return Audit(streams, all(s.is_exact for s in streams), all(s.is_honest for s in streams))


def _audit_coin(
    stream: Stream,
    ledger: Ledger,
    held: Mapping[Key, Values],
    duplicates: int,
    gaps: Sequence[Gap],
    *,
    dense_ids: bool,
) -> StreamAudit:
    coin = stream.instrument
    sent, unseen, dropped = ledger.sent.get(coin, {}), ledger.unseen.get(coin, {}), ledger.dropped.get(coin, {})
    true = {**dropped, **unseen, **sent}
    intervals = [(ms_from_ns(gap.from_ns), ms_from_ns(gap.to_ns)) for gap in gaps]
    missing = [key for key in sent if key not in held]
    wrong = [key for key, values in held.items() if key in true and true[key] != values]
    unknown = [key for key in held if key not in true]
    missing_unnamed = _outside(missing, intervals)
    unseen_unnamed = _outside([key for key in unseen if key not in held], intervals)
    ids = None
    if dense_ids:
        held_ids, true_ids = {key[1] for key in held}, {key[1] for key in true}
        ids = audit_ids(held_ids, true_ids, ledger.holes.get(coin, set()), gaps, EXAMPLES_MAX)
    examples = [
        *(f"missing and in no gap: {stream.key} time {t} tid {tid}" for t, tid in missing_unnamed),
        *(f"wrong: {stream.key} time {k[0]} tid {k[1]} true {true[k]} held {held[k]}" for k in wrong),
        *(f"never sent: {stream.key} time {t} tid {tid}" for t, tid in unknown),
        *(f"unseen and in no gap: {stream.key} time {t} tid {tid}" for t, tid in unseen_unnamed),
        *(f"{stream.key}: {example}" for example in (ids.examples if ids else ())),
    ]
    return StreamAudit(
        venue=stream.venue,
        instrument=stream.instrument,
        sent=len(sent),
        stored=len(held) + duplicates,
        duplicates=duplicates,
        missing=len(missing),
        gaps=sorted(map(_said, gaps), key=lambda gap: (gap.from_ms, gap.first_id)),
        missing_unnamed=len(missing_unnamed),
        wrong=len(wrong),
        unknown=len(unknown),
        unseen=len(unseen),
        unseen_unnamed=len(unseen_unnamed),
        dropped=len(dropped),
        recovered=sum(1 for key in held if key in true and key not in sent),
        ids=ids,
        examples=examples[:EXAMPLES_MAX],
    )


def _said(gap: Gap) -> GapSaid:
    return GapSaid(
        ms_from_ns(gap.from_ns),
        ms_from_ns(gap.to_ns),
        gap.kind,
        gap.state,
        gap.cause,
        gap.estimated_missing,
        gap.first_id,
        gap.last_id,
    )


def _outside(keys: Iterable[Key], intervals: Sequence[tuple[int, int]]) -> list[Key]:
    return [key for key in keys if not any(low <= key[0] <= high for low, high in intervals)]
