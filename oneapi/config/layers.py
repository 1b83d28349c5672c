"""What overrides the file: flags, `ONEAPI_…__…`, the original's variables, in this order (D2).

pydantic-settings reads and joins the layers; nothing is validated here, so that every error can be
collected later, entry by entry, with its own place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import SkipValidation, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from oneapi.config.environ import HONOURED, NESTED, PREFIX
from oneapi.config.findings import Finding, did_you_mean
from oneapi.config.locate import KeyPath
from oneapi.config.schema import Settings

_FILE_PATHS: tuple[KeyPath, ...] = (
    ("state", "path"),
    ("logs", "dir"),
    ("server", "tls", "cert"),
    ("server", "tls", "key"),
)
"""Keys that name files: in the file they are relative to it, elsewhere to the working folder."""

_FLAGS: Mapping[KeyPath, str] = {("logs", "dir"): "--log-dir"}
"""Flags that are not called as the last part of their key is."""


@dataclass(frozen=True)
class Layers:
    """The joined tree, and for every key that did not come from the file who gave it."""

    tree: dict[str, Any] = field(repr=False)
    givers: Mapping[KeyPath, str]
    findings: tuple[tuple[str, Finding], ...] = ()  # (who gave it, what is wrong)

    def giver(self, path: KeyPath) -> str | None:
        """`--port` or `ONEAPI_SERVER__PORT`, where the value at `path` is not the file's."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.givers:
                return self.givers[path[:length]]
        return None


def join(tree: dict[str, Any], *, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Layers:
    """The file's `tree` under the environment and the flags.

    `flags` maps dotted keys to values (`{"server.port": 3000}`); None is a flag that was not given.
    """
    ours = {
        name: value
        for name, value in environ.items()
        if name.upper().startswith(PREFIX) and NESTED in name
    }
    given: dict[KeyPath, Any] = {
        tuple(key.split(".")): value for key, value in flags.items() if value is not None
    }
    inherited: dict[KeyPath, Any] = {
        path: environ[name] for name, path in HONOURED.items() if environ.get(name)
    }
    givers: dict[KeyPath, str] = {
        path: name for name, path in HONOURED.items() if path in inherited
    }
    variables: dict[KeyPath, str] = {
        tuple(name[len(PREFIX) :].lower().split(NESTED)): name for name in ours
    }
    givers |= variables
    givers |= {path: _FLAGS.get(path, f"--{path[-1]}") for path in given}
    merged = _in_order(tree, _merge(_nested(given), ours, _nested(inherited), tree))
    for path in givers:
        if path in _FILE_PATHS:
            _make_absolute(merged, path)
    findings = tuple(
        (
            name,
            Finding(
                path, "there is no such table", did_you_mean(str(path[0]), Settings.model_fields)
            ),
        )
        for path, name in variables.items()
        if path[0] not in Settings.model_fields
    )
    return Layers(merged, givers, findings)


def _merge(
    flags: dict[str, Any],
    environ: Mapping[str, str],
    inherited: dict[str, Any],
    file: dict[str, Any],
) -> dict[str, Any]:
    class Layered(BaseSettings):
        model_config = SettingsConfigDict(extra="allow")

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (
                InitSettingsSource(settings_cls, flags),
                _Environment(settings_cls, environ),
                InitSettingsSource(settings_cls, inherited),
                InitSettingsSource(settings_cls, file),
            )

    # The schema's fields tell the sources which values are JSON; nothing is validated.
    fields: dict[str, Any] = {
        name: (Annotated[info.annotation, SkipValidation], None)
        for name, info in Settings.model_fields.items()
    }
    merged = create_model("Merged", __base__=Layered, **fields)()
    names = [*merged.model_fields_set, *(merged.model_extra or {})]
    return {name: getattr(merged, name) for name in names}


class _Environment(EnvSettingsSource):
    """The variables given, instead of the process's; a value that is not JSON stays text."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = {name.lower(): value for name, value in environ.items()}
        super().__init__(settings_cls, env_prefix=PREFIX, env_nested_delimiter=NESTED)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._environ

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _nested(flat: Mapping[KeyPath, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        table = tree
        for part in path[:-1]:
            table = table.setdefault(str(part), {})
        table[str(path[-1])] = value
    return tree


def _in_order(file: Mapping[str, Any], merged: dict[str, Any]) -> dict[str, Any]:
    """`merged` with the file's order of names, which is an order of channels and models too."""
    ordered: dict[str, Any] = {}
    for name in [*file, *(n for n in merged if n not in file)]:
        table, old = merged[name], file.get(name)
        if isinstance(table, dict) and isinstance(old, dict):
            table = {key: table[key] for key in [*old, *(k for k in table if k not in old)]}
        ordered[name] = table
    return ordered


def _make_absolute(tree: dict[str, Any], path: KeyPath) -> None:
    table: Any = tree
    for part in path[:-1]:
        table = table.get(part) if isinstance(table, dict) else None
    if isinstance(table, dict) and isinstance(table.get(path[-1]), str) and table[path[-1]]:
        table[path[-1]] = os.path.abspath(table[path[-1]])
