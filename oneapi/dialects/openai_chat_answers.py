"""Whole answers of OpenAI's chat as the typed middle has them, from whichever server.

https://platform.openai.com/docs/api-reference/chat/object (read 2026-11-24), and what recordings of
twenty providers show beside it. A member that the middle does not know stays in `extra`: of the
answer, of the choice, and under `message` there of its message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.base import Hints
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_errors import refused
from oneapi.dialects.base_turns import data_url
from oneapi.dialects.openai_chat_messages import arguments_of, call_of
from oneapi.dialects.openai_chat_shapes import NAME, rest, stop_of
from oneapi.dialects.openai_chat_thoughts import thinking_part, thoughts_of
from oneapi.dialects.openai_text import error_of
from oneapi.dialects.openai_usage import parse_usage_value
from oneapi.errors import UpstreamError
from oneapi.ir import (
    ChatResponse,
    Choice,
    Extra,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON, MalformedJSON, decode

_TOP: Final = frozenset({"id", "object", "created", "model", "choices", "usage"})
_CHOICE: Final = frozenset({"index", "message", "finish_reason", "logprobs", "text"})


def parse_response(body: bytes, hints: Hints) -> ChatResponse:
    """Raises `UpstreamError`: the provider's own error where the answer holds one, else 502."""
    try:
        value = decode(body)
    except MalformedJSON as error:
        raise no_answer("the provider's answer is not JSON") from error
    return answer_of(value, hints)


def answer_of(value: JSON, hints: Hints) -> ChatResponse:
    """The same of a decoded answer."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise no_answer("the provider's answer is not a JSON object")
    error = error_of(value)
    if error is not None:
        raise refused(error, status_of(error))
    choices = value.get("choices")
    found = [c for c in choices if isinstance(c, dict)] if isinstance(choices, list) else []
    if not found:
        raise no_answer("the provider's answer has no `choices`")
    tier = value.get("service_tier")
    told = isinstance(tier, str) and bool(tier)
    raw = usage_object(value)
    return ChatResponse(
        id=text_of(value.get("id")),
        model=text_of(value.get("model")),
        choices=[_choice(choice, number) for number, choice in enumerate(found)],
        usage=usage_of(raw, hints),
        source=NAME,
        created=count_of(value.get("created")),
        service_tier=tier if isinstance(tier, str) else "",
        raw_usage=raw,
        extra=rest(value, *_TOP, *(("service_tier",) if told else ())),
    )


def no_answer(words: str) -> UpstreamError:
    return UpstreamError(
        502, words, code="bad_upstream_answer", retryable=True, original_status=200
    )


def status_of(error: JSON) -> int:
    """The HTTP status that an error object names, 0 without one."""
    if not isinstance(error, dict):
        return 0
    for name in ("status_code", "code", "status"):
        value = error.get(name)
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    return 0


def usage_object(value: Extra) -> JSON:
    """The usage as it stands in an answer or a chunk, wherever it does; None without one."""
    if value.get("usage"):
        return value["usage"]
    inner = value.get("x_groq")
    if isinstance(inner, dict) and inner.get("usage"):
        return inner["usage"]
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("usage") if isinstance(first, dict) else None


def usage_of(raw: JSON, hints: Hints) -> Usage | None:
    return parse_usage_value(raw, output_excludes_reasoning=hints.output_excludes_reasoning)


def _choice(choice: Extra, number: int) -> Choice:
    message = choice.get("message")
    extra = rest(choice, *_CHOICE)
    if isinstance(message, dict):
        parts, left = message_parts(message)
        if left:
            extra["message"] = left
        if "text" in choice:
            extra["text"] = choice["text"]  # together's servers write it twice
    else:
        text = text_of(choice.get("text"))
        parts = [Text(text)] if text else []
    word = choice.get("finish_reason")
    word = word if isinstance(word, str) else ""
    calls = any(isinstance(part, ToolCall) for part in parts)
    index = choice.get("index")
    met = choice.get("stop_reason")  # vLLM's: the stop sequence
    return Choice(
        parts=parts,
        stop=stop_of(word, calls=calls) if word else None,
        index=index if type(index) is int and index >= 0 else number,
        native_stop=word,
        stop_sequence=met if word == "stop" and isinstance(met, str) else None,
        logprobs=choice.get("logprobs"),
        extra=extra,
    )


def message_parts(message: Extra) -> tuple[list[Part], Extra]:
    """The parts of an answer's message, and the members that they do not hold."""
    left = rest(message, "role")
    parts: list[Part] = [*thoughts_of(message)]
    _take_thoughts(parts, left)
    content = left.pop("content", None)
    said = content_parts(content)
    parts += said
    if isinstance(content, list):
        left["content"] = []  # that it was a list
    elif content == "":
        left["content"] = ""
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append(Refusal(refusal))
        del left["refusal"]
    _take_annotations(parts, left)
    for name, read in (("images", images_of), ("audio", _sound)):
        if left.get(name):
            found = read(left[name])
            parts += found
            if found:
                del left[name]
    _take_calls(parts, left)
    return parts, left


