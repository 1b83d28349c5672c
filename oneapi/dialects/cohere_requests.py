"""Requests of Cohere's v2 chat as the middle has them.

https://docs.cohere.com/reference/chat (read 2026-11-24). Rendered again by `cohere_render`, a
request is equal to what was parsed: what the middle has no place for is carried in `extra`, and a
message remembers whether its content was a string, a list, null or absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from oneapi.dialects.base_turns import data_url
from oneapi.dialects.cohere_shapes import NAME, PLAN
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Envelope,
    Extra,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi.wire.json import JSON

FORM: Final = "content"
"""In the extra of a message or a result: how its content is written, "string", "list" or "null"."""

_ROLES: Final[tuple[Role, ...]] = ("system", "user", "assistant", "tool")


def parse_request(body: JSON, envelope: Envelope | None = None) -> ChatRequest:
    """Raises `ApiError` 400 naming the parameter, whatever the JSON."""
    if not isinstance(body, dict):
        _refuse("body", "must be an object")
    model = body.get("model", "")
    if not isinstance(model, str):
        _refuse("model", "must be a string")
    chat = ChatRequest(model or (envelope.model if envelope else ""), [], NAME)
    chat.extra = {name: value for name, value in body.items() if name != "model" or not model}
    for name, take in _MEMBERS.items():
        if body.get(name) is not None and take(chat, body[name]):
            del chat.extra[name]
    return chat


def _stream(chat: ChatRequest, value: JSON) -> bool:
    """A `false` stays in `extra`: it need not be written."""
    if not isinstance(value, bool):
        _refuse("stream", "must be true or false")
    chat.stream = chat.wants_usage = value
    return value


def _messages(chat: ChatRequest, value: JSON) -> bool:
    if not isinstance(value, list):
        _refuse("messages", "must be a list")
    chat.messages = [_message(item, f"messages[{i}]") for i, item in enumerate(value)]
    return bool(value)


def _message(value: JSON, where: str) -> Message:
    if not isinstance(value, dict):
        _refuse(where, "must be an object")
    role = value.get("role")
    if role not in _ROLES:
        _refuse(f"{where}.role", "must be system, user, assistant or tool")
    parts, form = _content(value, where)
    if role == "tool":
        id_ = value.get("tool_call_id")
        if not isinstance(id_, str):
            _refuse(f"{where}.tool_call_id", "must be a string")
        extra = _others(value, "role", "content", "tool_call_id")
        return Message("tool", [ToolResult(id_, parts, extra=form)], extra=extra)
    known = ["role", "content"]
    if role == "assistant":
        known += _assistant(value, parts, where)
    return Message(role, parts, extra={**form, **_others(value, *known)})


def _content(value: JSON, where: str) -> tuple[list[Part], Extra]:
    if FORM not in value:
        return [], {}
    content = value[FORM]
    if content is None:
        return [], {FORM: "null"}
    if isinstance(content, str):
        return [Text(content)], {FORM: "string"}
    if not isinstance(content, list):
        _refuse(f"{where}.content", "must be a string or a list")
    parts = [_part(item, f"{where}.content[{i}]") for i, item in enumerate(content)]
    return parts, {FORM: "list"}


def _part(item: JSON, where: str) -> Part:
    if not isinstance(item, dict):
        _refuse(where, "must be an object")
    kind = item.get("type")
    if kind in ("text", "thinking"):
        text = item.get(kind)
        if not isinstance(text, str):
            _refuse(f"{where}.{kind}", "must be a string")
        extra = _others(item, "type", kind)
        return Text(text, extra=extra) if kind == "text" else Reasoning(text, extra=extra)
    if kind == "image_url":
        return _image(item) or Opaque(NAME, item)
    if not isinstance(kind, str):
        _refuse(f"{where}.type", "must be a string")
    return Opaque(NAME, item)


def _image(item: JSON) -> Media | None:
    image = item.get("image_url")
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(url, str) or len(item) > 2 or not image.keys() <= {"url", "detail"}:
        return None
    detail = image.get("detail", "")
    if not isinstance(detail, str) or ("detail" in image and not detail):
        return None
    data = data_url(url)
    if data is None:
        return Media("image", url=url, detail=detail)
    media = Media("image", data=data[1], media_type=data[0], detail=detail)
    if url != f"data:{data[0]};base64,{data[1]}":
        media.extra["url"] = url
    return media


def _assistant(value: JSON, parts: list[Part], where: str) -> list[str]:
    """Takes plan, calls and citations into the parts; the members that were taken."""
    known = []
    plan, calls, cited = value.get("tool_plan"), value.get("tool_calls"), value.get("citations")
    if isinstance(plan, str):
        parts.insert(0, Reasoning(plan, extra={PLAN: True}))
        known.append("tool_plan")
    texts = [part for part in parts if isinstance(part, Text)]
    if isinstance(cited, list) and cited and texts:
        texts[-1].annotations = list(cited)
        known.append("citations")
    if calls:
        if not isinstance(calls, list):
            _refuse(f"{where}.tool_calls", "must be a list")
        parts += [_call(call, f"{where}.tool_calls[{i}]") for i, call in enumerate(calls)]
        known.append("tool_calls")
    return known


def _call(value: JSON, where: str) -> ToolCall:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict):
        _refuse(f"{where}.function", "must be an object")
    id_, name, arguments = value.get("id"), function.get("name"), function.get("arguments", "")
    if not isinstance(name, str):
        _refuse(f"{where}.function.name", "must be a string")
    if not isinstance(arguments, str):
        _refuse(f"{where}.function.arguments", "must be a string")
    named = id_ if isinstance(id_, str) else ""
    extra = _others(value, "function", *(["id"] if named else []))
    more = _others(function, "name", *(["arguments"] if arguments else []))
    if more:
        extra["function"] = more
    return ToolCall(named, name, arguments, extra=extra)


def _tools(chat: ChatRequest, value: JSON) -> bool:
    if not isinstance(value, list):
        _refuse("tools", "must be a list")
    chat.tools = [_tool(item, f"tools[{i}]") for i, item in enumerate(value)]
    return bool(value)


def _tool(item: JSON, where: str) -> Tool:
    if not isinstance(item, dict):
        _refuse(where, "must be an object")
    function = item.get("function")
    if item.get("type") != "function" or not isinstance(function, dict):
        kind = item.get("type")
        word = kind if isinstance(kind, str) else ""
        return Tool(word, kind="hosted", dialect=NAME, data=item)
    name, about = function.get("name"), function.get("description", "")
    if not isinstance(name, str):
        _refuse(f"{where}.function.name", "must be a string")
    tool = Tool(name, schema=function.get("parameters"))
    known = ["name"] if tool.schema is None else ["name", "parameters"]
    if isinstance(about, str) and about:
        tool.description = about
        known.append("description")
    tool.extra = _others(item, "type", "function")
    more = _others(function, *known)
    if more:
        tool.extra["function"] = more
    return tool


def _choice(chat: ChatRequest, value: JSON) -> bool:
    if value not in ("REQUIRED", "NONE"):
        _refuse("tool_choice", "must be REQUIRED or NONE")
    chat.tool_choice = ToolChoice("required" if value == "REQUIRED" else "none")
    return True


def _format(chat: ChatRequest, value: JSON) -> bool:
    if not isinstance(value, dict):
        _refuse("response_format", "must be an object")
    kind = value.get("type")
    if kind not in ("text", "json_object"):
        return False
    schema = value.get("json_schema", value.get("schema"))
    chat.format = OutputFormat(
        "json" if kind == "json_object" else "text", schema, dialect=NAME, data=value
    )
    return True


def _thinking(chat: ChatRequest, value: JSON) -> bool:
    if not isinstance(value, dict) or value.get("type") not in ("enabled", "disabled"):
        _refuse("thinking.type", "must be enabled or disabled")
    budget = value.get("token_budget")
    if not (budget is None or _is_count(budget)):
        _refuse("thinking.token_budget", "must be an integer")
    chat.thinking = Thinking(budget=budget, enabled=value["type"] == "enabled")
    chat.thinking.extra = {
        name: member
        for name, member in value.items()
        if name not in ("type", "token_budget") or member is None
    }
    return True


def _stop(chat: ChatRequest, value: JSON) -> bool:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        _refuse("stop_sequences", "must be a list of strings")
    chat.stop = value
    return bool(value)


def _logprobs(chat: ChatRequest, value: JSON) -> bool:
    if not isinstance(value, bool):
        _refuse("logprobs", "must be true or false")
    chat.logprobs = value
    return True


def _is_count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(name: str, field: str) -> Callable[[ChatRequest, JSON], bool]:
    def take(chat: ChatRequest, value: JSON) -> bool:
        if not _is_count(value):
            _refuse(name, "must be an integer")
        setattr(chat, field, value)
        return True

    return take


def _number(name: str, field: str) -> Callable[[ChatRequest, JSON], bool]:
    def take(chat: ChatRequest, value: JSON) -> bool:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            _refuse(name, "must be a number")
        setattr(chat, field, value)
        return True

    return take


_MEMBERS: Final[Mapping[str, Callable[[ChatRequest, JSON], bool]]] = {
    "stream": _stream,
    "messages": _messages,
    "tools": _tools,
    "tool_choice": _choice,
    "response_format": _format,
    "thinking": _thinking,
    "stop_sequences": _stop,
    "logprobs": _logprobs,
    "max_tokens": _integer("max_tokens", "max_output"),
    "seed": _integer("seed", "seed"),
    "k": _integer("k", "top_k"),
    "p": _number("p", "top_p"),
    "temperature": _number("temperature", "temperature"),
    "frequency_penalty": _number("frequency_penalty", "frequency_penalty"),
    "presence_penalty": _number("presence_penalty", "presence_penalty"),
}
"""What takes a member into the middle: False where it stays in `extra` as it is."""


def _others(value: JSON, *known: str) -> Extra:
    return {name: member for name, member in value.items() if name not in known}


def _refuse(param: str, what: str) -> NoReturn:
    raise ApiError(400, f"`{param}` {what}", code="invalid_type", param=param)
