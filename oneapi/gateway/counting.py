"""About how many tokens a request's input is, whatever its dialect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oneapi import estimate
from oneapi.ir import ChatRequest, Media, Opaque, Part, ToolCall, ToolResult
from oneapi.wire.json import encode

IMAGE = 800
"""Tokens of a picture of ordinary size; what providers count lies between 85 and 1,600."""
TURN = 4
"""Tokens that frame a message or a tool."""


def input_tokens(chat: ChatRequest) -> int:
    """About how many tokens the request's input is, whatever its dialect."""
    texts: list[str] = []
    count = TURN * (len(chat.messages) + len(chat.tools))
    for message in chat.messages:
        for part in _flat(message.parts):
            if isinstance(part, Media):
                texts.append(part.text)
                count += 0 if part.text else IMAGE
            else:
                texts.append(_text(part))
    for tool in chat.tools:
        texts += [tool.name, tool.description, encode(tool.schema or tool.data or "").decode()]
    return count + estimate.tokens("\n".join(texts))


def _flat(parts: Sequence[Part]) -> Iterator[Part]:
    for part in parts:
        if isinstance(part, ToolResult):
            yield from _flat(part.parts)
        else:
            yield part


def _text(part: Part) -> str:
    match part:
        case ToolCall():
            return f"{part.name}\n{part.arguments}"
        case Opaque():
            return encode(part.data).decode("utf-8", "replace")
        case Media() | ToolResult():
            return ""
        case _:  # text, refusal, reasoning
            return part.text
