"""Requests in Workers AI's own format.

https://developers.cloudflare.com/workers-ai/models/ and …/features/function-calling/ (read
2026-11-24). The model stands in the path. Contents are strings; models that see take OpenAI's
content parts with data: URLs, no addresses. `json_schema` is the schema itself.

Channel options: `image_field` (llava and the first vision models: one picture, as bytes in
`image`; true or patterns of models' names), `max_tokens` (instead of `DEFAULT_MAX_TOKENS`), `lora`,
`repetition_penalty`, `chat_template_kwargs` (sent as they are).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from oneapi.dialects.base import Hints, Outgoing
from oneapi.dialects.base_bodies import applies, body_of
from oneapi.dialects.base_calls import plainly_named
from oneapi.dialects.base_turns import as_url, linked
from oneapi.dialects.cloudflare_shapes import NAME, RUN
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON

DEFAULT_MAX_TOKENS: Final = 4096
"""The vendor's own default, 256, cuts most answers short."""

_PLAIN: Final = (
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("seed", "seed"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
)
_OPTIONS: Final = ("lora", "repetition_penalty", "chat_template_kwargs")
_UNSAID: Final = (
    ("stop", "stop"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
    ("thinking", "reasoning_effort"),
    ("verbosity", "verbosity"),
    ("user", "user"),
    ("service_tier", "service_tier"),
    ("cache_key", "prompt_cache_key"),
)


def fetches(chat: ChatRequest) -> Sequence[str]:
    """Addresses of pictures: the vendor takes bytes alone."""
    return [part.url for message in chat.messages for part in _pictures(message.parts) if part.url]


def render_request(chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
    """Raises `ApiError` 400 for media that no model here takes."""
    if chat.source != NAME:
        chat = plainly_named(chat, custom=True)
    work = _Work(one=applies(hints.options.get("image_field"), model))
    messages = linked(chat.messages)
    body: dict[str, JSON] = {"messages": work.messages(messages)}
    if work.image:
        body["image"] = list(work.image)
    if chat.stream:
        body["stream"] = True
    body["max_tokens"] = _limit(chat, hints)
    for attribute, name in _PLAIN:
        value = getattr(chat, attribute)
        if value is not None:
            body[name] = value
    work.tools(chat, body)
    if chat.format is not None and chat.format.kind == "json":
        body["response_format"] = _format(chat.format)
    for name in _OPTIONS:
        if name in hints.options:
            body[name] = hints.options[name]
    work.name_unsaid(chat)
    return Outgoing(RUN, body_of(body), chat.stream, dropped=work.dropped)


def _limit(chat: ChatRequest, hints: Hints) -> int:
    if chat.max_output is not None:
        return chat.max_output
    wanted = hints.options.get("max_tokens")
    if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0:
        return wanted
    return min(DEFAULT_MAX_TOKENS, hints.max_output or DEFAULT_MAX_TOKENS)


@dataclass(slots=True)
class _Work:
    """One request on its way to the wire. `one` picture goes into a field of its own."""

    one: bool
    dropped: list[str] = field(default_factory=list)
    image: bytes = b""
    last: Media | None = None

    def messages(self, messages: Sequence[Message]) -> list[JSON]:
        if self.one:
            pictures = [part for m in messages for part in _pictures(m.parts)]
            self.last = pictures[-1] if pictures else None
        out: list[JSON] = []
        for i, message in enumerate(messages):
            out += self._message(message, f"messages[{i}]")
        return out

    def _message(self, message: Message, at: str) -> list[JSON]:
        self.dropped += [f"{at}.{name}" for name in message.extra]
        if message.name:
            self.dropped.append(f"{at}.name")
        results: list[JSON] = []
        calls: list[JSON] = []
        said: list[JSON] = []
        rest = False
        for i, part in enumerate(message.parts):
            place = f"{at}.content[{i}]"
            if isinstance(part, ToolResult):
                results.append(self._result(part, place))
                continue
            rest = True
            if isinstance(part, ToolCall):
                calls.append(self._call(part, place))
            else:
                said += self._item(part, place)
        if results and not rest:
            return results
        role = "system" if message.role == "developer" else message.role
        entry: dict[str, JSON] = {"role": role, "content": _content(said)}
        if calls:
            entry["tool_calls"] = calls
        return [*results, entry]

    def _item(self, part: Part, at: str) -> list[JSON]:
        """Content parts as OpenAI has them; none for what is dropped."""
        match part:
            case Text() | Refusal():
                self._name_rest(part, at)
                return [{"type": "text", "text": part.text}]
            case Media():
                self._name_rest(part, at)
                return self._media(part, at)
            case Reasoning():
                return []  # thought of earlier turns: no model here takes it back
            case ToolCall() | ToolResult() | Opaque():
                self.dropped.append(at)
                return []

    def _media(self, part: Media, at: str) -> list[JSON]:
        if part.kind == "file" and part.text:
            return [{"type": "text", "text": part.text}]
        if part.kind != "image" or not part.data:
            raise ApiError(
                400,
                "the model's provider takes pictures only, and those as data",
                code="unsupported_value",
                param=at,
            )
        if not self.one:
            return [{"type": "image_url", "image_url": {"url": as_url(part)}}]
        if part is self.last:
            self.image = _bytes(part.data, at)
        else:
            self.dropped.append(at)
        return []

    def _name_rest(self, part: Text | Refusal | Media, at: str) -> None:
        if not isinstance(part, Refusal) and part.cache:
            self.dropped.append(f"{at}.cache_control")
        if isinstance(part, Media) and part.detail not in ("", "auto"):
            self.dropped.append(f"{at}.detail")
        self.dropped += [f"{at}.{name}" for name in part.extra]

    def _call(self, part: ToolCall, at: str) -> JSON:
        self.dropped += [f"{at}.{name}" for name in part.extra]
        return {
            "id": part.id,
            "type": "function",
            "function": {"name": part.name, "arguments": part.arguments or "{}"},
        }

    def _result(self, part: ToolResult, at: str) -> JSON:
        said: list[JSON] = []
        for i, inner in enumerate(part.parts):
            said += self._item(inner, f"{at}.content[{i}]")
        if part.error:
            self.dropped.append(f"{at}.is_error")
        if part.cache:
            self.dropped.append(f"{at}.cache_control")
        self.dropped += [f"{at}.{name}" for name in part.extra]
        entry: dict[str, JSON] = {"role": "tool", "content": _content(said)}
        if part.name:
            entry["name"] = part.name
        entry["tool_call_id"] = part.call_id
        return entry

    def tools(self, chat: ChatRequest, body: dict[str, JSON]) -> None:
        """Tools and the choice among them. A model that must call none is given none, one that must
        call a certain one is given that one: older models know no `tool_choice`.
        """
        choice = chat.tool_choice
        if choice is not None:
            self.dropped += [f"tool_choice.{name}" for name in choice.extra]
            if choice.mode == "none":
                return
        names = frozenset(choice.names if choice is not None else ())
        tools: list[JSON] = []
        for i, tool in enumerate(chat.tools):
            if names and tool.name not in names:
                continue
            if tool.kind != "function":
                self.dropped.append(f"tools[{i}]")
                continue
            tools.append(self._tool(tool, f"tools[{i}]"))
        if not tools:
            return
        body["tools"] = tools
        if choice is not None and choice.mode == "required":
            body["tool_choice"] = "required"

    def _tool(self, tool: Tool, at: str) -> JSON:
        for name, said in (
            ("strict", tool.strict),
            ("cache_control", tool.cache),
        ):
            if said:
                self.dropped.append(f"{at}.{name}")
        self.dropped += [f"{at}.{name}" for name in tool.extra]
        schema = tool.schema if tool.schema is not None else {"type": "object", "properties": {}}
        function = {"name": tool.name, "description": tool.description, "parameters": schema}
        return {"type": "function", "function": function}

    def name_unsaid(self, chat: ChatRequest) -> None:
        for attribute, name in _UNSAID:
            if getattr(chat, attribute):
                self.dropped.append(name)
        if chat.n is not None and chat.n > 1:
            self.dropped.append("n")
        if chat.parallel_tools is False and chat.tools:
            self.dropped.append("parallel_tool_calls")
        if any(word != "text" for word in chat.modalities):
            self.dropped.append("modalities")
        if chat.format is not None:
            self.dropped += [f"response_format.{name}" for name in chat.format.extra]
        if chat.source != NAME:
            self.dropped += chat.extra


def _content(said: list[JSON]) -> JSON:
    """A string, which every model takes, unless there are pictures."""
    if all(item["type"] == "text" for item in said):
        return "\n".join(item["text"] for item in said)
    return said


def _format(wanted: OutputFormat) -> JSON:
    if wanted.schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": wanted.schema}


def _pictures(parts: Sequence[Part]) -> list[Media]:
    found: list[Media] = []
    for part in parts:
        if isinstance(part, Media) and part.kind == "image":
            found.append(part)
        elif isinstance(part, ToolResult):
            found += _pictures(part.parts)
    return found


def _bytes(data: str, at: str) -> bytes:
    try:
        return b64decode(data, validate=True)
    except ValueError:
        raise ApiError(400, "is no base64", code="invalid_value", param=at) from None
