"""Requests of the typed middle as OpenAI's chat writes them.

Members and messages that came in this dialect return as they came, as long as the middle still
says the same; so an unchanged request is equal to the original. What is written anew is the same
request in these words: null members are left out, a content of one plain text is a string, no
content is "" or, beside calls, null; the limit is `Hints.limit_field`, seeds are `seed`, `any` is
`required`, `stream: false` and empty descriptions are left out, a mark on a message stands on its
last part, `document_url` is a `file`, a thought that was told in two members stands in one.

For a request of another dialect, `Hints` say which words the provider knows; what it cannot be
told is dropped and named. Of the channel's options these are read:

- `thinking`: how the amount of thought is said. "effort" (`reasoning_effort`, the default),
  "thinking" (`thinking.type`), "enable_thinking" (with `thinking_budget`), "reasoning"
  (OpenRouter's), "none".
- `thoughts`: where earlier thoughts go. "reasoning_content" (the default), "reasoning",
  "reasoning_details", "thinking" (parts of the content), "none".
- `accepts`: what is known beyond the usual: "cache_control", "custom_tools", "prompt_cache_key",
  "service_tier", "thought_signatures" (on calls, Google's, though `thoughts` is "none"), "top_k",
  "verbosity".
- `flat_text`: text must be one string. `json_schema = false`: only `json_object` is known.
- `fetch_images`: images must be sent as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, cast, get_args

from oneapi.dialects.base import Hints
from oneapi.dialects.base_calls import (
    SHORTEST,
    as_function,
    check_choice,
    short_user,
    wire_name,
)
from oneapi.dialects.openai_chat_requests import parse_request
from oneapi.dialects.openai_chat_shapes import FIELDS, NAME, Asked
from oneapi.dialects.openai_chat_tools import render_function, render_tool, render_tool_choice
from oneapi.dialects.openai_chat_turns import Manner, ThoughtsIn, render_messages
from oneapi.ir import ChatRequest, Envelope, Extra, OutputFormat, Thinking, Tool, ToolChoice
from oneapi.wire.json import JSON

_PLAIN: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "n": "n",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "user": "user",
}
"""Fields of the middle that this format has as they are."""
_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_EFFORTS: Final = ((1024, "minimal"), (4096, "low"), (16384, "medium"))
"""Tokens of thought up to which an effort is meant; more is high."""
_BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1024,
    "low": 4096,
    "medium": 16384,
    "high": 32768,
    "xhigh": 65536,
    "max": 65536,
}


def render_request(chat: ChatRequest, model: str = "", hints: Hints | None = None) -> Extra:
    """The request in this dialect, for a request that came in it."""
    manner = Manner()
    written = _written(chat, hints or Hints(include_usage=False), set())
    kept = _kept(chat)
    body: Extra = {"model": model or chat.model}
    body["messages"] = render_messages(chat.messages, manner)
    for name, names in FIELDS.items():
        body |= kept[name] if name in kept else {n: written[n] for n in names if n in written}
    wire = chat.wire if isinstance(chat, Asked) else {}
    said = {name for names in FIELDS.values() for name in names}
    empty = {k: None for k, v in wire.items() if v is None and k not in said}
    return {**empty, **body, **{k: v for k, v in chat.extra.items() if k not in body}}


def render_foreign(chat: ChatRequest, model: str, hints: Hints) -> tuple[Extra, list[str]]:
    """A request of another dialect, and what of it was dropped."""
    check_choice(chat)
    accepts = _accepts(hints)
    where = hints.options.get("thoughts")
    known = where in get_args(ThoughtsIn)
    manner = Manner(
        same=False,
        system_role=hints.system_role,
        thoughts=cast(ThoughtsIn, where) if known else "reasoning_content",
        cache="cache_control" in accepts,
        flat=hints.options.get("flat_text") is True,
        custom="custom_tools" in accepts,
        signed=where != "none" or "thought_signatures" in accepts,
    )
    body: Extra = {"model": model, "messages": render_messages(chat.messages, manner)}
    dropped = manner.dropped
    dropped += chat.extra
    choice = _narrowed(chat.tool_choice, chat.tools)
    told = replace(chat, tools=_foreign_tools(chat, manner), tool_choice=choice)
    body |= _written(told, hints, accepts, foreign=True, dropped=dropped)
    if "user" in body:
        body["user"] = short_user(body["user"])
    if "top_logprobs" in body:  # one without the other is refused here
        body["logprobs"] = True
    return body, dropped


def _accepts(hints: Hints) -> set[str]:
    value = hints.options.get("accepts")
    return {v for v in value if isinstance(v, str)} if isinstance(value, (list, tuple)) else set()


def _kept(chat: ChatRequest) -> Mapping[str, Extra]:
    """Members as they came, by the middle's field that they still say."""
    if not isinstance(chat, Asked) or not chat.wire:
        return {}
    envelope = Envelope(chat.model)
    fresh = parse_request({**chat.wire, "messages": []}, envelope)
    return {
        name: {n: chat.wire[n] for n in names if n in chat.wire and n not in chat.extra}
        for name, names in FIELDS.items()
        if getattr(chat, name) == getattr(fresh, name)
    }


