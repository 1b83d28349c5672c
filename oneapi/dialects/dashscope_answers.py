"""DashScope's whole answers.

https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope (read 2026-11-24) and recordings:
`output` holds `choices`, or `text` with one `finish_reason` where `result_format` was "text";
contents are strings or lists of items without a `type`.
"""

from __future__ import annotations

from collections.abc import Iterator

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_errors import refused
from oneapi.dialects.dashscope_shapes import MEDIA, NAME, finished, parse_usage, stop_of
from oneapi.errors import UpstreamError
from oneapi.ir import (
    ChatResponse,
    Choice,
    Extra,
    Media,
    Opaque,
    Part,
    Reasoning,
    Text,
    ToolCall,
)
from oneapi.wire.json import JSON, MalformedJSON, decode


def parse_response(body: bytes, stamp: Stamp) -> ChatResponse:
    """Raises `UpstreamError`: 502 for what is no answer, the provider's own for an error."""
    try:
        value = decode(body)
    except MalformedJSON:
        raise _no_answer("is no JSON") from None
    if not isinstance(value, dict):
        raise _no_answer("is no object")
    output = value.get("output")
    if not isinstance(output, dict):
        if value.get("code") or value.get("message"):
            raise refused(value)
        raise _no_answer("has no output")
    choices = list(_choices(output))
    if not choices:
        raise _no_answer("has no text")
    usage = value.get("usage")
    return ChatResponse(
        text_of(value.get("request_id")),
        stamp.model,
        choices,
        parse_usage(usage),
        NAME,
        raw_usage=usage,
        extra=beside(output),
    )


def beside(output: JSON) -> Extra:
    """What an output holds besides its choices: `search_info` and the like."""
    return {
        name: value
        for name, value in output.items()
        if name not in ("choices", "text", "finish_reason", "audio") and value is not None
    }


def choices_of(output: JSON) -> list[JSON]:
    """The choices of an output, `text` as a choice like the others."""
    choices = output.get("choices")
    if isinstance(choices, list) and choices:
        return [choice for choice in choices if isinstance(choice, dict)]
    if not any(name in output for name in ("text", "finish_reason", "audio")):
        return []
    message: dict[str, JSON] = {"content": output.get("text")}
    if isinstance(output.get("audio"), dict):
        message["content"] = [{"audio": output["audio"]}]
    return [{"finish_reason": output.get("finish_reason"), "message": message}]


def index_of(choice: JSON, place: int) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else place


def part_of(item: JSON) -> Part | None:
    """One item of a content list; None for a text that is empty."""
    if isinstance(item, str):
        return Text(item) if item else None
    if not isinstance(item, dict):
        return Opaque(NAME, item)
    rest = dict(item)
    text = rest.pop("text", None)
    if isinstance(text, str):
        return Text(text, extra=rest) if text or rest else None
    for kind in MEDIA:
        if kind in rest and (media := _media(kind, rest)) is not None:
            return media
    return Opaque(NAME, item)


def sound(value: JSON) -> Media:
    """Sound that the model speaks: base64 while it streams, at last an address that expires."""
    extra = {k: v for k, v in value.items() if k not in ("data", "url", "id")}
    return Media(
        "audio",
        url=text_of(value.get("url")),
        data=text_of(value.get("data")),
        file_id=text_of(value.get("id")),
        extra=extra,
    )


def text_of(value: JSON) -> str:
    """The string, "" for anything else."""
    return value if isinstance(value, str) else ""


def arguments_of(value: JSON) -> str:
    """Arguments as text; a model's server may send them as an object."""
    if value is None or isinstance(value, str):
        return value or ""
    return encode_text(value)


def _choices(output: JSON) -> Iterator[Choice]:
    for place, choice in enumerate(choices_of(output)):
        message = choice.get("message")
        message = message if isinstance(message, dict) else {}
        parts = list(_parts(message))
        reason = choice.get("finish_reason")
        called = any(isinstance(part, ToolCall) for part in parts)
        yield Choice(
            parts,
            stop_of(reason, called=called) if finished(reason) else None,
            index_of(choice, place),
            native_stop=reason if finished(reason) else "",
            logprobs=choice.get("logprobs"),
            extra=leftover(choice, message),
        )


def leftover(choice: JSON, message: JSON) -> Extra:
    """Members of a choice and its message that the middle has no word for."""
    known = ("index", "finish_reason", "message", "logprobs")
    spoken = ("role", "content", "reasoning_content", "tool_calls")
    extra = {k: v for k, v in choice.items() if k not in known and v is not None}
    extra.update((k, v) for k, v in message.items() if k not in spoken and v is not None)
    return extra


def _parts(message: JSON) -> Iterator[Part]:
    thought = text_of(message.get("reasoning_content"))
    if thought:
        yield Reasoning(thought)
    content = message.get("content")
    for item in content if isinstance(content, list) else [content]:
        part = part_of(item) if item is not None else None
        if part is not None:
            yield part
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            yield _call(call)


def _call(value: JSON) -> ToolCall:
    function = value.get("function")
    function = function if isinstance(function, dict) else {}
    return ToolCall(
        text_of(value.get("id")),
        text_of(function.get("name")),
        arguments_of(function.get("arguments")),
    )


def _media(kind: str, rest: dict[str, JSON]) -> Media | None:
    value = rest.pop(kind)
    if kind == "audio" and isinstance(value, dict):
        return sound(value)
    if not isinstance(value, str):
        return None
    if kind == "image":
        return Media("image", url=value, extra=rest)
    return Media("audio" if kind == "audio" else "video", url=value, extra=rest)


def _no_answer(words: str) -> UpstreamError:
    return UpstreamError(
        502,
        f"the provider's answer {words}",
        code="bad_upstream_answer",
        retryable=True,
        original_status=200,
    )
