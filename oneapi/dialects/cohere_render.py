"""Requests from any dialect as Cohere's v2 chat wants them.

https://docs.cohere.com/reference/chat (read 2026-11-24) and recordings. Texts of documents go to
`documents`, where the model cites them; images that a tool returned follow in a user's message.
What the format cannot say is named. A request of Cohere itself is rendered as it was.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, assert_never

from oneapi.dialects.base import Hints, Outgoing
from oneapi.dialects.base_bodies import body_of, encode_text
from oneapi.dialects.base_calls import plainly_named
from oneapi.dialects.base_turns import as_url, linked
from oneapi.dialects.cohere_requests import FORM
from oneapi.dialects.cohere_shapes import NAME, OPERATION, PLAN
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Extra,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON

_PDF: Final = b"%PDF-"
"""Such documents may consist of letters alone and are no text all the same."""
_GIVEN: Final = "(documents)"
_MOST_STOPS: Final = 5
_MOST_P: Final = 0.99
_LEAST_P: Final = 0.01
_CAN_THINK: Final = re.compile(r"reasoning|plus-\d")
"""Models that would think unasked: only they may be told not to."""

_BUDGETS: Final[Mapping[str, int]] = MappingProxyType(
    {"minimal": 512, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 31000, "max": 31000}
)
"""Tokens for an effort; the vendor's own limit is 31,000."""

_OPTIONS: Final = ("safety_mode", "citation_options", "strict_tools", "priority")
"""Members that a channel may set for all of its requests."""

_UNSAID: Final = (
    ("top_logprobs", "top_logprobs"),
    ("verbosity", "verbosity"),
    ("user", "user"),
    ("cache_key", "prompt_cache_key"),
    ("service_tier", "service_tier"),
)
"""Fields that the format has nothing for, and what clients call them."""


def fetches(chat: ChatRequest) -> list[str]:
    """URLs of documents, whose text is needed. Images are taken by URL."""
    return [
        part.url
        for message in chat.messages
        for part in _parts(message.parts)
        if isinstance(part, Media) and part.kind == "file" and part.url
    ]


