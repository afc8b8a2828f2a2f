"""Migrations run once, in order, and never over a store that this program does not know."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from everytick.errors import Refused
from everytick.stores import migrate
from everytick.stores.migrate import Applied, Migration, migrations, pending
from everytick.stores.open import open_reader, open_store
from everytick.stores.sqlite import schema
from tests.stores.records import content, one_of_each

FIRST = Migration(1, "first", "CREATE TABLE a (x)")
SECOND = Migration(2, "second", "CREATE TABLE b (x)")


def test_what_is_missing_is_pending_in_order() -> None:
    assert pending([FIRST, SECOND], [], "s") == [FIRST, SECOND]
    assert pending([FIRST, SECOND], [FIRST.applied], "s") == [SECOND]
    assert pending([FIRST, SECOND], [SECOND.applied, FIRST.applied], "s") == []


def test_a_newer_store_is_refused_with_the_way_out() -> None:
    with pytest.raises(Refused) as refusal:
        pending([FIRST], [FIRST.applied, SECOND.applied], "/data/store.sqlite")
    assert str(refusal.value) == (
        "/data/store.sqlite: the store was written by a newer everytick: it has migration 2 (second), this program "
        "knows 1 (upgrade everytick, or choose another path: `everytick rebuild` makes the store again from the tape)"
    )


def test_a_changed_migration_is_refused() -> None:
    with pytest.raises(Refused, match=r"migration 1 of the store \(first, [0-9a-f]{12}\) is not the one"):
        pending([FIRST], [Applied(1, "first", "0" * 64)], "s")
    with pytest.raises(Refused, match=r"migration 1 of the store"):
        pending([FIRST], [Migration(1, "other", FIRST.text).applied], "s")


def test_the_files_are_numbered_and_as_they_were_released() -> None:
    known = migrations("sqlite")
    assert [migration.number for migration in known] == list(range(1, len(known) + 1))
    assert known[0].name == "first"


def test_a_store_remembers_its_migrations_and_a_newer_or_changed_one_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "store.sqlite")
    store = open_store(path)
    store.apply(one_of_each())
    before = content(store.reader())
    store.close()
    plain = apsw.Connection(path)
    assert plain.execute("SELECT number, name, checksum FROM migrations").fetchall() == [
        (one.applied.number, one.applied.name, one.applied.checksum) for one in migrations("sqlite")
    ]
    for change, undo, sentence in (
        ("INSERT INTO migrations VALUES (99, 'later', 'x')", "DELETE FROM migrations WHERE number = 99", "newer"),
        (
            "UPDATE migrations SET checksum = 'x' || checksum WHERE number = 1",
            "UPDATE migrations SET checksum = substr(checksum, 2) WHERE number = 1",
            "is not the one this program knows",
        ),
    ):
        plain.execute(change)
        for opening in (open_store, open_reader):
            with pytest.raises(Refused, match=sentence):
                opening(path)
        plain.execute(undo)
    plain.close()
    again = open_store(path)
    assert content(again.reader()) == before
    again.close()


def test_an_older_store_is_brought_up_to_date_with_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "store.sqlite")
    store = open_store(path)
    store.apply(one_of_each())
    before = content(store.reader())
    store.close()
    known = migrations("sqlite")
    newer = Migration(len(known) + 1, "notes", "CREATE TABLE notes (x); INSERT INTO notes VALUES (1);")
    monkeypatch.setattr(schema, "migrations", lambda _dialect: [*known, newer])
    with pytest.raises(Refused, match="of an older everytick: it lacks migration 2 \\(notes\\)"):
        open_reader(path)
    store = open_store(path)
    assert content(store.reader()) == before
    store.close()
    open_store(path).close()
    plain = apsw.Connection(path)
    assert plain.execute("SELECT count(*) FROM notes").fetchall() == [(1,)]
    plain.close()


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "store.sqlite")
    open_store(path).close()
    known = migrations("sqlite")
    broken = Migration(len(known) + 1, "broken", "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrations", lambda _dialect: [*known, broken])
        with pytest.raises(Exception, match="nowhere"):
            open_store(path)
    plain = apsw.Connection(path)
    assert plain.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchall() == [(0,)]
    plain.close()
    open_store(path).close()


def test_a_file_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "browser.sqlite")
    plain = apsw.Connection(path)
    plain.execute("CREATE TABLE bookmarks (x)")
    for opening in (open_store, open_reader):
        with pytest.raises(Refused, match=r"tables of another program \(bookmarks\).*a path of its own"):
            opening(path)
    assert plain.execute("SELECT name FROM sqlite_schema").fetchall() == [("bookmarks",)]
    plain.close()


def test_the_way_out_is_one_sentence_everywhere() -> None:
    assert migrate.REBUILD == "`everytick rebuild` makes the store again from the tape"
