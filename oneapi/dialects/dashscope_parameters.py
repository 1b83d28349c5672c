"""What stands beside the messages in a request of DashScope's own format: `parameters`.

https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oneapi.dialects.base import Hints
from oneapi.dialects.dashscope_shapes import NAME
from oneapi.ir import ChatRequest, OutputFormat, Thinking, Tool
from oneapi.wire.json import JSON

PARAMETERS: Final = (
    "enable_code_interpreter",
    "enable_search",
    "enable_thinking",
    "incremental_output",
    "max_input_tokens",
    "repetition_penalty",
    "search_options",
    "thinking_budget",
    "translation_options",
    "vl_high_resolution_images",
)
"""Parameters that a channel may set for requests that do not say them."""

_PLAIN: Final = (
    ("max_output", "max_tokens"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("seed", "seed"),
    ("presence_penalty", "presence_penalty"),
    ("n", "n"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
    ("parallel_tools", "parallel_tool_calls"),
)
_UNSAID: Final = (
    ("frequency_penalty", "frequency_penalty"),
    ("verbosity", "verbosity"),
    ("user", "user"),
    ("service_tier", "service_tier"),
    ("cache_key", "prompt_cache_key"),
)


def incremental(hints: Hints) -> bool:
    """Whether events carry new text alone: asked for, unless the channel says it cannot be."""
    return hints.options.get("incremental_output") is not False


def render_parameters(chat: ChatRequest, hints: Hints, dropped: list[str]) -> dict[str, JSON]:
    """Names in `dropped` what the format has no word for."""
    own = chat.source == NAME
    found: dict[str, JSON] = {} if own else {"result_format": "message"}
    if chat.stream and not own:
        found["incremental_output"] = incremental(hints)
    for attribute, name in _PLAIN:
        value = getattr(chat, attribute)
        if value is not None:
            found[name] = value
    if chat.stop:
        found["stop"] = list(chat.stop)
    _put_tools(chat, found, dropped)
    if chat.format is not None:
        found["response_format"] = _format(chat.format, own=own)
    if chat.thinking is not None:
        found.update(_thinking(chat.thinking, own=own))
    if own:
        found.update(chat.extra.get("parameters") or {})
        return found
    _name_unsaid(chat, dropped)
    for name in PARAMETERS:
        if name in hints.options:
            found.setdefault(name, hints.options[name])
    return found


def _name_unsaid(chat: ChatRequest, dropped: list[str]) -> None:
    dropped += [name for field, name in _UNSAID if getattr(chat, field) not in (None, "")]
    if any(word != "text" for word in chat.modalities):
        dropped.append("modalities")
    for name, holder in (
        ("tool_choice", chat.tool_choice),
        ("response_format", chat.format),
        ("thinking", chat.thinking),
    ):
        if holder is not None:
            dropped += [f"{name}.{member}" for member in holder.extra]


def _put_tools(chat: ChatRequest, found: dict[str, JSON], dropped: list[str]) -> None:
    own = chat.source == NAME
    choice = chat.tool_choice
    allowed = frozenset(choice.names if choice is not None and not own else ())
    tools: list[JSON] = []
    for i, tool in enumerate(chat.tools):
        if allowed and tool.name not in allowed:
            continue  # confined by leaving out: the format can name one tool only
        entry = _tool(tool, f"tools[{i}]", dropped, own=own)
        if entry is not None:
            tools.append(entry)
    if tools:
        found["tools"] = tools
    if choice is None or not (tools or own):
        return
    if choice.mode != "required":
        found["tool_choice"] = choice.mode
    elif (only := _only(choice.names, tools, own=own)) is not None:
        found["tool_choice"] = {"type": "function", "function": {"name": only}}
    elif own:
        found["tool_choice"] = "required"
    else:  # the vendor has no word for "any of them"
        dropped.append("tool_choice")


def _only(names: list[str], tools: list[JSON], *, own: bool) -> str | None:
    """The one tool that must be called, None where there are several."""
    if len(names) == 1:
        return names[0]
    if own or len(tools) != 1 or tools[0].get("type") != "function":
        return None
    name: str = tools[0]["function"]["name"]
    return name


def _tool(tool: Tool, at: str, dropped: list[str], *, own: bool) -> JSON:
    if tool.kind == "hosted" and tool.dialect == NAME:
        return tool.data
    if tool.kind != "function":
        dropped.append(at)
        return None
    function: dict[str, JSON] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    entry: dict[str, JSON] = {"type": "function", "function": function}
    if own:
        if tool.strict is not None:
            function["strict"] = tool.strict
        function.update(tool.extra.get("function", {}))
        entry.update({k: v for k, v in tool.extra.items() if k != "function"})
        return entry
    if tool.strict:
        dropped.append(f"{at}.strict")
    if tool.cache:
        dropped.append(f"{at}.cache_control")
    dropped += [f"{at}.{name}" for name in tool.extra]
    return entry


def _format(wanted: OutputFormat, *, own: bool) -> JSON:
    if wanted.kind == "text":
        return {"type": "text"}
    if wanted.schema is None:
        return {"type": "json_object"}
    named: dict[str, JSON] = {} if own else {"name": "answer"}
    for name in ("name", "description"):
        if getattr(wanted, name):
            named[name] = getattr(wanted, name)
    if wanted.strict is not None:
        named["strict"] = wanted.strict
    named["schema"] = wanted.schema
    if own:
        named.update(wanted.extra)
    return {"type": "json_schema", "json_schema": named}


def _thinking(wanted: Thinking, *, own: bool) -> Mapping[str, JSON]:
    """On or off and for how long: the vendor has no grades of effort."""
    found: dict[str, JSON] = {}
    enabled = wanted.enabled
    if enabled is None and wanted.effort:
        enabled = wanted.effort not in ("none", "minimal")
    if enabled is None and wanted.adaptive:
        enabled = True
    if enabled is not None:
        found["enable_thinking"] = enabled
    if wanted.budget is not None and (own or enabled is not False):
        found["thinking_budget"] = wanted.budget
    return found
