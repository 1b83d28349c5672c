"""Requests of Anthropic's dialect as the middle has them.

https://docs.anthropic.com/en/api/messages (read 2026-11-24). Members that the middle does not know
stand in `extra`; `anthropic_forms` holds what is remembered beside it.
"""

from __future__ import annotations

from typing import Final, TypeVar

from oneapi.dialects.anthropic_blocks import parse_parts, take_cache, take_string
from oneapi.dialects.anthropic_forms import NAME, Function, Request, Schema, Turn, refuse
from oneapi.ir import (
    ChatRequest,
    Envelope,
    Extra,
    Message,
    Role,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from oneapi.wire.json import JSON

T = TypeVar("T")

_ROLES: Final[dict[JSON, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
}
_TIERS: Final = {"standard_only": "default"}
"""Words of this dialect for what the middle calls as OpenAI does."""
_WORDS: Final = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}


def parse_request(body: JSON, envelope: Envelope) -> ChatRequest:
    """Raises `ApiError` 400 naming the member that cannot be understood, nothing else."""
    if not isinstance(body, dict):
        raise refuse("", "the body must be a JSON object")
    rest: Extra = dict(body)
    chat = Request(envelope.model, [], NAME)
    for name in [name for name, value in rest.items() if value is None]:
        chat.idle[name] = rest.pop(name)
    model = rest.pop("model", None)
    chat.model = envelope.model or (model if isinstance(model, str) else "")
    _settings(chat, rest)
    _messages(chat, rest)
    _tools(chat, rest)
    _thinking(chat, rest)
    _metadata(chat, rest)
    chat.extra = rest
    return chat


def _settings(chat: Request, rest: Extra) -> None:
    chat.stream = _take(rest, "stream", bool) or False
    if not chat.stream:
        _idle(chat, "stream", chat.stream, rest)
    chat.max_output = _integer(rest, "max_tokens")
    chat.temperature = _number(rest, "temperature")
    chat.top_p = _number(rest, "top_p")
    chat.top_k = _integer(rest, "top_k")
    stops = _take(rest, "stop_sequences", list)
    if stops is not None:
        if not all(isinstance(stop, str) for stop in stops):
            raise refuse("stop_sequences", "must be an array of strings")
        chat.stop = list(stops)
        if not stops:
            chat.idle["stop_sequences"] = stops
    tier = _take(rest, "service_tier", str) or ""
    chat.service_tier = _TIERS.get(tier, tier)


def _idle(chat: Request, name: str, value: JSON, rest: Extra) -> None:
    """Remember a member that stood there with the value that its absence means."""
    if name in rest:
        chat.idle[name] = value
        del rest[name]


def _messages(chat: Request, rest: Extra) -> None:
    messages = rest.pop("messages", None)
    if not isinstance(messages, list):
        raise refuse("messages", "must be an array")
    system = rest.pop("system", None)
    if system is not None:
        chat.messages.append(_turn("system", system, "system", apart=True))
    for index, message in enumerate(messages):
        chat.messages.append(_message(message, f"messages[{index}]"))


def _message(message: JSON, where: str) -> Message:
    if not isinstance(message, dict):
        raise refuse(where, "must be an object")
    role = message.get("role")
    found = _ROLES.get(role) if isinstance(role, str) else None
    if found is None:
        raise refuse(f"{where}.role", "must be user, assistant or system", "invalid_value")
    rest = {name: value for name, value in message.items() if name not in ("role", "content")}
    content = message.get("content")
    if content is None and found == "system" and rest:
        # a beta of 2026: such a message may hold settings alone
        turn = Turn(found, [], form="absent")
    else:
        turn = _turn(found, content, f"{where}.content")
    turn.extra = rest
    return turn


def _turn(role: Role, content: JSON, where: str, *, apart: bool = False) -> Turn:
    if isinstance(content, str):
        return Turn(role, [Text(content)], form="text", apart=apart)
    return Turn(role, parse_parts(content, where), apart=apart)


def _tools(chat: Request, rest: Extra) -> None:
    tools = _take(rest, "tools", list)
    if tools is not None:
        chat.tools = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
        if not tools:
            chat.idle["tools"] = tools
    choice = _take(rest, "tool_choice", dict)
    if choice is None:
        return
    left = dict(choice)
    parallel = left.pop("disable_parallel_tool_use", None)
    if isinstance(parallel, bool):
        chat.parallel_tools = not parallel
    elif parallel is not None:
        raise refuse("tool_choice.disable_parallel_tool_use", "must be a boolean")
    kind = left.pop("type", None)
    match kind:
        case "auto":
            chat.tool_choice = ToolChoice("auto", extra=left)
        case "none":
            chat.tool_choice = ToolChoice("none", extra=left)
        case "any":
            chat.tool_choice = ToolChoice("required", extra=left)
        case "tool":
            name = take_string(left, "name", "tool_choice")
            chat.tool_choice = ToolChoice("required", [name], extra=left)
        case _:
            raise refuse("tool_choice.type", "must be auto, any, tool or none", "invalid_value")


def _tool(tool: JSON, where: str) -> Tool:
    if not isinstance(tool, dict):
        raise refuse(where, "must be an object")
    rest = dict(tool)
    kind = rest.get("type")
    cache = take_cache(rest)
    if kind not in (None, "custom"):
        if not isinstance(kind, str):
            raise refuse(f"{where}.type", "must be a string")
        return Tool(kind, kind="hosted", dialect=NAME, data=tool, cache=cache)
    found = Function(take_string(rest, "name", where), cache=cache)
    if "type" in rest:
        found.idle["type"] = rest.pop("type")
    if isinstance(rest.get("description"), str):
        found.description = rest.pop("description")
        if not found.description:
            found.idle["description"] = ""
    if isinstance(rest.get("strict"), bool):
        found.strict = rest.pop("strict")
    found.schema = rest.pop("input_schema", None)
    if found.schema is None and "input_schema" in tool:
        found.idle["input_schema"] = None
    if not isinstance(found.schema, dict | None):
        raise refuse(f"{where}.input_schema", "must be an object")
    found.extra = rest
    return found


def _thinking(chat: Request, rest: Extra) -> None:
    given = _take(rest, "thinking", dict)
    if given is not None:
        chat.thinking = _thought(dict(given))
    config = _take(rest, "output_config", dict)
    if config is None:
        _format(chat, rest.pop("output_format", None), older=True)
        return
    left = dict(config)
    if isinstance(left.get("effort"), str):
        chat.thinking = chat.thinking or Thinking()
        chat.thinking.effort = left.pop("effort")
    _format(chat, left.pop("format", None), older=False)
    if "format" in config and chat.format is None:
        left["format"] = config["format"]
    if left or not config:
        rest["output_config"] = left


def _thought(left: Extra) -> Thinking:
    thinking = Thinking()
    kind = left.pop("type", None)
    if not isinstance(kind, str):
        raise refuse("thinking.type", "must be a string")
    budget = left.get("budget_tokens")
    if isinstance(budget, int) and not isinstance(budget, bool):
        thinking.budget = left.pop("budget_tokens")
    elif budget is not None:
        raise refuse("thinking.budget_tokens", "must be an integer")
    match kind:
        case "enabled":
            thinking.enabled = True
        case "disabled":
            thinking.enabled = False
        case "adaptive":
            thinking.enabled = thinking.adaptive = True
        case _:
            left["type"] = kind
    if left.get("display") in ("summarized", "omitted"):
        thinking.show = left.pop("display") == "summarized"
    thinking.extra = left
    return thinking


def _format(chat: Request, given: JSON, *, older: bool) -> None:
    if given is None:
        return
    where = "output_format" if older else "output_config.format"
    if not isinstance(given, dict):
        raise refuse(where, "must be an object")
    left = dict(given)
    if left.pop("type", None) != "json_schema":
        raise refuse(f"{where}.type", "must be json_schema", "invalid_value")
    schema = left.pop("schema", None)
    if not isinstance(schema, dict):
        raise refuse(f"{where}.schema", "must be an object")
    chat.format = Schema("json", schema, extra=left, older=older)


def _metadata(chat: Request, rest: Extra) -> None:
    given = _take(rest, "metadata", dict)
    if given is None:
        return
    left = dict(given)
    if isinstance(left.get("user_id"), str) and left["user_id"]:
        chat.user = left.pop("user_id")
    if left or not given:
        rest["metadata"] = left


def _take(rest: Extra, name: str, kind: type[T]) -> T | None:
    value = rest.get(name)
    if value is None:
        return None
    if type(value) is not kind:
        raise refuse(name, f"must be {_WORDS[kind]}")
    if kind is not bool or value:
        del rest[name]
    return value


def _number(rest: Extra, name: str) -> float | None:
    value = rest.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse(name, "must be a number")
    return value


def _integer(rest: Extra, name: str) -> int | None:
    value = _number(rest, name)
    if isinstance(value, float):
        if not value.is_integer():
            raise refuse(name, "must be an integer")
        value = int(value)
    return value
