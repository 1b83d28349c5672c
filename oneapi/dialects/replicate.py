"""Replicate's predictions as a provider of chats.

https://replicate.com/docs/reference/http (read 2026-11-24). Channel options are named in
`replicate_requests`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from oneapi.dialects import replicate_tasks
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
from oneapi.dialects.replicate_answers import StreamParser, follow_up, parse_response
from oneapi.dialects.replicate_requests import render_request
from oneapi.dialects.replicate_shapes import NAME, PREDICT
from oneapi.ir import ChatRequest, ChatResponse

__all__ = ["CHAT_PROVIDER", "NAME", "TASK_PROVIDERS"]


class _Provider:
    """The protocol is `base.ChatProvider`."""

    NAME = NAME
    OPERATION = PREDICT

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        """None: models fetch addresses themselves and take data: URLs."""
        return ()

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        return render_request(chat, model, hints)

    def follow_up(self, body: bytes) -> FollowUp | None:
        return follow_up(body)

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        return parse_response(body, stamp)

    def stream_parser(self, hints: Hints, stamp: Stamp) -> StreamParser:
        return StreamParser(stamp)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        """`{title, detail, status, invalid_fields}`; the detail is a list in text."""
        message, code, kind = parse_any_error(status, headers, body)
        return message.strip().removeprefix("- "), code, kind


CHAT_PROVIDER: Final[ChatProvider] = _Provider()
TASK_PROVIDERS: Final[Mapping[str, TaskProvider[Any, Any]]] = MappingProxyType(
    {"images": replicate_tasks.Images()}
)
