"""How much to think, said in the words of the model's family: Converse has hardly any of its own.

https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html,
https://docs.aws.amazon.com/nova/latest/nova2-userguide/using-converse-api.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_OutputConfig.html (read
2026-11-24). What goes beyond Converse stands in `additionalModelRequestFields`, whose members are
the family's. An inference profile's ARN does not tell the family: Claude's is taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from oneapi.ir import ChatRequest, Message, Reasoning, Thinking, ToolCall, ToolResult
from oneapi.wire.json import JSON

Manner = Literal["", "budget", "adaptive", "config", "effort"]


@dataclass(frozen=True, slots=True)
class Family:
    """What models have in common: how they are told to think, and where `top_k` stands."""

    manner: Manner = ""
    top_k: tuple[str, ...] = ()
    either_or: bool = False
    """`temperature` and `top_p` exclude each other."""


_FAMILIES: Final = (
    (r"claude-(instant|v2|3-(haiku|sonnet|opus|5))", Family("", ("top_k",))),
    (r"claude-3-7|claude-(opus|sonnet)-4-20", Family("budget", ("top_k",))),
    (r"claude-(opus-4-1|(opus|sonnet|haiku)-4-5)", Family("budget", ("top_k",), True)),
    (r"amazon\.nova-2", Family("config", ("inferenceConfig", "topK"))),
    (r"amazon\.nova", Family("", ("inferenceConfig", "topK"))),
    (r"openai\.gpt", Family("effort")),
    (r"mistral\.", Family("", ("top_k",))),
    (r"cohere\.command", Family("", ("k",))),
    (r"(meta|ai21|deepseek|qwen|moonshot\w*|minimax|zai|google|nvidia|writer|amazon)\.", Family()),
    (r"", Family("adaptive", ("top_k",), True)),
)

BUDGETS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "minimal": 1024,
        "low": 2048,
        "medium": 8192,
        "high": 16384,
        "xhigh": 32768,
        "max": 32768,
    }
)
"""Tokens for an effort, where the model wants a number."""
_LEAST: Final = 1024
"""The smallest budget that is taken."""


@dataclass(slots=True)
class Thought:
    """What a request says about thinking, and what it must not say then."""

    fields: dict[str, JSON] = field(default_factory=dict)
    effort: str = ""
    dropped: list[str] = field(default_factory=list)
    strict: bool = False
    """Sampling may not be set while the model thinks."""
    bare: bool = False
    """Nothing at all may be set, the limit of tokens neither."""


def family_of(model: str) -> Family:
    """The family by the model's id, which holds its vendor's name."""
    return next(family for pattern, family in _FAMILIES if re.search(pattern, model))


def render_thinking(
    chat: ChatRequest, messages: Sequence[Message], family: Family, limit: int
) -> Thought:
    """`limit` is the most tokens of the answer, thoughts included; 0: unknown."""
    wanted = chat.thinking
    if wanted is None:
        return Thought()
    effort = wanted.effort if wanted.effort in BUDGETS else ""
    off = wanted.enabled is False or wanted.effort == "none"
    asked = bool(effort or wanted.budget or wanted.enabled or wanted.adaptive)
    forced = chat.tool_choice is not None and chat.tool_choice.mode == "required"
    if off or not asked:
        disabled = off and family.manner in ("budget", "adaptive")
        return Thought({"thinking": {"type": "disabled"}} if disabled else {}, effort="")
    match family.manner:
        case "budget":
            if forced or _unsigned(messages):
                return Thought(dropped=["reasoning_effort"])
            return _budget(wanted, effort, limit)
        case "adaptive":
            if forced:
                return Thought(effort=_capped(effort))
            return _adaptive(wanted, effort)
        case "config":
            level = _level(effort, wanted.budget)
            config = {"type": "enabled", "maxReasoningEffort": level}
            return Thought({"reasoningConfig": config}, bare=level == "high")
        case "effort":
            return Thought({"reasoning_effort": _level(effort, wanted.budget)})
        case _:
            return Thought(dropped=["reasoning_effort"])


def _budget(wanted: Thinking, effort: str, limit: int) -> Thought:
    budget = wanted.budget or BUDGETS[effort or "medium"]
    if limit:
        budget = min(budget, limit - 1)
    if budget < _LEAST:
        return Thought(dropped=["reasoning_effort"])
    return Thought({"thinking": {"type": "enabled", "budget_tokens": budget}}, strict=True)


def _adaptive(wanted: Thinking, effort: str) -> Thought:
    thinking: dict[str, JSON] = {"type": "adaptive"}
    if wanted.show is not None:
        thinking["display"] = "summarized" if wanted.show else "omitted"
    if wanted.budget and not effort:
        effort = _level("", wanted.budget)
    word = "low" if effort == "minimal" else effort
    return Thought({"thinking": thinking}, effort=word, strict=True)


def _capped(effort: str) -> str:
    """The effort of a model that may not think now: "high" is the most."""
    word = "low" if effort == "minimal" else effort
    return "high" if word in ("xhigh", "max") else word


def _level(effort: str, budget: int | None) -> str:
    """One of three words for an effort or a number of tokens."""
    if not effort and budget:
        effort = next((name for name, most in BUDGETS.items() if budget <= most), "max")
    words = {"minimal": "low", "low": "low", "": "medium", "medium": "medium"}
    return words.get(effort, "high")


def _unsigned(messages: Sequence[Message]) -> bool:
    """Whether the turn that is under way began without a signed thought: then none may follow.

    The vendor's rule: while tools are used, the assistant's last message begins with its thoughts.
    """
    for message in reversed(messages):
        if message.role == "assistant" and any(isinstance(p, ToolCall) for p in message.parts):
            signed = (p for p in message.parts if isinstance(p, Reasoning))
            return not any(p.signature or p.data for p in signed)
        results = any(isinstance(p, ToolResult) for p in message.parts)
        if message.role == "assistant" or (message.role == "user" and not results):
            return False
    return False
