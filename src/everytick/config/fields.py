"""Every setting as one flat list, read off the Structs: path, bounds in words, default, names in the environment."""

from __future__ import annotations

import difflib
import enum
import typing
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Meta

from everytick.config.settings import MEANINGS, PLAIN_NAMES, Settings
from everytick.model.secret import Secret, SecretUrl

PREFIX = "EVERYTICK_"
# Names with our prefix that are no settings.
RESERVED = frozenset({"EVERYTICK_CONFIG"})


class Setting(msgspec.Struct, frozen=True):
    """One setting. `path` is `section.key`; `hint` its annotated type; `expected` says in words what fits."""

    path: str
    hint: object
    base: object
    default: object
    meaning: str
    expected: str

    @property
    def section(self) -> str:
        """The section's name, dots between nested ones."""
        return self.path.rpartition(".")[0]

    @property
    def key(self) -> str:
        """The name within its section."""
        return self.path.rpartition(".")[2]

    @property
    def env(self) -> str:
        """Its name in the environment: `serve.port` is `EVERYTICK_SERVE__PORT`."""
        return PREFIX + self.path.replace(".", "__").upper()

    @property
    def plain_env(self) -> str:
        """Its name without our prefix, or nothing."""
        return next((name for name, path in PLAIN_NAMES.items() if path == self.path), "")

    @property
    def is_secret(self) -> bool:
        """Whether its value is never shown."""
        return isinstance(self.base, type) and issubclass(self.base, Secret)

    @property
    def is_list(self) -> bool:
        """Whether it holds several values."""
        return typing.get_origin(self.base) is tuple

    @property
    def item(self) -> object:
        """A list's item type, annotated."""
        return typing.get_args(self.base)[0]


def walk(struct: type[msgspec.Struct] = Settings, prefix: str = "") -> Iterator[Setting]:
    """Every setting below `struct`, in the order of the definition."""
    # include_extras keeps the bounds; get_type_hints also resolves postponed annotations.
    hints = typing.get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        path = f"{prefix}{field.name}"
        hint = hints[field.name]
        base, meta = unwrap(hint)
        if isinstance(base, type) and issubclass(base, msgspec.Struct):
            yield from walk(base, f"{path}.")
        else:
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            meaning = " ".join(m.description for m in meta if m.description) or MEANINGS.get(path, "")
            yield Setting(path, hint, base, default, meaning, expected(hint))


def unwrap(hint: object) -> tuple[object, tuple[Meta, ...]]:
    """An annotated type's bare type and its bounds."""
    if typing.get_origin(hint) is typing.Annotated:
        base, *extras = typing.get_args(hint)
        return base, tuple(m for m in extras if isinstance(m, Meta))
    return hint, ()


def expected(hint: object) -> str:
    """What fits the type, in words: `an integer from 0 to 65,535`."""
    base, meta = unwrap(hint)
    if base is bool:
        return "true or false"
    if base is int:
        return "an integer" + _range(meta)
    if base is float:
        return "a number" + _range(meta)
    if typing.get_origin(base) is tuple:
        most = next((m.max_length for m in meta if m.max_length is not None), None)
        limit = f"at most {most} of: " if most else ""
        return f"a list, {limit}{expected(typing.get_args(base)[0])}"
    choices = choices_of(base)
    if choices:
        return "one of " + ", ".join(choices)
    return _text(base, meta)


def choices_of(base: object) -> list[str]:
    """The allowed values of an enumeration, as text; none for other types."""
    if typing.get_origin(base) is typing.Literal:
        return [str(value) for value in typing.get_args(base)]
    if isinstance(base, type) and issubclass(base, enum.Enum):
        return [str(member.value) for member in base]
    return []


def closest(name: str, names: Iterable[str]) -> str:
    """`did you mean X?` for the name nearest to `name`, or nothing."""
    matches = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"did you mean {matches[0]}?" if matches else ""


def _range(meta: tuple[Meta, ...]) -> str:
    low = next((m.ge for m in meta if m.ge is not None), None)
    high = next((m.le for m in meta if m.le is not None), None)
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    if low is not None:
        return f" of at least {low:,}"
    return f" of at most {high:,}" if high is not None else ""


def _text(base: object, meta: tuple[Meta, ...]) -> str:
    if base is SecretUrl:
        return "an address"
    words = "a secret text" if base is Secret else "a text"
    low = next((m.min_length for m in meta if m.min_length is not None), None)
    high = next((m.max_length for m in meta if m.max_length is not None), None)
    if low and high:
        words += f" of {low:,} to {high:,} characters"
    elif high:
        words += f" of at most {high:,} characters"
    example = next((m.examples[0] for m in meta if m.examples), None)
    return f"{words} such as {example}" if example else words
