"""One writer at a time: an advisory lock of the writer's own session, which the server takes back when it ends.

The lock keeps honest writers apart. What keeps the data safe from a writer that lost it unawares (a machine that was
suspended, a network that came back) is the epoch that each transaction checks.
"""

from __future__ import annotations

from everytick.stores.postgres.connect import Patient, ask

# The upper half of the lock's key says whose lock it is, the lower half is the schema that holds the store.
LOCK_CLASS = 0x65747263
MIGRATION_CLASS = LOCK_CLASS + 1

_SCHEMA = "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
_KEY = f"(%s::bigint << 32) | {_SCHEMA}::bigint"

_HOLDER = (
    "SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'the same machine') "
    "FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
    f"AND l.classid = %s::bigint::oid AND l.objid = {_SCHEMA} "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def try_lock(connection: Patient) -> bool:
    """Take the store for this session, unless another one has it. Taking it again is no error."""
    if holds(connection):
        return True
    ((is_ours,),) = ask(connection, f"SELECT pg_try_advisory_lock({_KEY})", (LOCK_CLASS,))
    return bool(is_ours)


def holds(connection: Patient) -> bool:
    """Whether this very session has the lock."""
    found = ask(connection, f"SELECT 1 FROM ({_HOLDER}) AS holder WHERE pid = pg_backend_pid()", (LOCK_CLASS,))
    return bool(found)


def wait_to_migrate(connection: Patient) -> None:
    """Let no other process make or change tables until the transaction ends."""
    ask(connection, f"SELECT 1 FROM pg_advisory_xact_lock({_KEY})", (MIGRATION_CLASS,))


def holder(connection: Patient, owner: str) -> str:
    """Who has the lock, in words: the name it left in the store, its session, and where it runs."""
    found = ask(connection, _HOLDER, (LOCK_CLASS,))
    if not found:
        return f"{owner}, which has just let go"
    pid, name, place = found[0]
    return f"{owner} (session {pid}, {name or 'its name is hidden from us'}, on {place})"
