"""JSON Schemas as Anthropic's structured outputs take them.

https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs (read 2026-11-24): objects
are closed, limits of numbers, lengths and counts are refused. Limits are told the model in the
description of what they limit, where it can still heed them.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.base_bodies import encode_text
from oneapi.wire.json import JSON

_LIMITS: Final = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
)
_MAPS: Final = ("properties", "$defs", "definitions")
_LISTS: Final = ("anyOf", "allOf", "prefixItems")
_DEEPEST: Final = 64
"""Levels that are looked into: a schema that is deeper goes on as it is."""


def closed(schema: JSON, depth: int = 0) -> JSON:
    """The schema with all objects closed and limits moved into descriptions; the original stays."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return schema
    made: JSON = dict(schema)
    if isinstance(made.get("oneOf"), list) and "anyOf" not in made:
        made["anyOf"] = made.pop("oneOf")
    for name in _MAPS:
        if isinstance(made.get(name), dict):
            made[name] = {key: closed(value, depth + 1) for key, value in made[name].items()}
    for name in _LISTS:
        if isinstance(made.get(name), list):
            made[name] = [closed(value, depth + 1) for value in made[name]]
    if isinstance(made.get("items"), dict):
        made["items"] = closed(made["items"], depth + 1)
    if _is_object(made):
        made["additionalProperties"] = False
    _explain_limits(made)
    return made


def _is_object(schema: JSON) -> bool:
    kind = schema.get("type")
    if isinstance(kind, list):
        return "object" in kind
    return kind == "object" or (kind is None and isinstance(schema.get("properties"), dict))


def _explain_limits(schema: JSON) -> None:
    limits = {}
    for name in _LIMITS:
        if name == "minItems" and schema.get(name) in (0, 1):
            continue
        if name in schema:
            limits[name] = schema.pop(name)
    if not limits:
        return
    words = encode_text(limits)
    held = schema.get("description")
    schema["description"] = f"{held}\n\n{words}" if isinstance(held, str) and held else words
