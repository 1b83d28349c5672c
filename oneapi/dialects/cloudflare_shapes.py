"""Workers AI's own format: its names, its words, and what its answers say they used.

https://developers.cloudflare.com/workers-ai/ (read 2026-11-24): models, function calling, errors;
and the types that the vendor publishes for its run time.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from oneapi.ir import Stop, Usage
from oneapi.wire.json import JSON

NAME: Final = "cloudflare"
RUN: Final = "cloudflare.run"

STOPS: Final[Mapping[str, Stop]] = MappingProxyType(
    {
        "stop": "stop",
        "eos": "stop",
        "length": "length",
        "max_tokens": "length",
        "model_length": "length",
        "tool_calls": "tool_calls",
        "tool-calls": "tool_calls",
        "function_call": "tool_calls",
        "content_filter": "content_filter",
        "content-filter": "content_filter",
        "error": "error",
    }
)
_MOST: Final = 10**12


def stop_of(reason: JSON, *, called: bool) -> Stop:
    """The reason in the middle's words; most models give none."""
    stop = STOPS.get(reason, "stop") if isinstance(reason, str) else "stop"
    return "tool_calls" if called and stop == "stop" else stop


def parse_usage(value: JSON) -> Usage | None:
    """`usage` in disjoint buckets, None for what is none."""
    if not isinstance(value, dict):
        return None
    prompt, answer = _count(value, "prompt_tokens"), _count(value, "completion_tokens")
    total = _count(value, "total_tokens")
    if prompt is None and answer is None and total is None:
        return None
    if answer is None:
        answer = max(0, (total or 0) - (prompt or 0))
    if prompt is None:
        prompt = max(0, (total or 0) - answer)
    cached = min(prompt, _detail(value, "prompt_tokens_details", "cached_tokens"))
    thought = min(answer, _detail(value, "completion_tokens_details", "reasoning_tokens"))
    return Usage(
        input=prompt - cached, cache_read=cached, output=answer - thought, reasoning=thought
    )


def _detail(value: JSON, holder: str, name: str) -> int:
    details = value.get(holder)
    return (_count(details, name) or 0) if isinstance(details, dict) else 0


def _count(value: JSON, name: str) -> int | None:
    number = value.get(name)
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= _MOST:
        return int(number)
    return None
