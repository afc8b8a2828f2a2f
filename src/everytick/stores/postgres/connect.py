"""Sessions on the server: who we say we are, what we demand of it, and how long we wait for an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo

from everytick.errors import Refused
from everytick.stores.postgres.address import (
    ALIVE_COUNT,
    ALIVE_IDLE_S,
    ALIVE_INTERVAL_S,
    SETTING,
    Address,
)
from everytick.stores.postgres.trouble import Silent, errors_of, opening, unreachable

V = TypeVar("V")

VERSION_MIN, VERSION_MAX = 15, 18

# A commit behind a busy disk takes seconds; a quarter of a minute is a server that has stopped.
WRITER_ANSWER_S = 15.0
# A question is a walk along a key. Whoever asked over HTTP has gone after this long.
READER_ANSWER_S = 5.0
# Nobody else writes our tables: who waits for a lock waits for a person's ALTER TABLE, or for a dying session.
LOCK_WAIT_MS = 5_000
# A writer that was stopped in the middle of a batch must not keep the store from the next one.
IDLE_IN_TRANSACTION_MS = 5_000
APPLICATION_NAME_BYTES_MAX = 63  # the server cuts it there

# Each question is a walk along a key in the key's own order, and is meant to be no other plan however stale the
# server's idea of the sizes is: of a table that grew since it was last analyzed it would read and sort all.
_PLANS_REFUSED = (
    *("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin", "jit"),
)

_UNSAFE = {"fsync": ("off",), "full_page_writes": ("off",), "synchronous_commit": ("off",)}


class Patient(psycopg.Connection[Any]):
    """A connection that waits for its server only so long, and is closed when it has waited in vain."""

    answer_s: float = WRITER_ANSWER_S

    def wait(self, gen: PQGen[V], interval: float = 0.1, timeout: float | None = None) -> V:
        """Run one exchange with the server. Raises Silent."""
        try:
            return super().wait(gen, interval, self.answer_s if timeout is None else timeout)
        except psycopg.errors.QueryCanceled:
            raise
        except psycopg.OperationalError as error:
            if timeout is None and type(error).__name__ == "_WaitTimeout":
                self.pgconn.finish()
                raise Silent(f"no answer for {self.answer_s:g} s") from None
            raise


def connect(address: Address, name: str, answer_s: float) -> Patient:
    """An open connection in autocommit mode. `name` is what the server shows of us. Raises Refused, Retryable."""
    named = name.encode()[:APPLICATION_NAME_BYTES_MAX].decode(errors="ignore")
    try:
        connection = Patient.connect(make_conninfo(**address.parameters), application_name=named, autocommit=True)
    except psycopg.Error as error:
        trouble = unreachable(error, address)
        # The library's error and its frames hold each other, and 20 kB with them, until the collector of circles
        # comes by; a server that is away for hours is asked thousands of times.
        error.__traceback__ = None
    else:
        connection.answer_s = answer_s
        return connection
    # Raised here, since the library's text may hold what the address holds and must not come along as a cause.
    try:
        raise trouble
    finally:
        del trouble  # the same circle


def connect_writer(address: Address, owner: str, *, allow_unsafe: bool) -> Patient:
    """A session that may write and whose commits are durable. Raises Refused, Retryable."""
    connection = connect(address, f"everytick {owner}", WRITER_ANSWER_S)
    with closing_on_error(connection), errors_of(address, opening):
        _refuse_version(connection, address)
        _refuse_unsafe(connection, address, allow_unsafe=allow_unsafe)
        _refuse_homeless(connection, address)
        _tune(connection)
        ask(
            connection,
            "SELECT set_config('idle_in_transaction_session_timeout', %s, false)",
            (_ms(IDLE_IN_TRANSACTION_MS),),
        )
        # Pinned for the session: a reload of the server's configuration cannot make our commits less than durable.
        if not allow_unsafe:
            ask(connection, "SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), false)")
    return connection


def connect_reader(address: Address, name: str = "everytick reader") -> Patient:
    """A session that cannot write. Raises Refused, Retryable."""
    connection = connect(address, name, READER_ANSWER_S)
    with closing_on_error(connection), errors_of(address, opening):
        _refuse_version(connection, address)
        _tune(connection)
        ask(
            connection,
            "SELECT set_config('default_transaction_read_only', 'on', false), "
            "set_config('default_transaction_isolation', 'repeatable read', false)",
        )
    return connection


def ask(connection: Patient, text: str, values: Sequence[object] = ()) -> list[Any]:
    """Every row of the answer. A statement is parsed by the server once in a session. Raises psycopg.Error."""
    return connection.execute(text, values, prepare=True).fetchall()


@contextmanager
def transaction(connection: Patient, begin: str = "BEGIN") -> Iterator[None]:
    """What is inside sees and changes all or nothing."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: Patient) -> None:
    """End what was begun; a connection that cannot even do that is closed, and the server ends it."""
    if connection.closed:
        return
    try:
        connection.execute("ROLLBACK")
    except psycopg.Error:
        connection.close()


@contextmanager
def closing_on_error(connection: Patient) -> Iterator[None]:
    """Whatever goes wrong inside, the connection is not left open."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _tune(connection: Patient) -> None:
    settings = {
        "lock_timeout": _ms(LOCK_WAIT_MS),
        "tcp_keepalives_idle": str(ALIVE_IDLE_S),
        "tcp_keepalives_interval": str(ALIVE_INTERVAL_S),
        "tcp_keepalives_count": str(ALIVE_COUNT),
        **dict.fromkeys(_PLANS_REFUSED, "off"),
    }
    ask(
        connection,
        f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(settings))}",
        [part for pair in settings.items() for part in pair],
    )


def _ms(milliseconds: int) -> str:
    return f"{milliseconds}ms"


def _refuse_version(connection: Patient, address: Address) -> None:
    version = connection.info.server_version // 10_000
    if not VERSION_MIN <= version <= VERSION_MAX:
        raise Refused(
            f"the database server at {address.place} is PostgreSQL {version}; a store needs {VERSION_MIN} to "
            f"{VERSION_MAX}",
            path=SETTING,
            value=version,
            suggestion="use a server of one of these versions",
        )


def _refuse_unsafe(connection: Patient, address: Address, *, allow_unsafe: bool) -> None:
    names = list(_UNSAFE)
    ((*values,),) = ask(connection, f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}")
    bad = [f"{name} = {value}" for name, value in zip(names, values, strict=True) if value in _UNSAFE[name]]
    if bad and not allow_unsafe:
        raise Refused(
            f"the database server at {address.place} runs with {', '.join(bad)}: a power cut could take back or "
            "garble what it has confirmed",
            path=SETTING,
            value=", ".join(bad),
            suggestion="turn it on there, or accept the risk with store.allow_unsafe = true",
        )


def _refuse_homeless(connection: Patient, address: Address) -> None:
    ((encoding, schema),) = ask(connection, "SELECT current_setting('server_encoding'), current_schema()")
    if encoding != "UTF8":
        raise Refused(
            f"the database at {address.place} keeps text as {encoding}",
            path=SETTING,
            value=encoding,
            suggestion="create one with ENCODING 'UTF8'",
        )
    if schema is None:
        raise Refused(
            f"the search_path of our user at {address.place} names no schema that is there",
            path=SETTING,
            suggestion="create the schema, or name one with ?options=-csearch_path%3Dname in the address",
        )