def _take_thoughts(parts: Sequence[Part], left: Extra) -> None:
    """Remove from what is left the members that the thoughts hold."""
    if not parts:
        return
    held = "".join(p.text for p in parts if isinstance(p, Reasoning))
    for name in ("reasoning_content", "reasoning"):
        if left.get(name) and left[name] == held:
            # a second member with the same text is left to stand beside the first
            member = next((getattr(p, "member", "") for p in parts if getattr(p, "text", "")), "")
            if member == name:
                del left[name]
    details = left.get("reasoning_details")
    if isinstance(details, list) and all(isinstance(d, dict) for d in details) and details:
        del left["reasoning_details"]
    elif isinstance(left.get("thinking_blocks"), list):
        del left["thinking_blocks"]


def content_parts(content: JSON) -> list[Part]:
    """The parts of an answer's content: text, parts, or the object that was asked for as JSON."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [Text(content)]
    if not isinstance(content, list):
        return [Text(encode_text(content))]
    return [part_of(part) for part in content if part]


def part_of(part: JSON) -> Part:
    """One part of an answer's content."""
    if isinstance(part, str):
        return Text(part)
    if not isinstance(part, dict):
        return Text(encode_text(part))
    kind = part.get("type")
    if kind == "thinking":
        return thinking_part(part)
    if kind in ("text", "output_text") and isinstance(part.get("text"), str):
        return Text(part["text"], extra=rest(part, "type", "text"))
    if kind == "image_url":
        found = images_of([part])
        return found[0] if found else Opaque(NAME, part)
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return Refusal(part["refusal"])
    return Opaque(NAME, part)


def images_of(value: JSON) -> list[Media]:
    """Images that a model made: `[{"type": "image_url", "image_url": {"url": …}}]`."""
    found = []
    for entry in value if isinstance(value, list) else ():
        inner = entry.get("image_url") if isinstance(entry, dict) else None
        url = inner.get("url") if isinstance(inner, dict) else inner
        if not isinstance(url, str) or not url:
            continue
        data = data_url(url)
        extra = rest(entry, "type", "image_url")
        if data is None:
            found.append(Media("image", url=url, extra=extra))
        else:
            found.append(Media("image", media_type=data[0], data=data[1], extra=extra))
    return found


def _sound(value: JSON) -> list[Media]:
    """`{"id", "data", "transcript", "expires_at"}`."""
    if not isinstance(value, dict):
        return []
    extra = rest(value, "id", "data")
    return [
        Media(
            "audio", data=text_of(value.get("data")), file_id=text_of(value.get("id")), extra=extra
        )
    ]


def _take_annotations(parts: Sequence[Part], left: Extra) -> None:
    found = left.get("annotations")
    texts = [part for part in parts if isinstance(part, Text)]
    if isinstance(found, list) and found and texts:
        texts[-1].annotations = left.pop("annotations")


def _take_calls(parts: list[Part], left: Extra) -> None:
    calls = left.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    if isinstance(calls, list) and calls:
        parts += (call_of(call) for call in calls if isinstance(call, dict))
        del left["tool_calls"]
    function = left.get("function_call")
    if isinstance(function, dict) and function.get("name"):
        name, arguments = text_of(function["name"]), arguments_of(function.get("arguments"))
        parts.append(ToolCall("", name, arguments))
        del left["function_call"]


def text_of(value: JSON) -> str:
    """A string, "" for anything else."""
    return value if isinstance(value, str) else ""


def count_of(value: JSON) -> int:
    """A whole number that is not negative, 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**53:
        return 0
    return int(value)
