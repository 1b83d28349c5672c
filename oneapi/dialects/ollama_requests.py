"""Requests of Ollama's chat and generate in the typed middle.

https://github.com/ollama/ollama/blob/main/docs/api.md (read 2026-11-24). Options that the middle
does not know stand in `ChatRequest.extra` as `options.num_ctx`: where another dialect is rendered,
they are reported by that name. Members that say nothing (`"format": ""`) stand in `original` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oneapi.dialects.base_turns import data_url
from oneapi.dialects.ollama_shapes import (
    NAME,
    Asked,
    Function,
    Turn,
    is_call,
    is_empty,
    media_type,
    parse_call,
)
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
    ToolResult,
)
from oneapi.wire.json import JSON

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SHARED: Final = frozenset(
    {"model", "stream", "format", "options", "think", "logprobs", "top_logprobs"}
)
_CHAT: Final = _SHARED | {"messages", "tools"}
_GENERATE: Final = _SHARED | {"prompt", "system", "images"}
_TURN: Final = frozenset(
    {"role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id", "name"}
)
_RESULT: Final = frozenset({"tool_name", "tool_call_id"})
OPTIONS: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "num_predict": "max_output",
}
"""Options that the middle knows, and what it calls them."""
_WHOLE: Final = frozenset({"top_k", "seed", "num_predict"})


def parse_chat(body: JSON, envelope: Envelope) -> ChatRequest:
    """A request of chat. Raises `ApiError` 400 naming the member that is malformed."""
    given = _object(body, "")
    asked = _shared(given, envelope, _CHAT)
    for i, entry in enumerate(_list(given, "messages")):
        asked.messages.append(_message(_object(entry, f"messages[{i}]"), f"messages[{i}]"))
    for i, entry in enumerate(_list(given, "tools")):
        asked.tools.append(_tool(_object(entry, f"tools[{i}]"), f"tools[{i}]"))
    return asked


def parse_generate(body: JSON, envelope: Envelope) -> ChatRequest:
    """A request of generate: the prompt is a user's message. Raises `ApiError` 400 likewise."""
    given = _object(body, "")
    asked = _shared(given, envelope, _GENERATE)
    asked.generate = True
    system, prompt = _string(given, "system"), _string(given, "prompt")
    if system:
        asked.messages.append(Message("system", [Text(system)]))
    parts: list[Part] = [Text(prompt)] if prompt else []
    parts += _images(given, "")
    if parts:
        asked.messages.append(Message("user", parts))
    return asked


_ASKS: Final = ("messages", "prompt", "images", "suffix")
LOADS: Final = frozenset({*_ASKS, "keep_alive"})
"""Members by which `is_load` and `is_unload` decide."""


def is_load(body: JSON) -> bool:
    """Whether a request has nothing to answer: it asks to load the model, or to unload it."""
    return isinstance(body, dict) and not any(body.get(name) for name in _ASKS)


def is_unload(body: JSON) -> bool:
    """Whether a request that `is_load` gives the model's memory back: `keep_alive` is 0."""
    value = body.get("keep_alive") if isinstance(body, dict) else None
    if isinstance(value, str):
        return value.rstrip("smh") == "0"
    return value == 0 and not isinstance(value, bool) and value is not None


def _shared(given: Extra, envelope: Envelope, known: frozenset[str]) -> Asked:
    """What chat and generate have in common."""
    stream, logprobs = _flag(given, "stream"), _flag(given, "logprobs")
    asked = Asked(
        model=envelope.model,
        messages=[],
        source=NAME,
        stream=stream is not False,
        wants_usage=True,
        format=_format(given.get("format")),
        thinking=_thinking(given.get("think")),
        logprobs=logprobs,
        original=given,
    )
    top = given.get("top_logprobs")
    asked.top_logprobs = None if top is None else _whole(top, "top_logprobs")
    asked.extra = {n: v for n, v in given.items() if n not in known and not is_empty(v)}
    options = given.get("options")
    if options is not None:
        _options(asked, _object(options, "options"))
    return asked


def _options(asked: Asked, options: Extra) -> None:
    for name, value in options.items():
        param = f"options.{name}"
        attribute = OPTIONS.get(name)
        if name == "stop" and not is_empty(value):
            asked.stop = _stops(value)
        elif attribute is None or value is None:
            if not is_empty(value) or value is False:
                asked.extra[param] = value
        else:
            number = (_whole if name in _WHOLE else _number)(value, param)
            if name == "num_predict" and number <= 0:  # -1: no end, -2: as far as the context goes
                asked.extra[param] = value
            else:
                setattr(asked, attribute, number)


def _stops(value: JSON) -> list[str]:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise _bad("options.stop", "must be an array of strings")
    return list(stops)


