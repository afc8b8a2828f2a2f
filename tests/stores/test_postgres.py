"""What the PostgreSQL store promises beyond the contract: one writer, durable commits, plain SQL, clear refusals."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import psycopg
import pytest

from everytick.errors import Fatal, Refused, Retryable
from everytick.model.event import AssetContext
from everytick.model.stream import Kind, Stream
from everytick.model.units import ns_from_ms
from everytick.stores.open import open_reader, open_store
from everytick.stores.postgres import connect
from everytick.stores.postgres.encode import lines
from everytick.stores.postgres.tables import escaped, unescaped
from everytick.stores.protocol import Batch, Placed, RowQuery, Taken, Unstorable
from tests.stores.records import ALL, BTC, CONTEXTS, ETH, QUOTES, content, mid, one_of_each, quote, trade
from tests.stores.server import Server
from tests.stores.wire import Proxy, proxy

SECRET = "hunter2hunter2"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="px") as made:
        yield Path(made)


@pytest.fixture
def line(postgres: Server, folder: Path) -> Iterator[Proxy]:
    """A proxy before the shared server; `host=` its folder goes through it."""
    with proxy(folder, postgres.folder) as standing:
        yield standing


def through(url: str, line: Proxy, postgres: Server) -> str:
    return url.replace(str(postgres.folder), str(line.folder))


def truth(tape: list[Batch]) -> list[str]:
    oracle = open_store("memory:")
    for batch in tape:
        oracle.apply(batch)
    return content(oracle.reader())


def test_what_was_applied_is_there_after_opening_again(postgres: Server) -> None:
    url = postgres.schema()
    store = open_store(url)
    store.apply(one_of_each())
    store.close()
    again = open_store(url.replace("postgresql://", "postgres://"))
    assert content(again.reader()) == truth([one_of_each()])
    assert again.states() == one_of_each().states
    again.apply(Batch(10, 11, streams=[*ALL, Stream("x", Kind.TRADES, "y")], trades=[trade(BTC, 99, 1)]))
    again.close()
    reader = open_reader(url)
    assert reader.checkpoint() == 11
    assert list(reader.streams().values()) == list(range(1, len(ALL) + 2))
    reader.close()


def test_a_second_writer_is_refused_and_told_who_holds_the_store_and_where(postgres: Server) -> None:
    url = postgres.schema()
    store = open_store(url, owner="recorder of Monday")
    holder = r"recorder of Monday \(session \d+, everytick recorder of Monday, on the same machine\)"
    with pytest.raises(Taken, match=f"another writer has this store: {holder}"):
        open_store(url)
    store.apply(one_of_each())  # and the first one did not notice
    open_store(postgres.schema()).close()  # another schema is another store
    store.close()
    open_store(url).close()


def test_a_writer_that_was_taken_over_writes_nothing_more(postgres: Server) -> None:
    url = postgres.schema()
    old = open_store(url, owner="old")
    old.apply(one_of_each())
    new = open_store(url, owner="new", take_over=True)
    before = content(new.reader())
    with pytest.raises(Fatal, match="new has taken over the store"):
        old.apply(Batch(10, 11, trades=[trade(BTC, 99, 1)]))
    assert content(new.reader()) == before
    new.apply(Batch(10, 11, trades=[trade(BTC, 99, 1)]))
    old.close()
    new.apply(Batch(11, 12))  # takes the lock that the old one has let go
    with pytest.raises(Taken, match="another writer has this store: new"):
        open_store(url)
    new.close()


def test_a_batch_in_hand_ends_before_another_writer_begins(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres.schema()
    monkeypatch.setattr(connect, "LOCK_WAIT_MS", 50)
    old = open_store(url, owner="old")
    old._connection.execute("BEGIN")
    old._connection.execute("SELECT epoch FROM writer FOR UPDATE")
    with pytest.raises(Retryable, match="waiting for a lock that another session holds"):
        open_store(url, take_over=True)
    old._connection.execute("ROLLBACK")
    open_store(url, take_over=True).close()
    old.close()


def test_a_writer_stopped_in_the_middle_of_a_batch_is_cut_off_by_the_server(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.schema()
    monkeypatch.setattr(connect, "IDLE_IN_TRANSACTION_MS", 50)
    old = open_store(url, owner="old")
    old._connection.execute("BEGIN")
    old._connection.execute("SELECT epoch FROM writer FOR UPDATE")
    new = open_store(url, owner="new", take_over=True)  # waits those 50 ms
    with pytest.raises((Fatal, Retryable)):
        old.apply(one_of_each())
    with pytest.raises(Fatal, match="new has taken over"):
        old.apply(one_of_each())
    new.apply(one_of_each())
    new.close()
    old.close()


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_a_server_that_may_lose_what_it_confirmed_is_refused_unless_told(name: str, folder: Path) -> None:
    with Server() as server:
        server.stop()
        server.start(**{name: "off"})
        with pytest.raises(Refused, match=f"runs with {name} = off.*store.allow_unsafe = true"):
            open_store(server.url)
        open_store(server.url, allow_unsafe=True).close()
        open_reader(server.url).close()  # to read harms nothing


def test_commits_that_do_not_wait_for_the_disk_are_refused_and_none_can_begin_later(postgres: Server) -> None:
    url = postgres.schema()
    off = f"{url}%20-csynchronous_commit%3Doff"
    with pytest.raises(Refused, match="synchronous_commit = off"):
        open_store(off)
    open_store(off, allow_unsafe=True).close()
    store = open_store(url)
    ((source,),) = store._connection.execute(
        "SELECT source FROM pg_settings WHERE name = 'synchronous_commit'"
    ).fetchall()
    assert source == "session"  # a reload of the server's configuration no longer reaches it
    store.close()


@pytest.mark.parametrize(("said", "version"), [(b"14.9", 14), (b"19.1", 19)])
def test_a_server_of_another_version_is_refused(postgres: Server, line: Proxy, said: bytes, version: int) -> None:
    def tell(kind: bytes, body: bytes) -> bytes:
        return b"server_version\0" + said + b"\0" if kind == b"S" and body.startswith(b"server_version\0") else body

    line.change = tell
    url = through(postgres.schema(), line, postgres)
    for opening in (open_store, open_reader):
        with pytest.raises(Refused, match=f"is PostgreSQL {version}; a store needs 15 to 18"):
            opening(url)


def test_the_oldest_server_at_hand_keeps_the_contract() -> None:
    with Server(16) as server:
        store = open_store(server.url)
        store.apply(one_of_each())
        assert content(store.reader()) == truth([one_of_each()])
        reader = store.reader()
        assert reader.trades_json(RowQuery((BTC, ETH)))[1] == 3
        reader.close()
        store.close()


def test_what_a_person_must_mend_is_one_sentence_without_the_password(postgres: Server) -> None:
    postgres.ask("CREATE ROLE reader LOGIN")
    postgres.ask("CREATE ROLE nologin")
    for url, sentence in (
        (postgres.url_of("nowhere"), "has no database of that name"),
        (postgres.url_of("postgres", "nobody_here"), "knows no such user"),
        (postgres.url_of("postgres", "nologin"), "does not permit our user to connect"),
        (postgres.url_of("postgres", "reader"), "our user may not do what a store needs"),
        (postgres.url_of("postgres", foo="1"), "not an address that PostgreSQL understands"),
        (f"postgresql://u:{SECRET}%zz@host/x", "not an address that PostgreSQL understands"),
        (postgres.url_of("postgres", options="-csearch_path%3Dnowhere"), "names no schema that is there"),
    ):
        with pytest.raises((Refused, Retryable), match=sentence) as refusal:
            open_store(url.replace("@", f":{SECRET}@", 1) if SECRET not in url else url)
        assert SECRET not in f"{refusal.value}{refusal.value.__cause__}{refusal.value.__context__}"
        assert "\n" not in str(refusal.value)


def test_a_wrong_password_and_a_host_that_is_not_let_in_are_refused() -> None:
    with Server() as server:
        server.ask(f"ALTER ROLE postgres PASSWORD '{SECRET}'")
        (server.data / "pg_hba.conf").write_text("local postgres all scram-sha-256\nlocal other all reject\n")
        server.ask("SELECT pg_reload_conf()")
        for url, sentence in (
            (server.url.replace("@", ":wrongwrong@"), "refused our user or password"),
            (server.url, "refused our user or password"),
            (server.url_of("other"), "does not let us in from here"),
        ):
            with pytest.raises(Refused, match=sentence) as refusal:
                open_store(url)
            assert "wrongwrong" not in str(refusal.value)
        store = open_store(server.url.replace("@", f":{SECRET}@"))
        assert SECRET not in repr(store._address)
        store.close()


def test_a_server_that_is_not_there_is_waited_for(folder: Path) -> None:
    for url, sentence in (
        (f"postgresql://u:{SECRET}@/x?host={folder}", "is not running, or not there"),
        (f"postgresql://u:{SECRET}@127.0.0.1:1/x", "is not running, or not there"),
        (f"postgresql://u:{SECRET}@no-such-host.invalid/x", "has a name that does not resolve"),
    ):
        for opening in (open_store, open_reader):
            with pytest.raises(Retryable, match=sentence) as trouble:
                opening(url)
            assert SECRET not in str(trouble.value)


def test_too_many_connections_are_waited_for() -> None:
    with Server(settings={"max_connections": "5", "superuser_reserved_connections": "1"}) as server:
        server.ask("CREATE ROLE owner LOGIN")
        server.ask("CREATE DATABASE mine OWNER owner")
        url = server.url_of("mine", "owner")
        taken = [psycopg.connect(url) for _ in range(4)]
        for opening in (open_store, open_reader):
            with pytest.raises(Retryable, match="has too many connections"):
                opening(url)
        taken.pop().close()
        open_store(url).close()
        for one in taken:
            one.close()


def test_tables_of_another_program_are_refused_and_left_alone(postgres: Server) -> None:
    name = postgres.database_name()
    postgres.ask("CREATE TABLE bookmarks (x integer)", name)
    for opening in (open_store, open_reader):
        with pytest.raises((Refused, Retryable), match=r"tables of another program \(bookmarks\)|no store at"):
            opening(postgres.url_of(name))
    assert postgres.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name) == [(1,)]


def test_a_database_of_another_encoding_is_refused(postgres: Server) -> None:
    postgres.ask("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(Refused, match="keeps text as LATIN1"):
        open_store(postgres.url_of("latin"))


def test_a_reader_waits_for_the_first_recorder(postgres: Server) -> None:
    with pytest.raises(Retryable, match=r"there is no store at .* yet"):
        open_reader(postgres.schema())


def test_a_newer_or_changed_store_is_left_alone(postgres: Server) -> None:
    url = postgres.schema()
    open_store(url).close()
    with psycopg.connect(url, autocommit=True) as plain:
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
                    opening(url)
            plain.execute(undo)
    open_store(url).close()


def test_a_reader_cannot_write(postgres: Server) -> None:
    store = open_store(postgres.schema())
    reader = store.reader()
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader._connection.execute("DELETE FROM checkpoint")
    reader.close()
    store.close()


def test_plain_sql_sees_numbers(postgres: Server) -> None:
    url = postgres.schema()
    store = open_store(url)
    store.apply(Batch(0, 1, streams=[BTC], trades=[trade(BTC, n, n, text) for n, text in enumerate(["9.5", "10.0"])]))
    store.close()
    with psycopg.connect(url) as plain:
        found = plain.execute("SELECT max(price), sum(price * size), min(price::text) FROM trades").fetchall()
    assert found == [(Decimal("10.0"), Decimal("4.875"), "10.0")]


def test_a_zero_keeps_the_minus_that_the_venue_wrote(postgres: Server) -> None:
    numbers = [Decimal(text) for text in ("1", "-0.0", "0.00", "-0", "-0.0000", "-0.001", "-0.00", "0")]
    placed = Placed(AssetContext(CONTEXTS, *numbers), 0, 5)
    batch = Batch(0, 1, streams=[CONTEXTS], events=[placed])
    store = open_store(postgres.schema())
    store.apply(batch)
    assert content(store.reader()) == truth([batch])
    store.close()


def test_any_text_in_quarantine_comes_back(postgres: Server) -> None:
    for text in ("", "\0", "\\0", "\\\0", "\\\\0", "a\\", "\0\\\0", "\t\n\r\\N\\.", "'\"", "%s", "\u2028é😀"):
        assert unescaped(escaped(text)) == text
        assert "\0" not in escaped(text)
        assert lines([(escaped(text),)]).count("\n") == 1


# Entries of the key that were read, and rows of the table that were read without it.
READ = (
    "SELECT pg_stat_get_xact_tuples_returned('trades_pkey'::regclass), "
    "pg_stat_get_xact_tuples_returned('trades'::regclass)"
)


def test_no_question_reads_a_whole_table_or_sorts_one(postgres: Server) -> None:
    store = open_store(postgres.schema())
    # Never analyzed, as after a quick load: the planner believes that these tables are small.
    store.apply(Batch(0, 1, streams=list(ALL), trades=[trade(BTC, n, n) for n in range(20_000)]))
    reader = store.reader()
    connection = reader._connection
    query = RowQuery((BTC, ETH), limit=5, after=(ns_from_ms(10_000), 1, 5))
    for ask in (reader.trades, reader.trades_json):
        for descending in (True, False):
            connection.execute("BEGIN")
            (before,) = connection.execute(READ).fetchall()
            ask(msgspec.structs.replace(query, descending=descending))
            (after,) = connection.execute(READ).fetchall()
            connection.execute("COMMIT")
            assert 0 < after[0] - before[0] <= 10, (ask, descending)
            assert after[1] == before[1], (ask, descending)
    reader.close()
    store.close()


def test_rows_that_no_column_can_hold_are_named_and_their_neighbours_are_not(postgres: Server) -> None:
    store = open_store(postgres.schema())
    store.apply(Batch(0, 10, streams=[BTC, ETH]))
    bad = trade(BTC, 50, 2**63)
    good = [trade(BTC, n, n) for n in range(99)]
    with pytest.raises(Unstorable) as refusal:
        store.apply(Batch(10, 20, trades=[*good, bad]))
    assert set(refusal.value.rows) == {(BTC, ns_from_ms(50), 2**63)}
    assert refusal.value.is_by_rule
    store.apply(Batch(10, 20, trades=good))
    store.close()


def test_rows_that_only_this_database_refuses_are_found_one_by_one(postgres: Server) -> None:
    url = postgres.schema()
    store = open_store(url)
    store.apply(Batch(0, 10, streams=[BTC, QUOTES, *ALL]))
    with psycopg.connect(url, autocommit=True) as plain:
        plain.execute("ALTER TABLE trades ADD CHECK (price < 1000000)")
        plain.execute("ALTER TABLE quotes ADD CHECK (bid_price <> 13)")
        plain.execute("ALTER TABLE mids ADD CHECK (price <> 13)")
    trades = [trade(BTC, n, n, "1000000" if n in (3, 7) else "5") for n in range(20)]
    batch = Batch(
        *(10, 20),
        trades=trades,
        events=[quote(1, 11, "13"), quote(1, 12, "12")],
        mids=[mid(5, 13, "13"), mid(5, 14, "-0.0"), mid(5, 15, "12")],
    )
    with pytest.raises(Unstorable) as refusal:
        store.apply(batch)
    assert not refusal.value.is_by_rule
    assert {(stream.kind, row_id) for stream, _, row_id in refusal.value.rows} == {
        *((Kind.TRADES, 3), (Kind.TRADES, 7), (Kind.QUOTES, 11), (Kind.MIDS, 13), (Kind.MIDS, 14)),
    }
    assert '["checkpoint",10]' in content(store.reader())
    store.close()


def test_a_closed_store_says_so(postgres: Server) -> None:
    store = open_store(postgres.schema())
    store.close()
    with pytest.raises(Fatal, match="is closed"):
        store.apply(one_of_each())
