"""What the file and the environment say, value by value with its origin, before any of it is judged.

Precedence, lowest first: default, file, plain names (`DATABASE_URL`), our names (`EVERYTICK_STORE__URL`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from everytick.config.faults import Fault, shown_value
from everytick.config.fields import PREFIX, RESERVED, Setting, closest
from everytick.config.settings import PLAIN_NAMES

FILE_NAME = "everytick.toml"
FILE_BYTES_MAX = 1 << 20  # settings are a page of text; a larger file is another file named by mistake
SECRET_BYTES_MAX = 64 << 10

_HEADER = re.compile(r"^\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"' -]+?)\s*=")


class Given(msgspec.Struct, frozen=True):
    """One value as given. `is_text`: it came as text and has yet to be read as its setting's type."""

    value: object
    origin: str
    is_text: bool = False


Known = Mapping[str, Setting]  # by path


def from_file(path: Path, known: Known) -> tuple[dict[str, Given], list[Fault]]:
    """The values in a TOML file, by path, and what is wrong with its form."""
    name = str(path)
    text, trouble = _read(path, FILE_BYTES_MAX)
    if trouble:
        return {}, [Fault("config", name, "", trouble, "name an existing file by --config or EVERYTICK_CONFIG")]
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return {}, [Fault("config", name, "", f"not TOML: {error}")]
    given: dict[str, Given] = {}
    faults: list[Fault] = []
    _flatten(tree, "", _Place(name, _lines(text), known), given, faults)
    return given, faults


def from_environment(environ: Mapping[str, str], known: Known) -> tuple[dict[str, Given], list[Fault]]:
    """The values that the environment gives, by path, and names with our prefix that mean nothing."""
    given: dict[str, Given] = {}
    faults: list[Fault] = []
    for name, path in PLAIN_NAMES.items():
        # A host may define these names and leave them empty; only the switch reads emptiness (as off).
        if environ.get(name) or (name in environ and known[path].base is bool):
            given[path] = Given(environ[name], name, is_text=True)
        elif known[path].is_secret and f"{name}_FILE" in environ:
            _put_file(known[path], environ[f"{name}_FILE"], f"{name}_FILE", given, faults)
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in RESERVED:
            _take(name, environ, known, given, faults)
    return given, faults


def _take(name: str, environ: Mapping[str, str], known: Known, given: dict[str, Given], faults: list[Fault]) -> None:
    path = name.removeprefix(PREFIX).lower().replace("__", ".")
    if path in known and name == known[path].env:
        given[path] = Given(environ[name], name, is_text=True)
        return
    secret = known.get(path.removesuffix("_file"))
    if path.endswith("_file") and secret is not None and secret.is_secret:
        if secret.env in environ:
            faults.append(Fault(secret.path, name, "", f"both {secret.env} and {name} are set", "keep one of them"))
        else:
            _put_file(secret, environ[name], name, given, faults)
        return
    # The value is not shown: a mistyped name may well hold a secret.
    names = [s.env for s in known.values()] + [f"{s.env}_FILE" for s in known.values() if s.is_secret]
    faults.append(Fault(name, "environment", "", "no such setting", closest(name, names)))


class _Place(msgspec.Struct, frozen=True):
    """The file being read: its name, the line of each key, and the settings it may hold."""

    name: str
    lines: Mapping[str, int]
    known: Known

    def of(self, path: str) -> str:
        line = self.lines.get(path)
        return f"{self.name}:{line}" if line else self.name


def _flatten(
    table: Mapping[str, object], prefix: str, place: _Place, given: dict[str, Given], faults: list[Fault]
) -> None:
    for key, value in table.items():
        path = f"{prefix}{key}"
        is_section = any(name.startswith(f"{path}.") for name in place.known)
        if is_section and isinstance(value, dict):
            _flatten(value, f"{path}.", place, given, faults)
        elif is_section:
            faults.append(Fault(path, place.of(path), shown_value(value), f"a section: write [{path}] above its keys"))
        elif path in place.known:
            given[path] = Given(value, place.of(path))
        elif not _is_secret_file(path, value, place, given, faults):
            faults.append(Fault(path, place.of(path), "", "no such setting", _nearest(path, place.known)))


def _is_secret_file(path: str, value: object, place: _Place, given: dict[str, Given], faults: list[Fault]) -> bool:
    setting = place.known.get(path.removesuffix("_file"))
    if not path.endswith("_file") or setting is None or not setting.is_secret:
        return False
    if setting.path in given or setting.path in place.lines:
        faults.append(Fault(setting.path, place.of(path), "", f"both {setting.key} and {setting.key}_file are set"))
    elif not isinstance(value, str):
        faults.append(Fault(path, place.of(path), shown_value(value), "expected the name of a file"))
    else:
        _put_file(setting, value, place.of(path), given, faults)
    return True


def _nearest(path: str, known: Known) -> str:
    prefix, _, key = path.rpartition(".")
    siblings = _siblings(prefix, known)
    near = closest(key, siblings)
    if near:
        return near
    elsewhere = [s.path for s in known.values() if s.key == key]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    return f"known here: {', '.join(siblings)}" if siblings else ""


def _siblings(prefix: str, known: Known) -> list[str]:
    start = f"{prefix}." if prefix else ""
    names = (path[len(start) :].partition(".")[0] for path in known if path.startswith(start))
    return list(dict.fromkeys(names))


def _put_file(setting: Setting, file_name: str, origin: str, given: dict[str, Given], faults: list[Fault]) -> None:
    text, trouble = _read(Path(file_name), SECRET_BYTES_MAX)
    text = text.rstrip("\r\n")  # an editor's last line end is no part of a secret
    if not trouble and not text.strip():
        trouble = f"{file_name} is empty"
    if trouble:
        faults.append(Fault(setting.path, origin, "", trouble, "the file must hold the secret and nothing else"))
    else:
        given[setting.path] = Given(text, f"{origin} ({file_name})", is_text=True)


def _read(path: Path, bytes_max: int) -> tuple[str, str]:
    """A small file's text, or why it cannot be read."""
    try:
        if path.is_file() and path.stat().st_size > bytes_max:
            return "", f"{path} is larger than {bytes_max:,} bytes"
        return path.read_text(encoding="utf-8"), ""
    except OSError as error:
        return "", f"cannot read {path}: {error.strerror}"
    except UnicodeDecodeError:
        return "", f"{path} is not UTF-8 text"


def _lines(text: str) -> dict[str, int]:
    """The line of each key, for messages. A look at the lines, not a parser: a key it misses has no line."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            section = _dotted(header.group(1)) + "."
            found.setdefault(section.rstrip("."), number)
        elif key:
            path = section + _dotted(key.group(1))
            found.setdefault(path, number)
    return found


def _dotted(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def named_file(path: str | None, environ: Mapping[str, str]) -> Path | None:
    """The settings file to read: the one named, else ./everytick.toml if there is one, else none."""
    named = path or environ.get("EVERYTICK_CONFIG", "")
    if named:
        return Path(named)
    return Path(FILE_NAME) if Path(FILE_NAME).is_file() else None


def layered(layers: Iterable[dict[str, Given]]) -> dict[str, Given]:
    """Later layers stand over earlier ones."""
    merged: dict[str, Given] = {}
    for layer in layers:
        merged.update(layer)
    return merged
