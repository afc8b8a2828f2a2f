"""The document says what the table says, and is well formed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.serve.asking import CONTROL, Caller, ask_route, caller_of, filled_store

from everytick.serve.formats import JSON
from everytick.serve.routes import ROUTES


@pytest.fixture
def document(call: Caller) -> Any:
    return call("/openapi.json").json


def nodes(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def test_every_route_and_parameter_is_listed_and_no_other(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    assert set(document["paths"]) == {route.path for route in ROUTES}
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        fields = {field.name: field for field in msgspec.structs.fields(route.query)}
        listed = {parameter["name"]: parameter for parameter in operation["parameters"]}
        assert set(listed) == set(fields)
        for name, parameter in listed.items():
            assert parameter["in"] == "query"
            assert parameter["required"] is fields[name].required
            assert parameter["schema"].get("default", "") == ("" if fields[name].required else fields[name].default)
            assert "enum" in parameter["schema"] or parameter["schema"]["type"] in ("integer", "string", "boolean")
        assert set(operation["responses"]["200"]["content"]) == set(route.formats)
        assert (operation["security"] == []) is route.is_open


def test_every_parameter_is_described_and_every_reference_resolves(document: Any) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert all(parameter["description"] for operation in operations for parameter in operation["parameters"])
    assert len({operation["operationId"] for operation in operations}) == len(ROUTES)
    schemas = document["components"]["schemas"]
    for node in nodes(document):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/components/schemas/") in schemas
    assert all(schema.get("description") for schema in schemas.values() if schema.get("type") == "object")


def test_every_answer_fits_its_schema(document: Any) -> None:
    call = caller_of(filled_store(), control_token=CONTROL)
    for route in ROUTES:
        answer = ask_route(call, route, authorization=f"Bearer {CONTROL}")
        assert answer.status in (200, route.failing)
        assert str(answer.status) in document["paths"][route.path][route.method.lower()]["responses"]
        if route.answer is not None and JSON in route.formats:
            # A field too many or of another type fails here: the schema is made from this type.
            read = msgspec.json.decode(answer.body, type=route.answer)
            assert set(msgspec.to_builtins(read)) == set(answer.json)


def test_the_index_names_every_route(call: Caller) -> None:
    listed = {row["path"]: row for row in call("/").json["routes"]}
    assert set(listed) == {route.path for route in ROUTES}
    assert listed["/trades"]["parameters"][0] == "coin"
