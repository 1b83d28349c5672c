"""Reads the catalog of providers, strictly: a field it does not know is an error.

`catalog.toml` lies in the package, so that it is found in a zipapp too; its reader takes any text
of that shape. `Preset` says what each field means.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from importlib.resources import files
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from oneapi.config.facts import TypeFacts
from oneapi.providers.operations import DIALECTS, OPTIONS
from oneapi.providers.preset import Preset
from oneapi.providers.readers import READERS
from oneapi.providers.targets import offered

__all__ = [
    "Preset",
    "given_variables",
    "load_catalog",
    "parse_catalog",
    "type_facts",
    "variables",
]

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_VERSION = "api_version"


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
    """The {names} in an address that a channel gives, each once, in their order."""
    found = dict.fromkeys(_PLACEHOLDER.findall(base_url))
    return tuple(name for name in found if name != _VERSION)


def given_variables(preset: Preset) -> tuple[str, ...]:
    """What the channel's `vars` may hold for the preset's own address, needed or not."""
    derived = preset.derived
    found = [derived[v].of if v in derived else v for v in variables(preset.base_url)]
    return tuple(dict.fromkeys(found))


def _facts(preset: Preset) -> TypeFacts:
    given = given_variables(preset)
    return TypeFacts(
        name=preset.name,
        needs_key=preset.needs_key,
        needs_base_url=not preset.base_url,
        variables=tuple(v for v in given if v not in preset.defaults),
        optional=tuple(v for v in given if v in preset.defaults),
        signing=("region",) if preset.auth.startswith("aws:") else (),
        dialects=preset.dialects,
        known_dialects=tuple(DIALECTS),
        options=OPTIONS,
        local=preset.local,
        # Without an operation there is nothing that a model could be asked for.
        has_models=preset.discover or bool(preset.models) or not offered(preset, preset.dialects),
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
            values[key] = READERS[key](value)
        except ValueError as error:
            raise ValueError(f"catalog: {name}.{key}: {error}") from None
    if "title" not in values:
        raise ValueError(f"catalog: {name}.title: is missing")
    base_url = values.get("base_url", "")
    path = urlsplit(base_url).path
    if "bare" not in values and not variables(base_url):
        values["bare"] = path
    return Preset(name=name, **{"price_books": (name,), **values})
