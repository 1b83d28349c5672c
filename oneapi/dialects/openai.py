"""OpenAI's dialect in one place: everything that the gateway asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from oneapi.dialects import (
    openai_embeddings,
    openai_images,
    openai_moderations,
    openai_speech,
)
from oneapi.dialects.base import ChatFace, ChatProvider, Headers, Operation, TaskFace, TaskProvider
from oneapi.dialects.openai_chat_face import OpenAIChatFace
from oneapi.dialects.openai_chat_provider import OpenAIChatProvider
from oneapi.dialects.openai_chat_restore import restore_reasoning
from oneapi.dialects.openai_completions import CompletionsFace
from oneapi.dialects.openai_errors import (
    describe,
    error_status,
    parse_error,
    render_error,
    scrub,
    stream_error,
)
from oneapi.dialects.openai_models import model_entry, models_list
from oneapi.dialects.openai_requests import (
    OPERATIONS,
    WATCHED,
    edit_request,
    peek,
    peek_form,
)
from oneapi.dialects.openai_stream import StreamTap
from oneapi.dialects.openai_usage import (
    inspect_response,
    parse_answer,
    parse_usage,
    parse_usage_value,
    rename_response,
    response_text,
)

NAME: Final = "openai-chat"
DONE: Final = b"data: [DONE]\n\n"
HEADERS: Final[Headers] = ()
PING: Final = b": ping\n\n"
FACES: Final[Mapping[str, ChatFace]] = MappingProxyType(
    {"chat": OpenAIChatFace(), "completions": CompletionsFace()}
)
CHAT_PROVIDER: Final[ChatProvider] = OpenAIChatProvider()
TASK_FACES: Final[Mapping[str, TaskFace[Any, Any]]] = MappingProxyType(
    {
        "embeddings": openai_embeddings.Face(),
        "images.generations": openai_images.Face(),
        "moderations": openai_moderations.Face(),
        "speech": openai_speech.Face(),
    }
)
TASK_PROVIDERS: Final[Mapping[str, TaskProvider[Any, Any]]] = MappingProxyType(
    {
        "embeddings": openai_embeddings.Provider(),
        "images": openai_images.Provider(),
        "moderation": openai_moderations.Provider(),
        "speech": openai_speech.Provider(),
    }
)


def tap(
    operation: Operation,
    *,
    asked: str | None = None,
    withhold_usage: bool = False,
    output_excludes_reasoning: bool = False,
    secrets: Sequence[str] = (),
) -> StreamTap:
    """Reads along with one stream."""
    return StreamTap(
        asked=asked,
        withhold_usage=withhold_usage,
        output_excludes_reasoning=output_excludes_reasoning,
        secrets=secrets,
    )


__all__ = [
    "CHAT_PROVIDER",
    "DONE",
    "FACES",
    "HEADERS",
    "NAME",
    "OPERATIONS",
    "PING",
    "TASK_FACES",
    "TASK_PROVIDERS",
    "WATCHED",
    "Operation",
    "StreamTap",
    "describe",
    "edit_request",
    "error_status",
    "inspect_response",
    "model_entry",
    "models_list",
    "parse_answer",
    "parse_error",
    "parse_usage",
    "parse_usage_value",
    "peek",
    "peek_form",
    "rename_response",
    "render_error",
    "response_text",
    "restore_reasoning",
    "scrub",
    "stream_error",
    "tap",
]
