"""The typed middle as a request of Ollama's chat or generate, whatever dialect it came from.

https://github.com/ollama/ollama/blob/main/docs/api.md (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from oneapi.dialects.base_calls import plainly_named
from oneapi.dialects.base_turns import linked, plain_text
from oneapi.dialects.ollama_requests import OPTIONS
from oneapi.dialects.ollama_shapes import (
    LEVELS,
    NAME,
    Asked,
    Function,
    Turn,
    render_call,
    respelled,
)
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Extra,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON

_OPTION: Final = "options."
_BETWEEN: Final = "\n"
"""Between the texts of one message, which Ollama takes as a single one."""
_SYSTEM: Final = ("system", "developer")
_NEVER: Final = "never"
_ABILITIES: Final = ("levels", _NEVER)
_LEVEL_OF: Final[Mapping[str, str]] = {"minimal": "low", "xhigh": "high"}
_UNSAID: Final = (
    ("verbosity", "verbosity"),
    ("user", "user"),
    ("service_tier", "service_tier"),
    ("cache_key", "prompt_cache_key"),
)
"""Members of the middle that the format has no word for, and what most clients call them."""


def render(chat: ChatRequest, *, think: JSON = None) -> tuple[Extra, list[str]]:
    """The request's body, and the names of what it could not say.

    `think` is the channel's option: true, false or a level for clients that do not say, "levels"
    where the model tells levels apart, "never" where it cannot think and would refuse. Raises
    `ApiError` 400 naming what must not be dropped.
    """
    if isinstance(chat, Asked):
        return _own(chat), []
    foreign = _Foreign(plainly_named(chat, custom=True), think)
    return foreign.body(), list(dict.fromkeys(foreign.dropped))


def _own(asked: Asked) -> Extra:
    """As its client wrote it."""
    out: Extra = {"model": asked.model}
    if asked.generate:
        out.update(_prompt(asked))
    else:
        out["messages"] = [wire for message in asked.messages for wire in _own_turn(message)]
        out["tools"] = [_tool(tool) for tool in asked.tools]
    out["stream"] = asked.stream
    if asked.format is not None:
        out["format"] = _format(asked.format)
    if asked.thinking is not None:
        out["think"] = _own_think(asked.thinking)
    _rest(asked, out)
    given = asked.original.get("options")
    options = {n.removeprefix(_OPTION): v for n, v in asked.extra.items() if n.startswith(_OPTION)}
    options.update(_options(asked))
    if isinstance(given, dict):
        if options.get("stop") == [given.get("stop")]:
            options["stop"] = given["stop"]
        respelled(options, given, {})
    if options or "options" in asked.original:
        out["options"] = options if options or given is not None else None
    out.update({n: v for n, v in asked.extra.items() if not n.startswith(_OPTION)})
    return respelled(out, asked.original, {"stream": True, "messages": [], "tools": []})


def _prompt(asked: Asked) -> Extra:
    """Generate's system prompt, prompt and images."""
    systems = [m for m in asked.messages if m.role in _SYSTEM]
    rest = [part for m in asked.messages if m.role not in _SYSTEM for part in m.parts]
    images = [part.data for part in rest if isinstance(part, Media)]
    out: Extra = {"prompt": plain_text(rest, _BETWEEN)}
    if systems:
        out["system"] = "\n\n".join(plain_text(m.parts, _BETWEEN) for m in systems)
    if images:
        out["images"] = images
    return respelled(out, asked.original, {"prompt": ""})


def _own_turn(message: Message) -> list[Extra]:
    if not isinstance(message, Turn):  # put in by the gateway
        return [wire for wire in _Wires(message).all() if wire]
    for part in message.parts:
        if isinstance(part, Opaque) and part.dialect == NAME:
            return [part.data]
    wires = []
    for wire in _Wires(message).all():
        original = message.original
        wire.update(message.extra)
        if isinstance(original.get("role"), str):
            wire["role"] = original["role"]
        if original.get("name"):
            wire["name"] = original["name"]
        spoken = {name: wire.get(name) for name in ("tool_name", "tool_call_id")}
        wires.append(respelled(wire, original, {"content": "", **spoken}))
    return wires


def _own_think(thinking: Thinking) -> JSON:
    return thinking.effort or thinking.enabled is not False


class _Foreign:
    """One request of another dialect."""

    def __init__(self, chat: ChatRequest, think: JSON) -> None:
        self._chat = chat
        self._takes = think
        self.dropped: list[str] = []

    def body(self) -> Extra:
        chat = self._chat
        self._refuse()
        out: Extra = {"model": chat.model, "messages": self._messages()}
        tools = self._tools()
        if tools:
            out["tools"] = tools
        out["stream"] = chat.stream
        if chat.format is not None and chat.format.kind == "json":
            out["format"] = _format(chat.format)
        think = self._think()
        if think is not None:
            out["think"] = think
        _rest(chat, out)
        options = _options(chat)
        if options:
            out["options"] = options
        self.dropped += [name for member, name in _UNSAID if getattr(chat, member)]
        if chat.parallel_tools is False:
            self.dropped.append("parallel_tool_calls")
        self.dropped += chat.extra
        return out

    def _refuse(self) -> None:
        chat = self._chat
        if chat.n is not None and chat.n > 1:
            raise _refused("n", "more than one answer cannot be asked of this provider")
        if any(kind != "text" for kind in chat.modalities):
            raise _refused("modalities", "this provider answers in text alone")

    def _messages(self) -> list[Extra]:
        wires: list[Extra] = []
        for i, message in enumerate(linked(self._chat.messages)):
            if message.name:
                self.dropped.append(f"messages[{i}].name")
            self.dropped += [f"messages[{i}].{name}" for name in message.extra]
            made = _Wires(message, f"messages[{i}].content")
            wires += made.all()
            self.dropped += made.dropped
        return wires

    def _tools(self) -> list[Extra]:
        chat, choice = self._chat, self._chat.tool_choice
        if choice is not None and choice.mode == "none":
            return []
        if choice is not None and choice.mode == "required":
            self.dropped.append("tool_choice")
        out = []
        for i, tool in enumerate(chat.tools):
            if tool.kind != "function":
                self.dropped.append(f"tools[{i}]")
                continue
            if choice is not None and choice.names and tool.name not in choice.names:
                continue
            if tool.cache:
                self.dropped.append(f"tools[{i}].cache_control")
            self.dropped += [f"tools[{i}].{name}" for name in tool.extra]
            out.append(_tool(tool))
        return out

    def _think(self) -> JSON:
        """Whether to think, or how much where the model knows levels."""
        takes, thinking = self._takes, self._chat.thinking
        if thinking is None:
            return None if takes in _ABILITIES else takes
        off = thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0
        on = thinking.enabled or thinking.effort or thinking.budget or thinking.adaptive
        if off or not on:
            return None if takes == _NEVER or not off else False
        if takes == _NEVER:
            self.dropped.append("thinking")
            return None
        level = _LEVEL_OF.get(thinking.effort, thinking.effort)
        return level if isinstance(takes, str) and level in LEVELS else True


