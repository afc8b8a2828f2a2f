"""The settings described: a Markdown table and a JSON schema, both read off the same fields as the checks."""

from __future__ import annotations

import msgspec

from everytick.config.fields import Setting, walk
from everytick.model.secret import Secret

_DERIVED = {"store.url": "`sqlite:///{data.dir}/store.sqlite`"}


def markdown() -> str:
    """Every setting, by section, as Markdown tables."""
    sections: dict[str, list[Setting]] = {}
    for setting in walk():
        sections.setdefault(setting.section, []).append(setting)
    return "\n\n".join(_section(name, settings) for name, settings in sections.items())


def json_schema() -> dict[str, object]:
    """The settings file as JSON schema, for editors."""
    root: dict[str, object] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "everytick settings",
        **_object(),
    }
    for setting in walk():
        section = root
        for name in setting.section.split("."):
            section = _properties(section).setdefault(name, _object())
        properties = _properties(section)
        properties[setting.key] = _schema(setting)
        if setting.is_secret:
            properties[f"{setting.key}_file"] = {"type": "string", "description": "A file that holds it."}
    return root


def _object() -> dict[str, object]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _properties(section: dict[str, object]) -> dict[str, dict[str, object]]:
    properties = section["properties"]
    assert isinstance(properties, dict)
    return properties


def _schema(setting: Setting) -> dict[str, object]:
    if setting.is_secret:
        return {"type": "string", "format": "password", "description": setting.meaning}
    (schema,), named = msgspec.json.schema_components([setting.hint], ref_template="{name}")
    if "items" in schema and "$ref" in schema["items"]:
        # One nested type at most (an enumeration in a list): written in place.
        schema = {**schema, "items": named[schema["items"]["$ref"]]}
    if "pattern" in schema:
        # Python ends a pattern with \Z; editors know only $.
        schema = {**schema, "pattern": schema["pattern"].replace("\\Z", "$")}
    default = msgspec.to_builtins(setting.default)
    return {**schema, "description": setting.meaning, "default": default}


def _section(name: str, settings: list[Setting]) -> str:
    rows = [f"| `{s.key}` | {_cell(s.expected)} | {_default(s)} | {_names(s)} | {_cell(s.meaning)} |" for s in settings]
    head = "| setting | expected | default | environment | meaning |\n|---|---|---|---|---|"
    return f"### [{name}]\n\n{head}\n" + "\n".join(rows)


def _names(setting: Setting) -> str:
    names = [setting.env] + ([setting.plain_env] if setting.plain_env else [])
    if setting.is_secret:
        names += [f"{name}_FILE" for name in names]
    return ", ".join(f"`{name}`" for name in names)


def _default(setting: Setting) -> str:
    if setting.path in _DERIVED:
        return _DERIVED[setting.path]
    if isinstance(setting.default, Secret):
        return "not set"
    return f"`{msgspec.json.encode(setting.default).decode()}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
