"""The provider's side of OpenAI's chat in the translate lane: some thirty providers speak it.

How they differ is data: `Hints`, and the options that `openai_chat_render` lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oneapi.dialects.base import FollowUp, Headers, Hints, Outgoing, Stamp
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.openai_chat_answers import parse_response
from oneapi.dialects.openai_chat_deltas import ChatStreamParser
from oneapi.dialects.openai_chat_render import render_foreign, render_request
from oneapi.dialects.openai_chat_shapes import NAME
from oneapi.dialects.openai_errors import parse_error
from oneapi.ir import ChatRequest, ChatResponse, Media, Part, ToolResult


class OpenAIChatProvider:
    """`ChatProvider` of `/chat/completions`."""

    NAME = NAME
    OPERATION = "chat"

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        """Sound and documents are sent as bytes, images where the channel's options say so."""
        if chat.source == NAME:
            return ()
        images = hints.options.get("fetch_images") is True
        parts = (part for message in chat.messages for part in message.parts)
        return [m.url for m in _media(parts) if m.url and (images or m.kind in ("audio", "file"))]

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        if chat.source == NAME:
            dropped: list[str] = []
            body = render_request(chat, model, hints)
            if chat.stream and hints.include_usage and not chat.wants_usage:
                given = body.get("stream_options")
                options = given if isinstance(given, dict) else {}
                body["stream_options"] = {**options, "include_usage": True}
        else:
            body, dropped = render_foreign(chat, model, hints)
        return Outgoing(self.OPERATION, body_of(body), streams=chat.stream, dropped=dropped)

    def follow_up(self, body: bytes) -> FollowUp | None:
        return None

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        return parse_response(body, hints)

    def stream_parser(self, hints: Hints, stamp: Stamp) -> ChatStreamParser:
        return ChatStreamParser(hints)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def _media(parts: Iterator[Part]) -> Iterator[Media]:
    for part in parts:
        if isinstance(part, Media):
            yield part
        elif isinstance(part, ToolResult):
            yield from (inner for inner in part.parts if isinstance(inner, Media))
