"""Errors of the Responses dialect: ours as its client libraries read them, providers' in an answer.

https://platform.openai.com/docs/api-reference/responses-streaming/error (read 2026-11-24).
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.base_errors import describe
from oneapi.errors import ApiError, UpstreamError
from oneapi.wire.json import JSON, encode

STATUSES: Final = {
    "server_error": 502,
    "rate_limit_exceeded": 429,
    "vector_store_timeout": 504,
    "context_length_exceeded": 400,
    "model_not_found": 404,
}
"""What the codes of a failed answer would have been as a status; others speak of the request."""

_REQUEST: Final = ("invalid_", "image_", "unsupported_", "empty_image", "failed_to_download")
_RETRYABLE: Final = frozenset({429, 502, 504})


def render_error(error: ApiError, request_id: str = "") -> bytes:
    """The body of an error answer: `{"error": {message, type, param, code}}`."""
    return encode(
        {
            "error": {
                "message": _message(error, request_id),
                "type": error.kind,
                "param": error.param,
                "code": error.code,
            }
        }
    )


def stream_error(error: ApiError, request_id: str = "") -> bytes:
    """The event that ends a stream of somebody else's bytes: its numbers are not known here.

    OpenAI's libraries raise it for its type; the message stands at its top level.
    """
    return b"event: error\ndata: " + encode(error_event(error, 0, request_id)) + b"\n\n"


def error_event(error: ApiError, number: int, request_id: str = "") -> JSON:
    """`error`, the event."""
    return {
        "type": "error",
        "sequence_number": number,
        "code": error.code,
        "message": _message(error, request_id),
        "param": error.param,
    }


def failed_error(error: ApiError) -> JSON:
    """The `error` of a failed response, whose codes are a closed list."""
    code = "server_error"
    if error.status == 429:
        code = "rate_limit_exceeded"
    elif error.code == "context_length_exceeded":  # clients look for it to compact and go on
        code = error.code
    elif error.status < 500:
        code = "invalid_prompt"
    return {"code": code, "message": error.message}


def upstream_error(value: JSON) -> UpstreamError:
    """The error of an event or of a failed answer, as a status it might have come with."""
    message, code, kind = describe(_object(value))
    status = STATUSES.get(code, 400 if code.startswith(_REQUEST) else 502)
    if code.isdecimal() and 400 <= int(code[:4]) < 600:
        status = int(code)
    return UpstreamError(
        status,
        message or "the provider's answer failed without a word on why",
        code=code or "bad_upstream_answer",
        kind=kind if kind and kind != "error" else "upstream_error",
        retryable=status in _RETRYABLE or status >= 500,
        original_status=200,
    )


def _object(value: JSON) -> JSON:
    """The error itself: of a failed response, of an `error` member, or the event."""
    if isinstance(value, dict):
        inner = value.get("response")
        if isinstance(inner, dict) and inner.get("error"):
            return {"error": inner["error"]}
        if value.get("error"):
            return {"error": value["error"]}
    return value


def _message(error: ApiError, request_id: str) -> str:
    return error.message + (f" (request id: {request_id})" if request_id else "")
