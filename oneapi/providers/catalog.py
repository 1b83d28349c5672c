"""Reads the catalog of providers, strictly: a field it does not know is an error.

`catalog.toml` lies in the package, so that it is found in a zipapp too; its reader takes any text
of that shape. `Preset` says what each field means.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.resources import files
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from oneapi.config.facts import TypeFacts
from oneapi.providers.preset import PATHS, AuthError, Layout, Preset

__all__ = ["Preset", "load_catalog", "parse_catalog", "type_facts", "variables"]

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_AUTH = re.compile(r"bearer|plain|none|header:[a-z0-9-]+")
_TEMPLATE_NAMES = frozenset({"model", "api_version"})


def load_catalog() -> Mapping[str, Preset]:
    """The providers by name, in the file's order."""
    text = files("oneapi.providers").joinpath("catalog.toml").read_text("utf-8")
    return parse_catalog(text)


def parse_catalog(text: str) -> Mapping[str, Preset]:
    """A catalog's text as presets. Raises `ValueError` naming the table and the field."""
    catalog: dict[str, Preset] = {}
    numbers: dict[int, str] = {}
    for name, table in tomllib.loads(text).items():
        if _NAME.fullmatch(name) is None or not isinstance(table, dict):
            raise ValueError(f"catalog: {name}: a provider is a table with a lower-case name")
        preset = _preset(name, table)
        if preset.number is not None:
            other = numbers.setdefault(preset.number, name)
            if other != name:
                raise ValueError(f"catalog: {name}.number: {preset.number} is {other}'s already")
        catalog[name] = preset
    return MappingProxyType(catalog)


def type_facts(catalog: Mapping[str, Preset]) -> Mapping[str, TypeFacts]:
    """What checking a channel needs to know of its type, by type."""
    return MappingProxyType({name: _facts(preset) for name, preset in catalog.items()})


def variables(base_url: str) -> tuple[str, ...]:
    """The {names} in an address, each once, in their order."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(base_url)))


def _facts(preset: Preset) -> TypeFacts:
    return TypeFacts(
        name=preset.name,
        needs_key=preset.needs_key,
        needs_base_url=not preset.base_url,
        variables=variables(preset.base_url),
        local=preset.local,
        # Without an operation there is nothing that a model could be asked for.
        has_models=preset.discover or bool(preset.models) or not preset.operations,
        scripted=preset.scripted,
        host_env=preset.host_env,
    )


def _preset(name: str, table: Mapping[str, Any]) -> Preset:
    known = {field.name for field in fields(Preset)} - {"name"}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise ValueError(f"catalog: {name}.{key}: there is no such field")
        try:
            values[key] = _READERS[key](value)
        except ValueError as error:
            raise ValueError(f"catalog: {name}.{key}: {error}") from None
    if "title" not in values:
        raise ValueError(f"catalog: {name}.title: is missing")
    base_url = values.get("base_url", "")
    path = urlsplit(base_url).path
    if "bare" not in values and not variables(base_url):
        values["bare"] = path
    return Preset(name=name, **values)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("must be a list of texts")
    return tuple(_text(v) for v in value)


def _mapping(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise ValueError("must be a table of texts")
    return MappingProxyType({k: _text(v) for k, v in value.items()})


def _address(value: object) -> str:
    text = _text(value)
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an http or https address without a query")
    if text.endswith("/"):
        raise ValueError("must not end in a slash")
    return text


def _path(value: object) -> str:
    text = _text(value)
    if not text.startswith(("/", "../")):
        raise ValueError("must begin with /")
    return text


def _sign_in(value: object) -> str:
    text = _text(value)
    if _AUTH.fullmatch(text) is None:
        raise ValueError("must be bearer, plain, none or header:name")
    return text


def _operations(value: object) -> frozenset[str]:
    names = frozenset(_texts(value))
    return _known_operations(names)


def _known_operations(names: frozenset[str]) -> frozenset[str]:
    unknown = sorted(names - set(PATHS))
    if unknown:
        raise ValueError(f"there is no operation {', '.join(unknown)}")
    return names


def _paths(value: object) -> Mapping[str, str]:
    table = _mapping(value)
    _known_operations(frozenset(table))
    return MappingProxyType({name: _path(path) for name, path in table.items()})


def _statuses(value: object) -> frozenset[int]:
    if not isinstance(value, list):
        raise ValueError("must be a list of statuses")
    return frozenset(_status(v) for v in value)


def _status(value: object) -> int:
    number = _number(value)
    if not 400 <= number <= 599:
        raise ValueError("a status of an error is between 400 and 599")
    return number


def _tables(value: object, allowed: frozenset[str], required: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value) or not value:
        raise ValueError("must be a list of tables")
    for table in value:
        unknown = sorted(set(table) - allowed)
        if unknown:
            raise ValueError(f"there is no field {', '.join(unknown)}")
        if required not in table:
            raise ValueError(f"{required} is missing")
    return value


def _layouts(value: object) -> tuple[Layout, ...]:
    found = []
    for table in _tables(value, frozenset({"base", "path", "query"}), "base"):
        layout = Layout(**{k: _text(v) for k, v in table.items()})
        unknown = set(variables(layout.path + layout.query)) - _TEMPLATE_NAMES
        if unknown:
            raise ValueError(f"there is no {{{', '.join(sorted(unknown))}}}")
        found.append(layout)
    if found[-1].base != "*":
        raise ValueError('the last one must be for every other address: base = "*"')
    return tuple(found)


def _auth_errors(value: object) -> tuple[AuthError, ...]:
    found = []
    for table in _tables(value, frozenset({"status", "code", "message"}), "status"):
        words = {k: _text(v) for k, v in table.items() if k != "status"}
        if not words:
            raise ValueError("a code or a message must tell it from other errors")
        found.append(AuthError(_status(table["status"]), **words))
    return tuple(found)


_READERS: Mapping[str, Callable[[object], Any]] = MappingProxyType(
    {
        "title": _text,
        "number": _number,
        "base_url": _address,
        "bare": _path,
        "layouts": _layouts,
        "host_env": _text,
        "api_version": _text,
        "auth": _sign_in,
        "needs_key": _flag,
        "headers": _mapping,
        "local": _flag,
        "scripted": _flag,
        "dialect": _text,
        "operations": _operations,
        "paths": _paths,
        "models_path": _path,
        "models_prefix": _text,
        "discover": _flag,
        "models": _texts,
        "limit_field": _text,
        "include_usage": _flag,
        "output_excludes_reasoning": _flag,
        "auth_statuses": _statuses,
        "auth_errors": _auth_errors,
        "retry_statuses": _statuses,
    }
)
