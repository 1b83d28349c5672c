"""What answers of Anthropic's dialect say they used.

https://docs.anthropic.com/en/api/messages (read 2026-11-24). `input_tokens` leaves out what a cache
served or stored, `output_tokens` includes thinking. Numbers of a stream are cumulative.
"""

from __future__ import annotations

from typing import Final

from oneapi.ir import Usage
from oneapi.wire.json import JSON

_MOST: Final = 10**12
"""Counts above it are nonsense and are not believed."""


def parse_usage(value: JSON) -> Usage | None:
    """A usage object in disjoint buckets, None for what is none or counts nothing."""
    if not isinstance(value, dict):
        return None
    fresh, answer = _count(value, "input_tokens"), _count(value, "output_tokens")
    if fresh is None and answer is None:
        return None
    spent = Usage()
    _add(spent, value)
    # The tokens of a compaction are left out of the sums beside it, says the page.
    for item in _list(value.get("iterations")):
        if isinstance(item, dict) and item.get("type") == "compaction":
            _add(spent, item)
    tools = value.get("server_tool_use")
    if isinstance(tools, dict):
        spent.searches = _count(tools, "web_search_requests") or 0
    return spent


def render_usage(usage: Usage | None) -> JSON:
    """The usage object of an answer; zeros where nothing is known, for clients demand one."""
    spent = usage or Usage()
    shown: JSON = {
        "input_tokens": spent.input + spent.audio_in + spent.image_in,
        "cache_creation_input_tokens": spent.cache_write_5m + spent.cache_write_1h,
        "cache_read_input_tokens": spent.cache_read,
        "output_tokens": spent.output_tokens,
    }
    if spent.cache_write_1h:
        shown["cache_creation"] = {
            "ephemeral_5m_input_tokens": spent.cache_write_5m,
            "ephemeral_1h_input_tokens": spent.cache_write_1h,
        }
    if spent.reasoning:
        shown["output_tokens_details"] = {"thinking_tokens": spent.reasoning}
    if spent.searches:
        shown["server_tool_use"] = {
            "web_search_requests": spent.searches,
            "web_fetch_requests": 0,
        }
    return shown


def _add(spent: Usage, value: JSON) -> None:
    spent.input += _count(value, "input_tokens") or 0
    spent.cache_read += _count(value, "cache_read_input_tokens") or 0
    parts = value.get("cache_creation")
    short = (_count(parts, "ephemeral_5m_input_tokens") or 0) if isinstance(parts, dict) else 0
    long = (_count(parts, "ephemeral_1h_input_tokens") or 0) if isinstance(parts, dict) else 0
    written = _count(value, "cache_creation_input_tokens")
    if written is None:
        written = short + long
    # A stream's end repeats the sum and not its parts, which may have grown.
    long = min(long, written)
    spent.cache_write_1h += long
    spent.cache_write_5m += written - long
    answer = _count(value, "output_tokens") or 0
    details = value.get("output_tokens_details")
    thought = (_count(details, "thinking_tokens") or 0) if isinstance(details, dict) else 0
    thought = min(thought, answer)
    spent.reasoning += thought
    spent.output += answer - thought


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []


def _count(value: JSON, name: str) -> int | None:
    number = value.get(name)
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= _MOST:
        return int(number)
    return None
