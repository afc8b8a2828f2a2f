"""Writing to the file: one transaction per batch, checked against the checkpoint and the writer's epoch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import apsw

from everytick.errors import Fatal, Refused
from everytick.model.ledger import Cover, Interval
from everytick.model.stream import Kind, Stream
from everytick.stores import rows
from everytick.stores.holding import refused, unfit
from everytick.stores.protocol import Batch, Taken, TradeKey, TradeValues
from everytick.stores.sqlite import rows as statements
from everytick.stores.sqlite.changes import write
from everytick.stores.sqlite.connect import ask, connect_writer, errors_of, transaction
from everytick.stores.sqlite.lock import WriterLock, try_lock
from everytick.stores.sqlite.reader import SqliteReader
from everytick.stores.sqlite.schema import migrate

# Keys looked up by one statement: its text is parsed once and kept, and 1,000 values are far below SQLite's limit.
KEYS_AT_ONCE = 500


class SqliteStore:
    """The one writer of a file. Belongs to one thread at a time; each reader is a connection of its own."""

    def __init__(self, path: str, *, owner: str = "", take_over: bool = False, vfs: str | None = None) -> None:
        """Open for writing, making or migrating the file as needed.

        `owner` is who to name to a second writer. A second writer is refused unless it says `take_over`: then
        the first one's next batch is refused instead. Raises Refused, Retryable, Fatal.
        """
        self._path = path
        self._vfs = vfs
        self._owner = owner or f"process {os.getpid()}"
        self._epoch = 0
        self._is_closed = False
        self._connection: apsw.Connection | None = None
        self._lock: WriterLock | None = None
        self._numbers = rows.StreamNumbers()
        # The batch whose COMMIT failed: whether the disk has it is known only after opening again.
        self._doubtful: tuple[int, int] | None = None
        try:
            self._open(take_over)
        except BaseException:
            self.close()
            raise

    def apply(self, batch: Batch) -> None:
        """All of the batch and its checkpoint, durably, or nothing. Raises Fatal, Retryable."""
        with errors_of(self._path):
            connection = self._connected()
            if self._lock is None:
                self._lock = try_lock(self._path)  # taken over from a writer that still lived then
            stage = (batch.offset_from, batch.offset_to)
            try:
                with transaction(connection, "BEGIN IMMEDIATE"):
                    if self._check(connection, batch) == "applied":
                        self._numbers = _numbers(connection)
                        self._doubtful = None
                        return
                    numbers = self._introduce(connection, batch.streams)
                    write(connection, batch, numbers)
                    self._doubtful = stage
                self._doubtful = None
                self._numbers = numbers
            except (OverflowError, TypeError, ValueError) as error:
                if found := unfit(batch):
                    raise refused(self._path, found) from error
                raise Fatal(f"the store {self._path} cannot hold a value of the batch {stage}: {error}") from error
            except apsw.ConstraintError as error:
                raise Fatal(
                    f"the batch {stage} repeats what the store {self._path} holds, though it had asked: {error}"
                ) from error
            except apsw.IOError:
                # The system may have dropped what it could not sync and call it clean: only a new connection,
                # which reads the file again, may go on.
                self._disconnect()
                raise

    def known_trades(self, stream: Stream, keys: Iterable[TradeKey]) -> dict[TradeKey, TradeValues]:
        """Which of these trades the store holds, with their values."""
        wanted = list(keys)
        found: dict[TradeKey, TradeValues] = {}
        with errors_of(self._path):
            connection = self._connected()
            number = self._numbers.get(stream)
            if number is None:
                return found
            for start in range(0, len(wanted), KEYS_AT_ONCE):
                part = wanted[start : start + KEYS_AT_ONCE]
                values = [value for key in part for value in key]
                values.append(number)
                for ts_ns, trade_id, price, size, side in ask(connection, _known_text(len(part)), values):
                    found[ts_ns, trade_id] = (price, size, side)
        return found

    def newest_trades(self, stream: Stream, limit: int) -> dict[TradeKey, TradeValues]:
        """The newest `limit` trades of the stream, newest first."""
        with errors_of(self._path):
            connection = self._connected()
            found = ask(
                connection,
                "SELECT ts_ns, trade_id, price_text, size_text, side FROM trades WHERE stream = ? "
                "ORDER BY ts_ns DESC, trade_id DESC LIMIT ?",
                (self._numbers.get(stream), limit),
            )
            return {(ts_ns, trade_id): (price, size, side) for ts_ns, trade_id, price, size, side in found}

    def states(self) -> dict[str, bytes]:
        """The pipeline's state as last applied."""
        with errors_of(self._path):
            return dict(ask(self._connected(), "SELECT key, state FROM states ORDER BY key"))

    def open_cover(self, stream: Stream) -> Interval | None:
        """The stream's last interval by time."""
        with errors_of(self._path):
            connection = self._connected()
            found = ask(
                connection,
                "SELECT from_ns, to_ns, cover, offset FROM coverage WHERE stream = ? ORDER BY from_ns DESC LIMIT 1",
                (self._numbers.get(stream),),
            )
        return next((Interval(stream, from_ns, to_ns, Cover(c), offset) for from_ns, to_ns, c, offset in found), None)

    def reader(self) -> SqliteReader:
        """A reader with a connection of its own, for the calling thread."""
        return SqliteReader(self._path)

    def close(self) -> None:
        """Let go of the file and the lock. The last connection to close folds the log into the file."""
        self._is_closed = True
        self._disconnect()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _open(self, take_over: bool) -> None:
        with errors_of(self._path):
            try:
                self._connection = connect_writer(self._path, self._vfs)
                self._lock = try_lock(self._path)
            except OSError as error:
                raise Refused(
                    f"the folder cannot be written: {error.strerror}",
                    path=self._path,
                    value=self._path,
                    suggestion="choose a path that this user may write",
                ) from error
            if self._lock is None and not take_over:
                holder = _holder(self._connection)
                raise Taken(
                    f"another writer has this store: {holder}",
                    path=self._path,
                    value=holder,
                    suggestion="stop it first; to read, no writer is needed",
                )
            migrate(self._connection, self._path)
            with transaction(self._connection, "BEGIN IMMEDIATE"):
                epoch, _ = _writer(self._connection)
                self._epoch = epoch + 1
                self._connection.execute("UPDATE writer SET epoch = ?, owner = ?", (self._epoch, self._owner))
            self._numbers = _numbers(self._connection)

    def _connected(self) -> apsw.Connection:
        if self._connection is None:
            if self._is_closed:
                raise Fatal(f"the store {self._path} is closed")
            self._connection = connect_writer(self._path, self._vfs)
            self._numbers = _numbers(self._connection)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _check(self, connection: apsw.Connection, batch: Batch) -> str:
        epoch, holder = _writer(connection)
        if epoch != self._epoch:
            raise Fatal(
                f"{holder} has taken over the store {self._path} (epoch {epoch}, ours is {self._epoch}): "
                "nothing was written, and this writer must end"
            )
        ((checkpoint,),) = ask(connection, "SELECT offset FROM checkpoint")
        if checkpoint == batch.offset_to and self._doubtful == (batch.offset_from, batch.offset_to):
            return "applied"
        if checkpoint != batch.offset_from:
            raise Fatal(
                f"the batch begins at offset {batch.offset_from}, the checkpoint of the store {self._path} is "
                f"{checkpoint}"
            )
        return "next"

    def _introduce(self, connection: apsw.Connection, streams: Sequence[Stream]) -> rows.StreamNumbers:
        numbers = rows.StreamNumbers(self._numbers)
        for stream in streams:
            if stream not in numbers:
                number = numbers[stream] = len(numbers) + 1
                connection.execute(statements.INSERT_STREAM, rows.stream_row(number, stream))
        return numbers


