"""Failing disks, full disks, busy files, damaged files: nothing half done, and one clear sentence."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from everytick.errors import Fatal, Retryable
from everytick.stores.open import open_reader, open_store
from everytick.stores.protocol import Batch, Store
from everytick.stores.sqlite import SqliteStore, connect
from tests.stores.breaking import NAME, breaking_disk
from tests.stores.records import BTC, content, one_of_each, trade


def batches(count: int, rows: int = 40) -> list[Batch]:
    first = one_of_each()
    return [
        first,
        *(
            Batch(
                *(10 + n, 11 + n),
                trades=[trade(BTC, 100 + n, n * rows + k) for k in range(rows)],
                states={"": b"%d" % n},
                counts={"frames": 1},
            )
            for n in range(count)
        ),
    ]


def truth(tape: list[Batch]) -> list[str]:
    oracle = open_store("memory:")
    for batch in tape:
        oracle.apply(batch)
    return content(oracle.reader())


def attempt(store: Store, batch: Batch) -> str:
    """What stood in the way of the batch; empty if it was applied."""
    try:
        store.apply(batch)
    except Retryable as error:
        return str(error)
    return ""


@pytest.mark.parametrize("result", [apsw.SQLITE_IOERR, apsw.SQLITE_FULL])
def test_whichever_write_or_sync_fails_the_batch_applies_once_in_the_end(tmp_path: Path, result: int) -> None:
    tape = batches(3, rows=120)
    expected = truth(tape)
    with breaking_disk() as fuse, pytest.MonkeyPatch.context() as patch:
        patch.setattr(connect, "CHECKPOINT_PAGES", 8)  # so that folding the log into the file fails as well
        for fail_at in range(1, 500):
            store = SqliteStore(str(tmp_path / f"{fail_at}.sqlite"), vfs=NAME)
            fuse.set(fail_at, result)
            retries = 0
            for batch in tape:
                trouble = attempt(store, batch)
                if trouble:
                    # After a failed write or sync only a connection that reads the file anew may go on.
                    assert (store._connection is None) is (result == apsw.SQLITE_IOERR)
                    retries += 1
                    assert f"{fail_at}.sqlite" in trouble
                    store.apply(batch)
            assert retries <= 1
            is_blown = fuse.is_blown
            fuse.set(0, result)
            assert content(store.reader()) == expected, f"operation {fail_at}"
            assert store.reader().totals().trades == 364
            store.close()
            if not is_blown:
                break
        assert fail_at > 30  # several writes and a sync for each commit, and the checkpoints


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_one_clear_sentence_and_work_goes_on_when_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    store = open_store(f"sqlite:///{small_disk}/store.sqlite")
    tape = batches(300)
    applied = []
    store.apply(tape[0])
    applied.append(tape[0])
    room = os.statvfs(small_disk)
    ballast.write_bytes(bytes(room.f_bavail * room.f_bsize - 100 * 1024))
    for batch in tape[1:]:
        before = content(store.reader())
        trouble = attempt(store, batch)
        if trouble:
            place = f"{small_disk}/store.sqlite"
            assert trouble == f"the store {place} has no room: its disk is full; free some and it goes on"
            assert content(store.reader()) == before
            break
        applied.append(batch)
    else:
        pytest.fail("the disk never filled")
    with pytest.raises(Retryable):
        store.apply(batch)
    ballast.unlink()
    store.apply(batch)
    assert content(store.reader()) == truth([*applied, batch])
    store.close()


def test_a_busy_file_is_retryable_and_the_batch_applies_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_MS", 1)
    path = str(tmp_path / "store.sqlite")
    store = open_store(path)
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Retryable, match="is busy"):
        store.apply(one_of_each())
    other.execute("ROLLBACK")
    other.close()
    store.apply(one_of_each())
    assert content(store.reader()) == truth([one_of_each()])
    store.close()


def grown(path: Path) -> None:
    store = open_store(str(path))
    for batch in batches(50):
        store.apply(batch)
    store.close()


def test_a_damaged_file_is_fatal_and_the_way_out_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    grown(path)
    data = bytearray(path.read_bytes())
    assert len(data) > 20 * 4096
    data[10 * 4096 :] = b"\xa5" * (len(data) - 10 * 4096)
    path.write_bytes(data)
    with pytest.raises(Fatal, match=r"store\.sqlite is damaged .*everytick rebuild"):
        list(open_reader(str(path)).dump())
    with pytest.raises(Fatal, match=r"store\.sqlite is damaged .*everytick rebuild"):
        open_store(str(path))


def test_a_file_that_is_no_database_is_fatal_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"time,price\n" * 1_000)
    for opening in (open_store, open_reader):
        with pytest.raises(Fatal, match="damaged or no SQLite file"):
            opening(str(path))
    assert path.read_bytes() == b"time,price\n" * 1_000


def test_a_dump_shows_one_state_while_batches_are_applied(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite"))
    tape = batches(20)
    for batch in tape[:10]:
        store.apply(batch)
    reader = store.reader()
    dump = reader.dump()
    lines = [next(dump)]
    for batch in tape[10:]:
        store.apply(batch)
    assert reader.checkpoint() == 30  # other questions see the newest state meanwhile
    lines += dump
    assert lines == truth(tape[:10])
    reader.close()
    store.close()


def test_a_writer_cut_off_in_the_middle_of_a_batch_leaves_whole_batches(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store: Store = open_store(str(path))
    tape = batches(5)
    for batch in tape:
        store.apply(batch)
    # The log as a kill would leave it, cut after every few bytes of its last transaction.
    main, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    store.close()
    states = {tuple(truth(tape[:n])) for n in range(1, len(tape) + 1)}
    seen = set()
    for n, cut in enumerate(range(len(log), 0, -2_222)):
        copy = tmp_path / f"{n}.sqlite"
        copy.write_bytes(main)
        Path(f"{copy}-wal").write_bytes(log[:cut])
        try:
            again = open_store(str(copy))
        except Fatal:
            pytest.fail(f"a log cut at {cut} of {len(log)} bytes cannot be opened")
        lines = tuple(content(again.reader()))
        again.close()
        if lines != ('["checkpoint",0]',):
            assert lines in states
            seen.add(lines)
    assert len(seen) >= 3
