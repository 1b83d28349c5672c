"""The official libraries' own types as judges of requests: what they refuse is no request."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


def judge(dialect: str, body: Any) -> str:
    """What the dialect's library finds wrong with a request's body, "" for nothing; and for
    dialects that none of the libraries speaks.
    """
    check = _CHECKS.get(dialect)
    if check is None:
        return ""
    try:
        check(_without(dialect, body))
    except ValueError as error:  # pydantic's are such
        return _told(error)
    return ""


BEYOND = (
    "anthropic: temperature, top_p and top_k: the newest types lack them, older models take them",
    "openai-chat: `image` among the modalities: models of others that draw in a chat",
    "openai-responses: an assistant's texts as parts: Codex sends them so, the types know a string",
)
"""What requests hold that the libraries' types do not know, and providers do."""


def _without(dialect: str, body: Any) -> Any:
    if dialect == "anthropic":
        return {k: v for k, v in body.items() if k not in ("temperature", "top_p", "top_k")}
    if dialect == "openai-chat" and "image" in body.get("modalities", ()):
        return {**body, "modalities": [m for m in body["modalities"] if m != "image"]}
    if dialect == "openai-responses" and isinstance(body["input"], list):
        return {**body, "input": [_one_text(item) for item in body["input"]]}
    return body


def _one_text(item: Any) -> Any:
    if item.get("role") != "assistant" or not isinstance(item["content"], list):
        return item
    texts = [part["text"] for part in item["content"] if part["type"] == "output_text"]
    return {**item, "content": "".join(texts)}


def _told(error: Any) -> str:
    """What is wrong, once for the branch of a union that fits best: the deepest places."""
    found = error.errors()
    deepest = max(len(one["loc"]) for one in found)
    lines = [
        f"{'.'.join(str(step)[:30] for step in one['loc'])}: {one['msg']}"
        for one in found
        if len(one["loc"]) == deepest
    ]
    return "; ".join(lines)[:500]


@cache
def _typed(module: str, names: tuple[str, ...]) -> Any:
    from importlib import import_module
    from typing import Union

    from pydantic import ConfigDict, TypeAdapter

    found = import_module(module)
    kinds = [getattr(found, name) for name in names]
    for kind in kinds:
        kind.__pydantic_config__ = ConfigDict(extra="forbid")
    made: Any = Union[tuple(kinds)]  # noqa: UP007 - made of a list
    return TypeAdapter(made)


def _read(value: Any) -> None:
    """Reads every iterable, for pydantic checks what is in them when they are read."""
    if isinstance(value, dict):
        for member in value.values():
            _read(member)
    elif not isinstance(value, str | bytes | int | float | None):
        for item in value:
            _read(item)


def _params(module: str, base: str) -> Callable[[Any], None]:
    names = (f"{base}NonStreaming", f"{base}Streaming")

    def check(body: Any) -> None:
        _read(_typed(module, names).validate_python(body))

    return check


def _gemini(body: Any) -> None:
    from google.genai import types

    for content in body["contents"]:
        types.Content.model_validate(content)
    if "systemInstruction" in body:
        types.Content.model_validate(body["systemInstruction"])
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    if "toolConfig" in body:
        types.ToolConfig.model_validate(body["toolConfig"])
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))
    for setting in body.get("safetySettings", ()):
        types.SafetySetting.model_validate(setting)


def _ollama(body: Any) -> None:
    from ollama._types import ChatRequest

    ChatRequest.model_validate(body)


_CHECKS: dict[str, Callable[[Any], None]] = {
    "openai-chat": _params("openai.types.chat.completion_create_params", "CompletionCreateParams"),
    "openai-responses": _params(
        "openai.types.responses.response_create_params", "ResponseCreateParams"
    ),
    "anthropic": _params("anthropic.types.message_create_params", "MessageCreateParams"),
    "gemini": _gemini,
    "ollama": _ollama,
}
JUDGED = tuple(_CHECKS)
