"""Gemini's dialect in one place: everything that the gateway asks of it.

`FACES["generate"]` streams server-sent events, `FACES["generate.array"]` one JSON array, for
clients that do not say `alt=sse`; `face(integers=True)` is for enumerations as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from oneapi.dialects import gemini_embeddings, gemini_tasks
from oneapi.dialects.base import ChatFace, ChatProvider, Headers, Operation, TaskFace, TaskProvider
from oneapi.dialects.gemini_chat import FACE, PROVIDER, GeminiFace
from oneapi.dialects.gemini_enums import integer_enums
from oneapi.dialects.gemini_errors import (
    array_error,
    error_status,
    parse_error,
    render_error,
    stream_error,
)
from oneapi.dialects.gemini_models import (
    ModelEntry,
    count_tokens_answer,
    model_entry,
    models_list,
)
from oneapi.dialects.gemini_requests import OPERATIONS, WATCHED, bare_model, edit_request, peek
from oneapi.dialects.gemini_tap import (
    ArrayFraming,
    GeminiTap,
    parse_answer,
    rename_response,
    response_text,
)

NAME: Final = "gemini"
HEADERS: Final[Headers] = ()
PING: Final = b": ping\n\n"
ARRAY: Final = "generate.array"
"""The operation of streams without `alt=sse`: one JSON array."""
FACES: Final[Mapping[str, ChatFace]] = {"generate": FACE, ARRAY: GeminiFace(array=True)}
CHAT_PROVIDER: Final[ChatProvider] = PROVIDER
TASK_FACES: Final[Mapping[str, TaskFace[Any, Any]]] = MappingProxyType(
    {
        gemini_embeddings.EMBED: gemini_embeddings.Face(batch=False),
        gemini_embeddings.BATCH: gemini_embeddings.Face(batch=True),
    }
)
TASK_PROVIDERS: Final[Mapping[str, TaskProvider[Any, Any]]] = MappingProxyType(
    {
        "embeddings": gemini_embeddings.Provider(),
        "images": gemini_tasks.Images(),
        "speech": gemini_tasks.Speech(),
    }
)


def face(*, array: bool = False, integers: bool = False) -> ChatFace:
    """The client's side of a chat, in the framing and encoding that the client asked for."""
    return GeminiFace(array=array, integers=integers)


def tap(
    operation: Operation,
    *,
    asked: str | None = None,
    withhold_usage: bool = False,
    output_excludes_reasoning: bool = False,
    secrets: Sequence[str] = (),
) -> GeminiTap:
    """Reads along with one stream in the operation's framing. Usage is part of every chunk: there
    is nothing to withhold.
    """
    return GeminiTap(asked=asked, array=operation.name == ARRAY, secrets=secrets)


__all__ = [
    "ARRAY",
    "CHAT_PROVIDER",
    "FACES",
    "HEADERS",
    "NAME",
    "OPERATIONS",
    "PING",
    "TASK_FACES",
    "TASK_PROVIDERS",
    "WATCHED",
    "ArrayFraming",
    "GeminiFace",
    "GeminiTap",
    "ModelEntry",
    "Operation",
    "array_error",
    "bare_model",
    "count_tokens_answer",
    "edit_request",
    "error_status",
    "face",
    "integer_enums",
    "model_entry",
    "models_list",
    "parse_answer",
    "parse_error",
    "peek",
    "rename_response",
    "render_error",
    "response_text",
    "stream_error",
    "tap",
]
