"""Ollama's native dialect in one place: everything that the gateway asks of it.

https://github.com/ollama/ollama/blob/main/docs/api.md (read 2026-11-24). A request of this dialect
is rendered in it again as it was, but for: `data:` prefixes of images, which the server refuses,
are taken off. A stream is, but for: a line that holds several of thoughts, content, images and
calls becomes a line of each, and so does a last line that has any.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from oneapi.dialects.base import ChatFace, Headers, Stamp
from oneapi.dialects.base_errors import parse_error
from oneapi.dialects.ollama_answers import (
    load_answer,
    render_error,
    render_response,
    stream_error,
)
from oneapi.dialects.ollama_cards import ModelCard, ps, refusal, show, show_name, tags, version
from oneapi.dialects.ollama_embeddings import TASK_FACES, TASK_PROVIDERS
from oneapi.dialects.ollama_lines import Renderer
from oneapi.dialects.ollama_provider import CHAT_PROVIDER, will_be_cut
from oneapi.dialects.ollama_relay import (
    WATCHED,
    edit_request,
    parse_answer,
    peek,
    rename_response,
    response_text,
    tap,
)
from oneapi.dialects.ollama_rendering import render
from oneapi.dialects.ollama_requests import (
    LOADS,
    is_load,
    is_unload,
    parse_chat,
    parse_generate,
)
from oneapi.dialects.ollama_shapes import CHAT, GENERATE, NAME, OPERATIONS
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, ChatResponse, Envelope
from oneapi.wire.json import JSON

HEADERS: Final[Headers] = ()
PING: Final = b""
"""Lines have no comments: a silent stream stays silent."""


def error_status(error: ApiError) -> int:
    return error.status


class _Face:
    """The client's side of chat, or of generate, in the translate lane."""

    NAME: Final = NAME
    CONTENT_TYPE: Final = b"application/x-ndjson"

    def __init__(self, *, generate: bool) -> None:
        self._generate = generate
        self._parse = parse_generate if generate else parse_chat

    def parse_request(self, body: JSON, envelope: Envelope) -> ChatRequest:
        return self._parse(body, envelope)

    def render_request(self, chat: ChatRequest) -> JSON:
        return render(chat)[0]

    def render_response(self, reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
        return render_response(reply, stamp, generate=self._generate)

    def stream_renderer(self, chat: ChatRequest, stamp: Stamp) -> Renderer:
        return Renderer(stamp, generate=self._generate)


FACES: Final[Mapping[str, ChatFace]] = MappingProxyType(
    {CHAT: _Face(generate=False), GENERATE: _Face(generate=True)}
)

__all__ = [
    "CHAT_PROVIDER",
    "FACES",
    "GENERATE",
    "HEADERS",
    "LOADS",
    "NAME",
    "OPERATIONS",
    "PING",
    "TASK_FACES",
    "TASK_PROVIDERS",
    "WATCHED",
    "ModelCard",
    "edit_request",
    "error_status",
    "is_load",
    "is_unload",
    "load_answer",
    "parse_answer",
    "parse_error",
    "peek",
    "ps",
    "refusal",
    "rename_response",
    "render_error",
    "response_text",
    "show",
    "show_name",
    "stream_error",
    "tags",
    "tap",
    "version",
    "will_be_cut",
]
