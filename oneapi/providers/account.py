"""An account at a provider: a channel bound to its preset, with everything computed at build time.

What is left for a call is a look-up for its headers and one for its target.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from urllib.parse import quote

from oneapi import __version__
from oneapi.errors import ApiError, ConfigError, Problem
from oneapi.net.base import Origin
from oneapi.providers.address import fill, from_host, path_problem, split
from oneapi.providers.preset import PATHS, Layout, Preset

HeaderLines = tuple[tuple[bytes, bytes], ...]

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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a provider's refusal means (D17, D20, D21).

    `auth`: it speaks of the channel's own account, so the client gets 502 `upstream_auth`.
    `retryable`: another key or channel may do better. `counts`: it was this key's fault or limit,
    so the key is left alone for a while.
    """

    auth: bool = False
    retryable: bool = False
    counts: bool = False


_AUTH = Verdict(auth=True, retryable=True, counts=True)
_LIMITED = Verdict(retryable=True, counts=True)
_FAILED = Verdict(retryable=True)
_PASSED = Verdict()


def classify(status: int, code: str | None, preset: Preset, message: str = "") -> Verdict:
    """What an answer of `status` means, with its error's code and text where it has them.

    A redirect is a failure: none is followed with credentials (D22).
    """
    if status in preset.auth_statuses:
        return _AUTH
    if any(e.matches(status, code or "", message) for e in preset.auth_errors):
        return _AUTH
    if status == 429:
        return _LIMITED
    if status >= 500 or status == 408 or 300 <= status < 400 or status in preset.retry_statuses:
        return _FAILED
    return _PASSED