def _known_text(count: int) -> str:
    keys = ",".join(["(?,?)"] * count)
    # CROSS JOIN keeps SQLite from reading the table first: the keys are few, the table is not. The stream is a
    # sub-select because SQLite plans a statement anew each time a plain `t.stream = ?` is bound, and planning this
    # one takes longer than running it.
    return (
        f"WITH wanted (ts_ns, trade_id) AS (VALUES {keys}) "
        "SELECT t.ts_ns, t.trade_id, price_text, size_text, side FROM wanted CROSS JOIN trades AS t "
        "ON t.stream = (SELECT ?) AND t.ts_ns = wanted.ts_ns AND t.trade_id = wanted.trade_id"
    )


def _writer(connection: apsw.Connection) -> tuple[int, str]:
    ((epoch, owner),) = ask(connection, "SELECT epoch, owner FROM writer")
    return epoch, owner


def _holder(connection: apsw.Connection) -> str:
    # The holder may be making the tables at this moment.
    is_made = ask(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'writer'")
    return _writer(connection)[1] if is_made else "a process that is just opening it"


def _numbers(connection: apsw.Connection) -> rows.StreamNumbers:
    found = ask(connection, "SELECT number, venue, kind, instrument, interval FROM streams ORDER BY number")
    return rows.StreamNumbers({Stream(v, Kind(k), i, width): number for number, v, k, i, width in found})
