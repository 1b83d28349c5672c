"""Addresses of providers: placeholders filled, split into origin and path, made from a host.

Whatever is wrong is a `ValueError` in words that the operator understands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes, urlsplit

from oneapi.net.base import Origin

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Letters that can change neither the host nor the depth of the path they are filled into.
_FILLING = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~-]*")
_PORTS = {"http": 80, "https": 443}
_MAX_DECODINGS = 4


def fill(base_url: str, values: Mapping[str, str]) -> str:
    """`base_url` with each {name} replaced by its value."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        text = values.get(name, "")
        if not text:
            raise ValueError(f"the address needs a value for {name}")
        if _FILLING.fullmatch(text) is None:
            raise ValueError(f"{name} may hold letters, digits and _ . ~ - only")
        return text

    return _PLACEHOLDER.sub(value, base_url)


def split(base_url: str) -> tuple[Origin, str]:
    """An address as its origin and its path, percent-encoded and without a slash at its end."""
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        raise ValueError("is not an address") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError('must be an address such as "https://api.example.com/v1"')
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a name or a password: keys belong into `keys`")
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or a fragment")
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~").rstrip("/")
    unsafe = path_problem(path.encode())
    if unsafe:
        raise ValueError(unsafe)
    host = parts.hostname
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise ValueError("has a host name that cannot be looked up") from None
    return Origin(parts.scheme, host, port or _PORTS[parts.scheme]), path


def from_host(value: str, default: str) -> str:
    """An address from what users write for a host: `host`, `host:port`, `:port`, `http://host`.

    Scheme, host, port and the path behind the host's own are `default`'s where `value` gives none.
    An address to listen on everywhere (0.0.0.0, ::) becomes this machine's.
    """
    text = value.strip().strip("\"'").strip()
    usual = urlsplit(default)
    if not text:
        return default
    scheme, sign, rest = text.partition("://")
    if not sign:
        scheme, rest, port = usual.scheme, text, usual.port or _PORTS[usual.scheme]
    elif scheme in _PORTS:
        port = _PORTS[scheme]
    else:
        raise ValueError(f"{scheme}:// is not http:// or https://")
    authority, _, path = rest.partition("/")
    if re.fullmatch(r"[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*", authority):
        authority = f"[{authority}]"  # an IPv6 address without its brackets
    try:
        parts = urlsplit(f"//{authority}")
        host, port = parts.hostname or usual.hostname or "", parts.port or port
    except ValueError:
        raise ValueError("is not a host or an address") from None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    own = f"/{path}".rstrip("/").removesuffix(usual.path)
    return f"{scheme}://{shown}:{port}{own}{usual.path}"


def path_problem(path: bytes) -> str:
    """Why a path is not passed on, or "": it might be read as another host or place (D36)."""
    if any(c <= 0x20 or c >= 0x7F for c in path) or any(c in path for c in (b"?", b"#")):
        return "the path holds a character that must be percent-encoded"
    text, decodings = path, 0
    while (decoded := unquote_to_bytes(text)) != text:
        text, decodings = decoded, decodings + 1
        if decodings > _MAX_DECODINGS:
            return "the path is percent-encoded too often"
    if any(c < 0x20 or c == 0x7F for c in text) or b"\\" in text:
        return "the path holds a control character or a backslash"
    if b"//" in text:
        return "the path holds //"
    segments = text.split(b"/")
    if b".." in segments or b"." in segments:
        return "the path holds . or .. as a step"
    if b"@" in segments[0] or (len(segments) > 1 and b"@" in segments[1]):
        return "the path begins with a name and @"
    return ""
