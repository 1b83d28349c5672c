"""The smallest value that a JSON schema allows, for mock answers to `response_format`."""

from __future__ import annotations

from oneapi.wire.json import JSON

_MAX_DEPTH = 24
_DEEP = 4
"""Below this a schema that refers to itself is ended where it may be: by null or an empty list."""


def instance(schema: JSON) -> JSON:
    """A value that fits the schema, as far as its usual words go; null where it says nothing."""
    return _value(schema, schema, 0)


def _value(schema: JSON, root: JSON, depth: int) -> JSON:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _value(_resolve(reference, root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    for word in ("enum", "examples"):
        if isinstance(schema.get(word), list) and schema[word]:
            return schema[word][0]
    for word in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(word), list) and schema[word]:
            if depth > _DEEP and {"type": "null"} in schema[word]:
                return None
            return _value(schema[word][0], root, depth + 1)
    return _typed(schema, root, depth)


def _typed(schema: dict[str, JSON], root: JSON, depth: int) -> JSON:
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    match kind:
        case "object":
            return _object(schema, root, depth)
        case "array":
            count = int(schema.get("minItems") or (0 if depth > _DEEP else 1))
            return [_value(schema.get("items"), root, depth + 1) for _ in range(min(count, 64))]
        case "string":
            return "mock".ljust(min(int(schema.get("minLength") or 0), 1024), ".")
        case "integer" | "number":
            return schema.get("minimum", schema.get("maximum", 1))
        case "boolean":
            return True
        case _:
            return None


def _object(schema: dict[str, JSON], root: JSON, depth: int) -> JSON:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    # Strict schemas name every property as required; a recursive one ends where it may.
    required = schema.get("required")
    names = required if isinstance(required, list) else list(properties)
    return {n: _value(properties.get(n), root, depth + 1) for n in names if isinstance(n, str)}


def _resolve(reference: str, root: JSON) -> JSON:
    node = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            node = node.get(step) if isinstance(node, dict) else None
    return node
