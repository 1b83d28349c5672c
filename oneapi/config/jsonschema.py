"""The configuration's JSON Schema, for editors (taplo and what is built on it)."""

from __future__ import annotations

from typing import Any

from oneapi.config.schema import Settings

_REFERENCE = {"type": "string", "pattern": r"\$\{", "description": "A reference: ${NAME}"}
_NOT_TEXT = {"integer", "number", "boolean"}


def schema() -> dict[str, Any]:
    """Draft 2020-12. Where a number, a choice or true and false stand, `${NAME}` may stand too."""
    found = _open(Settings.model_json_schema(mode="validation"))
    found["title"] = "One API"
    found["description"] = "The configuration of a One API gateway (oneapi.toml)."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def _open(node: dict[str, Any]) -> dict[str, Any]:
    """The schema `node` with references allowed in it, and without pydantic's titles."""
    opened = {name: _inside(name, value) for name, value in node.items() if name != "title"}
    if opened.get("type") not in _NOT_TEXT and "enum" not in opened:
        return opened
    outside: dict[str, Any] = {k: opened.pop(k) for k in ("description", "default") if k in opened}
    return {**outside, "anyOf": [opened, _REFERENCE]}


def _inside(name: str, value: Any) -> Any:
    if name in ("properties", "$defs"):
        return {key: _open(schema) for key, schema in value.items()}
    if name in ("items", "additionalProperties", "propertyNames") and isinstance(value, dict):
        return _open(value)
    if name == "anyOf":
        return [_open(schema) for schema in value]
    return value