def _format(value: JSON) -> OutputFormat | None:
    if value is None or value == "":
        return None
    if value == "json":
        return OutputFormat("json")
    if isinstance(value, dict):
        return OutputFormat("json", schema=value)
    raise _bad("format", 'must be "json" or a JSON schema')


def _thinking(value: JSON) -> Thinking | None:
    """`think`: thoughts come along wherever the model has any, so they are wanted."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return Thinking(enabled=value, show=True if value else None)
    if isinstance(value, str) and value in _EFFORTS:
        return Thinking(effort=value, show=None if value == "none" else True)
    raise _bad("think", "must be true, false, or one of low, medium, high and max")


def _message(given: Extra, where: str) -> Message:
    role = given.get("role")
    if not isinstance(role, str):
        raise _bad(f"{where}.role", "must be a string")
    known = _ROLES.get(role.lower())
    understood = _TURN if known == "tool" else _TURN - _RESULT
    extra = {n: v for n, v in given.items() if n not in understood and not is_empty(v)}
    name = _string(given, "name", where)
    if known is None:  # roles that single models' templates know (`control`)
        return Turn("system", [Opaque(NAME, given)], original=given)
    parts = _parts(given, where)
    if known == "tool":
        call_id, tool = _string(given, "tool_call_id", where), _string(given, "tool_name", where)
        parts = [ToolResult(call_id, parts, tool or name)]
        name = "" if not tool else name
    return Turn(known, parts, name, extra, given)


def _parts(given: Extra, where: str) -> list[Part]:
    thought, content = _string(given, "thinking", where), _string(given, "content", where)
    parts: list[Part] = []
    if thought:
        parts.append(Reasoning(thought))
    if content:
        parts.append(Text(content))
    parts += _images(given, where)
    for i, entry in enumerate(_list(given, "tool_calls", where)):
        parts.append(_call(entry, f"{_at(where, 'tool_calls')}[{i}]"))
    return parts


def _call(entry: JSON, where: str) -> Part:
    if not is_call(entry):
        raise _bad(f"{where}.function.name", "must be a string")
    if not isinstance(entry.get("id", ""), str | None):
        raise _bad(f"{where}.id", "must be a string")
    if not isinstance(entry["function"].get("arguments"), dict | str | None):
        raise _bad(f"{where}.function.arguments", "must be an object")
    return parse_call(entry, "")


def _images(given: Extra, where: str) -> list[Part]:
    parts: list[Part] = []
    for i, entry in enumerate(_list(given, "images", where)):
        if not isinstance(entry, str) or not entry:
            raise _bad(f"{_at(where, 'images')}[{i}]", "must be a string of base64")
        found = data_url(entry) if entry[:5].lower() == "data:" else None
        kind, data = found if found is not None else ("", entry)
        parts.append(Media("image", data=data, media_type=kind or media_type(data)))
    return parts


def _tool(given: Extra, where: str) -> Tool:
    kind = given.get("type", "function")
    if kind not in ("function", "", None):
        if not isinstance(kind, str):
            raise _bad(f"{where}.type", "must be a string")
        return Tool(kind, kind="hosted", dialect=NAME, data=given)
    function = _object(given.get("function"), f"{where}.function")
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise _bad(f"{where}.function.name", "must be a string")
    schema = function.get("parameters")
    if schema is not None and not isinstance(schema, dict):
        raise _bad(f"{where}.function.parameters", "must be an object")
    return Function(
        name=name,
        description=_string(function, "description", f"{where}.function"),
        schema=schema,
        extra={n: v for n, v in given.items() if n not in ("type", "function") and not is_empty(v)},
        original=given,
    )


def _flag(given: Extra, name: str) -> bool | None:
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise _bad(name, "must be a boolean")
    return value


def _number(value: JSON, param: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _bad(param, "must be a number")
    return value


def _whole(value: JSON, param: str) -> int:
    number = _number(value, param)
    if number != number // 1:  # not so of infinity either, whose floor is no number
        raise _bad(param, "must be an integer")
    return int(number)


def _object(value: JSON, param: str) -> Extra:
    if not isinstance(value, dict):
        raise _bad(param, "must be an object")
    return value


def _list(given: Extra, name: str, where: str = "") -> list[JSON]:
    value = given.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _bad(_at(where, name), "must be an array")
    return value


def _string(given: Extra, name: str, where: str = "") -> str:
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _bad(_at(where, name), "must be a string")
    return value


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _bad(param: str, what: str) -> ApiError:
    subject = f"`{param}`" if param else "the request"
    return ApiError(400, f"{subject} {what}", code="invalid_type", param=param or None)