def key_fingerprint(key: str) -> str:
    """A short name for a key in logs and state, from which the key cannot be found."""
    return hashlib.sha256(b"oneapi key " + key.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """Where a channel's calls go and what they carry. Frozen; made by `bind`."""

    name: str
    preset: Preset
    origin: Origin
    base: str
    """The path of its address, without a slash at its end."""
    _targets: Mapping[str, tuple[bytes, bytes | None]]
    _common: Mapping[bytes, bytes] = field(repr=False)
    _override: Mapping[bytes, bytes] = field(repr=False)
    _headers: Mapping[str, HeaderLines] = field(repr=False)

    def supports(self, operation: str) -> bool:
        return operation in self._targets

    def target(self, operation: str, model: str) -> bytes:
        """Path and query of an operation; the model stands in it where the provider wants that."""
        before, after = self._targets[operation]
        if after is None:
            return before
        if model in (".", ".."):
            raise ApiError(400, "that is no model's name", code="invalid_value", param="model")
        return before + quote(model, safe="").encode() + after

    def models_target(self) -> bytes:
        """Path of the provider's list of models."""
        path, base = self.preset.models_path, self.base
        while path.startswith("../"):
            path, base = path[3:], base.rpartition("/")[0]
        return f"{base}/{path.lstrip('/')}".encode()

    def headers(self, key: str) -> HeaderLines:
        """Lower-case header lines of a call: the account's key, the preset's and the channel's."""
        found = self._headers.get(key)
        if found is not None:
            return found
        return _lines(self.preset, self._common, key, self._override)

    def join(self, rest: bytes, query: bytes = b"") -> bytes:
        """Path and query of a raw call: `rest` below `base`, or whole where it begins with that.

        The authority stays what it is (D36). Raises `ApiError` 400 where `rest` tries otherwise.
        """
        problem = "" if not rest or rest.startswith(b"/") else "the path must begin with /"
        problem = problem or path_problem(rest)
        if not problem and any(c <= 0x20 or c >= 0x7F or c == 0x23 for c in query):
            problem = "the query holds a character that must be percent-encoded"
        if problem:
            raise ApiError(400, problem, code="invalid_path", param="path")
        base = self.base.encode()
        inside = rest == base or rest.startswith(base + b"/")
        path = (rest if inside else base + rest) or b"/"
        return path + b"?" + query if query else path


def bind(
    name: str,
    *,
    preset: Preset,
    base_url: str | None = None,
    variables: Mapping[str, str] | None = None,
    keys: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    api_version: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Account:
    """Bind the channel `name` to its preset. `environ` is asked for the preset's `host_env` alone.

    Raises `ConfigError` with the key that is wrong; a secret never stands in it.
    """
    origin, base = _address(name, preset, base_url, variables or {}, environ or {})
    own = _header_table(name, headers or {})
    common = {
        b"accept-encoding": b"identity",
        b"user-agent": f"oneapi/{__version__}".encode(),
        **_header_table(name, preset.headers),
    }
    for key in keys:
        if not _is_header_value(key):
            raise _problem(name, "keys", "a key holds a character that no header can carry")
    layout = _layout(preset.layouts, origin, base)
    if api_version and "{api_version}" not in layout.query:
        raise _problem(name, "api_version", "this provider's address has no place for a version")
    version = quote(api_version or preset.api_version, safe="")
    return Account(
        name=name,
        preset=preset,
        origin=origin,
        base=base,
        _targets=MappingProxyType(
            {o: _target(preset, layout, base, version, o) for o in sorted(preset.operations)}
        ),
        _common=MappingProxyType(common),
        _override=MappingProxyType(own),
        _headers=MappingProxyType({k: _lines(preset, common, k, own) for k in (*keys, "")}),
    )


def _address(
    name: str,
    preset: Preset,
    base_url: str | None,
    variables: Mapping[str, str],
    environ: Mapping[str, str],
) -> tuple[Origin, str]:
    where = "base_url"
    try:
        host = environ.get(preset.host_env, "") if preset.host_env else ""
        if base_url is None and host.strip():
            where = preset.host_env
            base_url = from_host(host, preset.base_url)
        chosen = base_url or preset.base_url
        if not chosen:
            raise ValueError(f"{preset.title} has no address of its own: give one")
        origin, path = split(fill(chosen, variables))
    except ValueError as error:
        raise _problem(name, where, str(error)) from None
    return origin, path or (preset.bare if base_url else "")


def _layout(layouts: Sequence[Layout], origin: Origin, base: str) -> Layout:
    place = origin.host + base
    return next(layout for layout in layouts if fnmatchcase(place, layout.base))


def _target(
    preset: Preset, layout: Layout, base: str, version: str, operation: str
) -> tuple[bytes, bytes | None]:
    """What stands before and after the model's name; None after it where no name is needed."""
    path = base + layout.path + preset.paths.get(operation, PATHS[operation])
    query = layout.query.replace("{api_version}", version)
    before, model, after = (f"{path}?{query}" if query else path).partition("{model}")
    return before.encode(), after.encode() if model else None


def _lines(
    preset: Preset, common: Mapping[bytes, bytes], key: str, override: Mapping[bytes, bytes]
) -> HeaderLines:
    lines = dict(common)
    if key and preset.auth != "none":
        kind, _, header = preset.auth.partition(":")
        value = key.encode("latin-1")
        lines[header.encode() or b"authorization"] = (
            b"Bearer " + value if kind == "bearer" else value
        )
    lines.update(override)
    return tuple(lines.items())


def _header_table(name: str, headers: Mapping[str, str]) -> dict[bytes, bytes]:
    table: dict[bytes, bytes] = {}
    for header, value in headers.items():
        if _HEADER_NAME.fullmatch(header) is None:
            raise _problem(name, "headers", f"{header!r} is not a header's name")
        lower = header.lower()
        if lower in _RESERVED:
            raise _problem(name, f"headers.{header}", "the connection sets this header itself")
        if not _is_header_value(value):
            raise _problem(
                name, f"headers.{header}", "the value holds a character no header carries"
            )
        table[lower.encode()] = value.strip().encode("latin-1")
    return table


def _is_header_value(value: str) -> bool:
    """Whether a text can stand in a header: Latin-1 without control characters."""
    return all(" " <= c <= "~" or "\xa0" <= c <= "\xff" or c == "\t" for c in value)


def _problem(name: str, key: str, message: str) -> ConfigError:
    return ConfigError([Problem(message, key=f"channels.{name}.{key}")])
