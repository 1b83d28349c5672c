"""Binds a channel to its preset: address, paths, headers, sign-in; whatever is wrong is named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from oneapi import __version__
from oneapi.dialects.base import Hints
from oneapi.errors import ConfigError, Problem
from oneapi.net.base import Origin
from oneapi.providers.account import Account, header_lines
from oneapi.providers.address import fill, from_host, split
from oneapi.providers.auth.base import SignIn
from oneapi.providers.auth.static import (
    default_key,
    is_header_value,
    key_line,
    key_problem,
    key_variables,
    parts_of,
    signer_of,
)
from oneapi.providers.catalog import variables as placeholders
from oneapi.providers.operations import OPTIONS
from oneapi.providers.preset import Preset
from oneapi.providers.targets import layout_of, offered, places, streamed
from oneapi.wire.json import JSON

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# The connection's own: the carrier writes them, and no channel may.
_RESERVED = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "proxy-authorization",
        "proxy-connection",
        "accept-encoding",  # the gateway reads what it relays (D16)
    }
)
_VERSION = "api_version"
_SAFE = ("gemini",)
"""The dialects that have safety settings."""
_OURS: Mapping[bytes, bytes] = MappingProxyType(
    {b"accept-encoding": b"identity", b"user-agent": f"oneapi/{__version__}".encode()}
)
"""What every call carries."""


def bind(
    name: str,
    *,
    preset: Preset,
    base_url: str | None = None,
    variables: Mapping[str, str] | None = None,
    keys: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    api_version: str | None = None,
    dialects: Sequence[str] | None = None,
    safety: Mapping[str, str] | None = None,
    options: Mapping[str, JSON] | None = None,
    environ: Mapping[str, str] | None = None,
    sign_in: SignIn | None = None,
) -> Account:
    """Bind the channel `name` to its preset. `environ` is asked for the preset's own variables
    alone; without `sign_in` an account that needs short-lived tokens does not sign.

    Raises `ConfigError` with the key that is wrong; a secret never stands in it.
    """
    environ = environ or {}
    _check_keys(name, preset, keys)
    default = "" if keys else default_key(preset.auth, environ)
    version = quote(api_version or preset.api_version, safe="")
    values = _values(preset, variables or {}, keys, version)
    origin, base, versioned = _address(name, preset, base_url, values, keys, environ)
    layout = layout_of(preset.layouts, origin, base, version)
    if layout.api_version and not api_version:
        version = quote(layout.api_version, safe="")
    if api_version and not versioned and "{api_version}" not in layout.query:
        raise _problem(name, _VERSION, "this provider's address has no place for a version")
    own = _header_table(name, headers or {})
    common = {**_OURS, **_header_table(name, preset.headers)}
    lines = {k: header_lines(preset, common, k, own) for k in (*keys, "")}
    if default:
        lines[""] = header_lines(preset, common, default, own)
    spoken = _spoken(name, preset, dialects, options or {})
    _check_safety(name, safety, spoken)
    operations = offered(preset, preset.dialects if spoken is None else spoken)
    targets = places(preset, layout, base=base, version=version, operations=operations)
    return Account(
        name=name,
        preset=preset,
        origin=origin,
        base=base,
        signer=signer_of(
            name,
            preset.auth,
            keys=keys,
            default=default,
            variables=values,
            environ=environ,
            sign_in=sign_in,
        ),
        hidden=parts_of(preset.auth, (*keys, default)) + ((default,) if default else ()),
        _own_dialects=spoken,
        _hints=_hints(preset, safety or {}, options or {}, api_version),
        _settings=frozenset((spoken or ()) if options else (_SAFE if safety else ())),
        _targets=targets,
        _streams=streamed(targets),
        _common=MappingProxyType(common),
        _override=MappingProxyType(own),
        _headers=MappingProxyType(lines),
    )


def _spoken(
    name: str, preset: Preset, dialects: Sequence[str] | None, options: Mapping[str, JSON]
) -> tuple[str, ...] | None:
    """The channel's own list, None for the preset's: a channel with options speaks the dialects
    that have them, so that none is without effect.
    """
    if not options:
        return None if dialects is None else tuple(dialects)
    spoken = preset.dialects if dialects is None else dialects
    found = tuple(d for d in spoken if options.keys() <= OPTIONS[d])
    if not found:
        words = f"no dialect of this channel has all of {', '.join(sorted(options))}"
        raise _problem(name, "options", words)
    return found


def _check_keys(name: str, preset: Preset, keys: Sequence[str]) -> None:
    for key in keys:
        if problem := key_problem(preset.auth, key):
            raise _problem(name, "keys", problem)


def _check_safety(
    name: str, safety: Mapping[str, str] | None, spoken: tuple[str, ...] | None
) -> None:
    if safety and spoken is not None and set(_SAFE).isdisjoint(spoken):
        words = "acts in the dialect 'gemini' alone, which this channel's options rule out"
        raise _problem(name, "safety", words)


def _hints(
    preset: Preset,
    safety: Mapping[str, str],
    options: Mapping[str, JSON],
    api_version: str | None,
) -> Hints:
    own = dict(options)
    if api_version or preset.api_version:
        own[_VERSION] = api_version or preset.api_version
    return Hints(
        limit_field=preset.limit_field,
        system_role=preset.system_role,
        include_usage=preset.include_usage,
        output_excludes_reasoning=preset.output_excludes_reasoning,
        safety=tuple({"category": c, "threshold": t} for c, t in safety.items()),
        options=MappingProxyType(own),
    )


def _values(
    preset: Preset, variables: Mapping[str, str], keys: Sequence[str], version: str
) -> Mapping[str, str]:
    """Values of placeholders: the preset's defaults, what keys tell, the channel's own, derived."""
    values = {**preset.defaults, **key_variables(preset.auth, keys), **variables}
    values[_VERSION] = version
    for name, derived in preset.derived.items():
        source = values.get(derived.of, "")
        known = derived.values.get(source)
        if source and name not in variables:
            values[name] = known or derived.otherwise.replace(f"{{{derived.of}}}", source)
    return values


def _address(
    name: str,
    preset: Preset,
    base_url: str | None,
    values: Mapping[str, str],
    keys: Sequence[str],
    environ: Mapping[str, str],
) -> tuple[Origin, str, bool]:
    """Origin, path, and whether the API's version stands in the path."""
    where = "base_url"
    try:
        host = environ.get(preset.host_env, "") if preset.host_env else ""
        if base_url is None and host.strip():
            where = preset.host_env
            base_url = from_host(host, preset.base_url)
        chosen = base_url or _usual(preset, values, keys)
        if not chosen:
            raise ValueError(f"{preset.title} has no address of its own: give one")
        origin, path = split(fill(chosen, values))
        versioned = f"{{{_VERSION}}}" in chosen
        if not path and base_url:
            versioned = f"{{{_VERSION}}}" in preset.bare
            path = fill(preset.bare, values)
    except ValueError as error:
        raise _problem(name, where, str(error)) from None
    return origin, path, versioned


