"""Cut lines, dead sessions, stopped and frozen servers, deadlocks, a full disk: nothing lost, nothing twice."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from everytick.errors import Fatal, Retryable
from everytick.stores.open import open_store
from everytick.stores.postgres import PostgresStore, connect
from everytick.stores.protocol import Batch, Store, Taken
from tests.stores.records import BTC, content, one_of_each, trade
from tests.stores.server import Server
from tests.stores.test_postgres import truth
from tests.stores.wire import proxy

WAIT_S = 20.0


def batches(count: int, rows: int = 5) -> list[Batch]:
    return [
        one_of_each(),
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


def apply_in_the_end(store: PostgresStore, batch: Batch, troubles: list[str] | None = None) -> list[str]:
    """Apply the batch as its owner would, again and again; what stood in the way meanwhile."""
    troubles = [] if troubles is None else troubles
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            store.apply(batch)
        except Retryable as trouble:
            troubles.append(str(trouble))
            time.sleep(0.005)
        else:
            return troubles
    pytest.fail(f"not applied within {WAIT_S} s: {troubles[-1]}")


def refusal(store: PostgresStore, batch: Batch) -> str:
    """What stood in the way of the batch; empty if it was applied."""
    try:
        store.apply(batch)
    except Retryable as trouble:
        return str(trouble)
    return ""


def opened(url: str) -> PostgresStore:
    store = open_store(url)
    assert isinstance(store, PostgresStore)
    return store


def killed(postgres: Server, store: PostgresStore) -> None:
    postgres.ask(f"SELECT pg_terminate_backend({store._connection.info.backend_pid})")


@pytest.mark.parametrize("after", [False, True])
def test_a_line_cut_at_any_message_of_a_batch_applies_it_once_in_the_end(postgres: Server, after: bool) -> None:
    tape = batches(400)
    with tempfile.TemporaryDirectory(prefix="px") as folder, proxy(Path(folder), postgres.folder) as line:
        store = opened(postgres.schema().replace(str(postgres.folder), folder))
        store.apply(tape[0])
        store.apply(tape[1])
        unknown = 0
        for cut_at in range(1, 400):
            line.arm(cut_at, after)
            troubles = apply_in_the_end(store, tape[cut_at + 1])
            if line.count < cut_at:
                break
            assert troubles or after, cut_at
            assert all("\n" not in trouble for trouble in troubles)
            # The first query is BEGIN, the last is COMMIT; it reached the server and its answer did not reach us.
            last_two = line.passed[max(cut_at - 2, 0) : cut_at]
            unknown += cut_at > 10 and last_two[-1] == ("FQ" if after else "BC") and "FQ" in last_two
        line.arm(0, False)
        assert content(store.reader()) == truth(tape[: cut_at + 2])
        store.close()
        assert cut_at > 20  # begin, check, COPY, the small tables, commit: each several messages
        assert unknown


def test_a_killed_session_costs_nothing_but_a_retry(postgres: Server) -> None:
    store = opened(postgres.schema())
    tape = batches(20)
    troubles: list[str] = []
    for n, batch in enumerate(tape):
        if n % 3 == 2:
            killed(postgres, store)
        troubles += apply_in_the_end(store, batch)
    assert content(store.reader()) == truth(tape)
    assert any("end our connection" in trouble or "is lost" in trouble for trouble in troubles)
    store.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_stopped_and_started_in_the_middle_loses_and_repeats_nothing(how: int) -> None:
    with Server() as server:
        store = opened(server.url)
        tape = batches(12)
        stopped = threading.Event()
        done: list[Batch] = []
        troubles: list[str] = []

        def project() -> None:
            for batch in tape:
                apply_in_the_end(store, batch, troubles)
                done.append(batch)
                if len(done) == 6:
                    stopped.wait(WAIT_S)

        worker = threading.Thread(target=project)
        worker.start()
        while len(done) < 6:
            time.sleep(0.005)
        server.stop(how)
        stopped.set()
        while not troubles:
            time.sleep(0.005)
        server.start()
        worker.join()
        assert content(store.reader()) == truth(tape)
        assert any("is not running" in trouble or "shut" in trouble for trouble in troubles)
        store.close()


def test_a_frozen_server_is_given_up_and_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "WRITER_ANSWER_S", 0.2)
    with Server() as server:
        store = opened(server.url + "&connect_timeout=2")
        tape = batches(2)
        store.apply(tape[0])
        server.freeze(True)
        with pytest.raises(Retryable, match="has stopped answering"):
            store.apply(tape[1])
        server.freeze(False)
        apply_in_the_end(store, tape[1])
        apply_in_the_end(store, tape[2])
        assert content(store.reader()) == truth(tape)
        store.close()


RAISES = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'told to' USING ERRCODE = '{code}'; END $$;
CREATE TRIGGER fail BEFORE UPDATE ON checkpoint FOR EACH ROW EXECUTE FUNCTION fail();
"""


