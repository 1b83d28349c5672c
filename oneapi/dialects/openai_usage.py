"""What answers of OpenAI's dialect say they used, wherever providers hide it; and whole answers.

Shapes read 2026-11-24 from https://platform.openai.com/docs/api-reference and from recordings of
fourteen providers. The prompt's count includes cached tokens, the answer's count reasoning, unless
the totals or the caller say otherwise.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.base import Operation
from oneapi.dialects.openai_text import text_of
from oneapi.ir import Usage
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode, items, members, replace_string

_MOST: Final = 10**12
"""Counts above it are nonsense and are not believed."""

_IMAGES: Final = frozenset({"images.generations", "images.edits", "images.variations"})
_LISTS: Final = {"chat": "choices", "completions": "choices", "edits": "choices"}
_JSON_ONLY: Final = frozenset({*_LISTS, *_IMAGES, "embeddings", "moderations"})


def parse_usage(
    operation: Operation, body: bytes, *, output_excludes_reasoning: bool = False
) -> Usage | None:
    """What a whole answer used; None where it does not say. Raises nothing.

    For speech, whose answer is sound, the *request* tells: its characters are counted.
    """
    try:
        top = members(body)
    except MalformedJSON:
        return None
    return _usage_of(operation, top, output_excludes_reasoning)


def _usage_of(operation: Operation, top: dict[str, Raw], excludes: bool) -> Usage | None:
    usage = usage_in(top, output_excludes_reasoning=excludes)
    if operation.name in _IMAGES:
        made = _length(top, "data") or _length(top, "images")
        if usage is not None or made:
            usage = usage or Usage()
            usage.images = made
    if operation.name == "speech":
        usage = _of_speech(top, usage)
    if usage is None and "duration" in top:  # verbose transcriptions
        heard = _milliseconds(_read(top, "duration"))
        usage = Usage(audio_ms=heard) if heard else None
    return usage


def usage_in(top: dict[str, Raw], *, output_excludes_reasoning: bool = False) -> Usage | None:
    """The usage that stands in an answer or a stream's event, in any of the places known."""
    excludes = output_excludes_reasoning
    found = parse_usage_value(_read(top, "usage"), output_excludes_reasoning=excludes)
    if found is None and "x_groq" in top:
        inner = _member(_read(top, "x_groq"), "usage")
        found = parse_usage_value(inner, output_excludes_reasoning=excludes)
    if found is None and "choices" in top:
        choices = _read(top, "choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        inner = _member(first, "usage")
        found = parse_usage_value(inner, output_excludes_reasoning=excludes)
    return found


def parse_usage_value(value: JSON, *, output_excludes_reasoning: bool = False) -> Usage | None:
    """A usage object in disjoint buckets, None for what is none or counts nothing.

    `output_excludes_reasoning` is for providers whose answer's count leaves reasoning out; where
    the object gives a total, the total decides. Counts that are no numbers, negative or absurd are
    taken as not given, parts greater than their whole are cut to it.
    """
    if not isinstance(value, dict):
        return None
    prompt = _count(value, "prompt_tokens", "input_tokens")
    answer = _count(value, "completion_tokens", "output_tokens")
    total = _count(value, "total_tokens")
    spent = Usage(audio_ms=_heard(value), searches=_searches(value))
    absurd = any(
        value.get(name) is not None and _count(value, name) is None
        for name in ("prompt_tokens", "input_tokens", "completion_tokens", "output_tokens")
    )
    if absurd and total is None:
        return None  # half a count would make the other half free: it is estimated instead
    if prompt is None and answer is None and total is None:
        return spent if spent.audio_ms else None
    if prompt is None:
        prompt = max(0, (total or 0) - (answer or 0))
    _fill_input(spent, value, prompt=prompt, rest=(total or 0) - (answer or 0))
    if answer is None:
        answer = max(0, (total or prompt) - prompt)
    _fill_output(spent, value, answer=answer, total=total, excludes=output_excludes_reasoning)
    return spent


def inspect_response(
    operation: Operation, status: int, content_type: str, body: bytes
) -> str | None:
    """Why a successful answer is not what was asked for, in words for a log; None where it is."""
    return parse_answer(operation, status, content_type, body)[0]


def parse_answer(
    operation: Operation,
    status: int,
    content_type: str,
    body: bytes,
    *,
    output_excludes_reasoning: bool = False,
) -> tuple[str | None, Usage | None]:
    """`inspect_response` and `parse_usage` of one answer, which is parsed once."""
    if status >= 300:
        return None, None
    start = body[:512].lstrip().lower()
    if not start:
        return "the provider's answer was empty", None
    if "html" in content_type or start.startswith((b"<!doctype", b"<html")):
        return "the provider answered with a web page", None
    try:
        top = members(body)
    except MalformedJSON:
        wrong = operation.name in _JSON_ONLY
        return ("the provider's answer is not a JSON object" if wrong else None), None
    problem = _refusal_inside(operation, top)
    if problem is not None:
        return problem, None
    return None, _usage_of(operation, top, output_excludes_reasoning)


def rename_response(body: bytes, asked: str) -> bytes:
    """The answer with the asked model's name at its top level, every other byte as it came."""
    return replace_string(body, "model", asked)


def response_text(body: bytes) -> str:
    """The text that a whole answer holds, for estimating what its provider did not count."""
    try:
        return text_of(decode(body))
    except MalformedJSON:
        return ""


def _refusal_inside(operation: Operation, top: dict[str, Raw]) -> str | None:
    """A refusal that came with a status of success."""
    payload = _LISTS.get(operation.name, "data")
    if payload in top and bytes(memoryview(top[payload])[:4]) != b"null":
        return None
    failed = _member(_read(top, "base_resp"), "status_code") or _read(top, "error_code")
    refused = _read(top, "success") is False or _read(top, "object") == "error"
    if _read(top, "error") or failed or refused:
        return "the provider answered with an error inside a status of success"
    if operation.name in _LISTS:
        return f"the provider's answer has no `{payload}`"
    return None


def _fill_input(spent: Usage, value: JSON, *, prompt: int, rest: int) -> None:
    """Prompt tokens by kind. `rest` is what the total leaves for the prompt, 0 without a total."""
    details = _details(value, "prompt_tokens_details", "input_tokens_details")
    cached = _count(details, "cached_tokens")
    if cached is None:
        cached = _count(value, "cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens")
    audio = _count(details, "audio_tokens") or 0
    if audio and prompt + audio == rest:  # a prompt's count that leaves its sound out
        prompt += audio
    written = _count(details, "cache_write_tokens", "cache_creation_tokens") or 0
    spent.cache_read, prompt = _take(prompt, cached or 0)
    spent.cache_write_5m, prompt = _take(prompt, written)
    spent.audio_in, prompt = _take(prompt, audio)
    spent.image_in, prompt = _take(prompt, _count(details, "image_tokens") or 0)
    spent.input = prompt


def _fill_output(
    spent: Usage, value: JSON, *, answer: int, total: int | None, excludes: bool
) -> None:
    details = _details(value, "completion_tokens_details", "output_tokens_details")
    thought = _count(details, "reasoning_tokens")
    if thought is None:
        thought = _count(value, "reasoning_tokens") or 0
    prompt = spent.input_tokens
    if total == prompt + answer + thought:
        excludes = True
    elif total == prompt + answer:
        excludes = False
    if excludes and not thought and total is not None:
        thought = max(0, total - prompt - answer)  # it is in the total alone
    if excludes:
        answer += thought
    spent.reasoning, answer = _take(answer, thought)
    spent.audio_out, answer = _take(answer, _count(details, "audio_tokens") or 0)
    spent.output = answer


def _take(whole: int, part: int) -> tuple[int, int]:
    """As much of the part as the whole holds, and what is left of the whole."""
    part = min(whole, part)
    return part, whole - part


def _of_speech(top: dict[str, Raw], usage: Usage | None) -> Usage | None:
    """Speech: what is spoken was asked for as characters, and comes as tokens of sound.

    Of a request nothing but its text counts: a usage in it would be the client's own word.
    """
    text = _read(top, "input")
    if isinstance(text, str):
        return Usage(characters=len(text))
    return spoken(usage) if usage is not None else None


def spoken(usage: Usage) -> Usage:
    """The usage of an answer that is sound: its output tokens are audio."""
    usage.audio_out += usage.output
    usage.output = 0
    return usage


def _heard(value: JSON) -> int:
    """Milliseconds of sound that were billed by time."""
    if value.get("type") == "duration":
        return _milliseconds(value.get("seconds"))
    return _milliseconds(value.get("prompt_audio_seconds"))


def _searches(value: JSON) -> int:
    """Searches of hosted tools, or the sources that they read where those are what is billed."""
    tools = _details(value, "server_tool_use_details", "server_tool_use")
    return _count(tools, "web_search_requests") or _count(value, "num_sources_used") or 0


def _details(value: JSON, *names: str) -> JSON:
    """The breakdown under one of the names, their singular spelling included; {} without one."""
    for name in (*names, *(n.replace("tokens", "token") for n in names)):
        found = value.get(name)
        if isinstance(found, dict):
            return found
    return {}


def _count(value: JSON, *names: str) -> int | None:
    """The first of the members that is a believable count."""
    for name in names:
        number = value.get(name)
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            if 0 <= number <= _MOST:
                return int(number)
    return None


def _milliseconds(seconds: JSON) -> int:
    if isinstance(seconds, str):  # `"duration": "8.47"`: whisper's servers write both
        try:
            seconds = float(seconds)
        except ValueError:
            return 0
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return 0
    return round(seconds * 1000) if 0 <= seconds <= _MOST else 0


def _length(top: dict[str, Raw], name: str) -> int:
    """How many items the list has; their bytes, which may be megabytes, stay undecoded."""
    return len(items(top[name])) if name in top else 0


def _member(value: JSON, name: str) -> JSON:
    return value.get(name) if isinstance(value, dict) else None


def _read(top: dict[str, Raw], name: str) -> JSON:
    """The member's value, None where it is absent or cannot be decoded."""
    if name not in top:
        return None
    try:
        return decode(top[name])
    except MalformedJSON:
        return None
