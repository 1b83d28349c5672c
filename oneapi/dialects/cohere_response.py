"""Whole answers of Cohere: of v2 chat, and of the older chat and generate.

https://docs.cohere.com/reference/chat, …/chat-v1 and …/generate (read 2026-11-24), and recordings.
The older ones are what some proxies and clouds still answer with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_errors import describe, refused
from oneapi.dialects.cohere_shapes import NAME, PLAN, logprobs_of, parse_usage, stop_of
from oneapi.errors import UpstreamError
from oneapi.ir import ChatResponse, Choice, Opaque, Part, Reasoning, Text, ToolCall
from oneapi.wire.json import JSON, MalformedJSON, decode


def parse_response(body: bytes, stamp: Stamp) -> ChatResponse:
    """Raises `UpstreamError` 502 for what is no answer."""
    try:
        value = decode(body)
    except MalformedJSON as error:
        _unusable(f"the answer is no JSON: {error}")
    if not isinstance(value, dict):
        _unusable("the answer is no object")
    if isinstance(value.get("message"), dict):
        choices = [_choice(value)]
    elif isinstance(value.get("generations"), list):
        choices = [_generation(item, i) for i, item in enumerate(value["generations"])]
    elif isinstance(value.get("text"), str):
        choices = [_older(value)]
    elif describe(value)[0]:
        raise refused(value)
    else:
        _unusable("the answer has no message")
    usage = value.get("usage", value.get("meta"))
    return ChatResponse(
        id=_word(value, "id") or _word(value, "generation_id") or stamp.id,
        model=stamp.model,
        choices=choices,
        usage=parse_usage(usage),
        source=NAME,
        created=stamp.created,
        raw_usage=usage,
        extra={name: member for name, member in value.items() if name not in _TAKEN},
    )


_TAKEN: Final = frozenset(
    {"id", "message", "finish_reason", "usage", "logprobs", "generations", "text", "tool_calls"}
)


def _choice(value: JSON) -> Choice:
    message, reason = value["message"], value.get("finish_reason")
    parts = _content(message.get("content"))
    plan, calls = message.get("tool_plan"), message.get("tool_calls")
    if isinstance(plan, str) and plan:
        parts.append(Reasoning(plan, extra={PLAN: True}))
    _cite(parts, message.get("citations"))
    parts += (
        [call_of(call) for call in calls or [] if isinstance(call, dict)]
        if (isinstance(calls, list))
        else []
    )
    called = any(isinstance(part, ToolCall) for part in parts)
    choice = Choice(
        parts,
        stop_of(reason, called=called),
        native_stop=reason if isinstance(reason, str) else "",
        logprobs=logprobs_of(value.get("logprobs")),
    )
    known = ("role", "content", "tool_plan", "tool_calls", "citations")
    rest = {name: member for name, member in message.items() if name not in known}
    choice.extra = {"message": rest} if rest else {}
    return choice


def _content(content: JSON) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)]
    return [part_of(item) for item in content] if isinstance(content, list) else []


def part_of(item: JSON) -> Part:
    """A piece of content; what is neither text nor thought stays as it is."""
    kind = item.get("type") if isinstance(item, dict) else None
    for name, part in (("text", Text), ("thinking", Reasoning)):
        if kind == name and isinstance(item.get(name), str):
            made: Part = part(item[name])
            return made
    return Opaque(NAME, item)


def call_of(value: JSON, number: int = 0) -> ToolCall:
    """A call. The older API has no ids, and its parameters are an object."""
    function = value.get("function")
    if isinstance(function, dict):
        return ToolCall(_word(value, "id"), _word(function, "name"), _word(function, "arguments"))
    return ToolCall(
        _word(value, "id") or f"call_{number}",
        _word(value, "name"),
        encode_text(value.get("parameters") or {}),
    )


def _cite(parts: list[Part], citations: JSON) -> None:
    """Citations go to the piece of content that they name, else to the last text."""
    last = next((part for part in reversed(parts) if isinstance(part, Text)), None)
    for citation in citations if isinstance(citations, list) else []:
        place = citation.get("content_index") if isinstance(citation, dict) else None
        named = parts[place] if isinstance(place, int) and 0 <= place < len(parts) else None
        part = named if isinstance(named, Text) else last
        if part is not None:
            part.annotations.append(citation)


def _generation(item: JSON, index: int) -> Choice:
    value: Mapping[str, JSON] = item if isinstance(item, dict) else {}
    reason = value.get("finish_reason", "COMPLETE")
    extra = {k: v for k, v in value.items() if k not in ("text", "finish_reason", "index")}
    return Choice(
        [Text(_word(value, "text"))],
        stop_of(reason, called=False),
        index=index,
        native_stop=reason if isinstance(reason, str) else "",
        extra=extra,
    )


def _older(value: JSON) -> Choice:
    reason, calls = value.get("finish_reason", "COMPLETE"), value.get("tool_calls")
    parts: list[Part] = [Text(value["text"])] if value["text"] else []
    _cite(parts, value.get("citations"))
    for i, call in enumerate(calls if isinstance(calls, list) else []):
        if isinstance(call, dict):
            parts.append(call_of(call, i + 1))
    called = any(isinstance(part, ToolCall) for part in parts)
    native = reason if isinstance(reason, str) else ""
    return Choice(parts, stop_of(reason, called=called), native_stop=native)


def _word(value: Mapping[str, JSON], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _unusable(message: str) -> NoReturn:
    raise UpstreamError(
        502, message, code="bad_upstream_answer", retryable=True, original_status=200
    )