def _written(
    chat: ChatRequest,
    hints: Hints,
    accepts: set[str],
    *,
    foreign: bool = False,
    dropped: list[str] | None = None,
) -> Extra:
    """All but messages and model, from the middle alone."""
    dropped = [] if dropped is None else dropped
    body: Extra = {}
    if chat.stream:
        body["stream"] = True
        if chat.wants_usage or hints.include_usage:
            body["stream_options"] = {"include_usage": True}
    _write_tools(chat, body, foreign=foreign, cache=not foreign or "cache_control" in accepts)
    if chat.max_output is not None:
        body[hints.limit_field] = chat.max_output
    if chat.stop:
        body["stop"] = list(chat.stop)
    for name, member in _PLAIN.items():
        value = getattr(chat, name)
        if value is not None and value != "":
            body[member] = value
    _write_optional(chat, body, None if not foreign else accepts, dropped)
    if chat.format is not None:
        schemas = not foreign or hints.options.get("json_schema") is not False
        body["response_format"] = _format(chat.format, schemas=schemas, dropped=dropped)
    if chat.thinking is not None:
        style = hints.options.get("thinking") if foreign else _style(chat.thinking)
        _write_thinking(chat.thinking, str(style or "effort"), body, dropped)
    return body


def _write_optional(
    chat: ChatRequest, body: Extra, accepts: set[str] | None, dropped: list[str]
) -> None:
    """Members that not every server knows. `accepts` is None for a request of this dialect."""
    for member, value in (
        ("top_k", chat.top_k),
        ("prompt_cache_key", chat.cache_key or None),
        ("verbosity", chat.verbosity or None),
        ("service_tier", chat.service_tier or None),
    ):
        if value is None:
            continue
        known = accepts is None or (
            member in accepts and (member != "service_tier" or value in _TIERS)
        )
        if known:
            body[member] = value
        else:
            dropped.append(member)
    if chat.modalities and (accepts is None or chat.modalities != ["text"]):
        body["modalities"] = list(chat.modalities)


def _narrowed(choice: ToolChoice | None, tools: Sequence[Tool]) -> ToolChoice | None:
    """The choice without names but for one that is forced: few servers know a choice of several,
    and the tools are confined to them already.
    """
    if choice is None or not choice.names:
        return choice
    if len(choice.names) > 1 or choice.mode != "required":
        return ToolChoice(choice.mode)
    spaces = {tool.name: tool.namespace for tool in tools}
    named = [wire_name(name, spaces.get(name, ""), most=SHORTEST) for name in choice.names]
    return ToolChoice("required", named)


def _foreign_tools(chat: ChatRequest, manner: Manner) -> list[Tool]:
    tools = []
    names = chat.tool_choice.names if chat.tool_choice is not None else []
    for i, tool in enumerate(chat.tools):
        if names and tool.kind != "hosted" and tool.name not in names:
            continue
        if tool.kind == "hosted" and tool.dialect != NAME:
            manner.dropped.append(f"tools[{i}]")
            continue
        if tool.cache and not manner.cache:
            manner.dropped.append(f"tools[{i}].cache_control")
        if tool.extra:
            manner.dropped += (f"tools[{i}].{name}" for name in tool.extra)
        if tool.kind == "custom" and not manner.custom:
            tool = as_function(tool)
        if tool.kind != "hosted":
            tool = replace(tool, name=wire_name(tool.name, tool.namespace, most=SHORTEST))
        tools.append(tool)
    return tools


