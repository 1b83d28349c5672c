"""How a target fails: what the client hears, what the log, and may another target be tried."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from oneapi.dialects.base_errors import describe, retry_delay, scrub
from oneapi.errors import ApiError, UpstreamError
from oneapi.gateway.job import Job
from oneapi.gateway.snapshot import Key, Target
from oneapi.net.base import CarrierError, Headers
from oneapi.providers.account import classify
from oneapi.wire.json import JSON

log = logging.getLogger("oneapi.relay")

MAX_CODE = 64
AUTH_CODES = {"invalid_api_key": 401, "401": 401, "insufficient_quota": 402, "402": 402, "403": 403}
"""Codes inside a 200 that speak of the channel's own account, and the status they stand for."""

STATUSES: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "context_length_exceeded": 400,
    "not_found_error": 404,
    "not_found": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "api_error": 500,
    "internal": 500,
    "unavailable": 503,
    "overloaded": 503,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
}
"""What words inside a 200 stand for, in small letters."""

WORDS = {
    "connect": "the provider cannot be reached",
    "connect_timeout": "the provider cannot be reached: it did not take the connection in time",
    "first_byte_timeout": "the provider did not begin to answer in time",
    "idle_timeout": "the provider fell silent in the middle of its answer",
    "closed": "the provider closed the connection before its answer was complete",
    "protocol": "the provider's answer breaks the rules of HTTP",
    "too_large": "the provider's answer is larger than the gateway holds",
}
"""What clients are told of a `CarrierError`, by its reason."""


def account_refused(job: Job, target: Target, key: Key, status: int, message: str) -> UpstreamError:
    """The client's own key is fine: what the provider said of ours is for the log (D17)."""
    log.warning(
        "channel %s, key %s: its account was refused with %d: %s",
        target.channel.name,
        key.fingerprint,
        status,
        message[:300],
    )
    return UpstreamError(
        502,
        "the provider refused the gateway's own account; the operator's log says more",
        code="upstream_auth",
        retryable=job.body.repeatable,
        original_status=status,
        headers={"x-should-retry": "false"},
    )


def error_inside(job: Job, target: Target, key: Key, error: JSON) -> UpstreamError:
    """An error that came first, inside a 200 (D21)."""
    message, code, kind = describe(error)
    message = cleaned(message, target, key)
    status = AUTH_CODES.get(code, 0)
    if status or classify(400, code, target.channel.preset, message).auth:
        return account_refused(job, target, key, status or 400, message)
    told = _status_of(code) or _status_of(kind)
    if not told:
        return failure(job, f"the provider's stream began with an error: {message}")
    return UpstreamError(
        told,
        message,
        code=code or kind,
        kind=kind or "upstream_error",
        retryable=job.body.repeatable,
        original_status=200,
    )


def _status_of(word: str) -> int:
    """The status that a code or a type of error stands for, 0 for one that says nothing."""
    if word.isascii() and word.isdecimal() and 400 <= int(word[:4]) < 600:
        return int(word)
    return STATUSES.get(word.lower(), 0)


def error_of_answer(
    job: Job, target: Target, key: Key, error: ApiError, status: int
) -> UpstreamError:
    """A provider's error inside a successful status, cleaned; another target may do better."""
    retryable = error.retryable if isinstance(error, UpstreamError) else True
    return UpstreamError(
        error.status,
        cleaned(error.message, target, key),
        code=word(error.code),
        kind=word(error.kind),
        retryable=retryable and job.body.repeatable,
        original_status=status,
        headers=error.headers,
    )


def cleaned(message: str, target: Target, key: Key) -> str:
    """A provider's words without the channel's secrets."""
    secrets = target.channel.secrets(key)
    return scrub(message.encode("utf-8", "replace"), secrets).decode("utf-8", "replace")


def word(code: str) -> str:
    """A provider's code as it may stand in records and logs: short and printable."""
    return "".join(c for c in code[:MAX_CODE] if c.isprintable() and not "\ud800" <= c <= "\udfff")


def retry_after(headers: Headers, body: bytes = b"") -> dict[str, str]:
    """When to try again, as the provider's headers say it, or its error's `body`."""
    wanted = (b"retry-after", b"retry-after-ms", b"x-should-retry")
    found = {n.decode(): v.decode("latin-1") for n, v in headers if n in wanted}
    wait = retry_delay(body) if body and not found else ""
    return {"retry-after": wait} if wait else found


def no_key() -> ApiError:
    return ApiError(
        503,
        "no channel for this model has a key that is still valid",
        code="no_channel_available",
        kind="server_error",
    )


def failure(job: Job, message: str, *, original: int = 200) -> UpstreamError:
    """An answer that is not what was asked for: like a 502, another target may do better (D21)."""
    return UpstreamError(
        502,
        message,
        code="bad_upstream_answer",
        retryable=job.body.repeatable,
        original_status=original,
    )


def carrier_failure(job: Job, error: CarrierError) -> UpstreamError:
    """A call that failed on its way. What never left may be sent again whatever its size.

    The client hears what happened, the log where: hosts are the operator's business.
    """
    late = error.reason in ("first_byte_timeout", "idle_timeout")
    reach = error.reason in ("connect", "connect_timeout")
    log.warning("channel %s: %s", job.flight.channel, error)
    return UpstreamError(
        504 if late else 502,
        WORDS[error.reason],
        code="upstream_unreachable"
        if reach
        else ("upstream_timeout" if late else "upstream_broke"),
        retryable=job.body.repeatable or (reach and not error.sent),
    )
