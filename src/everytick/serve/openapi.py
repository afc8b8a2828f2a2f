"""The OpenAPI 3.1 document, made from the route table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from everytick.serve.formats import ARROW, JSON
from everytick.serve.parameters import Parameter, Parameters
from everytick.serve.refusal import Refusal, Trouble
from everytick.serve.route import AnyRoute, Scope

_REFUSALS = {
    "400": "A parameter is unknown, repeated, malformed or out of bounds",
    "401": "The token is missing or wrong",
    "403": "The token may read and change nothing, or the server has no control token",
    "404": "There is nothing of that name",
    "406": "The answer is not offered in any format of the Accept header",
}

_SECURITY: dict[Scope, list[dict[str, list[str]]]] = {
    Scope.OPEN: [],
    Scope.READ: [{}, {"token": []}, {"control": []}],
    Scope.CONTROL: [{"control": []}],
}


def parameters_of(route: AnyRoute) -> list[Parameter]:
    """The route's parameters, in the order of its query Struct."""
    return list(Parameters(route.query).by_name.values())


def document(routes: Sequence[AnyRoute]) -> bytes:
    """The document as JSON bytes."""
    answers = [route.answer for route in routes if route.answer is not None]
    types: list[type[msgspec.Struct]] = [*answers, Refusal, Trouble]
    refs, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    ref_of = dict(zip(types, refs, strict=True))
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "everytick",
                "version": version("everytick"),
                "description": "What everytick holds, and what it does not. Times are ms since 1970 UTC, "
                "prices and sizes exact text.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "paths": {route.path: {route.method.lower(): _operation(route, ref_of)} for route in routes},
            "components": {
                "schemas": components,
                "securitySchemes": {
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "Needed when the server was started with a token, except on /livez",
                    },
                    "control": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "The control token: opens what changes something, and everything else",
                    },
                },
            },
        }
    )


def _operation(route: AnyRoute, ref_of: dict[type[msgspec.Struct], Any]) -> dict[str, Any]:
    parameters = parameters_of(route)
    answered = {"description": route.summary, "content": _content(route, ref_of)}
    responses: dict[str, Any] = {"200": answered}
    for status, why in _REFUSALS.items():
        if (status != "401" or not route.is_open) and (status != "403" or route.scope is Scope.CONTROL):
            responses[status] = {"description": why, "content": {JSON: {"schema": ref_of[Refusal]}}}
    responses["503"] = {
        "description": "The store did not answer; ask again later",
        "content": {JSON: {"schema": ref_of[Trouble]}},
    }
    if route.failing:
        schemas = [ref_of[Trouble]]
        if route.answer is not None:
            schemas.insert(0, ref_of[route.answer])
        responses[str(route.failing)] = {
            "description": f"{route.summary}: no",
            "content": {JSON: {"schema": {"anyOf": schemas}}},
        }
    return {
        "operationId": route.path.strip("/").replace(".", "_") or "index",
        "summary": route.summary,
        "description": (route.answer.__doc__ if route.answer else None) or route.summary,
        "parameters": [_parameter(p) for p in parameters],
        "responses": responses,
        "security": _SECURITY[route.scope],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _content(route: AnyRoute, ref_of: dict[type[msgspec.Struct], Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name in route.formats:
        if name == JSON:
            content[name] = {"schema": ref_of[route.answer] if route.answer else {"type": "object"}}
        elif name == ARROW:
            content[name] = {"schema": {"type": "string", "format": "binary"}}
        else:
            content[name] = {"schema": {"type": "string"}}
    return content
