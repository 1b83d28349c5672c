"""Names of tools where a format allows few characters, and the way back.

Many providers know functions alone, named with letters, digits, `_` and `-`. A custom tool becomes
a function whose one argument `input` is its text; a namespace stands before its tool's name. None
of this needs memory: whoever holds the request's tools knows what a name means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from zlib import crc32

from oneapi.dialects.base_bodies import encode_text
from oneapi.errors import ApiError
from oneapi.ir import (
    BlockStart,
    BlockStop,
    ChatRequest,
    ChatResponse,
    Delta,
    Event,
    Part,
    Tool,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON, MalformedJSON, decode

_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9_-]")
SHORTEST: Final = 64
"""Letters of a name that every provider takes; some take twice as many."""


def wire_name(name: str, namespace: str = "", *, most: int = 128) -> str:
    """The name with letters, digits, `_` and `-` alone, at most `most` of them.

    A name that must change gets a sum of itself, so that two names never become one.
    """
    full = f"{namespace}__{name}" if namespace else name
    clean = _FOREIGN.sub("_", full)
    if clean == full and 0 < len(full) <= most:
        return full
    return f"{clean[: most - 9]}_{crc32(full.encode('utf-8', 'replace')):08x}"


def short_user(user: str) -> str:
    """The name of an end user in the 64 letters that OpenAI's APIs take; a longer one, such as
    coding clients send, is cut and stays apart from others.
    """
    return user if len(user) <= SHORTEST else wire_name(user, most=SHORTEST)


def check_choice(chat: ChatRequest) -> None:
    """Raises `ApiError` 400 where a tool must be called that is not among the client's."""
    choice = chat.tool_choice
    if choice is None or choice.mode != "required" or not choice.names:
        return
    if not any(tool.name in choice.names for tool in chat.tools):
        words = "the tool that `tool_choice` asks for is not among `tools`"
        raise ApiError(400, words, code="unsupported_tool", param="tool_choice")


def plainly_named(chat: ChatRequest, *, custom: bool = False) -> ChatRequest:
    """The request for a format that has neither namespaces nor odd or long names: tools, calls,
    results and the choice have the names that `Restorer` knows again.

    `custom` makes functions of custom tools too, for formats that have no better word for them.
    Raises `ApiError` 400 where a tool must be called that is not among the client's.
    """
    spaces = {tool.name: tool.namespace for tool in chat.tools if tool.kind != "hosted"}

    def named(name: str, namespace: str = "") -> str:
        return wire_name(name, namespace or spaces.get(name, ""), most=SHORTEST)

    def plain(part: Part) -> Part:
        if isinstance(part, ToolCall):
            part = replace(part, name=named(part.name, part.namespace), namespace="")
            if custom and part.custom:
                arguments = encode_text({"input": part.arguments})
                part = replace(part, arguments=arguments, custom=False)
        elif isinstance(part, ToolResult) and part.name:
            part = replace(part, name=named(part.name))
        return part

    check_choice(chat)
    choice = chat.tool_choice
    return replace(
        chat,
        messages=[replace(m, parts=[plain(part) for part in m.parts]) for m in chat.messages],
        tools=[_plain_tool(tool, custom=custom) for tool in chat.tools],
        tool_choice=choice and replace(choice, names=[named(name) for name in choice.names]),
    )


def _plain_tool(tool: Tool, *, custom: bool) -> Tool:
    if tool.kind == "hosted":
        return tool
    name = wire_name(tool.name, tool.namespace, most=SHORTEST)
    tool = replace(tool, name=name, namespace="")
    return as_function(tool) if custom and tool.kind == "custom" else tool


def as_function(tool: Tool) -> Tool:
    """A custom tool as a function with the single argument `input`."""
    schema: JSON = {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
        "additionalProperties": False,
    }
    grammar = tool.format.get("definition") if isinstance(tool.format, dict) else None
    description = tool.description
    if isinstance(grammar, str) and grammar:
        description = f"{description}\n\n`input` follows this grammar:\n{grammar}".strip()
    return replace(tool, description=description, schema=schema, kind="function", format=None)


class Restorer:
    """Calls of an answer as the client's own tools: name, namespace, and a custom tool's text.

    Over events (`feed`) or a whole answer (`restored`). Names cut to 64 letters are known again as
    well as those cut to 128.
    """

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.kind == "hosted":
                continue
            for most in (SHORTEST, 128):
                name = wire_name(tool.name, tool.namespace, most=most)
                if name != tool.name or tool.namespace or tool.kind == "custom":
                    self._tools[name] = tool
        self._held: dict[int, _Held] = {}

    @property
    def needed(self) -> bool:
        """Whether any tool could come back changed."""
        return bool(self._tools)

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """The events with calls restored; a custom tool's text comes when it is complete."""
        out: list[Event] = []
        for event in events:
            if isinstance(event, BlockStart) and isinstance(event.part, ToolCall):
                tool = self._tools.get(event.part.name)
                if tool is not None:
                    if tool.kind == "custom" and not event.part.custom:
                        self._held[event.index] = _Held([event.part.arguments])
                    event = replace(event, part=_renamed(event.part, tool, ""))
            elif isinstance(event, Delta) and event.index in self._held:
                self._held[event.index].texts.append(event.text)
                continue
            elif isinstance(event, BlockStop) and event.index in self._held:
                held = self._held.pop(event.index)
                out.append(Delta(event.index, text_of("".join(held.texts))))
            out.append(event)
        return out

    def restored(self, reply: ChatResponse) -> ChatResponse:
        """The answer with calls restored; the same one where there is nothing to do."""
        if not self._tools:
            return reply
        choices = [replace(c, parts=[self._part(part) for part in c.parts]) for c in reply.choices]
        return replace(reply, choices=choices)

    def _part(self, part: Part) -> Part:
        if not isinstance(part, ToolCall) or part.name not in self._tools:
            return part
        tool = self._tools[part.name]
        if tool.kind == "custom" and not part.custom:
            return _renamed(part, tool, text_of(part.arguments))
        return _renamed(part, tool, part.arguments)


@dataclass(slots=True)
class _Held:
    texts: list[str] = field(default_factory=list)


def text_of(arguments: str) -> str:
    """A custom tool's text from the object it came in: its `input`, or all that is there."""
    try:
        value = decode(arguments.encode())
    except (MalformedJSON, UnicodeEncodeError):
        return arguments
    if isinstance(value, dict) and isinstance(value.get("input"), str):
        return str(value["input"])
    return arguments


def _renamed(call: ToolCall, tool: Tool, arguments: str) -> ToolCall:
    return replace(
        call,
        name=tool.name,
        namespace=tool.namespace,
        custom=tool.kind == "custom",
        arguments=arguments,
    )
