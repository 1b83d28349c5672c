"""Cohere's chat, version 2: the provider's side.

https://docs.cohere.com/reference/chat (read 2026-11-24) and recordings. Answers of the older chat
and generate are understood too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from oneapi.dialects import cohere_embeddings, cohere_render, cohere_rerank
from oneapi.dialects.base import FollowUp, Headers, Hints, Outgoing, Stamp, TaskProvider
from oneapi.dialects.base_errors import parse_error
from oneapi.dialects.cohere_requests import parse_request
from oneapi.dialects.cohere_response import parse_response
from oneapi.dialects.cohere_shapes import NAME, OPERATION, OPERATIONS
from oneapi.dialects.cohere_stream import CohereParser
from oneapi.ir import ChatRequest, ChatResponse

__all__ = ["CHAT_PROVIDER", "NAME", "OPERATIONS", "TASK_PROVIDERS", "parse_request"]


class Chat:
    """See `ChatProvider`."""

    NAME: Final = NAME
    OPERATION: Final = OPERATION

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        return cohere_render.fetches(chat)

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        return cohere_render.render_request(chat, model, hints)

    def follow_up(self, body: bytes) -> FollowUp | None:
        return None

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        return parse_response(body, stamp)

    def stream_parser(self, hints: Hints, stamp: Stamp) -> CohereParser:
        return CohereParser(stamp)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        """`{"id", "message"}`: there is neither code nor kind."""
        return parse_error(status, headers, body)


CHAT_PROVIDER: Final = Chat()
TASK_PROVIDERS: Final[Mapping[str, TaskProvider[Any, Any]]] = MappingProxyType(
    {"embeddings": cohere_embeddings.Provider(), "rerank": cohere_rerank.Provider()}
)
