"""What OpenAI's chat keeps beside the typed middle, and the checks that its parsers share.

Classes here are the middle's own with a memory of the wire: where the same dialect is rendered
again, what has not changed is written as it came. Other dialects see the middle alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Extra, Message, Reasoning, Stop
from oneapi.wire.json import JSON

NAME: Final = "openai-chat"

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "stream": ("stream",),
    "wants_usage": ("stream_options",),
    "tools": ("tools", "functions"),
    "tool_choice": ("tool_choice", "function_call"),
    "parallel_tools": ("parallel_tool_calls",),
    "max_output": ("max_completion_tokens", "max_tokens"),
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "top_k": ("top_k",),
    "stop": ("stop",),
    "seed": ("seed", "random_seed"),
    "presence_penalty": ("presence_penalty",),
    "frequency_penalty": ("frequency_penalty",),
    "n": ("n",),
    "logprobs": ("logprobs",),
    "top_logprobs": ("top_logprobs",),
    "format": ("response_format",),
    "thinking": (
        "reasoning_effort",
        "thinking",
        "reasoning",
        "enable_thinking",
        "thinking_budget",
        "include_reasoning",
    ),
    "verbosity": ("verbosity",),
    "user": ("user", "safety_identifier", "user_id"),
    "service_tier": ("service_tier",),
    "cache_key": ("prompt_cache_key",),
    "modalities": ("modalities",),
}
"""The middle's fields, and the members that may say them."""

STOPS: Final[Mapping[str, Stop]] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "guardrail_intervened": "content_filter",
    "repetition_truncation": "length",
    "refusal": "refusal",
    "error": "error",
    "abort": "error",
    "network_error": "error",
    "insufficient_system_resource": "error",
    "malformed_function_call": "error",
}
"""Finish reasons in lower case, providers' own words among them."""

WORDS: Final[Mapping[Stop, str]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "error": "error",
}
"""What clients of this dialect hear. It has no word for a pause, and none of its own for a
refusal that is a reason to stop."""


@dataclass(slots=True)
class Asked(ChatRequest):
    """A request as it came: `wire` holds its members but for the messages."""

    wire: Extra = field(default_factory=dict, compare=False)


@dataclass(slots=True)
class Turn(Message):
    """A message and how it was written. A changed copy (`replace`) forgets `wire`."""

    wire: JSON = field(default=None, init=False, compare=False, repr=False)


@dataclass(slots=True)
class Thought(Reasoning):
    """A thought and where it stood.

    `member` is the member that held its text: reasoning_content, reasoning, `thinking` for a part
    of the content (Mistral's), "" for none. `detail` is its entry in `reasoning_details`
    (OpenRouter's) without what the middle holds; None where it has no entry.
    """

    member: str = ""
    detail: Extra | None = None


def bad(param: str, what: str, code: str = "invalid_type") -> ApiError:
    """A refusal that names the member."""
    return ApiError(400, f"`{param}` {what}", code=code, param=param)


def string(value: JSON, param: str) -> str:
    """A string, "" where it is absent or null. Raises `ApiError` 400."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad(param, "must be a string")
    return value


def required(value: JSON, param: str) -> str:
    """A string that must be there. Raises `ApiError` 400."""
    if value is None:
        raise bad(param, "is missing", "missing_required_parameter")
    return string(value, param)


def obj(value: JSON, param: str) -> Extra:
    """An object. Raises `ApiError` 400."""
    if not isinstance(value, dict):
        raise bad(param, "must be an object")
    return value


def array(value: JSON, param: str) -> list[JSON]:
    """An array, [] where it is absent or null. Raises `ApiError` 400."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad(param, "must be an array")
    return value


def rest(value: Extra, *taken: str) -> Extra:
    """The members beyond those taken; null counts as absent."""
    return {k: v for k, v in value.items() if k not in taken and v is not None}


def lifetime(value: JSON) -> str:
    """How long a prefix that ends here is to be cached: "" where there is no mark."""
    if not isinstance(value, dict):
        return ""
    return "1h" if value.get("ttl") == "1h" else "5m"


def mark(cache: str) -> JSON:
    """The mark of a prefix to be cached."""
    if cache == "1h":
        return {"type": "ephemeral", "ttl": "1h"}
    return {"type": "ephemeral"}


def stop_of(word: str, *, calls: bool) -> Stop:
    """What a finish reason means. An answer that calls tools stops for them, whatever it says:
    a forced call ends with `stop`.
    """
    stop = STOPS.get(word.lower(), "stop")
    return "tool_calls" if calls and stop == "stop" else stop
