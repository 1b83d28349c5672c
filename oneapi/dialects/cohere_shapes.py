"""Cohere's chat: its operation, its words, and what its answers say they used.

https://docs.cohere.com/reference/chat and the vendor's SDK for Python, version 7 (read 2026-11-24),
and recordings.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from oneapi.dialects.base import Operation
from oneapi.ir import Stop, Usage
from oneapi.wire.json import JSON

NAME: Final = "cohere"
OPERATION: Final = "cohere.chat"
OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {OPERATION: Operation(OPERATION, "/v2/chat", streams=True, ends=True, task="chat")}
)

PLAN: Final = "tool_plan"
"""What the model writes before it calls tools. In the extra of a `Reasoning`: it is that."""

_STOPS: Final[Mapping[str, Stop]] = MappingProxyType(
    {
        "COMPLETE": "stop",
        "STOP_SEQUENCE": "stop",
        "MAX_TOKENS": "length",
        "TOOL_CALL": "tool_calls",
        "ERROR": "error",
        "ERROR_TOXIC": "content_filter",
        "ERROR_LIMIT": "length",
        "TIMEOUT": "error",
    }
)


def stop_of(reason: JSON, *, called: bool) -> Stop:
    """`finish_reason` in the middle's words. The older API ends calls of tools with COMPLETE."""
    stop = _STOPS.get(reason, "stop") if isinstance(reason, str) else "stop"
    return "tool_calls" if called and stop == "stop" else stop


def parse_usage(value: JSON) -> Usage | None:
    """`usage`, or the older API's `meta`, in disjoint buckets; None for what is none.

    `billed_units` are what is charged, and what the vendor's own OpenAI address reports; `tokens`
    add the vendor's templates, hundreds of them, and `cached_tokens` are part of those. So the
    billed ones count where they are given, and the cache is seen in the rest alone. Reasoning is
    part of either output.
    """
    if not isinstance(value, dict):
        return None
    billed, tokens = _object(value, "billed_units"), _object(value, "tokens")
    given, answer = _count(billed, "input_tokens"), _count(billed, "output_tokens")
    cached = 0
    if given is None and answer is None:
        given, answer = _count(tokens, "input_tokens"), _count(tokens, "output_tokens")
        cached = min(_count(value, "cached_tokens") or 0, given or 0)
        if given is None and answer is None:
            return None
    thought = min(_count(tokens, "reasoning_tokens") or 0, answer or 0)
    return Usage(
        input=(given or 0) - cached,
        cache_read=cached,
        output=(answer or 0) - thought,
        reasoning=thought,
        searches=_count(billed, "search_units") or 0,
    )


def logprobs_of(items: JSON) -> JSON:
    """Log probabilities as the middle carries them, OpenAI's way; None where there are none.

    An item is a piece of text with one or more tokens: their logarithms add up.
    """
    found = items if isinstance(items, list) else [items]
    content = [entry for item in found if (entry := _logprob(item)) is not None]
    return {"content": content} if content else None


def _logprob(item: JSON) -> JSON:
    if not isinstance(item, dict) or not isinstance(item.get("logprobs"), list):
        return None
    numbers = [n for n in item["logprobs"] if isinstance(n, (int, float))]
    text = item.get("text")
    token = text if isinstance(text, str) else ""
    raw = list(token.encode("utf-8", "replace"))
    return {"token": token, "logprob": sum(numbers), "bytes": raw, "top_logprobs": []}


_MOST: Final = 10**12
"""Counts above it are nonsense and are not believed."""


def _object(value: JSON, name: str) -> JSON:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _count(value: JSON, name: str) -> int | None:
    """Counts are written as floats by some of the vendor's services."""
    number = value.get(name)
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= _MOST:
        return int(number)
    return None