def _usual(preset: Preset, values: Mapping[str, str], keys: Sequence[str]) -> str:
    """The preset's address: by the keys' kind, and the short one where a value is missing."""
    if preset.key_addresses and keys:
        found = {
            next((a.base_url for a in preset.key_addresses if key.endswith(a.ends)), "")
            for key in keys
        }
        if len(found) > 1:
            raise ValueError("the keys belong to different addresses: make two channels of it")
        if (address := found.pop()) != "":
            return address
    missing = any(not values.get(v) for v in placeholders(preset.base_url))
    static = all(key_line(preset.auth, key) is not None for key in keys)
    return preset.short_url if missing and static and preset.short_url else preset.base_url


def _header_table(name: str, headers: Mapping[str, str]) -> dict[bytes, bytes]:
    table: dict[bytes, bytes] = {}
    for header, value in headers.items():
        if _HEADER_NAME.fullmatch(header) is None:
            raise _problem(name, "headers", f"{header!r} is not a header's name")
        lower = header.lower()
        if lower in _RESERVED:
            raise _problem(name, f"headers.{header}", "the connection sets this header itself")
        if not is_header_value(value):
            raise _problem(
                name, f"headers.{header}", "the value holds a character no header carries"
            )
        table[lower.encode()] = value.strip().encode("latin-1")
    return table


def _problem(name: str, key: str, message: str) -> ConfigError:
    return ConfigError([Problem(message, key=f"channels.{name}.{key}")])
