"""What the SQLite store promises beyond the contract: one writer, private files, plain SQL, cheap questions."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from everytick.errors import Fatal, Refused, Retryable
from everytick.model.stream import Kind, Stream
from everytick.stores.open import open_reader, open_store
from everytick.stores.protocol import Batch, RowQuery
from everytick.stores.spelling import DUMPED
from tests.stores.records import ALL, BTC, content, one_of_each, trade


def test_what_was_applied_is_there_after_opening_again(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "store.sqlite")
    store = open_store(path)
    store.apply(one_of_each())
    before = content(store.reader())
    store.close()
    again = open_store(f"sqlite:///{path}")
    assert content(again.reader()) == before
    assert again.states() == one_of_each().states
    again.apply(Batch(10, 11, streams=[*ALL, Stream("x", Kind.TRADES, "y")], trades=[trade(BTC, 99, 1)]))
    again.close()
    reader = open_reader(path)
    assert reader.checkpoint() == 11
    assert list(reader.streams().values()) == list(range(1, len(ALL) + 2))
    reader.close()


def test_a_second_writer_is_refused_and_told_who_holds_the_store(tmp_path: Path) -> None:
    path = str(tmp_path / "store.sqlite")
    store = open_store(path, owner="everytick record (process 42)")
    with pytest.raises(Refused, match=r"store\.sqlite: another writer has this store: everytick record \(process 42\)"):
        open_store(path)
    store.apply(one_of_each())  # and the first one did not notice
    store.close()
    open_store(path).close()


def test_a_writer_that_was_taken_over_writes_nothing_more(tmp_path: Path) -> None:
    path = str(tmp_path / "store.sqlite")
    old = open_store(path, owner="old")
    old.apply(one_of_each())
    new = open_store(path, owner="new", take_over=True)
    before = content(new.reader())
    with pytest.raises(Fatal, match="new has taken over the store"):
        old.apply(Batch(10, 11, trades=[trade(BTC, 99, 1)]))
    assert content(new.reader()) == before
    new.apply(Batch(10, 11, trades=[trade(BTC, 99, 1)]))
    old.close()
    new.apply(Batch(11, 12))  # takes the lock that the old one has let go
    with pytest.raises(Refused, match="another writer has this store: new"):
        open_store(path)
    new.close()


def test_the_lock_of_a_killed_writer_is_free_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "store.sqlite")
    code = (
        "from everytick.stores.open import open_store\n"
        f"store = open_store({path!r}, owner='other')\nprint(1, flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        with pytest.raises(Refused, match="another writer has this store: other"):
            open_store(path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        store = open_store(path)
        store.apply(one_of_each())
        store.close()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite"))
    store.close()
    with pytest.raises(Fatal, match="is closed"):
        store.apply(one_of_each())


def test_the_files_belong_to_their_owner_alone(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite"))
    store.apply(one_of_each())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    store.close()
    assert set(modes) == {"store.sqlite", "store.sqlite-wal", "store.sqlite-shm", "store.sqlite-writer"}
    assert set(modes.values()) == {0o600}


def test_a_commit_is_synced_and_the_log_is_bounded(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite"))
    connection = store._connection
    settings = {name: connection.pragma(name) for name in ("journal_mode", "synchronous", "journal_size_limit")}
    store.close()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "journal_size_limit": 64 * 1024 * 1024}


def test_plain_sql_sees_numbers(tmp_path: Path) -> None:
    path = str(tmp_path / "store.sqlite")
    store = open_store(path)
    store.apply(Batch(0, 1, streams=[BTC], trades=[trade(BTC, n, n, text) for n, text in enumerate(["9.5", "10.0"])]))
    store.close()
    plain = apsw.Connection(path)
    found = plain.execute("SELECT max(price), sum(price * size), min(price_text) FROM trades").fetchall()
    plain.close()
    assert found == [(10.0, 4.875, "10.0")]


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = str(tmp_path / "store.sqlite")
    open_store(path).close()
    reader = open_reader(path)
    with pytest.raises(apsw.ReadOnlyError):
        reader._connection.execute("DELETE FROM checkpoint")
    reader.close()


def test_a_reader_waits_for_the_first_recorder(tmp_path: Path) -> None:
    with pytest.raises(Retryable, match=r"no store at .* yet"):
        open_reader(str(tmp_path / "store.sqlite"))
    assert list(tmp_path.iterdir()) == []


def test_no_question_reads_a_whole_table_or_sorts_one(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite"))
    store.apply(one_of_each())
    reader = store.reader()
    connection = reader._connection
    asked: list[str] = []
    connection.exec_trace = lambda _cursor, text, _values: asked.append(text) or True
    one, many = RowQuery((ALL[0],), after=(5, 1, 5)), RowQuery(tuple(ALL), descending=False)
    for query in (one, many):
        reader.trades(query)
        reader.trades_json(query)
        reader.candles(query)
    reader.latest()
    reader.coverage(BTC, 0, 1)
    reader.totals()
    connection.exec_trace = None
    plans = 0
    for text in dict.fromkeys(asked):
        if text.startswith("SELECT") and not any(small in text for small in ("FROM sizes", "FROM counts")):
            bound = (None,) * text.count("?")
            steps = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {text}", bound)]
            plans += 1
            for step in steps:
                assert "TEMP B-TREE" not in step, text
                assert not step.startswith("SCAN") or "gaps_open" in step, (step, text)
    assert plans >= 10
    for table, columns in list(DUMPED.items())[1:]:
        text = f"EXPLAIN QUERY PLAN SELECT {', '.join(columns)} FROM {table} ORDER BY {', '.join(columns[:4])}"
        assert [step for *_, step in connection.execute(text)] == [f"SCAN {table}"]  # a dump walks, never sorts
    reader.close()
    store.close()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("sqllite:///store.sqlite", r"no store of the kind sqllite: \(did you mean sqlite:\?\)"),
        ("mysql://user:hunter2@host/name", "no store of the kind mysql: .*a file is `sqlite:///"),
        ("postgresq://user:hunter2@host/name", r"no store of the kind postgresq: \(did you mean postgresql:\?\)"),
        ("sqlite://host/store.sqlite", "no host"),
        ("sqlite://store.sqlite", "no host"),
        ("sqlite:", "names no file"),
        ("", "names no file"),
    ],
)
def test_an_address_that_means_nothing_is_refused_with_the_right_spelling(address: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence) as refusal:
        open_store(address)
    assert "hunter2" not in str(refusal.value)
    assert "hunter2" not in repr(refusal.value.value)


def test_a_store_in_memory_has_no_readers_elsewhere() -> None:
    with pytest.raises(Refused, match="only by the process that writes it"):
        open_reader("memory:")


def test_a_path_that_is_a_folder_or_below_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises((Refused, Retryable), match=str(tmp_path)):
        open_store(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="the folder cannot be written"):
        open_store(str(tmp_path / "file" / "store.sqlite"))
