"""A Responses request as a chat of the middle.

https://platform.openai.com/docs/api-reference/responses/create (read 2026-11-24). What says nothing
(null, empty) means the same as its absence, and comes back as it was. Namespaces of one name that
follow each other become one.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.responses_shapes import (
    ENCRYPTED,
    LOGPROBS,
    MAX_TOKENS,
    NAME,
    Asked,
    Object,
    Turn,
    as_object,
    bad,
    rest_of,
    text_in,
    word_in,
)
from oneapi.dialects.responses_turns import read_input
from oneapi.ir import ChatRequest, Envelope, OutputFormat, Text, Thinking, Tool, ToolChoice
from oneapi.wire.json import JSON

_KNOWN: Final = (
    "model",
    "input",
    "instructions",
    "stream",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_logprobs",
    "include",
    "reasoning",
    "text",
    "user",
    "service_tier",
    "prompt_cache_key",
)
_FUNCTION: Final = ("type", "name", "description", "parameters", "strict")
_CUSTOM: Final = ("type", "name", "description", "format")


def parse_request(body: JSON, envelope: Envelope) -> ChatRequest:
    """Raises `ApiError` 400 naming the parameter; never another exception, whatever the JSON."""
    if not isinstance(body, dict):
        raise bad("body", "must be an object")
    chat = Asked(
        model=envelope.model,
        messages=read_input(body.get("input")),
        source=NAME,
        stream=envelope.stream,
        wants_usage=True,
        tools=_tools(body.get("tools")),
        tool_choice=read_choice(body.get("tool_choice")),
        parallel_tools=_flag(body, "parallel_tool_calls"),
        max_output=_whole(body, "max_output_tokens"),
        temperature=_number(body, "temperature"),
        top_p=_number(body, "top_p"),
        top_logprobs=_whole(body, "top_logprobs"),
        user=_word(body, "user"),
        service_tier=_word(body, "service_tier"),
        cache_key=_word(body, "prompt_cache_key"),
        extra=rest_of(body, *_KNOWN),
        wire={k: v for k, v in body.items() if k != "input" or v == []},
    )
    instructions = _word(body, "instructions")
    if instructions:
        chat.messages.insert(0, Turn("system", [Text(instructions)], origin="instructions"))
    _read_reasoning(chat, body.get("reasoning"))
    _read_include(chat, body.get("include"))
    _read_text(chat, body.get("text"))
    return chat


def include_of(chat: ChatRequest) -> list[str]:
    """What `include` says of what the middle knows, in the order that is usual."""
    found = [ENCRYPTED] if chat.thinking is not None and chat.thinking.encrypted else []
    return [*found, LOGPROBS] if chat.logprobs else found


def read_choice(value: JSON) -> ToolChoice | None:
    """`tool_choice` in all its forms. What the middle has no word for stays in `extra`, whole."""
    if value is None:
        return None
    if isinstance(value, str):
        match value:
            case "auto" | "none" | "required":
                return ToolChoice(value)
            case _:
                raise bad("tool_choice", "must be auto, none, required or an object")
    given = as_object(value, "tool_choice")
    kind = text_in(given, "type", "tool_choice")
    match kind:
        case "function" | "custom":
            name = text_in(given, "name", "tool_choice")
            extra = dict(given) if len(given) > 2 else {}
            return ToolChoice("required", [name], kind == "custom", extra)
        case "allowed_tools":
            return _allowed(given)
        case _:
            return ToolChoice("required", extra=dict(given))


def _allowed(given: Object) -> ToolChoice:
    mode = given.get("mode", "auto")
    if mode not in ("auto", "required"):
        raise bad("tool_choice.mode", "must be auto or required", "invalid_value")
    tools = given.get("tools")
    if not isinstance(tools, list):
        raise bad("tool_choice.tools", "must be an array")
    names: list[str] = []
    plain = True
    for number, tool in enumerate(tools):
        entry = as_object(tool, f"tool_choice.tools[{number}]")
        named = entry.get("type") in ("function", "custom")
        if named:
            names.append(text_in(entry, "name", f"tool_choice.tools[{number}]"))
        plain = plain and entry.get("type") == "function" and len(entry) == 2
    plain = plain and not (mode == "required" and len(names) < 2) and len(given) == 3
    plain = plain and bool(names)
    return ToolChoice(mode, names, extra={} if plain else dict(given))


def _tools(value: JSON) -> list[Tool]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad("tools", "must be an array")
    tools: list[Tool] = []
    for number, entry in enumerate(value):
        at = f"tools[{number}]"
        given = as_object(entry, at)
        if given.get("type") == "namespace" and given.get("tools"):
            tools += _namespace(given, at)
        else:
            tools.append(_tool(given, at))
    return tools


def _namespace(given: Object, at: str) -> list[Tool]:
    """Its tools; what it says of itself stands in the first one's `extra`."""
    name = text_in(given, "name", at)
    if not isinstance(given["tools"], list):
        raise bad(f"{at}.tools", "must be an array")
    tools = [
        _tool(as_object(entry, f"{at}.tools[{i}]"), f"{at}.tools[{i}]", name)
        for i, entry in enumerate(given["tools"])
    ]
    about = rest_of(given, "type", "name", "tools")
    if about:
        tools[0].extra["namespace"] = about
    return tools


