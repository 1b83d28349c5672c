"""DashScope's own format as a provider of chats.

https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope (read 2026-11-24). Channel options
are named in `dashscope_render`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from oneapi.dialects import dashscope_tasks
from oneapi.dialects.base import (
    ChatProvider,
    FollowUp,
    Headers,
    Hints,
    Outgoing,
    Stamp,
    TaskProvider,
)
from oneapi.dialects.base_errors import parse_error as parse_any_error
from oneapi.dialects.dashscope_answers import parse_response
from oneapi.dialects.dashscope_parameters import incremental
from oneapi.dialects.dashscope_parse import parse_request
from oneapi.dialects.dashscope_render import render_request
from oneapi.dialects.dashscope_shapes import NAME, TEXT
from oneapi.dialects.dashscope_stream import StreamParser
from oneapi.ir import ChatRequest, ChatResponse
from oneapi.wire.sse import data_of, split

__all__ = ["CHAT_PROVIDER", "NAME", "TASK_PROVIDERS", "parse_request"]


class _Provider:
    """The protocol is `base.ChatProvider`."""

    NAME = NAME
    OPERATION = TEXT

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        """None: the vendor fetches addresses itself and takes data: URLs."""
        return ()

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        return render_request(chat, model, hints)

    def follow_up(self, body: bytes) -> FollowUp | None:
        return None

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        return parse_response(body, stamp)

    def stream_parser(self, hints: Hints, stamp: Stamp) -> StreamParser:
        return StreamParser(stamp, incremental=incremental(hints))

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        """A refused stream is refused by an event, whatever its status."""
        if body.startswith((b"id:", b"event:", b"data:", b":")):
            body = next((data for data in map(data_of, split(body)) if data), body)
        return parse_any_error(status, headers, body)


CHAT_PROVIDER: Final[ChatProvider] = _Provider()
TASK_PROVIDERS: Final[Mapping[str, TaskProvider[Any, Any]]] = MappingProxyType(
    {
        "embeddings": dashscope_tasks.Embeddings(),
        "rerank": dashscope_tasks.Rerank(),
        "images": dashscope_tasks.Images(),
    }
)
