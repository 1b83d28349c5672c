"""DashScope's own format: its names, its words, and what its answers say they used.

https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope (read 2026-11-24), the vendor's
Python SDK and recordings.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from oneapi.ir import Stop, Usage
from oneapi.wire.json import JSON

NAME: Final = "dashscope"
TEXT: Final = "dashscope.chat"
MULTIMODAL: Final = "dashscope.multimodal"

MEDIA: Final = ("image", "video", "audio")
"""Members of a content item that are media, and at the same time the middle's words for them."""

STOPS: Final[Mapping[str, Stop]] = MappingProxyType(
    {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "content_filter": "content_filter",
    }
)
_MOST: Final = 10**12


def finished(reason: JSON) -> bool:
    """Whether a `finish_reason` is one: the word "null" stands where nothing is finished yet."""
    return isinstance(reason, str) and reason not in ("", "null")


def stop_of(reason: JSON, *, called: bool) -> Stop:
    """The reason in the middle's words. Some models end calls of tools with a plain "stop"."""
    stop = STOPS.get(reason, "stop") if isinstance(reason, str) else "stop"
    return "tool_calls" if called and stop == "stop" else stop


def parse_usage(value: JSON) -> Usage | None:
    """`usage` in disjoint buckets, None for what is none.

    Counts of the prompt include its media and what the cache served, those of the answer the
    reasoning. Video counts as images: it is billed by its frames. Audio models of the first
    generation leave the sound out of `input_tokens`: their total says so, or it would not fit.
    """
    if not isinstance(value, dict):
        return None
    given, answer = _count(value, "input_tokens"), _count(value, "output_tokens")
    total = _count(value, "total_tokens")
    if given is None and answer is None and total is None:
        return None
    answer = answer if answer is not None else max(0, (total or 0) - (given or 0))
    prompt = given if given is not None else max(0, (total or 0) - answer)
    usage = Usage(searches=_searches(value))
    _fill_prompt(usage, value, prompt, left=(total or 0) - answer)
    details = _details(value, "output_tokens_details")
    usage.reasoning, answer = _take(answer, _count(details, "reasoning_tokens") or 0)
    usage.audio_out, usage.output = _take(answer, _count(details, "audio_tokens") or 0)
    return usage


def _fill_prompt(usage: Usage, value: JSON, prompt: int, left: int) -> None:
    """`left` is what the total leaves for the prompt, 0 without a total."""
    media = _details(value, "input_tokens_details")
    cache = _details(value, "prompt_tokens_details")
    heard = _count(media, "audio_tokens")
    if heard is None:
        heard = _count(value, "audio_tokens") or 0
        if heard and (heard > prompt or prompt + heard == left):
            prompt += heard
    seen = sum(
        _count(media, name) or _count(value, name) or 0 for name in ("image_tokens", "video_tokens")
    )
    usage.cache_read, prompt = _take(prompt, _count(cache, "cached_tokens") or 0)
    written = _count(cache, "cache_creation_input_tokens") or 0
    usage.cache_write_5m, prompt = _take(prompt, written)
    usage.audio_in, prompt = _take(prompt, heard)
    usage.image_in, usage.input = _take(prompt, seen)


def _searches(value: JSON) -> int:
    plugins = value.get("plugins")
    search = plugins.get("search") if isinstance(plugins, dict) else None
    return (_count(search, "count") or 0) if isinstance(search, dict) else 0


def _take(whole: int, part: int) -> tuple[int, int]:
    """As much of the part as the whole holds, and what is left of the whole."""
    part = min(whole, part)
    return part, whole - part


def _details(value: JSON, name: str) -> JSON:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _count(value: JSON, name: str) -> int | None:
    number = value.get(name)
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= _MOST:
        return int(number)
    return None