def _parts(parts: list[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        if isinstance(part, ToolResult):
            yield from part.parts


def render_request(chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
    """Raises `ApiError` 400 naming what the format cannot do and must not be dropped."""
    request = _Request(chat if chat.source == NAME else plainly_named(chat), model, hints)
    try:
        body = body_of(request.body())
    except RecursionError as error:
        raise ApiError(400, "the request is nested too deeply", code="invalid_value") from error
    dropped = list(dict.fromkeys(request.dropped))
    return Outgoing(OPERATION, body, chat.stream, dropped=dropped)


class _Request:
    def __init__(self, chat: ChatRequest, model: str, hints: Hints) -> None:
        self.chat = chat
        self.own = chat.source == NAME
        self.dropped: list[str] = []
        self._model = model
        self._options = hints.options
        self._documents: list[JSON] = []

    def body(self) -> JSON:
        chat = self.chat
        body: dict[str, JSON] = dict(chat.extra) if self.own else {}
        if self._model:
            body["model"] = self._model
        messages = list(self._messages())
        if messages:
            body["messages"] = messages
        if chat.stream:
            body["stream"] = True
        if self._documents:
            body["documents"] = self._documents
        tools = self._tools()
        if tools:
            body["tools"] = tools
        if chat.tool_choice is not None and (tools or self.own):
            body |= self._choice()
        body |= self._settings()
        if not self.own:
            self._unsaid()
        for name in _OPTIONS:
            if name in self._options:
                body.setdefault(name, self._options[name])
        return body

    def _messages(self) -> Iterator[JSON]:
        messages = self.chat.messages if self.own else linked(self.chat.messages)
        seen: list[JSON] = []
        for i, message in enumerate(messages):
            where = f"messages[{i}]"
            results = [p for p in message.parts if isinstance(p, ToolResult)]
            if not results and seen:
                yield {"role": "user", "content": seen}
                seen = []
            for result in results:
                yield self._result(result, message, where, seen)
            if not results or len(results) < len(message.parts):
                written = self._message(message, where, skip=bool(results))
                if written is not None:
                    yield written
        if seen:
            yield {"role": "user", "content": seen}

    def _result(self, result: ToolResult, message: Message, where: str, seen: list[JSON]) -> JSON:
        """`seen` collects the images: a tool's message takes text and documents."""
        written: dict[str, JSON] = {"role": "tool", "tool_call_id": result.call_id}
        if self.own:
            written |= message.extra
        else:
            self._drop_extra(result.extra, where)
            if result.error:
                self.dropped.append(f"{where}.is_error")
        content: list[JSON] = []
        for j, part in enumerate(result.parts):
            place = f"{where}.content[{j}]"
            if isinstance(part, Media) and part.kind == "file":
                content.append(
                    {"type": "document", "document": {"data": self._document(part, place)}}
                )
                continue
            item = self._item(part, place)
            into = seen if isinstance(part, Media) else content
            into += [item] if item is not None else []
        self._put(written, content, result.extra)
        if not self.own:
            written.setdefault("content", "")
        return written

    def _message(self, message: Message, where: str, *, skip: bool) -> JSON:
        """None for a message of which nothing is left."""
        role = "system" if message.role == "developer" else message.role
        written: dict[str, JSON] = {"role": "user" if role == "tool" else role}
        if not self.own:
            if message.name:
                self.dropped.append(f"{where}.name")
            self._drop_extra(message.extra, where)
        parts = [p for p in message.parts if not (skip and isinstance(p, ToolResult))]
        held = len(self._documents)
        content = self._content(message.parts, where, skip=skip)
        if not content and len(self._documents) > held:  # the turn must not vanish with them
            content = [{"type": "text", "text": _GIVEN}]
        plans = [p.text for p in parts if isinstance(p, Reasoning) and PLAN in p.extra]
        calls = [self._call(p, where) for p in parts if isinstance(p, ToolCall)]
        cited = [a for p in parts if self.own and isinstance(p, Text) for a in p.annotations]
        members = {"tool_plan": "".join(plans), "tool_calls": calls, "citations": cited}
        kept = {"tool_plan": bool(plans), "tool_calls": bool(calls), "citations": bool(cited)}
        written |= {name: value for name, value in members.items() if kept[name]}
        self._put(written, content, message.extra)
        if self.own:
            return written | {k: v for k, v in message.extra.items() if k != FORM}
        return written if content or calls else None

    def _content(self, parts: list[Part], where: str, *, skip: bool) -> list[JSON]:
        """The items of content: what does not stand in a member of its own."""
        content: list[JSON] = []
        for j, part in enumerate(parts):
            planned = isinstance(part, Reasoning) and PLAN in part.extra
            if planned or isinstance(part, ToolCall) or (skip and isinstance(part, ToolResult)):
                continue
            item = self._item(part, f"{where}.content[{j}]")
            content += [item] if item is not None else []
        return content

    def _put(self, written: dict[str, JSON], content: list[JSON], extra: Extra) -> None:
        """Content in the form that it had; of other dialects, a string where it is all text."""
        form = extra.get(FORM) if self.own else None
        if form == "null":
            written["content"] = None
        elif form == "list" or (content and any(not _plain(item) for item in content)):
            written["content"] = content
        elif form == "string" or len(content) == 1:
            written["content"] = "".join(item["text"] for item in content)
        elif content:
            written["content"] = content

    def _item(self, part: Part, where: str) -> JSON:
        """A part as an item of content; None for what the format cannot say."""
        match part:
            case Text():
                return self._text(part, where)
            case Refusal():
                return {"type": "text", "text": part.text}
            case Reasoning():
                return self._thought(part, where)
            case Media():
                return self._media(part, where)
            case Opaque():
                if part.dialect == NAME:
                    return part.data
                self.dropped.append(where)
            case ToolCall() | ToolResult():
                self.dropped.append(where)
            case _:
                assert_never(part)
        return None

    def _text(self, part: Text, where: str) -> JSON:
        if self.own:
            return {"type": "text", "text": part.text, **part.extra}
        if part.cache:
            self.dropped.append(f"{where}.cache_control")
        if part.annotations:
            self.dropped.append(f"{where}.annotations")
        self._drop_extra(part.extra, where)
        return {"type": "text", "text": part.text} if part.text else None

    def _thought(self, part: Reasoning, where: str) -> JSON:
        if self.own:
            return {"type": "thinking", "thinking": part.text, **part.extra}
        if not part.text:
            self.dropped.append(where)
            return None
        return {"type": "thinking", "thinking": part.text}

    def _media(self, part: Media, where: str) -> JSON:
        if part.kind == "file":
            document = self._document(part, where)
            self._documents.append({"id": f"doc:{len(self._documents)}", "data": document})
            return None
        url = as_url(part)
        if part.kind != "image" or not url:
            raise _refused(where, "is of a kind that this model's provider does not take")
        if part.cache:
            self.dropped.append(f"{where}.cache_control")
        image: dict[str, JSON] = {"url": part.extra.get("url", url) if self.own else url}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}

    def _document(self, part: Media, where: str) -> JSON:
        text = part.text or _read(part)
        if not text:
            raise _refused(where, "must be a document of text: others are not taken here")
        return {"title": part.filename, "text": text} if part.filename else {"text": text}

    def _call(self, part: ToolCall, where: str) -> JSON:
        if self.own:
            extra = dict(part.extra)
            said: dict[str, JSON] = {"arguments": part.arguments} if part.arguments else {}
            function = {"name": part.name, **said, **extra.pop("function", {})}
            return {**extra, **({"id": part.id} if part.id else {}), "function": function}
        if part.cache:
            self.dropped.append(f"{where}.cache_control")
        arguments = encode_text({"input": part.arguments}) if part.custom else part.arguments
        function = {"name": part.name, "arguments": arguments or "{}"}
        return {"id": part.id, "type": "function", "function": function}

    def _tools(self) -> list[JSON]:
        names = self.chat.tool_choice.names if self.chat.tool_choice else []
        return [
            entry
            for i, tool in enumerate(self.chat.tools)
            if (not names or tool.name in names)
            and (entry := self._tool(tool, f"tools[{i}]")) is not None
        ]

    def _tool(self, tool: Tool, where: str) -> JSON:
        if tool.kind == "hosted":
            if tool.dialect == NAME:
                return tool.data
            self.dropped.append(where)
            return None
        function: dict[str, JSON] = {"name": tool.name}
        if tool.description:
            function["description"] = tool.description
        if self.own:
            extra = dict(tool.extra)
            if tool.schema is not None:
                function["parameters"] = tool.schema
            return {
                "type": "function",
                "function": {**function, **extra.pop("function", {})},
                **extra,
            }
        if tool.cache:
            self.dropped.append(f"{where}.cache_control")
        self._drop_extra(tool.extra, where)
        function["parameters"] = _schema(tool)
        return {"type": "function", "function": function}

    def _choice(self) -> dict[str, JSON]:
        choice = self.chat.tool_choice
        assert choice is not None
        words = {"required": "REQUIRED", "none": "NONE"}
        return {"tool_choice": words[choice.mode]} if choice.mode in words else {}

    def _settings(self) -> dict[str, JSON]:
        chat = self.chat
        settings: dict[str, JSON] = {
            "max_tokens": chat.max_output,
            "temperature": chat.temperature,
            "p": chat.top_p,
            "k": chat.top_k,
            "seed": chat.seed,
            "frequency_penalty": chat.frequency_penalty,
            "presence_penalty": chat.presence_penalty,
            "logprobs": chat.logprobs,
            "stop_sequences": list(chat.stop) or None,
            "thinking": self._thinking(),
            "response_format": self._format(),
        }
        if not self.own:
            self._bound(settings)
        return {name: value for name, value in settings.items() if value is not None}

    def _bound(self, settings: dict[str, JSON]) -> None:
        """Numbers are brought into the format's ranges, and named where that changes them much."""
        if settings["p"] is not None:
            settings["p"] = min(max(settings["p"], _LEAST_P), _MOST_P)
        for name in ("frequency_penalty", "presence_penalty"):
            value = settings[name]
            if value is not None and not 0 <= value <= 1:
                settings[name] = min(max(value, 0), 1)
                self.dropped.append(name)
        if len(self.chat.stop) > _MOST_STOPS:
            settings["stop_sequences"] = self.chat.stop[:_MOST_STOPS]
            self.dropped.append("stop")
        strict = [tool.strict for tool in self.chat.tools if tool.kind == "function"]
        if strict and all(strict):
            settings["strict_tools"] = True

    def _thinking(self) -> JSON:
        wanted = self.chat.thinking
        if wanted is None:
            return None
        if self.own:
            told: dict[str, JSON] = {"type": "enabled" if wanted.enabled else "disabled"}
            if wanted.budget is not None:
                told["token_budget"] = wanted.budget
            return {**told, **wanted.extra}
        if wanted.enabled is False or wanted.effort == "none":
            return {"type": "disabled"} if _CAN_THINK.search(self._model) else None
        budget = wanted.budget or _BUDGETS.get(wanted.effort)
        if budget:
            return {"type": "enabled", "token_budget": budget}
        return {"type": "enabled"} if wanted.enabled or wanted.adaptive else None

    def _format(self) -> JSON:
        wanted = self.chat.format
        if wanted is None:
            return None
        if wanted.dialect == NAME:
            return wanted.data
        if wanted.kind == "text":
            return None
        if isinstance(wanted.schema, dict):
            return {"type": "json_object", "json_schema": wanted.schema}
        return {"type": "json_object"}

    def _unsaid(self) -> None:
        chat = self.chat
        for name, called in _UNSAID:
            if getattr(chat, name) not in (None, "", "auto"):
                self.dropped.append(called)
        if chat.n is not None and chat.n > 1:
            self.dropped.append("n")
        if chat.parallel_tools is False and chat.tools:
            self.dropped.append("parallel_tool_calls")
        if any(mode != "text" for mode in chat.modalities):
            self.dropped.append("modalities")
        self.dropped += [name for name, value in chat.extra.items() if value is not None]

    def _drop_extra(self, extra: Extra, where: str) -> None:
        """Members of another dialect, but for the empty ones: they say nothing."""
        if not self.own:
            self.dropped += [f"{where}.{name}" for name, value in extra.items() if value]


def _plain(item: JSON) -> bool:
    return isinstance(item, dict) and item.keys() == {"type", "text"}


def _read(part: Media) -> str:
    """The text of a document that was given as bytes; "" where those are no text."""
    try:
        raw = b64decode(part.data, validate=True)
        return "" if raw.startswith(_PDF) else raw.decode()
    except ValueError:
        return ""


def _schema(tool: Tool) -> JSON:
    """A custom tool takes text: here it is the only member of an object, `input`."""
    if tool.kind == "custom":
        text = {"type": "string"}
        return {"type": "object", "properties": {"input": text}, "required": ["input"]}
    return tool.schema if isinstance(tool.schema, dict) else {"type": "object", "properties": {}}


def _refused(param: str, what: str) -> ApiError:
    return ApiError(400, f"`{param}` {what}", code="unsupported_value", param=param)
