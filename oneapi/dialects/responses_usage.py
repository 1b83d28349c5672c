"""What answers of the Responses dialect say they used, and whole answers as they are relayed.

https://platform.openai.com/docs/api-reference/responses/object (read 2026-11-24). Input includes
what a cache served or stored, output includes reasoning, unless the total or the caller say
otherwise.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.base import Operation
from oneapi.dialects.responses_shapes import list_in
from oneapi.ir import Usage
from oneapi.wire.json import JSON, MalformedJSON, decode, members, replace_string

_MOST: Final = 10**12
"""Counts above it are nonsense and are not believed."""


def parse_usage(answer: JSON, *, output_excludes_reasoning: bool = False) -> Usage | None:
    """Of a response object, in disjoint buckets; None where it does not say. Raises nothing.

    Parts greater than their whole are cut to it.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("usage"), dict):
        return None
    given = answer["usage"]
    prompt, output = _count(given, "input_tokens"), _count(given, "output_tokens")
    total = _count(given, "total_tokens")
    if prompt is None and output is None and total is None:
        return None
    if prompt is None:
        prompt = max(0, (total or 0) - (output or 0))
    if output is None:
        output = max(0, (total or prompt) - prompt)
    spent = Usage(searches=_searches(answer, given))
    inner = given.get("input_tokens_details")
    spent.cache_read, left = _take(prompt, _count(inner, "cached_tokens"))
    spent.cache_write_5m, left = _take(left, _count(inner, "cache_write_tokens"))
    spent.audio_in, left = _take(left, _count(inner, "audio_tokens"))
    spent.image_in, spent.input = _take(left, _count(inner, "image_tokens"))
    outer = given.get("output_tokens_details")
    thought = _count(outer, "reasoning_tokens") or 0
    if thought and total == prompt + output + thought:
        output += thought
    elif output_excludes_reasoning and total != prompt + output:
        output += thought
    spent.reasoning, left = _take(output, thought)
    spent.audio_out, spent.output = _take(left, _count(outer, "audio_tokens"))
    return spent


def render_usage(usage: Usage, raw: JSON = None) -> JSON:
    """The `usage` of a response; `raw` is the provider's own, where it spoke this dialect."""
    if isinstance(raw, dict):
        return raw
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def parse_answer(
    operation: Operation,
    status: int,
    content_type: str,
    body: bytes,
    *,
    output_excludes_reasoning: bool = False,
) -> tuple[str | None, Usage | None]:
    """Why a successful answer is not what was asked for, None where it is; and what it used."""
    if status >= 300:
        return None, None
    start = body[:512].lstrip().lower()
    if not start:
        return "the provider's answer was empty", None
    if "html" in content_type or start.startswith((b"<!doctype", b"<html")):
        return "the provider answered with a web page", None
    try:
        value = decode(body)
    except MalformedJSON:
        value = None
    if not isinstance(value, dict):
        return "the provider's answer is not a JSON object", None
    usage = parse_usage(value, output_excludes_reasoning=output_excludes_reasoning)
    if operation.name == "responses.input_tokens":
        known = isinstance(value.get("input_tokens"), int)
        return (None if known else "the provider's answer counts no tokens"), None
    if value.get("status") != "failed" and isinstance(value.get("output"), list):
        return None, usage
    if value.get("error") or value.get("object") == "error" or value.get("status") == "failed":
        return "the provider answered with an error inside a status of success", usage
    return "the provider's answer has no `output`", usage


def rename_response(body: bytes, asked: str) -> bytes:
    """The answer with the asked model's name, every other byte as it came."""
    return replace_string(body, "model", asked)


def rename_event(data: bytes, asked: str) -> bytes:
    """An event with the asked model's name in the response that it carries."""
    if b'"model"' not in data:
        return data
    try:
        raw = members(data).get("response")
    except MalformedJSON:
        return data
    if raw is None:
        return data
    # The value's bytes stand in the event as they are; nothing before them can hold the same, for
    # within a string their quotes would be escaped.
    held = bytes(raw)
    renamed = replace_string(held, "model", asked)
    return data if renamed is held else data.replace(held, renamed, 1)


def response_text(body: bytes) -> str:
    """The text that a whole answer holds, for estimating what its provider did not count."""
    try:
        value = decode(body)
    except MalformedJSON:
        return ""
    return "".join(text for item in list_in(value, "output") for text in _texts(item))


def _texts(item: JSON) -> list[str]:
    """The strings of an output item that a model wrote."""
    if not isinstance(item, dict):
        return []
    found = [item.get("name"), item.get("arguments"), item.get("input")]
    for member in ("summary", "content"):
        for part in list_in(item, member):
            if isinstance(part, dict):
                found += [part.get("text"), part.get("refusal")]
    return [text for text in found if isinstance(text, str)]


def _searches(answer: JSON, given: JSON) -> int:
    """Searches of hosted tools, or the sources that they read where those are what is billed;
    the calls in the answer where it counts neither.
    """
    tools = answer.get("tool_usage")
    searched = tools.get("web_search") if isinstance(tools, dict) else None
    for told in (_count(searched, "num_requests"), _count(given, "num_sources_used")):
        if told is not None:
            return told
    return sum(1 for item in list_in(answer, "output") if _is_search(item))


def _is_search(item: JSON) -> bool:
    """Whether an output item is a search, which is billed; opening a page it found is not."""
    if not isinstance(item, dict) or item.get("type") != "web_search_call":
        return False
    action = item.get("action")
    return not isinstance(action, dict) or action.get("type") == "search"


def _take(whole: int, part: int | None) -> tuple[int, int]:
    """As much of the part as the whole holds, and what is left of the whole."""
    part = min(whole, part or 0)
    return part, whole - part


def _count(value: JSON, name: str) -> int | None:
    number = value.get(name) if isinstance(value, dict) else None
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= _MOST:
        return int(number)
    return None
