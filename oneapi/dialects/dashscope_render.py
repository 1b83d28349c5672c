"""Requests in DashScope's own format.

https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope and …/error-code (read 2026-11-24).
A stream is asked for by a header. Text models and those with eyes and ears have an endpoint each;
the one takes contents as strings, the other as lists of items that have no `type`.

Channel options: `multimodal` (the model lives at the multimodal endpoint, text or not) and
`cache_marks` (send `cache_control` marks: a model that has no explicit cache may refuse them), true
or patterns of models' names;
`workspace`, `plugin`, `data_inspection` (headers), and any of `dashscope_parameters.PARAMETERS` as
a default.

A request of this format's own source returns as it was parsed; members may change their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from oneapi.dialects.base import Hints, Outgoing
from oneapi.dialects.base_bodies import applies, body_of
from oneapi.dialects.base_calls import plainly_named
from oneapi.dialects.base_turns import as_url, linked
from oneapi.dialects.dashscope_parameters import render_parameters
from oneapi.dialects.dashscope_parse import FORM
from oneapi.dialects.dashscope_shapes import MULTIMODAL, NAME, TEXT
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON

_HEADERS: Final = (
    ("workspace", b"x-dashscope-workspace"),
    ("plugin", b"x-dashscope-plugin"),
    ("data_inspection", b"x-dashscope-datainspection"),
)


def render_request(chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
    """Raises `ApiError` 400 for documents and for media by a foreign provider's file id."""
    options = hints.options
    if chat.source != NAME:
        chat = plainly_named(chat, custom=True)
    work = _Work(
        chat,
        hints,
        own=chat.source == NAME,
        multimodal=applies(options.get("multimodal"), model),
        marks=applies(options.get("cache_marks"), model),
    )
    messages = work.messages()
    body: dict[str, JSON] = {"model": model, "input": work.input(messages)}
    parameters = render_parameters(chat, hints, work.dropped)
    if parameters or not work.own or "parameters" in chat.extra:
        body["parameters"] = parameters
    if work.own:
        beside = chat.extra.items()
        body.update({k: v for k, v in beside if k not in ("input", "parameters")})
    else:
        work.dropped += chat.extra
    return Outgoing(
        MULTIMODAL if work.multimodal else TEXT,
        body_of(body),
        chat.stream,
        headers=work.headers(),
        dropped=work.dropped,
    )


