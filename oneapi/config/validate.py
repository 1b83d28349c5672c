"""The tree → `Settings`, entry by entry, with every error in plain words.

One call for the whole tree would hold the interpreter, and with it the event loop, for as long as
it takes: 26-48 ms with 10,000 tokens (FACTS 4). So each entry of a table is validated alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from oneapi.config.findings import Finding, did_you_mean
from oneapi.config.locate import KeyPath
from oneapi.config.paths import may_hold_secret, not_built_yet
from oneapi.config.schema import Settings

_WORDS: Mapping[str, str] = {
    "int": "must be a whole number",
    "float": "must be a number",
    "decimal": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
    "list": "must be a list",
    "dict": "must be a table",
    "model": "must be a table",
    "invalid-json-value": "must be text, a number, true, false, a list or a table",
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "must be more than {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be less than {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "decimal_max_places": ("decimal_places", "must have at most {} decimals"),
    "string_too_short": ("min_length", "must have at least {} characters"),
    "too_short": ("min_length", "must have at least {} entries"),
}


def validate(tree: Mapping[str, Any]) -> tuple[Settings, list[Finding]]:
    """What of `tree` is right, and all that is wrong.

    Of a wrong entry the right keys stay, where it can do without the others, so that what they
    refer to can still be checked; the settings are not to be used when there are errors.
    """
    findings: list[Finding] = []
    values: dict[str, Any] = {}
    for name, value in tree.items():
        if name not in Settings.model_fields:
            findings.append(_unknown((name,), name))
            continue
        annotation: Any = Settings.model_fields[name].annotation
        if get_origin(annotation) is dict:
            values[name] = _table(name, value, annotation, findings)
            continue
        entry = _entry(TypeAdapter(annotation), value, (name,), findings)
        if entry is not None:
            values[name] = entry
    return Settings.model_construct(**values), findings


def fields_at(path: KeyPath) -> Mapping[str, str]:
    """The keys that the table at `path` may have, and what each is for; {} where that is open."""
    annotation: Any = Settings
    for part in path:
        annotation = _step(annotation, part)
        if annotation is None:
            return {}
    model = _model(annotation)
    fields = model.model_fields if model else {}
    return {name: info.description or "" for name, info in fields.items()}


def _table(name: str, value: Any, annotation: Any, findings: list[Finding]) -> dict[str, Any]:
    """A table of named entries: `{"alice": User, …}` of those that are right."""
    if not isinstance(value, dict):
        findings.append(Finding((name,), _WORDS["dict"]))
        return {}
    names, entries = (TypeAdapter(part) for part in get_args(annotation))
    found: dict[str, Any] = {}
    for key, item in value.items():
        path: KeyPath = (name, key)
        good_name = _entry(names, key, path, findings, of_name=True) is not None
        entry = _entry(entries, item, path, findings)
        if entry is not None and good_name:
            found[key] = entry
    return found


def _entry(
    adapter: TypeAdapter[Any],
    value: Any,
    path: KeyPath,
    findings: list[Finding],
    *,
    of_name: bool = False,
) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
    for detail in details:
        finding = _finding(detail, path)
        findings.append(replace(finding, path=path, at="key") if of_name else finding)
    return _without_wrong_keys(adapter, value, {d["loc"][0] for d in details if d["loc"]})


def _without_wrong_keys(adapter: TypeAdapter[Any], value: Any, wrong: set[int | str]) -> Any:
    if not isinstance(value, dict) or not wrong:
        return None
    try:
        return adapter.validate_python({k: v for k, v in value.items() if k not in wrong})
    except ValidationError:
        return None


def _finding(detail: ErrorDetails, base: KeyPath) -> Finding:
    loc = tuple(part for part in detail["loc"] if part != "[key]")
    path = base + loc
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown(path, str(path[-1]))
    if kind == "missing":
        purpose = fields_at(path[:-1]).get(str(path[-1]), "")
        return Finding(path, "is missing", purpose[:1].lower() + purpose[1:].rstrip("."))
    words = _words(detail)
    if kind == "literal_error":
        allowed = [
            str(a).strip("'") for a in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")
        ]
        return Finding(path, words, did_you_mean(str(detail["input"]), allowed))
    of_key = "[key]" in detail["loc"]
    shown = _shown(detail["input"], path, kind)
    return Finding(path, words + shown, at="key" if of_key else "value")


def _words(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("'", '"')
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        if context[name] == 1:
            return {"string_too_short": "must not be empty", "too_short": "must not be empty"}.get(
                kind, words.format("1")
            )
        return words.format(format(context[name], "g"))
    stem = kind if kind in _WORDS else kind.split("_")[0]
    return _WORDS.get(stem, detail["msg"][0].lower() + detail["msg"][1:])


_SHORT = 16
"""Characters of a value that a message shows: a secret in a wrong place is longer."""


def _shown(value: object, path: KeyPath, kind: str) -> str:
    """`, not 'abc'`, where the value may be shown and says something."""
    if may_hold_secret(path) or kind in _BOUNDS or kind == "value_error":
        return ""
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    if isinstance(value, int | float | str) and len(str(value)) <= _SHORT:
        return f", not {value!r}".replace("'", '"')
    return ""


def _unknown(path: KeyPath, name: str) -> Finding:
    planned = not_built_yet(path)
    if planned is not None:
        words = f"this version does not do {planned} yet"
        return Finding(path, words, "it refuses the key rather than ignoring it", at="key")
    known = fields_at(path[:-1])
    hint = did_you_mean(name, known, "known here")
    kind = "unknown table" if len(path) == 1 else "unknown key"
    return Finding(path, kind, hint, at="key")


def _step(annotation: Any, part: str | int) -> Any:
    """The annotation one key or index further in; None where anything may stand."""
    model = _model(annotation)
    if model is not None:
        info = model.model_fields.get(str(part))
        return info.annotation if info else None
    for candidate in _unions(annotation):
        if get_origin(candidate) in (dict, list):
            return get_args(candidate)[-1]
    return None


def _model(annotation: Any) -> type[BaseModel] | None:
    for candidate in _unions(annotation):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _unions(annotation: Any) -> Iterator[Any]:
    """The annotation's alternatives: `A | None` → A, None."""
    if get_origin(annotation) in (dict, list) or isinstance(annotation, type):
        yield annotation
        return
    yield from get_args(annotation)