def _tool(given: Object, at: str, namespace: str = "") -> Tool:
    kind = text_in(given, "type", at)
    if kind == "function":
        strict = given.get("strict")
        if strict is not None and not isinstance(strict, bool):
            raise bad(f"{at}.strict", "must be a boolean")
        schema = given.get("parameters")
        if schema is not None and not isinstance(schema, (dict, bool)):
            raise bad(f"{at}.parameters", "must be an object")
        return Tool(
            text_in(given, "name", at),
            word_in(given, "description", at),
            schema,
            strict,
            namespace=namespace,
            extra=rest_of(given, *_FUNCTION),
        )
    if kind == "custom":
        return Tool(
            text_in(given, "name", at),
            word_in(given, "description", at),
            kind="custom",
            format=given.get("format"),
            namespace=namespace,
            extra=rest_of(given, *_CUSTOM),
        )
    return Tool(kind, kind="hosted", namespace=namespace, dialect=NAME, data=given)


def _read_reasoning(chat: ChatRequest, value: JSON) -> None:
    if value is None:
        return
    given = as_object(value, "reasoning")
    if not rest_of(given):
        return
    summary = word_in(given, "summary", "reasoning")
    chat.thinking = Thinking(
        effort=word_in(given, "effort", "reasoning"),
        show=True if summary else None,
        summary=summary,
        extra=rest_of(given, "effort", "summary"),
    )


def _read_include(chat: ChatRequest, value: JSON) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        raise bad("include", "must be an array")
    if ENCRYPTED in value:
        chat.thinking = chat.thinking or Thinking()
        chat.thinking.encrypted = True
    if LOGPROBS in value:
        chat.logprobs = True
    if value and value != include_of(chat):
        chat.extra["include"] = value


def _read_text(chat: ChatRequest, value: JSON) -> None:
    if value is None:
        return
    given = as_object(value, "text")
    chat.verbosity = word_in(given, "verbosity", "text")
    rest = rest_of(given, "format", "verbosity")
    if rest:
        chat.extra["text"] = rest
    if given.get("format") is None:
        return
    form = as_object(given["format"], "text.format")
    kind = text_in(form, "type", "text.format")
    match kind:
        case "text":
            chat.format = OutputFormat("text", extra=rest_of(form, "type"))
        case "json_object":
            chat.format = OutputFormat("json", extra=rest_of(form, "type"))
        case "json_schema":
            chat.format = _schema(form)
        case _:  # a grammar, say: one that only this dialect knows
            chat.extra["text"] = {**rest, "format": form}


def _schema(form: Object) -> OutputFormat:
    schema = form.get("schema")
    if not isinstance(schema, dict):
        raise bad("text.format.schema", "must be an object")
    strict = form.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise bad("text.format.strict", "must be a boolean")
    return OutputFormat(
        "json",
        schema,
        word_in(form, "name", "text.format"),
        word_in(form, "description", "text.format"),
        strict,
        rest_of(form, "type", "schema", "name", "description", "strict"),
    )


def _word(body: Object, name: str) -> str:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise bad(name, "must be a string")
    return value or ""


def _flag(body: Object, name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise bad(name, "must be a boolean")
    return value


def _number(body: Object, name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise bad(name, "must be a number")
    return value


def _whole(body: Object, name: str) -> int | None:
    value = _number(body, name)
    if value is None:
        return None
    if value != value // 1:
        raise bad(name, "must be an integer")
    if not -1 <= value <= MAX_TOKENS:
        raise bad(name, f"must be between 0 and {MAX_TOKENS}", "invalid_value")
    return int(value)
