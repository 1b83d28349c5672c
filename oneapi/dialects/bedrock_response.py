"""Whole answers of Bedrock's Converse.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11-24)
and recordings. An answer names neither itself nor its model.
"""

from __future__ import annotations

from typing import NoReturn

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_errors import describe
from oneapi.dialects.bedrock_blocks import others, parse_blocks
from oneapi.dialects.bedrock_shapes import NAME, parse_usage, stop_of
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import ChatResponse, Choice, Part, ToolCall
from oneapi.wire.json import JSON, MalformedJSON, decode


def parse_response(body: bytes, stamp: Stamp) -> ChatResponse:
    """Raises `UpstreamError` 502 for what is no answer of Converse."""
    try:
        value = decode(body)
    except MalformedJSON as error:
        _unusable(f"the answer is no JSON: {error}")
    if not isinstance(value, dict) or not isinstance(value.get("output"), dict):
        _unusable(describe(value)[0] or "the answer has no output")
    parts = _parts(value["output"])
    reason, more = value.get("stopReason"), value.get("additionalModelResponseFields")
    met = more.get("stop_sequence") if isinstance(more, dict) else None
    called = any(isinstance(part, ToolCall) for part in parts)
    choice = Choice(
        parts,
        stop_of(reason, called=called),
        native_stop=reason if isinstance(reason, str) else "",
        stop_sequence=met if isinstance(met, str) else None,
    )
    tier = value.get("serviceTier")
    word = tier.get("type") if isinstance(tier, dict) else None
    return ChatResponse(
        id=stamp.id,
        model=stamp.model,
        choices=[choice],
        usage=parse_usage(value.get("usage")),
        source=NAME,
        created=stamp.created,
        service_tier=word if isinstance(word, str) else "",
        raw_usage=value.get("usage"),
        extra=others(value, "output", "stopReason", "usage", "serviceTier"),
    )


def _parts(output: JSON) -> list[Part]:
    message = output.get("message")
    if message is None:  # a guardrail may leave nothing of it
        return []
    content = message.get("content") if isinstance(message, dict) else None
    if content is None and isinstance(message, dict):
        return []
    try:
        return parse_blocks(content, "output.message.content")
    except ApiError as error:
        _unusable(error.message)


def _unusable(message: str) -> NoReturn:
    raise UpstreamError(
        502, message, code="bad_upstream_answer", retryable=True, original_status=200
    )
