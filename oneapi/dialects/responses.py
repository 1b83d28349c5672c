"""The Responses dialect in one place: everything that the gateway asks of it.

https://platform.openai.com/docs/api-reference/responses (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from oneapi.dialects.base import ChatFace, ChatProvider, Headers, Hints, Outgoing, Stamp
from oneapi.dialects.base_errors import parse_error
from oneapi.dialects.responses_answers import parse_response
from oneapi.dialects.responses_errors import render_error, stream_error
from oneapi.dialects.responses_events import ResponsesParser
from oneapi.dialects.responses_faces import CompactingFace, FollowingFace, TriggeredFace
from oneapi.dialects.responses_history import (
    compact_request,
    compact_response,
    input_items,
    output_items,
    previous_id,
    render_input_tokens,
    stores,
    with_history,
)
from oneapi.dialects.responses_kept import (
    MOST,
    PAGE,
    Answered,
    Follows,
    answered,
    deleted,
    follows,
    is_compaction,
    is_sealed,
    item_page,
    no_conversation,
    no_item,
    no_previous,
    no_response,
    refers,
    stream_answer,
    unsealed,
    wants_kept,
)
from oneapi.dialects.responses_parse import parse_request
from oneapi.dialects.responses_render import OPERATION, render_own, render_request
from oneapi.dialects.responses_reply import render_response
from oneapi.dialects.responses_requests import OPERATIONS, WATCHED, edit_request, peek
from oneapi.dialects.responses_shapes import NAME, sealed_bytes
from oneapi.dialects.responses_stream import ResponsesRenderer
from oneapi.dialects.responses_tap import tap
from oneapi.dialects.responses_usage import (
    parse_answer,
    parse_usage,
    rename_response,
    response_text,
)
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, ChatResponse, Envelope
from oneapi.wire.json import JSON

HEADERS: Final[Headers] = ()
PING: Final = b": ping\n\n"


def error_status(error: ApiError) -> int:
    return error.status


class Face:
    """The client's side of chat."""

    NAME = NAME
    CONTENT_TYPE = b"text/event-stream; charset=utf-8"

    def parse_request(self, body: JSON, envelope: Envelope) -> ChatRequest:
        return parse_request(body, envelope)

    def render_request(self, chat: ChatRequest) -> JSON:
        return render_own(chat)

    def render_response(self, reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
        return render_response(reply, chat, stamp)

    def stream_renderer(self, chat: ChatRequest, stamp: Stamp) -> ResponsesRenderer:
        return ResponsesRenderer(chat, stamp)


class Provider:
    """The provider's side of chat."""

    NAME = NAME
    OPERATION = OPERATION

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        """None: providers fetch images and files themselves."""
        return ()

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        return render_request(chat, model, hints)

    def follow_up(self, body: bytes) -> None:
        """None: answers in the background are not asked for."""

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        return parse_response(body, hints, stamp)

    def stream_parser(self, hints: Hints, stamp: Stamp) -> ResponsesParser:
        return ResponsesParser(hints, stamp)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


FACES: Final[Mapping[str, ChatFace]] = {OPERATION: Face()}
CHAT_PROVIDER: Final[ChatProvider] = Provider()

__all__ = [
    "CHAT_PROVIDER",
    "FACES",
    "HEADERS",
    "MOST",
    "NAME",
    "OPERATIONS",
    "PAGE",
    "PING",
    "WATCHED",
    "Answered",
    "CompactingFace",
    "FollowingFace",
    "Follows",
    "TriggeredFace",
    "answered",
    "compact_request",
    "compact_response",
    "deleted",
    "edit_request",
    "error_status",
    "follows",
    "input_items",
    "is_compaction",
    "is_sealed",
    "item_page",
    "no_conversation",
    "no_item",
    "no_previous",
    "no_response",
    "output_items",
    "parse_answer",
    "parse_error",
    "parse_usage",
    "peek",
    "previous_id",
    "refers",
    "rename_response",
    "render_error",
    "render_input_tokens",
    "response_text",
    "sealed_bytes",
    "stores",
    "stream_answer",
    "stream_error",
    "tap",
    "unsealed",
    "wants_kept",
    "with_history",
]
