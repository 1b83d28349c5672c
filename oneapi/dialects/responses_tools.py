"""Tools, their choice, output formats and thinking as a Responses request has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.base_calls import SHORTEST, wire_name
from oneapi.dialects.responses_shapes import NAME, Object
from oneapi.errors import ApiError
from oneapi.ir import OutputFormat, Thinking, Tool, ToolChoice
from oneapi.wire.json import JSON

_NO_ARGUMENTS: Final = {"type": "object", "properties": {}}
_EFFORTS: Final = ((1024, "minimal"), (4096, "low"), (16384, "medium"))
"""The effort that a budget of at most so many tokens comes to; above them it is high."""


def render_tools(tools: Sequence[Tool], own: bool, dropped: list[str]) -> list[JSON]:
    """The entries; `own` says that they were written in this dialect."""
    entries: list[JSON] = []
    for number, tool in enumerate(tools):
        at = f"tools[{number}]"
        entry = _tool(tool, own, at, dropped)
        if entry is None:
            continue
        if not tool.namespace:
            entries.append(entry)
            continue
        last = entries[-1] if entries else {}
        if last.get("type") == "namespace" and last.get("name") == tool.namespace:
            last["tools"].append(entry)
            continue
        about = tool.extra.get("namespace", {}) if own else {}
        entries.append({"type": "namespace", "name": tool.namespace, **about, "tools": [entry]})
    return entries


def _tool(tool: Tool, own: bool, at: str, dropped: list[str]) -> JSON:
    if tool.kind == "hosted":
        if tool.dialect == NAME:
            return tool.data
        dropped.append(at)
        return None
    entry: Object = {
        "type": tool.kind,
        "name": tool.name if own else wire_name(tool.name, most=SHORTEST),
    }
    if tool.description:
        entry["description"] = tool.description
    if tool.kind == "custom":
        if tool.format is not None:
            entry["format"] = tool.format
    else:
        if tool.schema is not None or not own:
            entry["parameters"] = tool.schema if tool.schema is not None else dict(_NO_ARGUMENTS)
        if tool.strict is not None or not own:
            entry["strict"] = bool(tool.strict)  # where it is left out, this dialect is strict
    if own:
        entry.update((k, v) for k, v in tool.extra.items() if k != "namespace")
        return entry
    dropped += [f"{at}.{name}" for name in tool.extra]
    if tool.cache:
        dropped.append(f"{at}.cache_control")
    return entry


def render_choice(choice: ToolChoice, tools: Sequence[Tool], own: bool, dropped: list[str]) -> JSON:
    """`tool_choice`: a word, one tool, or those that are allowed."""
    if own and choice.extra:
        return dict(choice.extra)
    dropped += [f"tool_choice.{name}" for name in choice.extra]
    if not choice.names or choice.mode == "none":
        return choice.mode
    custom = {tool.name for tool in tools if tool.kind == "custom"}
    named = [
        {
            "type": "custom" if choice.custom or name in custom else "function",
            "name": name if own else wire_name(name, most=SHORTEST),
        }
        for name in choice.names
    ]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": named}


def render_format(form: OutputFormat, own: bool, dropped: list[str]) -> JSON:
    """`text.format`."""
    if form.kind == "text":
        entry: Object = {"type": "text"}
    elif form.schema is None:
        entry = {"type": "json_object"}
    else:
        entry = {"type": "json_schema", "name": form.name or "answer", "schema": form.schema}
        if own and not form.name:
            del entry["name"]
        if form.description:
            entry["description"] = form.description
        if form.strict is not None or not own:
            entry["strict"] = bool(form.strict)
    if own:
        entry.update(form.extra)
    else:
        dropped += [f"response_format.{name}" for name in form.extra]
    return entry


def render_thinking(thinking: Thinking, own: bool, dropped: list[str]) -> Object:
    """`reasoning`; {} where nothing is to be said."""
    entry: Object = {}
    effort = thinking.effort
    if not effort and thinking.budget is not None and thinking.enabled is not False:
        effort = next((word for most, word in _EFFORTS if thinking.budget <= most), "high")
    if effort:
        entry["effort"] = effort
    elif thinking.enabled is False:
        dropped.append("thinking")  # models that cannot think refuse any word on it
    if thinking.summary:
        entry["summary"] = thinking.summary
    elif thinking.show:
        entry["summary"] = "auto"
    if own:
        entry.update(thinking.extra)
    else:
        dropped += [f"thinking.{name}" for name in thinking.extra]
    return entry


def check_answers(n: int | None) -> None:
    """One answer to a request. Raises `ApiError` 400 where more are wanted."""
    if n is not None and n > 1:
        raise ApiError(
            400,
            "the model behind this name gives one answer to a request; `n` must be 1",
            code="unsupported_value",
            param="n",
        )
