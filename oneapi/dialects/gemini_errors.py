"""Errors of Gemini's dialect: ours as its client libraries read them, providers' as they come.

https://cloud.google.com/apis/design/errors (read 2026-11-24): a status word beside the code, and
`details` by type. An unknown key is 400 `API_KEY_INVALID` there, no key at all 403 (recordings).
"""

from __future__ import annotations

import re
from typing import Final

from oneapi.dialects import base_errors
from oneapi.dialects.base import Headers
from oneapi.dialects.base_bodies import encode_text
from oneapi.errors import ApiError
from oneapi.wire.json import JSON, MalformedJSON, decode

_WORDS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    529: "UNAVAILABLE",  # Anthropic's word for the same
    504: "DEADLINE_EXCEEDED",
}
_STATUS: Final = {"invalid_api_key": 400, "expired_api_key": 400, "missing_api_key": 403}
_REASONS: Final = {
    "invalid_api_key": "API_KEY_INVALID",
    "expired_api_key": "API_KEY_INVALID",
    "missing_api_key": "CREDENTIALS_MISSING",
}
_TYPE: Final = "type.googleapis.com/google.rpc."
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
_REASON = re.compile(r"[A-Za-z0-9_.\-]{1,63}")


def error_status(error: ApiError) -> int:
    """The status that Google's libraries expect for the error."""
    return _STATUS.get(error.code, error.status)


def status_word(status: int) -> str:
    """`INVALID_ARGUMENT` and the like."""
    return _WORDS.get(status) or ("INVALID_ARGUMENT" if status < 500 else "INTERNAL")


def render_error(error: ApiError, request_id: str = "") -> bytes:
    """The body of an error answer: `{"error": {code, message, status, details}}`."""
    status = error_status(error)
    details: list[JSON] = []
    reason = _REASONS.get(error.code, error.code.upper())
    if _REASON.fullmatch(reason):
        details.append({"@type": _TYPE + "ErrorInfo", "reason": reason, "domain": "googleapis.com"})
    if error.param:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": _TYPE + "BadRequest", "fieldViolations": [violation]})
    wait = error.headers.get("retry-after", "")
    if _SECONDS.fullmatch(wait):
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{wait}s"})
    if request_id:
        details.append({"@type": _TYPE + "RequestInfo", "requestId": request_id})
    told: JSON = {"code": status, "message": error.message, "status": status_word(status)}
    if details:
        told["details"] = details
    return encode_text({"error": told}).encode()


def stream_error(error: ApiError, request_id: str = "") -> bytes:
    """The same as an event of a stream."""
    return b"data: " + render_error(error, request_id) + b"\r\n\r\n"


def array_error(error: ApiError, request_id: str = "", *, begun: bool = True) -> bytes:
    """The same as the last item of a stream that is one JSON array."""
    return (b",\r\n" if begun else b"[") + render_error(error, request_id) + b"]"


def parse_error(status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
    """Message, code and kind of a provider's refusal: the reason that its details name, or the
    code; the status word. An error inside a list (streams without `alt=sse`) is found too.
    """
    text, code, kind = base_errors.parse_error(status, headers, body)
    try:
        value = decode(body)
    except MalformedJSON:
        return text, code, kind
    return text, reason_of(value) or code, kind


def reason_of(value: JSON) -> str:
    """The `reason` among an error's details, "" without one."""
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        reason = detail.get("reason") if isinstance(detail, dict) else None
        if isinstance(reason, str) and reason:
            return reason
    return ""


def error_of(value: JSON) -> JSON:
    """The error that an answer or an event is, None for any other."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return (value.get("error") or None) if isinstance(value, dict) else None