@dataclass(slots=True)
class _Wires:
    """One message of the middle as messages of the wire: each tool result is one of its own."""

    message: Message
    where: str = "messages"
    dropped: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    calls: list[Extra] = field(default_factory=list)

    def all(self) -> list[Extra]:
        return list(self._all())

    def _all(self) -> Iterator[Extra]:
        for j, part in enumerate(self.message.parts):
            where = f"{self.where}[{j}]"
            if isinstance(part, ToolResult):
                if self._said():
                    yield self._flush()
                yield self._result(part, where)
            else:
                self._add(part, where)
        if self._said() or not self.message.parts:
            yield self._flush()

    def _said(self) -> bool:
        return bool(self.texts or self.thoughts or self.images or self.calls)

    def _add(self, part: Part, where: str) -> None:
        match part:
            case Text() | Refusal():
                self.texts.append(part.text)
                self._marks(part, where)
            case Reasoning():
                if part.text:
                    self.thoughts.append(part.text)
                else:
                    self.dropped.append(where)
            case Media():
                self._medium(part, where)
            case ToolCall():
                self.calls.append(render_call(part))
                self._marks(part, where)
            case Opaque() | ToolResult():
                self.dropped.append(where)

    def _medium(self, part: Media, where: str) -> None:
        self._marks(part, where)
        if part.detail:
            self.dropped.append(f"{where}.detail")
        if part.kind == "image" and part.data:
            self.images.append(part.data)
        elif part.text and not part.data:
            self.texts.append(part.text)
        else:
            what = "an image without its bytes" if part.kind == "image" else f"{part.kind} input"
            raise _refused(where, f"{what} cannot be sent to this provider")

    def _marks(self, part: Text | Refusal | Media | ToolCall | ToolResult, where: str) -> None:
        if not isinstance(part, Refusal) and part.cache:
            self.dropped.append(f"{where}.cache_control")
        self.dropped += [f"{where}.{name}" for name in part.extra]

    def _flush(self) -> Extra:
        role = "system" if self.message.role == "developer" else self.message.role
        out: Extra = {"role": role, "content": _BETWEEN.join(self.texts)}
        if self.thoughts:
            out["thinking"] = _BETWEEN.join(self.thoughts)
        if self.images:
            out["images"] = list(self.images)
        if self.calls:
            out["tool_calls"] = list(self.calls)
        for held in (self.texts, self.thoughts, self.images, self.calls):
            held.clear()
        return out

    def _result(self, part: ToolResult, where: str) -> Extra:
        inner = _Wires(Message("tool", part.parts), f"{where}.content")
        made = inner.all() or [{"role": "tool", "content": ""}]
        self.dropped += inner.dropped
        if part.error:
            self.dropped.append(f"{where}.is_error")
        self._marks(part, where)
        out = made[0]
        if part.name:
            out["tool_name"] = part.name
        if part.call_id:
            out["tool_call_id"] = part.call_id
        return out


def _tool(tool: Tool) -> Extra:
    if tool.kind == "hosted":
        entry: Extra = tool.data
        return entry
    function: Extra = {"name": tool.name, "description": tool.description}
    if not isinstance(tool, Function):
        function["parameters"] = tool.schema or {"type": "object", "properties": {}}
        return {"type": "function", "function": function}
    if tool.schema is not None:
        function["parameters"] = tool.schema
    given = tool.original["function"]
    function.update({n: v for n, v in given.items() if n not in function})
    respelled(function, given, {"description": ""})
    out: Extra = {"type": "function", "function": function, **tool.extra}
    if "type" in tool.original:
        out["type"] = tool.original["type"]
    return respelled(out, tool.original, {"type": "function"})


def _format(form: OutputFormat) -> JSON:
    return "json" if form.schema is None else form.schema


def _rest(chat: ChatRequest, out: Extra) -> None:
    for name in ("logprobs", "top_logprobs"):
        value = getattr(chat, name)
        if value is not None:
            out[name] = value


def _options(chat: ChatRequest) -> Extra:
    named = ((name, getattr(chat, attribute)) for name, attribute in OPTIONS.items())
    options: Extra = {name: value for name, value in named if value is not None}
    if chat.stop:
        options["stop"] = chat.stop
    return options


def _refused(param: str, what: str) -> ApiError:
    return ApiError(400, f"`{param}`: {what}", code="unsupported_value", param=param)
