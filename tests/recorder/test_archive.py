"""Gaps filled from the archive: closed hour by hour with proof, and never by a file that is not whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core.coverage import is_complete
from everytick.errors import Refused
from everytick.host.archives import BucketArchive, FolderArchive, open_archive
from everytick.model.control import Disconnected, control_payload
from everytick.model.frame import FrameKind
from everytick.model.ledger import GapState
from everytick.model.stream import parse_stream
from everytick.model.units import NS_PER_MS, ns_from_ms
from everytick.recorder.archive import ArchiveImport
from everytick.recorder.archive_lines import CHUNK_BYTES_MAX, NotWhole, chunks
from everytick.recorder.backfill import Left
from everytick.recorder.backfill_settings import BackfillSettings
from everytick.sim import archive as written
from everytick.sim.archive import ArchiveTraits
from everytick.sim.market import Market, MarketTraits
from everytick.sim.prints import Print, trades_frame
from everytick.venues.hyperliquid import archive
from everytick.venues.hyperliquid.archive_hours import BY_BLOCK, FILLS, TRADES
from tests.recorder.rig import FakeHttp, Rig

lz4_frame = pytest.importorskip("lz4.frame", reason="lz4 (the extra `archive`) is not installed")

BTC = parse_stream("hyperliquid/trades/BTC")
ETH = parse_stream("hyperliquid/trades/ETH")
HOUR_MS = 3_600_000


def a_market(start: str, span_ms: int, seed: int = 1, per_s: float = 2.0) -> list[Print]:
    start_ms = archive.time_ms(start)
    market = Market(MarketTraits(coins=("BTC", "ETH"), trades_per_s=per_s, block_ms=(400, 1_500)), seed, start_ms)
    return [one for block in market.advance(start_ms + span_ms) for part in block.trades.values() for one in part]


def recorded(prints: list[Print], away: tuple[int, int]) -> Rig:
    """A rig that was connected but for the stretch `away` (ms, half open), and heard everything else."""
    rig = Rig()
    rig.connect(BTC, ETH)
    is_back = False
    for one in prints:
        if away[0] <= one.time_ms < away[1]:
            continue
        if one.time_ms >= away[1] and not is_back:
            is_back = True
            rig.put(FrameKind.DISCONNECT, control_payload(Disconnected("cut")))
            rig.connect(BTC, ETH)
        rig.put(FrameKind.MESSAGE, trades_frame([one]))
    return rig


def fill(rig: Rig, folder: Path) -> list[Left]:
    source = ArchiveImport(
        archive,
        FolderArchive(folder),
        rig.store.reader,
        tape=rig.tape,
        wake_committer=rig.pump,
        clock=rig.clock,
        telemetry=rig.telemetry,
    )
    job = rig.backfill({"hyperliquid": FakeHttp(lambda *_: b"[]")}, BackfillSettings(gap_age_s=0), source)

    async def work() -> list[Left]:
        await job.reopen()
        return await job.once()

    return asyncio.run(work())


def held(rig: Rig) -> list[tuple[str, int, str, str, str]]:
    return sorted(
        (row.stream.instrument, row.ts_event_ns // NS_PER_MS, row.price, row.size, row.side)
        for stream in (BTC, ETH)
        for row in rig.rows(stream)
    )


def truth(prints: Iterable[Print]) -> list[tuple[str, int, str, str, str]]:
    return sorted((one.coin, one.time_ms, *one.values) for one in prints)


def gaps_open(rig: Rig) -> list[tuple[int, int]]:
    return [(g.from_ns // NS_PER_MS, g.to_ns // NS_PER_MS) for g in rig.gaps(BTC, GapState.OPEN)]


@pytest.mark.parametrize(
    ("start", "kinds"),
    [
        ("2025-08-03T10:58:00", (BY_BLOCK,)),
        ("2025-07-01T10:58:00", (FILLS,)),
        ("2025-04-02T10:58:00", (TRADES,)),
        ("2025-06-02T10:58:00", (FILLS, TRADES)),
        ("2025-07-27T07:58:00", (FILLS, BY_BLOCK)),
    ],
)
def test_an_outage_over_the_hour_is_closed_from_every_kind_of_file(
    tmp_path: Path, start: str, kinds: tuple[str, ...]
) -> None:
    prints = a_market(start, 4 * 60_000)
    away = (prints[0].time_ms + 50_000, prints[0].time_ms + 190_000)
    rig = recorded(prints, away)
    assert len(gaps_open(rig)) == 1
    written.write(tmp_path, prints, ArchiveTraits(kinds=kinds), prints[-1].time_ms)
    assert fill(rig, tmp_path) == []
    assert held(rig) == truth(prints)
    cover = rig.store.reader().coverage(BTC, 0, 2**62)
    first, last = (ns_from_ms([p for p in prints if p.coin == "BTC"][at].time_ms) for at in (0, -1))
    assert is_complete(cover, first + NS_PER_MS, last)
    assert list(rig.rebuilt().reader().dump()) == list(rig.store.reader().dump())


def test_what_happened_just_before_the_hour_waits_for_the_next_file(tmp_path: Path) -> None:
    prints = a_market("2025-08-03T10:50:00", 20 * 60_000, per_s=0.5)
    ten = archive.time_ms("2025-08-03T11:00:00")
    rig = recorded(prints, (ten - 300_000, ten + 300_000))
    traits = ArchiveTraits(late_ms=2_000, missing=(f"{BY_BLOCK}/hourly/20250803/11.lz4",))
    written.write(tmp_path, prints, traits, prints[-1].time_ms)
    left = fill(rig, tmp_path)
    assert {one.reason for one in left} == {f"{BY_BLOCK}/hourly/20250803/11.lz4: it is not there"}
    ((from_ms, to_ms),) = gaps_open(rig)
    assert from_ms == ten - 60_000
    assert to_ms > ten
    written.write(tmp_path, prints, ArchiveTraits(late_ms=2_000), prints[-1].time_ms)
    assert fill(rig, tmp_path) == []
    assert held(rig) == truth(prints)


@pytest.mark.parametrize("fault", ["missing", "truncated"])
def test_a_file_that_is_not_whole_is_named_and_its_gap_stays_open_until_it_is(tmp_path: Path, fault: str) -> None:
    prints = a_market("2025-08-03T10:20:00", 4 * 60_000)
    rig = recorded(prints, (prints[0].time_ms + 50_000, prints[0].time_ms + 190_000))
    name = f"{BY_BLOCK}/hourly/20250803/10.lz4"
    faulty = ArchiveTraits(missing=(name,)) if fault == "missing" else ArchiveTraits(truncated=(name,))
    written.write(tmp_path, prints, faulty, prints[-1].time_ms)
    before = gaps_open(rig)
    left = fill(rig, tmp_path)
    why = {"missing": "it is not there", "truncated": "it ends too early"}[fault]
    assert {one.reason for one in left} == {f"{name}: {why}"}
    assert gaps_open(rig) == before
    assert set(held(rig)) <= set(truth(prints))
    written.write(tmp_path, prints, ArchiveTraits(), prints[-1].time_ms)
    assert fill(rig, tmp_path) == []
    assert held(rig) == truth(prints)


def test_a_gap_that_was_given_up_is_taken_up_again_when_an_archive_comes(tmp_path: Path) -> None:
    prints = a_market("2025-08-03T10:20:00", 4 * 60_000)
    rig = recorded(prints, (prints[0].time_ms + 50_000, prints[0].time_ms + 190_000))
    rig.clock.now_ns += 10**9 * 604_800
    asyncio.run(rig.backfill({"hyperliquid": FakeHttp(lambda *_: b"[]")}).once())
    assert {gap.state for gap in rig.gaps(BTC)} == {GapState.PERMANENT}
    written.write(tmp_path, prints, ArchiveTraits(), prints[-1].time_ms)
    assert fill(rig, tmp_path) == []
    assert {gap.state for gap in rig.gaps(BTC)} == {GapState.CLOSED}
    assert held(rig) == truth(prints)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_any_order_of_live_late_and_archived_trades_ends_with_the_same_trades(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    dice = random.Random(seed)
    prints = a_market("2025-08-03T10:40:00", 50 * 60_000, seed=seed % 7, per_s=0.1)
    at = sorted(dice.sample(range(5, len(prints) - 5), 6))
    folder = tmp_path_factory.mktemp("archive")
    hours = [f"{BY_BLOCK}/hourly/20250803/{hour}.lz4" for hour in (10, 11)]
    rig = Rig()
    rig.connect(BTC, ETH)
    for turn, (low, high) in enumerate(zip([0, *at], [*at, len(prints)], strict=True)):
        part = prints[low:high]
        if turn % 2 == 0:
            for one in part:
                rig.put(FrameKind.MESSAGE, trades_frame([one]))
        else:
            rig.put(FrameKind.DISCONNECT, control_payload(Disconnected("cut")))
            if dice.random() < 0.5:
                rig.restart_projector()
            rig.connect(BTC, ETH)
        if dice.random() < 0.5:
            faults = ArchiveTraits(missing=tuple(h for h in hours if dice.random() < 0.4))
            written.write(folder, prints[: dice.randrange(low + 1, high + 1)], ArchiveTraits(), prints[-1].time_ms)
            for name in faults.missing:
                (folder / name).unlink(missing_ok=True)
            # An archive is only ever asked for what is over: its files hold all of that.
            written.write(folder, prints, faults, prints[-1].time_ms)
            fill(rig, folder)
    written.write(folder, prints, ArchiveTraits(), prints[-1].time_ms)
    assert fill(rig, folder) == []
    for stream in (BTC, ETH):
        mine = [one for one in prints if one.coin == stream.instrument]
        seen = [row.ts_event_ns for row in rig.rows(stream)]
        low, high = min(seen, default=0), max(seen, default=0)
        inside = {one.key for one in mine if low <= ns_from_ms(one.time_ms) <= high}
        assert {(row.ts_event_ns // NS_PER_MS, row.trade_id) for row in rig.rows(stream)} == inside
        assert rig.gaps(stream, GapState.OPEN) == []
        assert is_complete(rig.store.reader().coverage(stream, 0, 2**62), low + NS_PER_MS, high)
    assert list(rig.rebuilt().reader().dump()) == list(rig.store.reader().dump())


# Files


def pieces(packed: bytes, size: int = 1_000) -> Iterable[bytes]:
    return iter([packed[at : at + size] for at in range(0, len(packed), size)])


def test_a_file_cut_anywhere_is_never_taken_for_whole() -> None:
    text = b"".join(b'{"line":%d}\n' % number for number in range(300))
    packed = written.pack(text)
    for length in range(len(packed)):
        with pytest.raises(NotWhole):
            list(chunks(iter(pieces(packed[:length], 64)), lambda line: line))
    (whole,) = chunks(iter(pieces(packed, 64)), lambda line: line)
    assert whole == (text.rstrip(), 300)


def test_a_flipped_bit_is_never_taken_for_whole() -> None:
    packed = written.pack(b"".join(b"%d\n" % number for number in range(2_000)))
    dice = random.Random(4)
    for _ in range(60):
        spoilt = bytearray(packed)
        spoilt[dice.randrange(7, len(packed))] ^= 1 << dice.randrange(8)
        with pytest.raises(NotWhole):
            list(chunks(iter(pieces(bytes(spoilt))), lambda line: line))


def test_frames_in_a_row_are_one_file_and_chunks_are_bounded() -> None:
    line = b"x" * 999_999 + b"\n"
    packed = written.pack(line * 3) + written.pack(line * 6)
    found = list(chunks(iter(pieces(packed)), lambda one: one))
    assert sum(count for _, count in found) == 9
    assert max(len(body) for body, _ in found) <= CHUNK_BYTES_MAX


def test_the_folder_and_the_bucket_read_the_same(tmp_path: Path) -> None:
    pytest.importorskip("obstore", reason="obstore (the extra `archive`) is not installed")
    prints = a_market("2025-08-03T10:20:00", 60_000)
    name = written.write(tmp_path, prints, ArchiveTraits(), prints[-1].time_ms)[0]
    folder, bucket = FolderArchive(tmp_path), BucketArchive(tmp_path.as_uri())
    assert b"".join(bucket.read(name)) == b"".join(folder.read(name)) == (tmp_path / name).read_bytes()
    for files in (folder, bucket):
        with pytest.raises(FileNotFoundError):
            list(files.read("node_fills/hourly/20250803/1.lz4"))


def test_a_folder_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nowhere"):
        open_archive(str(tmp_path / "nowhere"))