@dataclass(slots=True)
class _Work:
    """One request on its way to the wire."""

    chat: ChatRequest
    hints: Hints
    own: bool
    dropped: list[str] = field(default_factory=list)
    multimodal: bool = False
    marks: bool = False  # marks of prefixes to be cached are sent
    stored: bool = False  # a medium lies in the vendor's own store: a header lets it be looked up

    def messages(self) -> list[JSON]:
        chat = self.chat
        media = any(_has_media(message.parts) for message in chat.messages)
        self.multimodal = self.multimodal or media
        messages = chat.messages if self.own else linked(chat.messages)
        turn = max((i for i, m in enumerate(messages) if m.role == "user"), default=-1)
        out: list[JSON] = []
        for i, message in enumerate(messages):
            out += self._message(message, f"messages[{i}]", thoughts=self.own or i > turn)
        return out

    def input(self, messages: list[JSON]) -> JSON:
        given = self.chat.extra.get("input") if self.own else None
        rest = given if isinstance(given, dict) else {}
        if self.own and messages and self.chat.messages[0].extra.get(FORM) == "prompt":
            return {"prompt": messages[0]["content"], **rest}
        return {"messages": messages, **rest}

    def headers(self) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        if self.chat.stream:
            found += [(b"accept", b"text/event-stream"), (b"x-dashscope-sse", b"enable")]
        if self.stored:
            found.append((b"x-dashscope-ossresourceresolve", b"enable"))
        for option, name in _HEADERS:
            value = self.hints.options.get(option)
            if isinstance(value, str) and value:
                found.append((name, value.encode("ascii", "replace")))
        return found

    def _message(self, message: Message, at: str, *, thoughts: bool) -> list[JSON]:
        """One message of the middle: its tool results stand alone here, before the rest."""
        results: list[JSON] = []
        parts: list[tuple[int, Part]] = []
        for i, part in enumerate(message.parts):
            if isinstance(part, ToolResult):
                results.append(self._result(part, message, f"{at}.content[{i}]"))
            else:
                parts.append((i, part))
        if not self.own:
            self.dropped += [f"{at}.{name}" for name in message.extra]
        if results and not parts:
            return results
        role = "system" if message.role == "developer" else message.role
        entry: dict[str, JSON] = {"role": role}
        if message.name:
            entry["name"] = message.name
        self._fill(entry, parts, at, form=message.extra.get(FORM) if self.own else None)
        thought = "\n".join(p.text for _, p in parts if isinstance(p, Reasoning) and p.text)
        if (thought and thoughts) or (self.own and any(isinstance(p, Reasoning) for _, p in parts)):
            entry["reasoning_content"] = thought
        if self.own:
            entry.update({k: v for k, v in message.extra.items() if k != FORM})
        return [*results, entry]

    def _fill(
        self, entry: dict[str, JSON], parts: Sequence[tuple[int, Part]], at: str, *, form: JSON
    ) -> None:
        """Content and calls."""
        said: list[tuple[int, Part]] = []
        calls: list[JSON] = []
        for i, part in parts:
            if isinstance(part, ToolCall):
                calls.append(self._call(part, f"{at}.content[{i}]"))
            elif not isinstance(part, Reasoning):
                said.append((i, part))
        content = self._content(said, at, form=form)
        if content is not None or form == "null":
            entry["content"] = content
        if calls:
            entry["tool_calls"] = calls

    def _content(self, parts: Sequence[tuple[int, Part]], at: str, *, form: JSON) -> JSON:
        """A string, a list of items, or None where an own message has none."""
        if self.own:
            as_list = form == "list"
            if form == "null" or not (parts or as_list):
                return None
        else:
            marked = self.marks and any(_marked(part) for _, part in parts)
            as_list = self.multimodal or marked
        items = [self._item(part, f"{at}.content[{i}]") for i, part in parts]
        kept = [item for item in items if item is not None]
        if as_list:
            return kept
        return "\n".join(item["text"] for item in kept)

    def _item(self, part: Part, at: str) -> JSON:
        """One item of a content list; None for what is dropped."""
        match part:
            case Text() | Refusal():
                return self._text(part, at)
            case Media():
                return self._media(part, at)
            case Opaque() if part.dialect == NAME:
                return part.data
            case _:
                self.dropped.append(at)
                return None

    def _text(self, part: Text | Refusal, at: str) -> JSON:
        item: dict[str, JSON] = {"text": part.text}
        if isinstance(part, Text) and part.cache:
            if self.own or self.marks:
                item["cache_control"] = {"type": "ephemeral"}
            else:
                self.dropped.append(f"{at}.cache_control")
        if self.own:
            item.update(part.extra)
        else:
            self.dropped += [f"{at}.{name}" for name in part.extra]
        return item

    def _media(self, part: Media, at: str) -> JSON:
        if part.kind == "file":
            if part.text:
                return {"text": part.text}
            raise _refused(at, "documents cannot be given to this model")
        url = as_url(part)
        if not url and not (self.own and part.kind in part.extra):
            raise _refused(at, "media by file id cannot be given to this model")
        self.stored = self.stored or url.startswith("oss://")
        if self.own:
            return {part.kind: url, **part.extra}
        self.dropped += [f"{at}.{name}" for name in part.extra]
        if part.detail not in ("", "auto"):
            self.dropped.append(f"{at}.detail")
        if part.cache:
            self.dropped.append(f"{at}.cache_control")
        return {part.kind: url}

    def _call(self, part: ToolCall, at: str) -> JSON:
        arguments = part.arguments
        function: dict[str, JSON] = {"name": part.name, "arguments": arguments or "{}"}
        entry: dict[str, JSON] = {"id": part.id, "type": "function", "function": function}
        if not self.own:
            self.dropped += [f"{at}.{name}" for name in part.extra]
            return entry
        if not arguments:
            del function["arguments"]
        if not part.name:
            del function["name"]
        if not part.id:
            del entry["id"]
        function.update(part.extra.get("function", {}))
        entry.update({k: v for k, v in part.extra.items() if k != "function"})
        if entry["type"] is None:
            del entry["type"]
        return entry

    def _result(self, part: ToolResult, message: Message, at: str) -> JSON:
        entry: dict[str, JSON] = {"role": "tool"}
        numbered = list(enumerate(part.parts))
        form = message.extra.get(FORM) if self.own else None
        content = self._content(numbered, at, form=form)
        if content is not None or form == "null":
            entry["content"] = content
        if part.call_id:
            entry["tool_call_id"] = part.call_id
        if part.name:
            entry["name"] = part.name
        if self.own:
            entry.update({k: v for k, v in message.extra.items() if k != FORM})
            return entry
        if part.error:
            self.dropped.append(f"{at}.is_error")
        if part.cache:
            self.dropped.append(f"{at}.cache_control")
        self.dropped += [f"{at}.{name}" for name in part.extra]
        return entry


def _has_media(parts: Sequence[Part]) -> bool:
    return any(
        (isinstance(part, Media) and part.kind != "file")
        or (isinstance(part, ToolResult) and _has_media(part.parts))
        or (isinstance(part, Opaque) and part.dialect == NAME)
        for part in parts
    )


def _marked(part: Part) -> bool:
    return isinstance(part, Text) and bool(part.cache)


def _refused(param: str, message: str) -> ApiError:
    return ApiError(400, message, code="unsupported_value", param=param)
