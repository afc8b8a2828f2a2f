"""Files and environment, read once, into settings that each part owns.

`examine` finds every fault and never raises; `load` is for programs that want settings or a refusal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from everytick.config.faults import BadSettings, Fault, shown_value
from everytick.config.fields import Setting, walk
from everytick.config.rules import SERVER_SCHEMES, broken_rules
from everytick.config.settings import Settings
from everytick.config.sources import Given, from_environment, from_file, layered, named_file
from everytick.config.values import read_value
from everytick.errors import Refused
from everytick.model.secret import Secret

__all__ = [
    "BadSettings",
    "Examined",
    "Fault",
    "Settings",
    "Shown",
    "examine",
    "is_server",
    "load",
    "store_address",
    "store_path",
    "tape_folder",
]

DEFAULT = "default"
STORE_FILE = "store.sqlite"
TAPE_FOLDER = "tape"


class Shown(msgspec.Struct, frozen=True):
    """One setting as people may see it, and where its value came from."""

    path: str
    value: object  # JSON-ready; secrets masked
    origin: str


class Examined(msgspec.Struct, frozen=True):
    """The settings as they would be, where each came from, and everything that is wrong.

    With faults, a faulty setting holds its default: `settings` is then for looking at, not for running.
    """

    settings: Settings
    shown: tuple[Shown, ...]
    faults: tuple[Fault, ...]
    source: str  # the file's name, or nothing


def load(path: str | None = None, environ: Mapping[str, str] | None = None) -> Examined:
    """The settings, all checked. Raises BadSettings, which names every fault at once."""
    found = examine(path, environ)
    if found.faults:
        raise BadSettings(found.faults)
    return found


def examine(path: str | None = None, environ: Mapping[str, str] | None = None) -> Examined:
    """Read the file (`path`, else EVERYTICK_CONFIG, else ./everytick.toml) and the environment, once."""
    world = os.environ if environ is None else environ
    known = {setting.path: setting for setting in walk()}
    file = named_file(path, world)
    file_given, file_faults = from_file(file, known) if file is not None else ({}, [])
    env_given, env_faults = from_environment(world, known)
    given = layered((file_given, env_given))
    faults = [*file_faults, *env_faults]

    values: dict[str, object] = {setting_path: setting.default for setting_path, setting in known.items()}
    faulty: set[str] = {fault.path for fault in faults}
    for setting_path, one in given.items():
        value, wrong = read_value(known[setting_path], one)
        faults += wrong
        if wrong:
            faulty.add(setting_path)
        if value is not None:
            values[setting_path] = value

    settings = _settings(values)
    faults += [
        Fault(b.path, _origin(given, b.path), _value_of(known[b.path], values[b.path]), b.problem, b.suggestion)
        for b in broken_rules(settings, frozenset(faulty))
    ]
    shown = tuple(
        Shown(p, _public(values[p]), f"{DEFAULT}, {_origin(given, p)} is faulty" if p in faulty else _origin(given, p))
        for p in known
    )
    return Examined(settings, shown, tuple(faults), str(file) if file is not None else "")


def tape_folder(settings: Settings) -> Path:
    """Where the tape's segments are."""
    return Path(settings.data.dir) / TAPE_FOLDER


def store_address(settings: Settings) -> str:
    """Where the store is, as `stores.open` takes it. A server's address may hold a password: never print it."""
    return settings.store.url.reveal() if is_server(settings) else str(store_path(settings))


def is_server(settings: Settings) -> bool:
    """Whether the store is on a database server."""
    return settings.store.url.reveal().startswith(SERVER_SCHEMES)


def store_path(settings: Settings) -> Path:
    """The SQLite file that `store.url` names, or `store.sqlite` in the data folder. Raises Refused for a server."""
    url = settings.store.url.reveal()
    if is_server(settings):
        raise Refused("the store is on a server and not in a file", path="store.url", value=settings.store.url.shown())
    if not url:
        return Path(settings.data.dir) / STORE_FILE
    # sqlite:///relative, sqlite:////absolute: the third slash only ends the empty host.
    return Path(url.removeprefix("sqlite:///"))


def _settings(values: Mapping[str, object]) -> Settings:
    """The Structs from values by path. The values are checked already; this only gives them their places."""
    built = _build(Settings, "", values)
    assert isinstance(built, Settings)
    return built


def _build(struct: type[msgspec.Struct], prefix: str, values: Mapping[str, object]) -> msgspec.Struct:
    parts: dict[str, object] = {}
    for field in msgspec.structs.fields(struct):
        path = f"{prefix}{field.name}"
        is_section = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
        parts[field.name] = _build(field.type, f"{path}.", values) if is_section else values[path]
    return struct(**parts)


def _origin(given: Mapping[str, Given], path: str) -> str:
    return given[path].origin if path in given else DEFAULT


def _value_of(setting: Setting, value: object) -> str:
    return "" if setting.is_secret else shown_value(value)


def _public(value: object) -> object:
    if isinstance(value, Secret):
        return value.shown()
    return list(value) if isinstance(value, tuple) else value
