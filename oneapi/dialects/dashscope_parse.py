"""DashScope's own bodies as requests in the middle: no client is asked to speak this format, the
proof that nothing is lost is.

What the middle has no word for stays where it stood: `ChatRequest.extra` has the members beside
`model`, `input` and `parameters`, and under the latter two names those within them;
`Message.extra["content"]` says in which form a content came that is no plain string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from oneapi.dialects.base_turns import as_url, data_url
from oneapi.dialects.dashscope_shapes import MEDIA, NAME
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
"""In `Message.extra`: "list" for a list of items, "null", "prompt" for `input.prompt`."""

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "bot": "assistant",
    "attachment": "user",
    "function": "tool",
}
_NUMBERS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "presence_penalty": "presence_penalty",
}
_INTEGERS: Final = {
    "max_tokens": "max_output",
    "top_k": "top_k",
    "seed": "seed",
    "n": "n",
    "top_logprobs": "top_logprobs",
}
_FLAGS: Final = {"parallel_tool_calls": "parallel_tools", "logprobs": "logprobs"}


def parse_request(body: JSON, envelope: Envelope) -> ChatRequest:
    """Raises `ApiError` 400 naming the member, whatever the JSON."""
    top = dict(_object(body, "body"))
    model = _string(top.pop("model", envelope.model), "model")
    given = dict(_object(top.pop("input", None), "input"))
    chat = ChatRequest(model, _conversation(given), NAME, stream=envelope.stream, extra=top)
    if given:
        chat.extra["input"] = given
    if "parameters" in top:
        chat.extra["parameters"] = parameters = dict(_object(top["parameters"], "parameters"))
        _take_parameters(chat, parameters)
    return chat


def _conversation(given: dict[str, JSON]) -> list[Message]:
    if "messages" in given:
        items = _list(given.pop("messages"), "input.messages")
        return [_message(item, f"input.messages[{i}]") for i, item in enumerate(items)]
    if "prompt" in given:
        prompt = _string(given.pop("prompt"), "input.prompt")
        return [Message("user", [Text(prompt)], extra={FORM: "prompt"})]
    raise _wrong("input.messages", "is missing")


def _message(value: JSON, at: str) -> Message:
    rest = dict(_object(value, at))
    word = _string(rest.pop("role", None), f"{at}.role")
    role = _ROLES.get(word)
    if role is None:
        raise _wrong(f"{at}.role", "is no role")
    extra: Extra = {} if role == word else {"role": word}
    parts = _parts(rest, extra, f"{at}.content")
    if role == "tool":
        result = ToolResult(_taken(rest, "tool_call_id", at), parts, name=_taken(rest, "name", at))
        return Message(role, [result], extra=extra | rest)
    thought: list[Part] = []
    if isinstance(rest.get("reasoning_content"), str):
        thought = [Reasoning(rest.pop("reasoning_content"))]
    calls: list[ToolCall] = []
    if rest.get("tool_calls"):
        entries = _list(rest.pop("tool_calls"), f"{at}.tool_calls")
        calls = [_call(item, f"{at}.tool_calls[{i}]") for i, item in enumerate(entries)]
    name = _taken(rest, "name", at)
    return Message(role, [*thought, *parts, *calls], name=name, extra=extra | rest)


def _parts(rest: dict[str, JSON], extra: Extra, at: str) -> list[Part]:
    if "content" not in rest:
        return []
    content = rest.pop("content")
    match content:
        case str():
            return [Text(content)]
        case None:
            extra[FORM] = "null"
            return []
        case list():
            extra[FORM] = "list"
            return [_item(item) for item in content]
    raise _wrong(at, "must be a string or an array")


def _item(value: JSON) -> Part:
    """One item of a content list: it has no `type`, its member says what it is."""
    if not isinstance(value, dict):
        return Opaque(NAME, value)
    rest = dict(value)
    if isinstance(rest.get("text"), str):
        part = Text(rest.pop("text"))
        if rest.get("cache_control") == {"type": "ephemeral"}:
            del rest["cache_control"]
            part.cache = "5m"
        part.extra = rest
        return part
    for kind in MEDIA:
        if isinstance(rest.get(kind), str) and rest[kind]:
            return _media(kind, rest)
    return Opaque(NAME, value)


def _media(kind: str, rest: dict[str, JSON]) -> Media:
    url = rest.pop(kind)
    found = data_url(url)
    # `kind` is one of the middle's own words, the type checker cannot know which
    media = Media(cast(Any, kind), url=url)
    if found is not None:
        media = Media(cast(Any, kind), data=found[1], media_type=found[0])
        if as_url(media) != url:
            rest[kind] = url  # a data URL in a form of its own returns as it was
    media.extra = rest
    return media


def _call(value: JSON, at: str) -> ToolCall:
    rest = dict(_object(value, at))
    function = dict(_object(rest.pop("function", None), f"{at}.function"))
    call = ToolCall(
        _taken(rest, "id", at),
        _taken(function, "name", f"{at}.function"),
        _taken(function, "arguments", f"{at}.function"),
    )
    if rest.get("type") == "function":
        del rest["type"]
    else:
        rest.setdefault("type", None)
    if function:
        rest["function"] = function
    call.extra = rest
    return call


def _take_parameters(chat: ChatRequest, rest: dict[str, JSON]) -> None:
    """Parameters the middle has a word for; the others stay."""
    at = "parameters"
    for names, kinds, words in (
        (_NUMBERS, (int, float), "a number"),
        (_INTEGERS, (int,), "an integer"),
        (_FLAGS, (bool,), "a boolean"),
    ):
        for name, field in names.items():
            value = rest.get(name)
            if value is None:
                continue
            if not isinstance(value, kinds) or (kinds != (bool,) and isinstance(value, bool)):
                raise _wrong(f"{at}.{name}", f"must be {words}")
            setattr(chat, field, rest.pop(name))
    stop = rest.get("stop")
    if isinstance(stop, list) and stop and all(isinstance(item, str) for item in stop):
        chat.stop = rest.pop("stop")
    if isinstance(rest.get("tools"), list):
        tools = rest.pop("tools")
        chat.tools = [_tool(item, f"{at}.tools[{i}]") for i, item in enumerate(tools)]
        if not tools:
            rest["tools"] = []
    _take_choice(chat, rest)
    _take_format(chat, rest)
    _take_thinking(chat, rest)


def _tool(value: JSON, at: str) -> Tool:
    entry = _object(value, at)
    kind = entry.get("type")
    if kind != "function":
        name = kind if isinstance(kind, str) else ""
        return Tool(name, kind="hosted", dialect=NAME, data=entry)
    rest = {name: item for name, item in entry.items() if name != "type"}
    function = dict(_object(rest.pop("function", None), f"{at}.function"))
    tool = Tool(_string(function.pop("name", None), f"{at}.function.name"))
    if isinstance(function.get("description"), str) and function["description"]:
        tool.description = function.pop("description")
    if function.get("parameters") is not None:
        tool.schema = function.pop("parameters")
    if isinstance(function.get("strict"), bool):
        tool.strict = function.pop("strict")
    tool.extra = rest
    if function:
        tool.extra["function"] = function
    return tool


def _take_choice(chat: ChatRequest, rest: dict[str, JSON]) -> None:
    choice = rest.get("tool_choice")
    if choice in ("auto", "none", "required"):
        chat.tool_choice = ToolChoice(rest.pop("tool_choice"))
    elif isinstance(choice, dict) and choice.keys() == {"type", "function"}:
        function = choice["function"]
        named = isinstance(function, dict) and function.keys() == {"name"}
        if choice["type"] == "function" and named and isinstance(function["name"], str):
            chat.tool_choice = ToolChoice("required", [function["name"]])
            del rest["tool_choice"]


def _take_format(chat: ChatRequest, rest: dict[str, JSON]) -> None:
    wanted = rest.get("response_format")
    if not isinstance(wanted, dict):
        return
    if wanted == {"type": "text"}:
        chat.format = OutputFormat("text")
    elif wanted == {"type": "json_object"}:
        chat.format = OutputFormat("json")
    elif wanted.get("type") == "json_schema" and wanted.keys() == {"type", "json_schema"}:
        named = wanted["json_schema"]
        if not isinstance(named, dict) or not isinstance(named.get("schema"), dict):
            return
        form = OutputFormat("json", schema=named["schema"])
        inner = {name: item for name, item in named.items() if name != "schema"}
        for name in ("name", "description"):
            if isinstance(inner.get(name), str) and inner[name]:
                setattr(form, name, inner.pop(name))
        if isinstance(inner.get("strict"), bool):
            form.strict = inner.pop("strict")
        form.extra = inner
        chat.format = form
    else:
        return
    del rest["response_format"]


def _take_thinking(chat: ChatRequest, rest: dict[str, JSON]) -> None:
    enabled, budget = rest.get("enable_thinking"), rest.get("thinking_budget")
    thinking = Thinking()
    if isinstance(enabled, bool):
        thinking.enabled = rest.pop("enable_thinking")
    if isinstance(budget, int) and not isinstance(budget, bool):
        thinking.budget = rest.pop("thinking_budget")
    if thinking != Thinking():
        chat.thinking = thinking


def _object(value: JSON, at: str) -> dict[str, JSON]:
    if not isinstance(value, dict):
        raise _wrong(at, "must be an object")
    return value


def _list(value: JSON, at: str) -> list[JSON]:
    if not isinstance(value, list):
        raise _wrong(at, "must be an array")
    return value


def _string(value: JSON, at: str) -> str:
    if not isinstance(value, str):
        raise _wrong(at, "must be a string")
    return value


def _taken(rest: dict[str, JSON], name: str, at: str) -> str:
    """The string, taken out; one that is absent, null or empty stays as it stands, for ""."""
    value = rest.get(name)
    if value is None or value == "":
        return ""
    del rest[name]
    return _string(value, f"{at}.{name}")


def _wrong(param: str, words: str) -> ApiError:
    return ApiError(400, f"`{param}` {words}", code="invalid_value", param=param)
