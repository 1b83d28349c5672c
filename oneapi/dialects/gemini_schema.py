"""Schemas of arguments and answers: Gemini's OpenAPI subset, JSON Schema, and what it takes of it.

https://ai.google.dev/api/caching#Schema and https://ai.google.dev/gemini-api/docs/structured-output
(read 2026-11-24): `parameters` and `responseSchema` are the subset with types in capitals,
`parametersJsonSchema` and `responseJsonSchema` JSON Schema with fewer keywords.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from oneapi.dialects.gemini_enums import TYPES, word
from oneapi.dialects.gemini_shapes import camel
from oneapi.wire.json import JSON

_DEPTH: Final = 48
"""Levels that are followed; what lies deeper stays as it is."""
_OPENAPI: Final = frozenset(
    "type format title description nullable enum items maxItems minItems properties required "
    "minProperties maxProperties minimum maximum minLength maxLength pattern example anyOf "
    "propertyOrdering default".split()
)
_JSON_SCHEMA: Final = frozenset(
    "$id $defs $ref $anchor type format title description enum items prefixItems minItems maxItems "
    "minimum maximum anyOf oneOf properties additionalProperties required propertyOrdering "
    "default minLength maxLength pattern nullable".split()
)
_SILENT: Final = frozenset("$schema $comment examples discriminator deprecated readOnly".split())
"""Keywords that constrain nothing: they go without a word."""
_SKIPPED: Final = frozenset({"propertyOrdering", "example"})


def from_openapi(schema: JSON, depth: int = _DEPTH) -> JSON:
    """The subset as JSON Schema: types in small letters, `nullable` as a type."""
    if not isinstance(schema, dict) or not depth:
        return schema
    found: dict[str, JSON] = {}
    for name, value in schema.items():
        known = camel(name)
        if value is None or known in _SKIPPED:
            continue
        found[{"defs": "$defs", "ref": "$ref"}.get(known, known)] = _below(
            known, value, lambda inner: from_openapi(inner, depth - 1)
        )
    _lower_type(found)
    if found.get("format") == "enum":
        del found["format"]
    return found


def for_json_schema(schema: JSON, lost: set[str], depth: int = _DEPTH) -> JSON:
    """JSON Schema with the keywords that Gemini reads; names of lost constraints go to `lost`."""
    if not isinstance(schema, dict) or not depth:
        return schema
    found: dict[str, JSON] = {}
    for name, value in schema.items():
        known = {"definitions": "$defs", "const": "enum"}.get(name, name)
        if known not in _JSON_SCHEMA:
            if name not in _SILENT:
                lost.add(name)
            continue
        if name == "const":
            value = [value]
        elif name == "$ref" and isinstance(value, str):
            value = value.replace("#/definitions/", "#/$defs/")
        found[known] = _below(known, value, lambda inner: for_json_schema(inner, lost, depth - 1))
    return found


def for_openapi(schema: JSON, lost: set[str]) -> JSON:
    """JSON Schema as the subset: references resolved, types in capitals. An object without
    properties is refused there and becomes None.
    """
    if not isinstance(schema, dict):
        return None
    definitions = schema.get("$defs") or schema.get("definitions")
    made = _Subset(definitions if isinstance(definitions, dict) else {}, lost).schema(schema)
    if isinstance(made, dict) and made.get("type") == "OBJECT" and not made.get("properties"):
        return None
    return made


class _Subset:
    """One schema's translation. A recursive reference ends as an object of any kind."""

    def __init__(self, definitions: Mapping[str, JSON], lost: set[str]) -> None:
        self._definitions = definitions
        self._lost = lost
        self._open: list[str] = []
        self._budget = 5000

    def schema(self, schema: JSON, depth: int = _DEPTH) -> JSON:
        self._budget -= 1
        if not isinstance(schema, dict) or not depth or self._budget < 0:
            return {"type": "OBJECT"} if isinstance(schema, dict) else {}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._resolved(reference, depth)
        found: dict[str, JSON] = {}
        for name, value in schema.items():
            known = {"const": "enum", "oneOf": "anyOf"}.get(name, name)
            if known not in _OPENAPI:
                closed = name == "additionalProperties" and value is False  # it is anyway
                if name not in _SILENT and name not in ("$defs", "definitions") and not closed:
                    self._lost.add(name)
                continue
            if name == "const":
                value = [value]
            found[known] = _below(known, value, lambda inner: self.schema(inner, depth - 1))
        return _upper_type(found)

    def _resolved(self, reference: str, depth: int) -> JSON:
        name = reference.rpartition("/")[2]
        if name in self._open or name not in self._definitions:
            return {"type": "OBJECT"}
        self._open.append(name)
        try:
            return self.schema(self._definitions[name], depth - 1)
        finally:
            self._open.pop()


def _below(name: str, value: JSON, each: Callable[[JSON], JSON]) -> JSON:
    """A keyword's value, the schemas in it translated."""
    if name in ("properties", "$defs", "defs") and isinstance(value, dict):
        return {key: each(inner) for key, inner in value.items()}
    if name in ("items", "additionalProperties"):
        return each(value)
    if name in ("anyOf", "oneOf", "prefixItems") and isinstance(value, list):
        return [each(inner) for inner in value]
    return value


def _lower_type(found: dict[str, JSON]) -> None:
    kind = found.get("type")
    if isinstance(kind, list):
        found["type"] = [k.lower() if isinstance(k, str) else k for k in kind]
    elif kind is not None:
        found["type"] = word(kind, TYPES).lower()
        if found["type"] in ("", "type_unspecified"):
            del found["type"]
    nullable = found.pop("nullable", None)
    if nullable is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]


def _upper_type(found: dict[str, JSON]) -> dict[str, JSON]:
    kind = found.get("type")
    if isinstance(kind, list):
        named = [k for k in kind if isinstance(k, str) and k != "null"]
        if len(named) < len(kind):
            found["nullable"] = True
        if len(named) > 1:
            del found["type"]
            found["anyOf"] = [{"type": k.upper()} for k in named]
        else:
            found["type"] = named[0].upper() if named else "NULL"
    elif isinstance(kind, str):
        found["type"] = kind.upper()
    enum = found.get("enum")
    if isinstance(enum, list):  # strings alone are taken there
        found["enum"] = [value if isinstance(value, str) else str(value) for value in enum]
        found.setdefault("type", "STRING")
    return found
