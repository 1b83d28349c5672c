"""Errors of OpenAI's dialect: ours as its client libraries read them, providers' as they come."""

from __future__ import annotations

from oneapi.dialects.base_errors import describe, parse_error, scrub
from oneapi.errors import ApiError
from oneapi.wire.json import encode

__all__ = ["describe", "parse_error", "render_error", "scrub", "stream_error"]


def render_error(error: ApiError, request_id: str = "") -> bytes:
    """The body of an error answer: `{"error": {message, type, param, code}}`."""
    suffix = f" (request id: {request_id})" if request_id else ""
    return encode(
        {
            "error": {
                "message": error.message + suffix,
                "type": error.kind,
                "param": error.param,
                "code": error.code,
            }
        }
    )


def stream_error(error: ApiError, request_id: str = "") -> bytes:
    """The same as an event: a truthy top-level `error` makes OpenAI's libraries raise it."""
    return b"data: " + render_error(error, request_id) + b"\n\n"
