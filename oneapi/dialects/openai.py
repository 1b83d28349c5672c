"""OpenAI's dialect in one place: everything that the gateway asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.base import Operation
from oneapi.dialects.openai_errors import describe, parse_error, render_error, scrub, stream_error
from oneapi.dialects.openai_models import model_entry, models_list
from oneapi.dialects.openai_requests import (
    OPERATIONS,
    WATCHED,
    edit_request,
    peek,
    peek_form,
)
from oneapi.dialects.openai_stream import StreamTap
from oneapi.dialects.openai_usage import (
    inspect_response,
    parse_answer,
    parse_usage,
    parse_usage_value,
    rename_response,
    response_text,
)
from oneapi.errors import ApiError

NAME: Final = "openai-chat"
DONE: Final = b"data: [DONE]\n\n"
PING: Final = b": ping\n\n"


def tap(
    operation: Operation,
    *,
    asked: str | None = None,
    withhold_usage: bool = False,
    output_excludes_reasoning: bool = False,
    secrets: Sequence[str] = (),
) -> StreamTap:
    """Reads along with one stream."""
    return StreamTap(
        asked=asked,
        withhold_usage=withhold_usage,
        output_excludes_reasoning=output_excludes_reasoning,
        secrets=secrets,
    )


def error_status(error: ApiError) -> int:
    return error.status


__all__ = [
    "DONE",
    "NAME",
    "OPERATIONS",
    "PING",
    "WATCHED",
    "Operation",
    "StreamTap",
    "describe",
    "edit_request",
    "error_status",
    "inspect_response",
    "model_entry",
    "models_list",
    "parse_answer",
    "parse_error",
    "parse_usage",
    "parse_usage_value",
    "peek",
    "peek_form",
    "rename_response",
    "render_error",
    "response_text",
    "scrub",
    "stream_error",
    "tap",
]
