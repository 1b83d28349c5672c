"""OpenAI's dialect in one place: everything that the gateway asks of it."""

from __future__ import annotations

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

NAME: Final = "openai"
DONE: Final = b"data: [DONE]\n\n"

__all__ = [
    "DONE",
    "NAME",
    "OPERATIONS",
    "WATCHED",
    "Operation",
    "StreamTap",
    "describe",
    "edit_request",
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
]
