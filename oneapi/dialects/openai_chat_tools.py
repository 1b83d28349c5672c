"""Tools of OpenAI's chat and the choice among them, parsed and rendered.

https://platform.openai.com/docs/api-reference/chat/create (read 2026-11-24): `tools` of type
function and custom, the older `functions` and `function_call`. Every other type is the provider's
own: it is passed on as it stands to this dialect alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from oneapi.dialects.openai_chat_shapes import (
    NAME,
    array,
    bad,
    lifetime,
    mark,
    obj,
    required,
    rest,
    string,
)
from oneapi.ir import Extra, Tool, ToolChoice
from oneapi.wire.json import JSON

_MODES: Final[Mapping[str, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",  # Mistral's
}
_NOTHING: Final[JSON] = {"type": "object", "properties": {}}


def parse_tools(body: Extra) -> list[Tool]:
    """Raises `ApiError` 400 naming the member."""
    tools = [_tool(obj(t, f"tools[{i}]"), f"tools[{i}]") for i, t in _each(body, "tools")]
    for i, function in _each(body, "functions"):
        tools.append(_function(obj(function, f"functions[{i}]"), f"functions[{i}]", Tool("")))
    return tools


def _each(body: Extra, name: str) -> enumerate[JSON]:
    return enumerate(array(body.get(name), name))


def _tool(entry: Extra, at: str) -> Tool:
    kind = string(entry.get("type"), f"{at}.type")
    if kind == "function" or (not kind and "function" in entry):
        inner = obj(entry.get("function"), f"{at}.function")
        tool = Tool("", extra=rest(entry, "type", "function", "cache_control"))
        tool.cache = lifetime(entry.get("cache_control"))
        return _function(inner, f"{at}.function", tool)
    if kind == "custom" and "custom" in entry:
        inner = obj(entry["custom"], f"{at}.custom")
        return Tool(
            name=required(inner.get("name"), f"{at}.custom.name"),
            description=string(inner.get("description"), f"{at}.custom.description"),
            kind="custom",
            format=_flat(inner.get("format")),
            cache=lifetime(entry.get("cache_control")),
            extra=rest(entry, "type", "custom", "cache_control"),
        )
    return Tool(kind or "tool", kind="hosted", dialect=NAME, data=entry)


def _flat(value: JSON) -> JSON:
    """A custom tool's format as Responses and the middle have it: members of a grammar are flat."""
    grammar = value.get("grammar") if isinstance(value, dict) else None
    return {"type": "grammar", **grammar} if isinstance(grammar, dict) else value


def _nested(value: JSON) -> JSON:
    """The same as chats have it."""
    if not isinstance(value, dict) or value.get("type") != "grammar" or "grammar" in value:
        return value
    return {"type": "grammar", "grammar": {k: v for k, v in value.items() if k != "type"}}


def _function(inner: Extra, at: str, tool: Tool) -> Tool:
    """Fill in what a function says of itself."""
    strict = inner.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise bad(f"{at}.strict", "must be a boolean")
    tool.name = required(inner.get("name"), f"{at}.name")
    tool.description = string(inner.get("description"), f"{at}.description")
    tool.schema = inner.get("parameters")
    if tool.schema is not None:
        obj(tool.schema, f"{at}.parameters")
    tool.strict = strict
    more = rest(inner, "name", "description", "parameters", "strict")
    if more:
        tool.extra["function"] = more
    return tool


def parse_tool_choice(body: Extra) -> ToolChoice | None:
    """In any of its forms. Raises `ApiError` 400."""
    value, at = body.get("tool_choice"), "tool_choice"
    if value is None:
        value, at = body.get("function_call"), "function_call"
    if value is None:
        return None
    if isinstance(value, str):
        mode = _MODES.get(value)
        if mode is None:
            raise bad(at, f"must be one of {', '.join(_MODES)}, or an object", "invalid_value")
        return ToolChoice(mode)
    value = obj(value, at)
    if at == "function_call":
        return ToolChoice("required", [required(value.get("name"), f"{at}.name")])
    return _chosen(value, at)


def _chosen(value: Extra, at: str) -> ToolChoice:
    kind = string(value.get("type"), f"{at}.type")
    if kind == "allowed_tools":
        inner = value.get("allowed_tools", value)  # nested here, flat where Responses leaks in
        return _allowed(obj(inner, f"{at}.allowed_tools"), f"{at}.allowed_tools")
    for name in ("function", "custom"):
        if kind == name or (not kind and name in value):
            inner = value.get(name, value)
            inner = obj(inner, f"{at}.{name}")
            called = required(inner.get("name"), f"{at}.{name}.name")
            return ToolChoice("required", [called], custom=name == "custom")
    return ToolChoice("required", extra=value)  # a provider's own tool


def _allowed(inner: Extra, at: str) -> ToolChoice:
    mode = string(inner.get("mode"), f"{at}.mode") or "auto"
    names = []
    for i, entry in enumerate(array(inner.get("tools"), f"{at}.tools")):
        entry = obj(entry, f"{at}.tools[{i}]")
        named = entry.get("function") or entry.get("custom") or entry
        if isinstance(named, dict) and isinstance(named.get("name"), str):
            names.append(named["name"])
    return ToolChoice("required" if mode == "required" else "auto", names)


def render_tool(tool: Tool, *, cache: bool, same: bool) -> JSON:
    """One entry of `tools`. `same` says that the request came in this dialect."""
    if tool.kind == "hosted":
        return tool.data
    extra = dict(tool.extra) if same else {}
    if tool.kind == "custom":
        inner: Extra = {"name": tool.name}
        if tool.description:
            inner["description"] = tool.description
        if tool.format is not None:
            inner["format"] = _nested(tool.format)
        entry: Extra = {"type": "custom", "custom": inner}
    else:
        inner = render_function(tool, same=same) | extra.pop("function", {})
        entry = {"type": "function", "function": inner}
    if tool.cache and cache:
        entry["cache_control"] = mark(tool.cache)
    return {**entry, **extra}


def render_function(tool: Tool, *, same: bool) -> Extra:
    """A function as `tools` and the older `functions` have it."""
    inner: Extra = {"name": tool.name}
    if tool.description:
        inner["description"] = tool.description
    if tool.schema is not None:
        inner["parameters"] = tool.schema
    elif not same:
        inner["parameters"] = _NOTHING
    if tool.strict is not None:
        inner["strict"] = tool.strict
    return inner


def render_tool_choice(choice: ToolChoice, tools: Sequence[Tool], *, native: bool = True) -> JSON:
    """The choice; several names are OpenAI's `allowed_tools`. `native` says that its extras are
    this dialect's.
    """
    if choice.extra and native:
        return choice.extra
    if not choice.names:
        return choice.mode
    customs = {tool.name for tool in tools if tool.kind == "custom"}
    entries = [_named(name, custom=name in customs) for name in choice.names]
    if len(entries) == 1 and choice.mode == "required":
        return entries[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": entries}}


def _named(name: str, *, custom: bool) -> JSON:
    kind = "custom" if custom else "function"
    return {"type": kind, kind: {"name": name}}
