"""Errors of OpenAI's dialect: ours as its client libraries read them, providers' as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oneapi.dialects.base_errors import describe, parse_error, scrub
from oneapi.dialects.openai_json import dump
from oneapi.errors import ApiError

__all__ = ["describe", "error_status", "parse_error", "render_error", "scrub", "stream_error"]

_STATUSES: Final[Mapping[int, int]] = {529: 503}
"""Statuses that other dialects alone know: this one's libraries retry a 503."""
_BAD: Final = "invalid_request_error"
_BUSY: Final = "rate_limit_error"
_DOWN: Final = "server_error"
_KINDS: Final[Mapping[str, str]] = {
    # Anthropic's
    "not_found_error": _BAD,
    "request_too_large": _BAD,
    "billing_error": "insufficient_quota",
    "api_error": _DOWN,
    "timeout_error": _DOWN,
    "overloaded_error": _DOWN,
    # Google's
    "INVALID_ARGUMENT": _BAD,
    "FAILED_PRECONDITION": _BAD,
    "OUT_OF_RANGE": _BAD,
    "NOT_FOUND": _BAD,
    "UNAUTHENTICATED": "authentication_error",
    "PERMISSION_DENIED": "permission_error",
    "RESOURCE_EXHAUSTED": _BUSY,
    "INTERNAL": _DOWN,
    "UNAVAILABLE": _DOWN,
    "DEADLINE_EXCEEDED": _DOWN,
    # AWS's
    "ValidationException": _BAD,
    "ResourceNotFoundException": _BAD,
    "AccessDeniedException": "permission_error",
    "ThrottlingException": _BUSY,
    "ServiceQuotaExceededException": _BUSY,
    "ModelNotReadyException": _DOWN,
    "ModelErrorException": _DOWN,
    "ModelStreamErrorException": _DOWN,
    "ModelTimeoutException": _DOWN,
    "InternalServerException": _DOWN,
    "ServiceUnavailableException": _DOWN,
}
"""Kinds of error in other dialects' words, and in this one's."""


def error_status(error: ApiError) -> int:
    """The status that this dialect's libraries expect."""
    return _STATUSES.get(error.status, error.status)


def render_error(error: ApiError, request_id: str = "") -> bytes:
    """The body of an error answer: `{"error": {message, type, param, code}}`."""
    suffix = f" (request id: {request_id})" if request_id else ""
    return dump(
        {
            "error": {
                "message": error.message + suffix,
                "type": _KINDS.get(error.kind, error.kind),
                "param": error.param,
                "code": error.code,
            }
        }
    )


def stream_error(error: ApiError, request_id: str = "") -> bytes:
    """The same as an event: a truthy top-level `error` makes OpenAI's libraries raise it."""
    return b"data: " + render_error(error, request_id) + b"\n\n"
