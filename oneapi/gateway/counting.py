"""About how many tokens a request's input is, whatever its dialect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from oneapi import estimate
from oneapi.dialects.base_bodies import encode_text
from oneapi.ir import ChatRequest, Media, Message, Opaque, Part, Tool, ToolCall, ToolResult

T = TypeVar("T")

IMAGE = 800
"""Tokens of a picture of ordinary size; what providers count lies between 85 and 1,600."""
TURN = 4
"""Tokens that frame a message or a tool."""
LONG = 2000
"""Messages and tools that are looked at: of more, as many spaced evenly. A few milliseconds."""


def input_tokens(chat: ChatRequest) -> int:
    """About how many tokens the request's input is, whatever its dialect."""
    framing = TURN * (len(chat.messages) + len(chat.tools))
    if len(chat.messages) <= LONG and len(chat.tools) <= LONG:
        texts, pictures = _said(chat.messages)
        texts += _offered(chat.tools)
        return framing + pictures + estimate.tokens("\n".join(texts))
    messages, tools = _spaced(chat.messages), _spaced(chat.tools)
    texts, pictures = _said(messages)
    said = (
        (estimate.tokens("\n".join(texts)) + pictures) * len(chat.messages) / len(messages or "1")
    )
    offered = estimate.tokens("\n".join(_offered(tools))) * len(chat.tools) / len(tools or "1")
    return round(framing + said + offered)


def _spaced(items: Sequence[T]) -> Sequence[T]:
    """At most `LONG` of the items, from all over them."""
    if len(items) <= LONG:
        return items
    return [items[at * len(items) // LONG] for at in range(LONG)]


def _said(messages: Sequence[Message]) -> tuple[list[str], int]:
    """The texts of messages, and the tokens of their pictures."""
    texts: list[str] = []
    pictures = 0
    for message in messages:
        for part in _flat(message.parts):
            if isinstance(part, Media):
                texts.append(part.text)
                pictures += 0 if part.text else IMAGE
            else:
                texts.append(_text(part))
    return texts, pictures


def _offered(tools: Sequence[Tool]) -> list[str]:
    texts: list[str] = []
    for tool in tools:
        texts += [tool.name, tool.description, encode_text(tool.schema or tool.data or "")]
    return texts


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
            return encode_text(part.data)
        case Media() | ToolResult():
            return ""
        case _:  # text, refusal, reasoning
            return part.text
