"""Readers of a preset's fields: each takes a TOML value and returns what `Preset` holds.

Whatever is wrong is a `ValueError` in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, get_args
from urllib.parse import urlsplit

from oneapi.estimate import MediaRule
from oneapi.estimate.media import Rule
from oneapi.providers.operations import ALL, CHAT, DIALECTS, EXTRA, OPTIONS, TASKS
from oneapi.providers.preset import (
    AuthError,
    Derived,
    KeyAddress,
    Layout,
    ModelDialects,
    ModelMedia,
    Quirk,
)

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_AUTH = re.compile(r"bearer|plain|none|google|(?:header|aws):[a-z0-9-]+|scheme:[A-Za-z0-9-]+")
_TEMPLATE_NAMES = frozenset({"model", "api_version"})
_WRAP = re.compile("bedrock-invoke|vertex")
_ROLES = frozenset({"system", "developer", "user"})
_STREAMED = frozenset(f"{name}.stream" for name in ALL)


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
    return MappingProxyType({k: _text(v) for k, v in _table(value).items()})


def _defaults(value: object) -> Mapping[str, str]:
    if not all(isinstance(v, str) for v in _table(value).values()):
        raise ValueError("must be a table of texts")
    return MappingProxyType(dict(_table(value)))


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be a table of texts")
    return value


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
    if not text.startswith(("/", "^/", "../")):
        raise ValueError("must begin with /")
    return text


def _one_of(value: object, allowed: Iterable[str], what: str) -> str:
    text = _text(value)
    if text not in allowed:
        raise ValueError(f"there is no {what} {text}")
    return text


def _sign_in(value: object) -> str:
    text = _text(value)
    if _AUTH.fullmatch(text) is None:
        raise ValueError(
            "must be bearer, plain, none, google, scheme:name, header:name or aws:service"
        )
    return text


def _wrap(value: object) -> str:
    text = _text(value)
    if _WRAP.fullmatch(text) is None:
        raise ValueError(f"there is no wrapping {text}")
    return text


def _dialects(value: object) -> tuple[str, ...]:
    return tuple(_one_of(name, DIALECTS, "dialect") for name in _texts(value))


def _operations(value: object) -> frozenset[str]:
    return _known(_texts(value), (*DIALECTS[CHAT], *EXTRA))


def _lacks(value: object) -> frozenset[str]:
    return _known(_texts(value), ALL)


def _known(names: Iterable[str], known: Iterable[str]) -> frozenset[str]:
    found = frozenset(names)
    unknown = sorted(found - set(known))
    if unknown:
        raise ValueError(f"there is no operation {', '.join(unknown)}")
    return found


def _paths(value: object) -> Mapping[str, str]:
    table = _mapping(value)
    _known(table, (*ALL, *_STREAMED))
    for path in table.values():
        _template(path)
    return MappingProxyType({name: _path(path) for name, path in table.items()})


def _template(text: str) -> None:
    unknown = set(_PLACEHOLDER.findall(text)) - _TEMPLATE_NAMES
    if unknown:
        raise ValueError(f"there is no {{{', '.join(sorted(unknown))}}}")


def _statuses(value: object) -> frozenset[int]:
    if not isinstance(value, list):
        raise ValueError("must be a list of statuses")
    return frozenset(_status(v) for v in value)


def _status(value: object) -> int:
    number = _number(value)
    if not 400 <= number <= 599:
        raise ValueError("a status of an error is between 400 and 599")
    return number


def _tables(value: object, allowed: frozenset[str], required: str = "") -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value) or not value:
        raise ValueError("must be a list of tables")
    for table in value:
        unknown = sorted(set(table) - allowed)
        if unknown:
            raise ValueError(f"there is no field {', '.join(unknown)}")
        if required and required not in table:
            raise ValueError(f"{required} is missing")
    return value


def _layouts(value: object) -> tuple[Layout, ...]:
    found = []
    allowed = frozenset({"base", "version", "api_version", "path", "query", "paths"})
    for table in _tables(value, allowed, "base"):
        paths = _paths(table["paths"]) if "paths" in table else {}
        texts = {k: _text(v) for k, v in table.items() if k != "paths"}
        layout = Layout(paths=paths, **texts)
        _template(layout.path + layout.query)
        found.append(layout)
    if (found[-1].base, found[-1].version) != ("*", "*"):
        raise ValueError('the last one must be for every other address: base = "*"')
    return tuple(found)


def _derived(value: object) -> Mapping[str, Derived]:
    found = {}
    for name, table in _table(value).items():
        (one,) = _tables([table], frozenset({"of", "otherwise", "values"}), "of")
        values = _mapping(one.get("values", {}))
        found[name] = Derived(_text(one["of"]), _text(one.get("otherwise")), values)
    return MappingProxyType(found)


def _key_addresses(value: object) -> tuple[KeyAddress, ...]:
    tables = _tables(value, frozenset({"ends", "base_url"}), "base_url")
    return tuple(KeyAddress(_text(t.get("ends")), _address(t["base_url"])) for t in tables)


def _model_dialects(value: object) -> tuple[ModelDialects, ...]:
    tables = _tables(value, frozenset({"models", "dialects"}), "dialects")
    return tuple(ModelDialects(_text(t.get("models")), _dialects(t["dialects"])) for t in tables)


_MEDIA = frozenset(field.name for field in fields(MediaRule))


def _media(value: object) -> tuple[ModelMedia, ...]:
    found = []
    for table in _tables(value, _MEDIA | {"models"}, "rule"):
        numbers = {k: _amount(k, v) for k, v in table.items() if k not in {"models", "rule"}}
        rule: Any = _one_of(table["rule"], get_args(Rule), "rule")
        found.append(ModelMedia(_text(table.get("models")), MediaRule(rule=rule, **numbers)))
    return tuple(found)


def _amount(name: str, value: object) -> Any:
    """Tokens and pixels are whole numbers; a factor may be a fraction."""
    whole = int if name != "factor" else int | float
    least = 1 if name in {"side", "fit", "short", "most"} else 0
    if not isinstance(value, whole) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a number, {least} or more")
    return value


def _auth_errors(value: object) -> tuple[AuthError, ...]:
    found = []
    for table in _tables(value, frozenset({"status", "code", "message"}), "status"):
        words = {k: _text(v) for k, v in table.items() if k != "status"}
        if not words:
            raise ValueError("a code or a message must tell it from other errors")
        found.append(AuthError(_status(table["status"]), **words))
    return tuple(found)


_QUIRK = frozenset(
    {"models", "dialect", "task", "rename", "drop", "values", "set", "clamp", "options"}
)


def _quirks(value: object) -> tuple[Quirk, ...]:
    return tuple(_quirk(table) for table in _tables(value, _QUIRK))


def _quirk(table: Mapping[str, object]) -> Quirk:
    dialect = _one_of(table.get("dialect", CHAT), DIALECTS, "dialect")
    options = _table(table.get("options", {}))
    unknown = sorted(set(options) - OPTIONS[dialect])
    if unknown:
        raise ValueError(f"{dialect} has no option {', '.join(unknown)}")
    return Quirk(
        models=_text(table.get("models", "*")),
        dialect=dialect,
        task=_one_of(table["task"], TASKS, "task") if "task" in table else "",
        options=MappingProxyType(options),
        rename=_mapping(table.get("rename", {})),
        drop=_texts(table.get("drop", [])),
        values=_each(table.get("values", {}), _table),
        set=MappingProxyType(_table(table.get("set", {}))),
        clamp=_each(table.get("clamp", {}), _range),
    )


def _each(value: object, read: Callable[[object], Any]) -> Mapping[str, Any]:
    return MappingProxyType({name: read(item) for name, item in _table(value).items()})


def _range(value: object) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("must be the least and the most")
    low, high = value
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value) or low > high:
        raise ValueError("must be the least and the most")
    return low, high


READERS: Mapping[str, Callable[[object], Any]] = MappingProxyType(
    {
        "title": _text,
        "number": _number,
        "base_url": _address,
        "short_url": _address,
        "defaults": _defaults,
        "derived": _derived,
        "key_addresses": _key_addresses,
        "bare": _path,
        "layouts": _layouts,
        "host_env": _text,
        "api_version": _text,
        "auth": _sign_in,
        "needs_key": _flag,
        "headers": _mapping,
        "local": _flag,
        "scripted": _flag,
        "dialects": _dialects,
        "model_dialects": _model_dialects,
        "wrap": _wrap,
        "price_books": _texts,
        "deployments": _flag,
        "betas": _texts,
        "refuses": _texts,
        "replays": _flag,
        "window": _number,
        "media": _media,
        "follow_hosts": _texts,
        "operations": _operations,
        "lacks": _lacks,
        "paths": _paths,
        "model_slashes": _flag,
        "models_path": _path,
        "models_headers": _mapping,
        "models_prefix": _text,
        "discover": _flag,
        "models": _texts,
        "limit_field": _text,
        "system_role": lambda value: _one_of(value, _ROLES, "role"),
        "include_usage": _flag,
        "output_excludes_reasoning": _flag,
        "quirks": _quirks,
        "auth_statuses": _statuses,
        "auth_errors": _auth_errors,
        "retry_statuses": _statuses,
    }
)
