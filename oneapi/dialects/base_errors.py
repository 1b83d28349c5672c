"""Providers' errors as they come, in whatever shape: told apart by their members, never by words.

Shapes read 2026-11-24 from recordings and vendors' pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from oneapi.dialects.base import Headers
from oneapi.errors import UpstreamError
from oneapi.wire.json import JSON, MalformedJSON, decode

_HIDDEN = b"***"
_ORGANISATION = re.compile(rb"\borg[-_][0-9A-Za-z]{16,}")
# The look-behind begins matches at the start of a word alone: without it a long word is walked once
# from each of its letters, and a message of 100 KB stops the event loop for a minute.
_MASKED = re.compile(
    rb"(?<![0-9A-Za-z_\-.])([0-9A-Za-z_\-.]*)"
    rb"(?:\*{2,}|\.{3}|\xe2\x80\xa6|\\u2026)([0-9A-Za-z_\-.*]*)"
)
_DELAY = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?s")
_ECHO = 4
"""Characters of a key that an abbreviated one must show at an end to be taken for it."""
_WHOLE = 8
"""Characters below which a secret is no key, but a word that may stand anywhere."""
_MOST = 2000
_OF_THE_REQUEST = frozenset({400, 404, 408, 409, 413, 415, 422, 429})
"""Statuses that a client is told as they are; others are the gateway's own trouble, a 502."""


def parse_error(status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
    """Message, code and kind of a provider's refusal; code and kind are "" where it does not say.

    The content type is not believed: JSON comes as octet-stream, pages as JSON. Raises nothing.
    """
    try:
        value = decode(body)
    except MalformedJSON:
        text = body[:_MOST].decode("utf-8", "replace").strip()
        plain = text and not text.startswith("<")
        return (text if plain else f"the provider answered {status}"), "", ""
    if isinstance(value, list) and value:
        value = value[0]
    message, code, kind = describe(value)
    kind = kind or _header(headers, b"x-amzn-errortype").partition(":")[0]
    return message or f"the provider answered {status}", code, kind


def describe(value: JSON) -> tuple[str, str, str]:
    """Message, code and kind of an error object, in its envelope or without one."""
    message = code = kind = ""
    for level in _levels(value):
        if isinstance(level, str):
            message = message or level
            continue
        message = message or _first(
            level,
            "message",
            "msg",
            "error_msg",
            "status_msg",
            "Message",
            "detail",
            "title",
            "reason",
        )
        code = code or _first(level, "code", "error_code", "status_code", "Code", "errCode")
        kind = kind or _word(level, "type", "status", "reason")
    return message[:_MOST], code, kind


def refused(value: JSON, status: int = 0) -> UpstreamError:
    """A provider's error inside a status of success, or in mid-stream.

    `status` is the one that the provider names for it, 0 where it names none.
    """
    message, code, kind = describe(value)
    return UpstreamError(
        status if status in _OF_THE_REQUEST else 502,
        message or "the provider answered with an error inside a status of success",
        code=code or "bad_upstream_answer",
        kind=kind or "upstream_error",
        retryable=status in (0, 408, 429) or status >= 500,
        original_status=status or 200,
    )


def retry_delay(body: bytes) -> str:
    """Whole seconds that an error's body asks to wait, for providers whose headers do not say it;
    "" where none does. Google's `RetryInfo`: https://cloud.google.com/apis/design/errors (read
    2026-11-24).
    """
    try:
        value = decode(body)
    except MalformedJSON:
        return ""
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        wait = detail.get("retryDelay") if isinstance(detail, dict) else None
        found = _DELAY.fullmatch(wait) if isinstance(wait, str) else None
        if found is not None:
            return str(int(found[1]) + (int(found[2] or "0") > 0))
    return ""


def scrub(body: bytes, secrets: Sequence[str]) -> bytes:
    """An error's text without the channel's keys, echoes of them, and organisations.

    An echo is an abbreviated key (`sk-ab***yz`, `sk-ab...yz`) that begins and ends as the key does.
    Every other byte stays as it is.
    """
    written = {form for s in secrets if len(s) >= _WHOLE for form in _written(s)}
    keys = sorted((form.encode() for form in written), key=len, reverse=True)
    for key in keys:
        body = body.replace(key, _HIDDEN)
    if keys:
        body = _MASKED.sub(lambda match: _unmask(match, keys), body)
    return _ORGANISATION.sub(b"org-" + _HIDDEN, body)


def _written(secret: str) -> Iterator[str]:
    """A key as it is and as JSON writes it; some write a slash as `\\/`."""
    yield secret
    if not secret.isalnum():
        escaped = json.dumps(secret)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")


def _unmask(match: re.Match[bytes], keys: Sequence[bytes]) -> bytes:
    """`***` for an abbreviation of one of the keys, the bytes as they are for any other."""
    head, tail = match[1], match[2].strip(b"*")
    for key in keys:
        # A word may stand before the key: `Bearer:sk-…`
        for start in range(max(0, len(head) - len(key)), len(head)):
            shown = head[start:]
            fits = key.startswith(shown) and key.endswith(tail)
            if fits and max(len(shown), len(tail)) >= _ECHO:
                return head[:start] + _HIDDEN
        if len(tail) >= _ECHO and not head and key.endswith(tail):
            return _HIDDEN
    return match[0]


def _levels(value: JSON) -> Iterator[JSON]:
    """The places where an error may stand, the likeliest first: strings and objects."""
    if isinstance(value, dict):
        for name in ("error", "Error", "base_resp", "header"):
            if value.get(name):
                yield from _levels(value[name])
        for outer, inner in (("Response", "Error"), ("response", "error")):
            held = value.get(outer)
            if isinstance(held, dict) and isinstance(held.get(inner), dict):
                yield held[inner]
        for name in ("errors", "detail"):
            if isinstance(value.get(name), list):
                yield from (item for item in value[name][:1] if isinstance(item, (dict, str)))
        yield value
    elif isinstance(value, str):
        yield value


def _word(level: JSON, *names: str) -> str:
    """The first member that is a string and not empty."""
    found = (level.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), "")


def _first(level: JSON, *names: str) -> str:
    """The first member that is a string or a number and not empty, as text."""
    for name in names:
        value = level.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool) and value:
            return str(value)
    return ""


def _header(headers: Headers, name: bytes) -> str:
    return next((v.decode("latin-1") for n, v in headers if n.lower() == name), "")
