"""Whole answers of Anthropic's dialect: to the middle, and from it.

https://docs.anthropic.com/en/api/messages (read 2026-11-24). An answer of this dialect that is
rendered again is what it was; normalised: the order of members.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.anthropic_blocks import answer_part
from oneapi.dialects.anthropic_errors import failure
from oneapi.dialects.anthropic_forms import NAME, dump
from oneapi.dialects.anthropic_usage import parse_usage, render_usage
from oneapi.dialects.anthropic_write import write_part
from oneapi.dialects.base import Stamp
from oneapi.errors import UpstreamError
from oneapi.ir import (
    ChatResponse,
    Choice,
    Extra,
    Media,
    Part,
    Reasoning,
    Refusal,
    Stop,
    Text,
    ToolCall,
)
from oneapi.wire.json import JSON, MalformedJSON, decode

_STOPS: Final[dict[str, Stop]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
    "sensitive": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}
_NATIVE: Final[dict[Stop, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "error": "end_turn",
}
_TIERS: Final = {"standard": "default"}
_KNOWN: Final = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
)
_AT_THE_END: Final = frozenset(
    {"stop_details", "container", "context_management", "input_transformations"}
)
"""Members that a stream tells when it ends: they belong to the choice."""
OF_THE_DELTA: Final = "usage"
"""Under this name a stream's `Finish.extra` holds the usage of the event that ended it."""


def parse_response(body: bytes) -> ChatResponse:
    """Raises `UpstreamError`: the provider's own for an error, 502 for what is no answer."""
    try:
        value = decode(body)
    except MalformedJSON as error:
        raise no_answer("the provider's answer is not JSON") from error
    if not isinstance(value, dict):
        raise no_answer("the provider's answer is not a JSON object")
    content = value.get("content")
    if not isinstance(content, list):
        if value.get("type") == "error" or value.get("error"):
            raise failure(value)
        raise no_answer("the provider's answer has no `content`")
    raw = value.get("usage")
    native, sequence = value.get("stop_reason"), value.get("stop_sequence")
    rest = {name: member for name, member in value.items() if name not in _KNOWN}
    choice = Choice(
        [answer_part(block) for block in content],
        stop_of(native) if isinstance(native, str) else None,
        native_stop=native if isinstance(native, str) else "",
        stop_sequence=sequence if isinstance(sequence, str) else None,
        extra={name: rest.pop(name) for name in _AT_THE_END & rest.keys()},
    )
    return ChatResponse(
        string_of(value.get("id")),
        string_of(value.get("model")),
        [choice],
        parse_usage(raw),
        NAME,
        service_tier=tier_of(raw),
        raw_usage=raw,
        extra=rest,
    )


def render_response(reply: ChatResponse, stamp: Stamp) -> bytes:
    """The body of a whole answer. Of several choices the first one: the format has no other."""
    same = reply.source == NAME
    choice = min(reply.choices, key=lambda c: c.index, default=Choice([], "stop"))
    parts: Sequence[Part] = choice.parts if same else _shown(choice.parts, stamp)
    reason, sequence = _reason(choice, parts, same=same)
    body: JSON = {
        "id": reply.id if same else f"msg_{stamp.id}",
        "type": "message",
        "role": "assistant",
        "model": stamp.model or reply.model,
        "content": [block for part in parts if (block := write_part(part)) is not None],
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": reply.raw_usage
        if same and isinstance(reply.raw_usage, dict)
        else render_usage(reply.usage),
    }
    if same:
        for extra in (reply.extra, choice.extra):
            body.update({n: value for n, value in extra.items() if n != OF_THE_DELTA})
    return dump(body)


def stop_of(native: str) -> Stop:
    return _STOPS.get(native, "stop")


def native_stop(stop: Stop | None, *, sequence: str | None, calls: bool, refused: bool) -> str:
    """This dialect's word for why another provider's answer ended.

    `calls` and `refused` say what stands in the answer: clients act on `tool_use` alone.
    """
    if stop in (None, "stop"):
        if sequence is not None:
            return "stop_sequence"
        if calls:
            return "tool_use"
        return "refusal" if refused else "end_turn"
    assert stop is not None
    return _NATIVE[stop]


def shown_media(part: Media) -> str:
    """What is said of a medium in an answer, where the format has texts alone."""
    if part.text:
        return part.text
    return f"![{part.filename or part.kind}]({part.url})" if part.url else ""


def no_answer(message: str) -> UpstreamError:
    return UpstreamError(502, message, code="bad_upstream_answer", retryable=True)


def string_of(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def tier_of(usage: JSON) -> str:
    """The service tier, which stands in the usage, in the middle's words."""
    tier = string_of(usage.get("service_tier")) if isinstance(usage, dict) else ""
    return _TIERS.get(tier, tier)


def _reason(choice: Choice, parts: Sequence[Part], *, same: bool) -> tuple[str | None, str | None]:
    if same:
        return choice.native_stop or None, choice.stop_sequence
    calls = any(isinstance(part, ToolCall) for part in parts)
    refused = any(isinstance(part, Refusal) for part in parts)
    sequence = choice.stop_sequence
    return native_stop(choice.stop, sequence=sequence, calls=calls, refused=refused), sequence


def _shown(parts: Sequence[Part], stamp: Stamp) -> list[Part]:
    """Another provider's parts as this format can show them: nothing empty, ids on all calls."""
    shown: list[Part] = []
    calls = 0
    for part in parts:
        match part:
            case Text() if part.text:
                shown.append(Text(part.text))
            case Refusal() if part.text:
                shown.append(part)
            case Reasoning() if part.text or part.data or part.signature:
                shown.append(_without_extra(part))
            case Media() if text := shown_media(part):
                shown.append(Text(text))
            case ToolCall():
                calls += 1
                shown.append(
                    ToolCall(
                        part.id or made_id(stamp, calls),
                        part.name,
                        part.arguments,
                        custom=part.custom,
                    )
                )
            case _:
                pass
    return shown


def made_id(stamp: Stamp, number: int) -> str:
    """The id of a call whose provider has none."""
    return f"toolu_{stamp.id}{number}"


def _without_extra(part: Reasoning) -> Reasoning:
    nothing: Extra = {}
    return Reasoning(
        part.text, part.signature, part.data, summary=part.summary, id=part.id, extra=nothing
    )
