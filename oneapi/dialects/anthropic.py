"""Anthropic's dialect in one place: everything that the gateway asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oneapi.dialects.anthropic_answers import no_answer, render_response
from oneapi.dialects.anthropic_errors import (
    describe,
    error_status,
    parse_error,
    render_error,
    scrub,
    stream_error,
)
from oneapi.dialects.anthropic_forms import NAME
from oneapi.dialects.anthropic_models import count_tokens_answer, model_entry, models_list
from oneapi.dialects.anthropic_parse import parse_request
from oneapi.dialects.anthropic_provider import CHAT_PROVIDER
from oneapi.dialects.anthropic_requests import OPERATIONS, WATCHED, edit_request, peek
from oneapi.dialects.anthropic_stream import Renderer
from oneapi.dialects.anthropic_tap import parse_answer, rename_response, response_text, tap
from oneapi.dialects.anthropic_write import write_request
from oneapi.dialects.base import ChatFace, Headers, Operation, Stamp, StreamRenderer
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, ChatResponse, Envelope
from oneapi.wire.json import JSON

HEADERS: Final[Headers] = ((b"anthropic-version", b"2023-06-01"),)
"""Sent where the client sends none of the name."""
PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'


class Face:
    """`base.ChatFace`: the client's side of messages."""

    NAME: str = NAME
    CONTENT_TYPE: bytes = b"text/event-stream"

    def parse_request(self, body: JSON, envelope: Envelope) -> ChatRequest:
        try:
            return parse_request(body, envelope)
        except RecursionError as error:
            raise ApiError(400, "the request is nested too deeply", code="invalid_value") from error

    def render_request(self, chat: ChatRequest) -> JSON:
        return write_request(chat)

    def render_response(self, reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
        try:
            return render_response(reply, stamp)
        except RecursionError as error:
            raise no_answer("the provider's answer is nested too deeply") from error

    def stream_renderer(self, chat: ChatRequest, stamp: Stamp) -> StreamRenderer:
        return Renderer(stamp)


FACES: Final[Mapping[str, ChatFace]] = {"messages": Face()}

__all__ = [
    "CHAT_PROVIDER",
    "FACES",
    "HEADERS",
    "NAME",
    "OPERATIONS",
    "PING",
    "WATCHED",
    "Operation",
    "count_tokens_answer",
    "describe",
    "edit_request",
    "error_status",
    "model_entry",
    "models_list",
    "parse_answer",
    "parse_error",
    "peek",
    "rename_response",
    "render_error",
    "response_text",
    "scrub",
    "stream_error",
    "tap",
]
