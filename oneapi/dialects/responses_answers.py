"""Whole answers of a Responses provider, as answers of the middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.responses_errors import upstream_error
from oneapi.dialects.responses_items import output_parts
from oneapi.dialects.responses_shapes import NAME, Object, list_in, word_in
from oneapi.dialects.responses_usage import parse_usage
from oneapi.errors import UpstreamError
from oneapi.ir import ChatResponse, Choice, Stop, ToolCall
from oneapi.wire.json import JSON, MalformedJSON, decode

APART: Final = ("id", "model", "created_at")
"""Members that do not stand in an answer's `extra`."""
_REASONS: Final[dict[str, Stop]] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "max_messages": "length",
    "content_filter": "content_filter",
}


def parse_response(body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
    """Raises `UpstreamError`: 502 for what is no answer, the provider's own error for a failed one.

    The members of the response stand in `extra`, its `output` among them, for a client of the same
    dialect.
    """
    try:
        value = decode(body)
    except MalformedJSON as error:
        raise _no_answer() from error
    if not isinstance(value, dict):
        raise _no_answer()
    status = value.get("status")
    if status in ("failed", "cancelled") or (value.get("error") and not value.get("output")):
        raise upstream_error(value)
    if not isinstance(value.get("output"), list):
        raise _no_answer()
    parts = output_parts(value["output"])
    stop, native = stop_of(value, any(isinstance(part, ToolCall) for part in parts))
    usage = parse_usage(value, output_excludes_reasoning=hints.output_excludes_reasoning)
    return ChatResponse(
        id=word_in(value, "id"),
        model=word_in(value, "model"),
        choices=[Choice(parts, stop, native_stop=native, logprobs=_logprobs(value["output"]))],
        usage=usage,
        source=NAME,
        created=seconds(value),
        service_tier=word_in(value, "service_tier"),
        raw_usage=value.get("usage"),
        extra={k: v for k, v in value.items() if k not in APART},
    )


def stop_of(response: Object, calls: bool) -> tuple[Stop, str]:
    """Why the answer ended, and the provider's own word for it."""
    status = word_in(response, "status")
    details = response.get("incomplete_details")
    reason = word_in(details, "reason") if isinstance(details, dict) else ""
    if status == "incomplete" or reason:
        return _REASONS.get(reason, "length"), reason or status
    return ("tool_calls" if calls else "stop"), status


def seconds(response: Object) -> int:
    """When it was created, 0 where that is unknown."""
    created = response.get("created_at")
    if isinstance(created, (int, float)) and not isinstance(created, bool):
        return int(created) if 0 <= created < 2**40 else 0
    return 0


def _logprobs(items: Sequence[JSON]) -> JSON:
    """Of all texts, in the form that the middle has them: `{"content": […]}`."""
    found = [
        entry
        for item in items
        for part in list_in(item, "content")
        for entry in list_in(part, "logprobs")
    ]
    return {"content": found} if found else None


def _no_answer() -> UpstreamError:
    return UpstreamError(
        502,
        "the provider's answer is no response",
        code="bad_upstream_answer",
        retryable=True,
        original_status=200,
    )
