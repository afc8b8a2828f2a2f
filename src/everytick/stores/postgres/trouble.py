"""What PostgreSQL's errors mean to the program: one sentence each, and the family that decides what happens.

Codes: https://www.postgresql.org/docs/18/errcodes-appendix.html (read 2026-11). A connection that fails gives a text
and no code, in the language of the server; the texts below are English, and what they do not know is Retryable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

import psycopg

from everytick.errors import EverytickError, Fatal, Refused, Retryable
from everytick.stores.migrate import REBUILD
from everytick.stores.postgres.address import EXAMPLE, SETTING, Address

# While a store is in use nothing here is the caller's mistake: it worked, so it can work again.
_AWAY: Final = MappingProxyType(
    {
        "57P01": "was told to shut down or to end our connection",
        "57P02": "crashed and is recovering",
        "57P03": "is starting up or shutting down",
        "57P05": "ended our connection for being idle",
        "25P03": "ended our connection for a transaction that stood still",
        "25P04": "ended our connection for a transaction that took too long",
        "57014": "cancelled a statement: it took too long, or someone asked for it",
        "40001": "could not order our transaction beside another",
        "40P01": "found a deadlock and ended our transaction",
        "55P03": "kept us waiting for a lock that another session holds",
        "53100": "has no room on its disk; free some and it goes on",
        "53200": "is out of memory",
        "53300": "has too many connections",
        "53400": "has reached a limit of its configuration",
        "25006": "is read-only now: a replica, or in the middle of a failover",
        "42501": "no longer permits us to write; grant it again and it goes on",
        "58030": "cannot read or write its disk",
    }
)
_AWAY_CLASSES: Final = frozenset({"08", "53", "57", "58", "40", "25"})
_DAMAGED: Final = frozenset({"XX001", "XX002"})
_MISSING: Final = frozenset({"42P01", "42703", "3F000"})

# (pattern, sentence, way out): what a person must mend before a connection can be made.
_REFUSALS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), sentence, way_out)
    for pattern, sentence, way_out in (
        (
            "password authentication failed|no password supplied|authentication failed",
            "refused our user or password",
            "correct them in the address",
        ),
        ('database ".*" does not exist', "has no database of that name", "create it, or correct the address"),
        ('role ".*" does not exist', "knows no such user", "create it, or correct the address"),
        ("no pg_hba.conf entry|pg_hba.conf rejects", "does not let us in from here", "allow it in its pg_hba.conf"),
        (
            "permission denied for database|not permitted to log in",
            "does not permit our user to connect",
            "GRANT CONNECT ON DATABASE, or give the user LOGIN",
        ),
        ("SSL", "and we do not agree on encryption", "set sslmode in the address as the server has it"),
        ("invalid connection option|invalid (port|integer|sslmode)", "cannot be reached by this address", EXAMPLE),
    )
)
# The order matters: a name that does not resolve is a passing fault of a network more often than a slip.
_UNREACHABLE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), sentence)
    for pattern, sentence in (
        ("too many (clients|connections)|remaining connection slots", _AWAY["53300"]),
        ("starting up|shutting down|recovery|not yet accepting", _AWAY["57P03"]),
        ("connection refused|no such file|server running", "is not running, or not there"),
        ("resolve|translate host|name or service", "has a name that does not resolve to an address now"),
        ("timeout|timed out", "does not answer"),
        ("no route|unreachable", "cannot be reached over the network"),
    )
)


class Silent(psycopg.OperationalError):
    """The server took our words and has not answered for too long; the connection is given up."""


def code_of(error: psycopg.Error) -> str:
    """The five characters of the server's code; empty if the server said nothing."""
    return error.sqlstate or ""


def is_unstorable(error: psycopg.Error) -> bool:
    """Whether the server refused a value or a row for what it holds, and not for being there already."""
    code = code_of(error)
    return code[:2] == "22" or (code[:2] == "23" and code != "23505") or code[:2] in ("44", "P0")


def unreachable(error: psycopg.Error, address: Address) -> EverytickError:
    """What a connection that could not be made means: Refused or Retryable."""
    said = str(error)
    for pattern, sentence, way_out in _REFUSALS:
        if pattern.search(said):
            return Refused(f"the database server at {address.place} {sentence}", path=SETTING, suggestion=way_out)
    for pattern, reason in _UNREACHABLE:
        if pattern.search(said):
            return Retryable(f"the database server at {address.place} {reason}")
    return Retryable(f"the database server at {address.place} cannot be reached: {address.clean(error)}")


def in_use(error: psycopg.Error, address: Address) -> EverytickError:
    """What a failed statement of an open store means: Retryable, or Fatal."""
    code = code_of(error)
    if isinstance(error, Silent):
        return Retryable(f"the database server at {address.place} has stopped answering")
    if not code and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return Retryable(f"the connection to the database server at {address.place} is lost: {address.clean(error)}")
    if code in _AWAY:
        return Retryable(f"the database server at {address.place} {_AWAY[code]}")
    if code[:2] in _AWAY_CLASSES:
        return Retryable(f"the database server at {address.place} failed ({code}): {address.clean(error)}")
    if code in _DAMAGED:
        return Fatal(f"the store at {address.place} is damaged ({address.clean(error)}); {REBUILD}")
    if code in _MISSING:
        return Fatal(f"the tables of the store at {address.place} are not ours any more: {address.clean(error)}")
    return Fatal(f"the store at {address.place} refused a statement ({code}): {address.clean(error)}")


def opening(error: psycopg.Error, address: Address) -> EverytickError:
    """What a failed statement means while a store is being opened: what lacks a grant is Refused."""
    if code_of(error) == "42501":
        return Refused(
            f"our user may not do what a store needs at {address.place}: {address.clean(error)}",
            path=SETTING,
            suggestion="GRANT USAGE, CREATE ON SCHEMA to it, and make it the owner of the store's tables",
        )
    return in_use(error, address)


@contextmanager
def errors_of(address: Address, meaning: Callable[[psycopg.Error, Address], EverytickError] = in_use) -> Iterator[None]:
    """Turns what the client library raises into our families."""
    try:
        yield
    except psycopg.Error as error:
        # The library's text may quote values and addresses: only ours is passed on.
        raise meaning(error, address) from error