@pytest.mark.parametrize(
    ("code", "family", "sentence"),
    [
        ("40001", Retryable, "could not order our transaction"),
        ("40P01", Retryable, "found a deadlock"),
        ("55P03", Retryable, "waiting for a lock"),
        ("57014", Retryable, "cancelled a statement"),
        ("53100", Retryable, "has no room on its disk; free some and it goes on"),
        ("53200", Retryable, "is out of memory"),
        ("53300", Retryable, "has too many connections"),
        ("53400", Retryable, "reached a limit"),
        ("57P01", Retryable, "told to shut down"),
        ("57P03", Retryable, "starting up or shutting down"),
        ("25006", Retryable, "is read-only now"),
        ("42501", Retryable, "no longer permits us to write"),
        ("58030", Retryable, "cannot read or write its disk"),
        ("53999", Retryable, r"failed \(53999\): told to"),
        ("08006", Retryable, r"failed \(08006\)"),
        ("XX001", Fatal, "is damaged .*everytick rebuild"),
        ("XX002", Fatal, "is damaged .*everytick rebuild"),
        ("42P01", Fatal, "are not ours any more"),
        ("XX000", Fatal, r"refused a statement \(XX000\)"),
        ("22003", Fatal, "cannot hold a value of the batch"),
    ],
)
def test_each_code_of_the_server_is_one_sentence_and_nothing_is_written(
    postgres: Server, code: str, family: type[Exception], sentence: str
) -> None:
    url = postgres.schema()
    store = opened(url)
    store.apply(one_of_each())
    with psycopg.connect(url, autocommit=True) as plain:
        plain.execute(RAISES.format(code=code))
        with pytest.raises(family, match=sentence) as trouble:
            store.apply(batches(1)[1])
        assert type(trouble.value) is family
        plain.execute("DROP TRIGGER fail ON checkpoint")
    assert content(store.reader()) == truth([one_of_each()])
    apply_in_the_end(store, batches(1)[1])
    store.close()


def test_a_deadlock_for_real_is_retried(postgres: Server) -> None:
    url = postgres.schema()
    store = opened(url)
    store.apply(one_of_each())
    with psycopg.connect(url) as other:
        other.execute("SET deadlock_timeout = '10s'")  # so that the server ends ours
        other.execute("SELECT * FROM checkpoint FOR UPDATE")
        troubles: list[str] = []
        worker = threading.Thread(target=apply_in_the_end, args=(store, batches(1)[1], troubles))
        worker.start()
        # Ours has the row of `writer` and waits for that of `checkpoint`; now each waits for the other.
        while not postgres.ask("SELECT 1 FROM pg_locks WHERE NOT granted"):
            time.sleep(0.005)
        other.execute("SELECT * FROM writer FOR UPDATE")
        other.rollback()
        worker.join()
    assert any("found a deadlock" in trouble for trouble in troubles)
    assert content(store.reader()) == truth(batches(1))
    store.close()


def test_a_repeated_row_is_fatal_and_leaves_nothing(postgres: Server) -> None:
    store = opened(postgres.schema())
    store.apply(one_of_each())
    with pytest.raises(Fatal, match=r"the batch \(10, 11\) repeats what the store at .* holds, though it had asked"):
        store.apply(Batch(10, 11, trades=[trade(BTC, 10, 3), trade(BTC, 11, 3)]))
    assert content(store.reader()) == truth([one_of_each()])
    store.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryDirectory(prefix="pgsmall") as folder:
        if libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, b"size=12m,mode=0777"):
            pytest.skip(f"a tmpfs cannot be mounted here: {os.strerror(ctypes.get_errno())}")
        yield Path(folder)
        libc.umount2(folder.encode(), 2)


def test_a_full_disk_is_one_clear_sentence_and_work_goes_on_when_there_is_room(
    postgres: Server, small_disk: Path
) -> None:
    name = postgres.database_name()
    place = small_disk / "place"
    place.mkdir()
    os.chown(place, postgres.data.stat().st_uid, postgres.data.stat().st_gid)
    postgres.ask(f"CREATE TABLESPACE small LOCATION '{place}'")
    url = postgres.url_of(name, options="-cdefault_tablespace%3Dsmall")
    store = opened(url)
    tape = batches(40, rows=4_000)
    store.apply(tape[0])
    ballast = small_disk / "ballast"
    room = os.statvfs(small_disk)
    ballast.write_bytes(bytes(room.f_bavail * room.f_bsize - 512 * 1024))
    applied, trouble = 1, ""
    while not trouble:
        trouble = refusal(store, tape[applied])
        applied += not trouble
    assert "has no room on its disk; free some and it goes on" in trouble
    before = content(store.reader())
    assert before == truth(tape[:applied])
    ballast.unlink()
    apply_in_the_end(store, tape[applied])
    assert content(store.reader()) == truth(tape[: applied + 1])
    store.close()
    postgres.ask(f"DROP DATABASE {name}")
    postgres.ask("DROP TABLESPACE small")


WRITER = """
import sys
from everytick.stores.open import open_store
from everytick.stores.protocol import Batch
store = open_store(sys.argv[1], owner="the first")
store.apply(Batch(0, 1))
print("writing", flush=True)
n = 1
while True:
    store.apply(Batch(n, n + 1, counts={"frames": 1}))
    n += 1
"""


def test_the_store_of_a_killed_writer_is_free_at_once_and_in_one_piece(postgres: Server) -> None:
    url = postgres.schema()
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 10
    store = None
    while store is None and time.monotonic() < deadline:
        store = attempt(lambda: open_store(url, owner="the second"))
    assert store is not None
    reader = store.reader()
    checkpoint = reader.checkpoint()
    assert reader.totals().counts.get("frames", 0) == checkpoint - 1
    reader.close()
    store.apply(Batch(checkpoint, checkpoint + 1))
    store.close()


def attempt(opening: Callable[[], Store]) -> Store | None:
    try:
        return opening()
    except Taken:
        time.sleep(0.02)
        return None


def test_a_paused_writer_that_wakes_after_a_take_over_writes_no_row(postgres: Server) -> None:
    url = postgres.schema()
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGSTOP)
        new = open_store(url, owner="the second", take_over=True)
        before = content(new.reader())
        process.send_signal(signal.SIGCONT)
        process.wait(WAIT_S)
        assert "the second has taken over the store" in process.stderr.read()
        assert content(new.reader()) == before
        new.close()
