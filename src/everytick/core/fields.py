"""Reading JSON one field at a time: each field's bytes stay unread until asked for, so each can fail alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from everytick.core.validate import Invalid

T = TypeVar("T")
Raw = msgspec.Raw
Check = Callable[[object], T]

# What reading JSON may raise, all told: bad syntax or types; bytes that are not UTF-8 (a ValueError, as is
# Invalid); nesting beyond the interpreter's depth.
TROUBLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)

VALUE_BYTES_MAX: Final = 160  # enough for the 120 characters that a refusal quotes

_read_any: Final = msgspec.json.Decoder().decode


class Shape(Generic[T]):
    """A reader of bytes as one JSON shape, whose troubles are Invalid."""

    def __init__(self, shape: type[T]) -> None:
        self._decode = msgspec.json.Decoder(shape).decode

    def read(self, raw: Raw | bytes) -> T:
        """The bytes in this shape. Raises Invalid."""
        try:
            return self._decode(raw)
        except TROUBLE as trouble:
            raise invalid_from(trouble, raw) from None


LIST: Final = Shape(list[Raw])
TABLE: Final = Shape(dict[str, Raw])


class Fields:
    """The named fields of one JSON object. `path` in what it raises begins with the field's name."""

    def __init__(self, values: msgspec.Struct) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        """Whether the field is there, null or not."""
        return bool(self._raw(name))

    def get(self, name: str, check: Check[T]) -> T:
        """The field's value, checked. Raises Invalid."""
        return self.read(name, lambda raw: check(value(raw)))

    def get_or_none(self, name: str, check: Check[T]) -> T | None:
        """The field's value, checked; None where it is null or absent. Raises Invalid."""
        raw = self._raw(name)
        return None if not raw or is_null(Raw(raw)) else self.get(name, check)

    def read(self, name: str, read: Callable[[Raw], T]) -> T:
        """The field's bytes as `read` understands them. Raises Invalid."""
        raw = self._raw(name)
        if not raw:
            raise Invalid("missing_field", path=name)
        return within(name, lambda: read(Raw(raw)))

    def _raw(self, name: str) -> bytes:
        return bytes(getattr(self._values, name))


def object_reader(shape: type[msgspec.Struct]) -> Callable[[Raw], Fields]:
    """A reader of objects with the fields of `shape`, by their names on the wire."""
    loose: Any = msgspec.defstruct(
        f"Loose{shape.__name__}", [(name, Raw, Raw()) for name in shape.__struct_encode_fields__]
    )
    reader: Shape[msgspec.Struct] = Shape(loose)
    return lambda raw: Fields(reader.read(raw))


def value(raw: Raw) -> object:
    """Any JSON value. Raises Invalid."""
    try:
        return _read_any(raw)
    except TROUBLE as trouble:
        raise invalid_from(trouble, raw) from None


def is_null(raw: Raw) -> bool:
    """Whether the bytes are JSON's null."""
    return bytes(raw).strip() == b"null"


def within(step: str, read: Callable[[], T]) -> T:
    """What `read` gives; what it finds Invalid has `step` put in front of its path."""
    try:
        return read()
    except Invalid as finding:
        raise finding.within(step) from None


def each(items: Sequence[Raw], read: Callable[[Raw], T]) -> Iterator[T]:
    """Every item of a list whose items stand or fall together. Raises Invalid, with the item's index."""
    for index, item in enumerate(items):
        try:
            yield read(item)
        except Invalid as finding:
            raise finding.within(f"[{index}]") from None


def invalid_from(trouble: BaseException, raw: Raw | bytes) -> Invalid:
    """What a reader's exception means, with the beginning of what it read."""
    if isinstance(trouble, Invalid):
        return trouble
    if isinstance(trouble, RecursionError):
        reason = "too_deep"
    elif isinstance(trouble, msgspec.ValidationError):
        reason = "wrong_type"
    else:
        reason = "broken_json"
    return Invalid(reason, bytes(memoryview(raw)[:VALUE_BYTES_MAX]).decode("utf-8", "backslashreplace"))


# NaN and Infinity are no JSON, but some encoders write them. Quoted, they are refused with the one value they
# spoil instead of with the whole frame. Inside a text the quotes break the JSON, which stays refused then.
_WORD = re.compile(rb"(?<=[:,\[])\s*(-?(?:NaN|Infinity))\s*(?=[,\]}])")


def with_words_quoted(payload: bytes) -> bytes:
    """The same bytes, the words NaN and Infinity quoted where a value stands."""
    return _WORD.sub(rb'"\1"', payload)