def _write_tools(chat: ChatRequest, body: Extra, *, foreign: bool, cache: bool) -> None:
    legacy = isinstance(chat, Asked) and "functions" in chat.wire and "tools" not in chat.wire
    if chat.tools and legacy and not foreign:
        body["functions"] = [render_function(t, same=True) for t in chat.tools]
        if chat.tool_choice is not None:
            names = chat.tool_choice.names
            body["function_call"] = {"name": names[0]} if names else chat.tool_choice.mode
        return
    if chat.tools:
        body["tools"] = [render_tool(t, cache=cache, same=not foreign) for t in chat.tools]
    elif foreign:
        return  # a choice among no tools is refused
    if chat.tool_choice is not None:
        choice = chat.tool_choice
        body["tool_choice"] = render_tool_choice(choice, chat.tools, native=not foreign)
    if chat.parallel_tools is not None:
        body["parallel_tool_calls"] = chat.parallel_tools


def _format(wanted: OutputFormat, *, schemas: bool, dropped: list[str]) -> JSON:
    extra = dict(wanted.extra)
    if wanted.kind == "text":
        return {"type": "text", **extra}
    if wanted.schema is None and not wanted.name:
        return {"type": "json_object", **extra}
    if not schemas:
        dropped.append("response_format.json_schema")
        return {"type": "json_object"}
    inner: Extra = {"name": wanted.name or "response"}
    if wanted.description:
        inner["description"] = wanted.description
    if wanted.schema is not None:
        inner["schema"] = wanted.schema
    if wanted.strict is not None:
        inner["strict"] = wanted.strict
    more = extra.pop("json_schema", {})
    return {"type": "json_schema", "json_schema": {**inner, **more}, **extra}


def _style(thinking: Thinking) -> str:
    """How a client of this dialect would say it."""
    if thinking.enabled is not None or thinking.adaptive or thinking.extra:
        return "thinking"
    return "effort" if thinking.effort else "reasoning"


def _write_thinking(thinking: Thinking, style: str, body: Extra, dropped: list[str]) -> None:
    match style:
        case "thinking":
            _write_typed(thinking, body)
        case "enable_thinking":
            _write_enabled(thinking, body)
        case "reasoning":
            body["reasoning"] = _openrouter(thinking)
        case "effort":
            effort = thinking.effort or _effort(thinking)
            if effort:
                body["reasoning_effort"] = effort
            elif thinking.enabled is False:
                dropped.append("thinking")
        case _:
            dropped.append("thinking")


def _write_typed(thinking: Thinking, body: Extra) -> None:
    enabled = thinking.enabled
    if enabled is None and (thinking.budget is not None or thinking.adaptive):
        enabled = True
    if enabled is None and thinking.effort:
        enabled = thinking.effort != "none"
    inner: Extra = dict(thinking.extra)
    if enabled is not None:
        inner["type"] = "enabled" if enabled else "disabled"
    if thinking.budget is not None:
        inner["budget_tokens"] = thinking.budget
    body["thinking"] = inner
    if thinking.effort and thinking.effort != "none":
        body["reasoning_effort"] = thinking.effort


def _write_enabled(thinking: Thinking, body: Extra) -> None:
    off = thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0
    body["enable_thinking"] = not off
    budget = thinking.budget
    if budget is None and not off:
        budget = _BUDGETS.get(thinking.effort)
    if budget:
        body["thinking_budget"] = budget


def _openrouter(thinking: Thinking) -> JSON:
    inner: Extra = dict(thinking.extra)
    if thinking.budget is not None:
        inner["max_tokens"] = thinking.budget
    elif thinking.effort:
        inner["effort"] = thinking.effort
    elif thinking.enabled is not None or thinking.adaptive:
        inner["enabled"] = thinking.enabled is not False
    if thinking.show is not None:
        inner["exclude"] = not thinking.show
    return inner


def _effort(thinking: Thinking) -> str:
    """The effort that a number of tokens means, "" where none is said."""
    if thinking.budget is None or thinking.enabled is False:
        return ""
    if thinking.budget == 0:
        return "none"
    return next((word for most, word in _EFFORTS if thinking.budget <= most), "high")
