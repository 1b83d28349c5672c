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

from oneapi.ir import BlockStart, BlockStop, ChatResponse, Delta, Event, Part, Tool, ToolCall
from oneapi.wire.json import MalformedJSON, decode

_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9_-]")


def wire_name(name: str, namespace: str = "", *, most: int = 128) -> str:
    """The name with letters, digits, `_` and `-` alone, at most `most` of them.

    A name that must change gets a sum of itself, so that two names never become one.
    """
    full = f"{namespace}__{name}" if namespace else name
    clean = _FOREIGN.sub("_", full)
    if clean == full and 0 < len(full) <= most:
        return full
    return f"{clean[: most - 9]}_{crc32(full.encode('utf-8', 'replace')):08x}"


class Restorer:
    """Calls of an answer as the client's own tools: name, namespace, and a custom tool's text.

    Over events (`feed`) or a whole answer (`restored`). `most` is what the provider's names were
    cut to.
    """

    def __init__(self, tools: Sequence[Tool], *, most: int = 128) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.kind == "hosted":
                continue
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
