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
        check(body)
    except ValueError as error:  # pydantic's are such
        return str(error).replace("\n", " ")[:500]
    return ""


@cache
def _typed(module: str, names: tuple[str, ...]) -> Any:
    from importlib import import_module
    from typing import Union

    from pydantic import ConfigDict, TypeAdapter

    found = import_module(module)
    kinds = [getattr(found, name) for name in names]
    for kind in kinds:
        kind.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(Union[tuple(kinds)])  # noqa: UP007 - made of a list


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
