"""The client's side of OpenAI's chat in the translate lane."""

from __future__ import annotations

from oneapi.dialects.base import Stamp
from oneapi.dialects.openai_chat_chunks import ChatStreamRenderer
from oneapi.dialects.openai_chat_render import render_request
from oneapi.dialects.openai_chat_replies import render_response
from oneapi.dialects.openai_chat_requests import parse_request
from oneapi.dialects.openai_chat_shapes import NAME
from oneapi.ir import ChatRequest, ChatResponse, Envelope
from oneapi.wire.json import JSON


class OpenAIChatFace:
    """`ChatFace` of `/chat/completions`."""

    NAME = NAME
    CONTENT_TYPE = b"text/event-stream"

    def parse_request(self, body: JSON, envelope: Envelope) -> ChatRequest:
        return parse_request(body, envelope)

    def render_request(self, chat: ChatRequest) -> JSON:
        return render_request(chat)

    def render_response(self, reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
        return render_response(reply, chat, stamp)

    def stream_renderer(self, chat: ChatRequest, stamp: Stamp) -> ChatStreamRenderer:
        return ChatStreamRenderer(chat, stamp)
