"""From a store's address to the store."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Final

from everytick.errors import Refused
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Reader, Store
from everytick.stores.sqlite import SqliteReader, SqliteStore

SETTING = "store.url"
EXAMPLE = (
    "a file is `sqlite:///store.sqlite` (three slashes: relative, four: absolute) or just its path, "
    "a server `postgresql://user:password@host/database`"
)
NETWORKED: Final = frozenset({"postgresql", "postgres"})


def open_store(address: str, *, owner: str = "", take_over: bool = False, allow_unsafe: bool = False) -> Store:
    """The store at `address`, for writing: a file's path, `sqlite:///path`, `postgresql://...` or `memory:`.

    `owner` is who to name to a second writer, which is refused with Taken unless it says `take_over`.
    `allow_unsafe` takes a database server that may lose what it confirmed. Raises Refused, Retryable, Fatal.
    """
    scheme, place = _split(address)
    return _WRITERS[scheme](place, owner, take_over, allow_unsafe)


def is_networked(address: str) -> bool:
    """Whether the store is on a server, which may be away while everything here is well."""
    return _split(address)[0] in NETWORKED


def open_reader(address: str) -> Reader:
    """A reader of the store at `address`, which another process may be writing. Raises Refused, Retryable."""
    scheme, place = _split(address)
    if scheme == "memory":
        raise Refused(
            "a store in memory can be read only by the process that writes it",
            path=SETTING,
            value=address,
            suggestion=EXAMPLE,
        )
    if scheme in NETWORKED:
        parts = _postgres_parts()
        reader: Reader = parts.PostgresReader(parts.Address(address))
        return reader
    return SqliteReader(place)


def _memory(_place: str, _owner: str, _take_over: bool, _allow_unsafe: bool) -> Store:
    return MemoryStore()


def _sqlite(place: str, owner: str, take_over: bool, _allow_unsafe: bool) -> Store:
    return SqliteStore(place, owner=owner, take_over=take_over)


def _postgres(url: str, owner: str, take_over: bool, allow_unsafe: bool) -> Store:
    store: Store = _postgres_parts().PostgresStore(url, owner=owner, take_over=take_over, allow_unsafe=allow_unsafe)
    return store


def _postgres_parts() -> ModuleType:
    # By name, since its client library is an extra that most never need.
    try:
        return import_module("everytick.stores.postgres")
    except ModuleNotFoundError as error:
        raise Refused(
            f"PostgreSQL needs a library that is not installed ({error.name})",
            path=SETTING,
            suggestion="pip install 'everytick[postgres]'",
        ) from error


_WRITERS: Final = MappingProxyType[str, Callable[[str, str, bool, bool], Store]](
    {"memory": _memory, "sqlite": _sqlite, "postgresql": _postgres, "postgres": _postgres}
)


def _split(address: str) -> tuple[str, str]:
    """(scheme, place); a plain path is SQLite. An address may hold a password: errors name its scheme alone."""
    scheme, colon, rest = address.partition(":")
    if not colon or len(scheme) < 2 or not scheme.replace("+", "").isalnum():
        scheme, rest = "sqlite", address  # a path, `C:\\...` among them
    elif scheme not in _WRITERS:
        near = difflib.get_close_matches(scheme, _WRITERS, n=1)
        way_out = f"did you mean {near[0]}:?" if near else EXAMPLE
        raise Refused(f"there is no store of the kind {scheme}:", path=SETTING, value=scheme, suggestion=way_out)
    elif scheme in NETWORKED:
        rest = address
    elif rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        if host or not slash:
            raise Refused(f"{scheme}: takes a file's path and no host", path=SETTING, value=scheme, suggestion=EXAMPLE)
    if scheme == "sqlite" and not rest:
        raise Refused("the address names no file", path=SETTING, value=address, suggestion=EXAMPLE)
    return scheme, rest
