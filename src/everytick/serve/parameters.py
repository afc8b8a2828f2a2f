"""A query string becomes a typed Struct, or a refusal that names the parameter, its value and its bounds.

The Struct is the only description of a route's parameters: what is accepted, what a refusal says and what the
OpenAPI document shows all come from its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

import msgspec

from everytick.serve.refusal import RequestRefused, nearest

Q = TypeVar("Q", bound=msgspec.Struct)

# No route has more parameters than this; a longer list is an attempt to make us work.
FIELDS_MAX = 32


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a route. `schema` is its JSON Schema, `expected` the same in words."""

    name: str
    type: Any
    required: bool
    description: str
    schema: Mapping[str, Any]
    expected: str


class Parameters(Generic[Q]):
    """The parameters of one route, compiled once from its query Struct."""

    def __init__(self, query: type[Q]) -> None:
        self.query = query
        described = msgspec.json.schema(query)["$defs"][query.__name__]["properties"]
        fields = msgspec.structs.fields(query)
        self.by_name = {f.name: _parameter(f, dict(described[f.name])) for f in fields}

    def parse(self, query_string: bytes) -> Q:
        """The query as a Struct. Raises RequestRefused for what is unknown, repeated, malformed or out of bounds."""
        if not query_string:
            return self._build({})
        try:
            pairs = parse_qsl(
                query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
            )
        except ValueError:  # UnicodeDecodeError is one as well
            raise RequestRefused(
                400, f"the query string is not UTF-8 in percent-encoding, or holds more than {FIELDS_MAX} parameters"
            ) from None
        values: dict[str, Any] = {}
        for name, text in pairs:
            parameter = self.by_name.get(name)
            if parameter is None:
                raise self._unknown(name, text)
            if name in values:
                raise RequestRefused(
                    400, f"{name} is given more than once", parameter=name, value=text, expected="one value"
                )
            values[name] = _convert(parameter, text)
        return self._build(values)

    def _build(self, values: dict[str, Any]) -> Q:
        for name, parameter in self.by_name.items():
            if parameter.required and name not in values:
                raise RequestRefused(
                    400, f"{name} is required: {parameter.expected}", parameter=name, expected=parameter.expected
                )
        return self.query(**values)

    def _unknown(self, name: str, text: str) -> RequestRefused:
        near = nearest(name, self.by_name)
        hint = f"; did you mean {near}?" if near else ""
        expected = ", ".join(self.by_name) or "no parameters"
        shown = name if len(name) <= 40 else name[:39] + "…"
        return RequestRefused(
            400, f"there is no parameter {shown!r} here{hint}", parameter=shown, value=text, expected=expected
        )


def _convert(parameter: Parameter, text: str) -> Any:
    try:
        # 5.0 would be read as 5; what is not written as a whole number is not one.
        if parameter.schema.get("type") == "integer" and not text.removeprefix("-").isdecimal():
            raise msgspec.ValidationError
        return msgspec.convert(text, parameter.type, strict=False)
    except msgspec.ValidationError:
        raise RequestRefused(
            400,
            f"{parameter.name} must be {parameter.expected}",
            parameter=parameter.name,
            value=text,
            expected=parameter.expected,
        ) from None


def _parameter(field: msgspec.structs.FieldInfo, schema: dict[str, Any]) -> Parameter:
    description = schema.pop("description", "")
    # An empty default means "not asked for": its schema would contradict its own minLength.
    if schema.get("default") == "":
        del schema["default"]
    return Parameter(field.name, field.type, field.required, description, schema, _words(schema))


def _words(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(str(value) for value in schema["enum"])
    if schema["type"] == "integer":
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    if schema["type"] == "boolean":
        return "true or false"
    return f"a text of {schema['minLength']} to {schema['maxLength']} characters"
