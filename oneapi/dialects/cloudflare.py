"""Workers AI's own format as a provider of chats.

https://developers.cloudflare.com/workers-ai/ (read 2026-11-24). Channel options are named in
`cloudflare_requests`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from oneapi.dialects import cloudflare_tasks
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
from oneapi.dialects.cloudflare_answers import StreamParser, parse_response
from oneapi.dialects.cloudflare_requests import fetches, render_request
from oneapi.dialects.cloudflare_shapes import NAME, RUN
from oneapi.ir import ChatRequest, ChatResponse

__all__ = ["CHAT_PROVIDER", "NAME", "TASK_PROVIDERS"]


class _Provider:
    """The protocol is `base.ChatProvider`."""

    NAME = NAME
    OPERATION = RUN

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        return fetches(chat)

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        """The model is the path's, not the body's."""
        return render_request(chat, model, hints)

    def follow_up(self, body: bytes) -> FollowUp | None:
        return None

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        return parse_response(body, stamp)

    def stream_parser(self, hints: Hints, stamp: Stamp) -> StreamParser:
        return StreamParser(stamp)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_any_error(status, headers, body)


CHAT_PROVIDER: Final[ChatProvider] = _Provider()
TASK_PROVIDERS: Final[Mapping[str, TaskProvider[Any, Any]]] = MappingProxyType(
    {
        "embeddings": cloudflare_tasks.Embeddings(),
        "rerank": cloudflare_tasks.Rerank(),
        "images": cloudflare_tasks.Images(),
    }
)
