"""Writing to the server: one transaction per batch, checked against the checkpoint and the writer's epoch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

import psycopg

from everytick.errors import Fatal, Retryable
from everytick.model.ledger import Cover, Interval
from everytick.model.stream import Kind, Stream
from everytick.stores.postgres import lock
from everytick.stores.postgres.address import Address
from everytick.stores.postgres.changes import write
from everytick.stores.postgres.connect import Patient, ask, closing_on_error, connect_writer, roll_back, transaction
from everytick.stores.postgres.poison import unstorable
from everytick.stores.postgres.reader import PostgresReader
from everytick.stores.postgres.schema import is_made, migrate
from everytick.stores.postgres.tables import STREAMS
from everytick.stores.postgres.trouble import code_of, errors_of, is_unstorable, opening
from everytick.stores.protocol import Batch, Taken, TradeKey, TradeValues
from everytick.stores.rows import StreamNumbers, stream_row

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_KNOWN = (
    "SELECT t.ts_ns, t.trade_id, t.price::text, t.size::text, t.side "
    "FROM unnest(%s::bigint[], %s::bigint[]) AS wanted (ts_ns, trade_id) "
    "JOIN trades AS t ON t.stream = %s AND t.ts_ns = wanted.ts_ns AND t.trade_id = wanted.trade_id"
)
_NEWEST = (
    "SELECT ts_ns, trade_id, price::text, size::text, side FROM trades WHERE stream = %s "
    "ORDER BY ts_ns DESC, trade_id DESC LIMIT %s"
)
_OPEN_COVER = "SELECT from_ns, to_ns, cover, tape_offset FROM coverage WHERE stream = %s ORDER BY from_ns DESC LIMIT 1"


class PostgresStore:
    """The one writer of a store. Belongs to one thread at a time; each reader is a session of its own.

    A lost connection costs the batch in hand, which is applied again by its owner: the next call connects anew.
    """

    def __init__(self, url: str, *, owner: str = "", take_over: bool = False, allow_unsafe: bool = False) -> None:
        """Open for writing, making or migrating the tables as needed.

        `owner` is who to name to a second writer, which is refused with Taken unless it says `take_over`: then the
        first one's next batch is refused instead. `allow_unsafe` takes a server that may lose what it confirmed.
        Raises Refused, Retryable, Fatal.
        """
        self._address = Address(url)
        self._owner = owner or f"process {os.getpid()}"
        self._allow_unsafe = allow_unsafe
        self._epoch = 0
        self._has_lock = False
        self._is_closed = False
        self._connection: Patient | None = None
        self._numbers = StreamNumbers()
        # The batch whose COMMIT got no answer: whether the server has it is known only after connecting again.
        self._doubtful: tuple[int, int] | None = None
        connection = connect_writer(self._address, self._owner, allow_unsafe=allow_unsafe)
        with closing_on_error(connection), errors_of(self._address, opening):
            self._begin(connection, take_over)
        self._connection = connection

    def apply(self, batch: Batch) -> None:
        """All of the batch and its checkpoint, durably, or nothing. Raises Unstorable, Fatal, Retryable."""
        with errors_of(self._address):
            connection = self._connected()
            if not self._has_lock:
                self._has_lock = lock.try_lock(connection)  # taken over from a writer that still lived then
            numbers = self._numbers
            try:
                connection.execute("BEGIN")
                if not self._is_applied(connection, batch):
                    numbers = self._introduce(connection, batch.streams)
                    write(connection, batch, numbers)
                    self._commit(connection, (batch.offset_from, batch.offset_to))
                else:
                    roll_back(connection)
                    numbers = _numbers(connection)
            except BaseException as error:
                roll_back(connection)
                self._explain(error, connection, batch)
                raise
            self._doubtful = None
            self._numbers = numbers

    def known_trades(self, stream: Stream, keys: Iterable[TradeKey]) -> dict[TradeKey, TradeValues]:
        """Which of these trades the store holds, with their values."""
        # Beyond 64 bits there are no rows.
        fitting = [key for key in keys if all(INT64_MIN <= part <= INT64_MAX for part in key)]
        with errors_of(self._address):
            connection = self._connected()
            number = self._numbers.get(stream)
            if number is None or not fitting:
                return {}
            values = ([ts_ns for ts_ns, _ in fitting], [trade_id for _, trade_id in fitting], number)
            return {(ts_ns, trade_id): tuple(rest) for ts_ns, trade_id, *rest in ask(connection, _KNOWN, values)}

    def newest_trades(self, stream: Stream, limit: int) -> dict[TradeKey, TradeValues]:
        """The newest `limit` trades of the stream, newest first."""
        with errors_of(self._address):
            found = ask(self._connected(), _NEWEST, (self._numbers.get(stream), limit))
        return {(ts_ns, trade_id): (price, size, side) for ts_ns, trade_id, price, size, side in found}

    def states(self) -> dict[str, bytes]:
        """The pipeline's state as last applied."""
        with errors_of(self._address):
            return dict(ask(self._connected(), "SELECT key, state FROM states ORDER BY key"))

    def open_cover(self, stream: Stream) -> Interval | None:
        """The stream's last interval by time."""
        with errors_of(self._address):
            found = ask(self._connected(), _OPEN_COVER, (self._numbers.get(stream),))
        return next((Interval(stream, from_ns, to_ns, Cover(c), offset) for from_ns, to_ns, c, offset in found), None)

    def reader(self) -> PostgresReader:
        """A reader with a session of its own, for the calling thread."""
        return PostgresReader(self._address)

    def close(self) -> None:
        """End the session, and with it the lock."""
        self._is_closed = True
        connection = self._connection
        if connection is not None and not connection.closed:
            # The session's own end gives the lock back too, a moment after we have gone.
            with suppress(psycopg.Error):
                connection.execute("SELECT pg_advisory_unlock_all()")
        self._disconnect()

    def _begin(self, connection: Patient, take_over: bool) -> None:
        self._has_lock = lock.try_lock(connection)
        if not self._has_lock and not take_over:
            holder = lock.holder(connection, _writer(connection)[1] if is_made(connection) else "a process")
            raise Taken(
                f"another writer has this store: {holder}",
                path=self._address.place,
                value=holder,
                suggestion="stop it first, or wait for it with store.standby = wait; to read, no writer is needed",
            )
        migrate(connection, self._address.place)
        with transaction(connection):
            # Waits for a batch in hand of the writer before us, so that it is either whole or never.
            ((epoch,),) = ask(
                connection, "UPDATE writer SET epoch = epoch + 1, owner = %s RETURNING epoch", (self._owner,)
            )
        self._epoch = epoch
        self._numbers = _numbers(connection)

    def _connected(self) -> Patient:
        if self._is_closed:
            raise Fatal(f"the store at {self._address.place} is closed")
        if self._connection is None or self._connection.closed:
            self._disconnect()
            connection = connect_writer(self._address, self._owner, allow_unsafe=self._allow_unsafe)
            with closing_on_error(connection):
                self._resume(connection)
            self._connection = connection
        return self._connection

    def _resume(self, connection: Patient) -> None:
        """Go on in a new session, unless another writer has begun meanwhile. Raises Fatal, Retryable."""
        had_lock = self._has_lock
        self._has_lock = lock.try_lock(connection)
        self._refuse_epoch(*_writer(connection))
        if had_lock and not self._has_lock:
            # Our own session of before, which the server has not yet missed; or a writer that is just opening.
            raise Retryable(
                f"the lock of the store at {self._address.place} is held by {lock.holder(connection, 'a session')}"
            )
        self._numbers = _numbers(connection)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _is_applied(self, connection: Patient, batch: Batch) -> bool:
        """Whether the batch is there already, its COMMIT having got no answer. Raises Fatal if it must not be."""
        # The row stays locked until the transaction ends: whoever takes over comes before us or after us.
        ((epoch, owner),) = ask(connection, "SELECT epoch, owner FROM writer FOR UPDATE")
        self._refuse_epoch(epoch, owner)
        ((checkpoint,),) = ask(connection, "SELECT tape_offset FROM checkpoint")
        if checkpoint == batch.offset_to and self._doubtful == (batch.offset_from, batch.offset_to):
            return True
        if checkpoint != batch.offset_from:
            raise Fatal(
                f"the batch begins at offset {batch.offset_from}, the checkpoint of the store at "
                f"{self._address.place} is {checkpoint}"
            )
        return False

    def _refuse_epoch(self, epoch: int, owner: str) -> None:
        if epoch != self._epoch:
            raise Fatal(
                f"{owner} has taken over the store at {self._address.place} (epoch {epoch}, ours is {self._epoch}): "
                "nothing was written, and this writer must end"
            )

    def _introduce(self, connection: Patient, streams: Sequence[Stream]) -> StreamNumbers:
        numbers = StreamNumbers(self._numbers)
        for stream in streams:
            if stream not in numbers:
                number = numbers[stream] = len(numbers) + 1
                connection.execute(STREAMS.insert, stream_row(number, stream))
        return numbers

    def _commit(self, connection: Patient, stage: tuple[int, int]) -> None:
        self._doubtful = stage
        answer = connection.execute("COMMIT").statusmessage
        if answer != "COMMIT":
            raise Retryable(f"the store at {self._address.place} answered {answer} to COMMIT: nothing was written")

    def _explain(self, error: BaseException, connection: Patient, batch: Batch) -> None:
        """Raises what the program can act on, where the error itself does not say it."""
        stage = (batch.offset_from, batch.offset_to)
        place = self._address.place
        if isinstance(error, psycopg.Error) and code_of(error) == "23505":
            raise Fatal(
                f"the batch {stage} repeats what the store at {place} holds, though it had asked: "
                f"{self._address.clean(error)}"
            ) from error
        is_refused = isinstance(error, psycopg.Error) and is_unstorable(error)
        if is_refused or isinstance(error, (psycopg.DataError, OverflowError, ValueError, TypeError)):
            # Told before the transaction began: the rows are tried one by one in another, which is given up.
            found = unstorable(connection, batch, self._numbers, place)
            if found is not None:
                raise found from error
            raise Fatal(
                f"the store at {place} cannot hold a value of the batch {stage}: {self._address.clean(error)}"
            ) from error


def _writer(connection: Patient) -> tuple[int, str]:
    ((epoch, owner),) = ask(connection, "SELECT epoch, owner FROM writer")
    return epoch, owner


def _numbers(connection: Patient) -> StreamNumbers:
    found = ask(connection, "SELECT number, venue, kind, instrument, interval FROM streams ORDER BY number")
    return StreamNumbers({Stream(v, Kind(k), i, width): number for number, v, k, i, width in found})
