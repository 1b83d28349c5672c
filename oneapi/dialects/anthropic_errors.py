"""Errors of Anthropic's dialect: ours as its client library reads them, providers' as they come.

https://docs.anthropic.com/en/api/errors (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oneapi.dialects.anthropic_forms import dump
from oneapi.dialects.base_errors import describe, parse_error, scrub
from oneapi.errors import ApiError, UpstreamError
from oneapi.wire.json import JSON

__all__ = [
    "describe",
    "error_status",
    "failure",
    "parse_error",
    "render_error",
    "scrub",
    "stream_error",
]

STATUSES: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_KINDS: Final[Mapping[int, str]] = {status: kind for kind, status in STATUSES.items()}
_ACCOUNT: Final = frozenset({401, 402, 403})
"""Statuses about the gateway's own account: the client's key is fine, so it is told 502."""


def error_status(error: ApiError) -> int:
    return error.status


def render_error(error: ApiError, request_id: str = "") -> bytes:
    """The body of an error answer: `{"type": "error", "error": {type, message}, "request_id"}`."""
    return dump(
        {
            "type": "error",
            "error": {"type": _kind(error), "message": error.message},
            "request_id": request_id or None,
        }
    )


def stream_error(error: ApiError, request_id: str = "") -> bytes:
    """The same as the event that ends a stream."""
    return b"event: error\ndata: " + render_error(error, request_id) + b"\n\n"


def failure(value: JSON) -> UpstreamError:
    """The provider's error where a status of success was sent before: in a stream, or its body."""
    message, code, kind = describe(value)
    status = STATUSES.get(kind, 500)
    return UpstreamError(
        502 if status in _ACCOUNT else status,
        message or "the provider answered with an error inside a status of success",
        code=code or kind or "bad_upstream_answer",
        kind=kind or "upstream_error",
        retryable=status >= 429 or status in _ACCOUNT,
        original_status=status,
    )


def _kind(error: ApiError) -> str:
    if STATUSES.get(error.kind) == error.status:
        return error.kind
    found = _KINDS.get(error.status)
    if found is not None:
        return found
    return "invalid_request_error" if error.status < 500 else "api_error"
