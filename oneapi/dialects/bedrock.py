"""Amazon Bedrock's Converse and ConverseStream: the provider's side of chat.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
API_runtime_ConverseStream.html (read 2026-11-24), and recordings. InvokeModel's streams are
`bedrock_invoke`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from oneapi.dialects import bedrock_render, bedrock_tasks
from oneapi.dialects.base import FollowUp, Headers, Hints, Outgoing, Stamp, TaskProvider
from oneapi.dialects.base_errors import parse_error
from oneapi.dialects.bedrock_requests import parse_request
from oneapi.dialects.bedrock_response import parse_response
from oneapi.dialects.bedrock_shapes import NAME, OPERATION, OPERATIONS
from oneapi.dialects.bedrock_stream import ConverseParser
from oneapi.ir import ChatRequest, ChatResponse

__all__ = ["CHAT_PROVIDER", "NAME", "OPERATIONS", "TASK_PROVIDERS", "parse_request"]


class Converse:
    """See `ChatProvider`. A stream is asked for at an operation of its own."""

    NAME: Final = NAME
    OPERATION: Final = OPERATION

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        return bedrock_render.fetches(chat)

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        return bedrock_render.render_request(chat, model, hints)

    def follow_up(self, body: bytes) -> FollowUp | None:
        return None

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        return parse_response(body, stamp)

    def stream_parser(self, hints: Hints, stamp: Stamp) -> ConverseParser:
        return ConverseParser(stamp)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        """The kind stands in `x-amzn-errortype`, before a colon, or in the body's `__type`."""
        return parse_error(status, headers, body)


CHAT_PROVIDER: Final = Converse()
TASK_PROVIDERS: Final[Mapping[str, TaskProvider[Any, Any]]] = MappingProxyType(
    {
        "embeddings": bedrock_tasks.Embeddings(),
        "rerank": bedrock_tasks.Rerank(),
        "images": bedrock_tasks.Images(),
    }
)
