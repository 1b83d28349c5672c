"""JSON schemas in the subset that Bedrock's models take.

https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolInputSchema.html (read
2026-11-24): a tool's schema is an object at the top, without alternatives there; a schema for
answers closes every object.
"""

from __future__ import annotations

from typing import Final

from oneapi.ir import Tool
from oneapi.wire.json import JSON

_ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")


def tool_schema(tool: Tool) -> tuple[JSON, list[str]]:
    """The schema of a tool's arguments, and the names of its members that were lost.

    A custom tool takes text: here it is the only member of an object, `input`.
    """
    if tool.kind == "custom":
        text: dict[str, JSON] = {"type": "string"}
        grammar = tool.format.get("definition") if isinstance(tool.format, dict) else None
        if isinstance(grammar, str) and grammar:
            text["description"] = f"Text of this grammar:\n{grammar}"
        return {"type": "object", "properties": {"input": text}, "required": ["input"]}, []
    schema = tool.schema
    if not isinstance(schema, dict) or not schema:
        return {"type": "object", "properties": {}}, []
    lost = [name for name in _ALTERNATIVES if name in schema]
    if schema.get("type") == "object" and not lost:
        return schema, []
    flat = {name: value for name, value in schema.items() if name not in _ALTERNATIVES}
    flat["type"] = "object"
    for name in lost:
        _merge(flat, schema[name], all_of=name == "allOf")
    return flat, lost


def _merge(flat: dict[str, JSON], choices: JSON, *, all_of: bool) -> None:
    """Members of the alternatives become members of the object, required only where all apply."""
    for choice in choices if isinstance(choices, list) else []:
        if not isinstance(choice, dict):
            continue
        held, more = flat.get("properties"), choice.get("properties")
        if isinstance(more, dict):
            flat["properties"] = {**more, **(held if isinstance(held, dict) else {})}
        needed, also = flat.get("required"), choice.get("required")
        if all_of and isinstance(also, list):
            flat["required"] = [*(needed if isinstance(needed, list) else []), *also]


def closed_schema(schema: JSON) -> JSON:
    """The schema with `additionalProperties: false` in every object that does not say."""
    if isinstance(schema, list):
        return [closed_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed_member(name, value) for name, value in schema.items()}
    if closed.get("type") == "object" and "additionalProperties" not in closed:
        closed["additionalProperties"] = False
    return closed


def _closed_member(name: str, value: JSON) -> JSON:
    if name in _NAMED and isinstance(value, dict):
        return {key: closed_schema(inner) for key, inner in value.items()}
    return value if name in _VALUES else closed_schema(value)


_NAMED: Final = frozenset({"properties", "$defs", "definitions", "patternProperties"})
"""Members that hold schemas by names of their own."""
_VALUES: Final = frozenset({"const", "enum", "default", "examples", "required"})
"""Members that hold values, not schemas."""
