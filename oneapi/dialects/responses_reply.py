"""Answers of the middle as response objects: what both whole answers and streams are made of.

https://platform.openai.com/docs/api-reference/responses/object (read 2026-11-24). An answer that
came in this dialect keeps its members and items, up to what was changed on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_calls import text_of, wire_name
from oneapi.dialects.base_turns import plain_text
from oneapi.dialects.responses_answers import APART
from oneapi.dialects.responses_items import output_parts
from oneapi.dialects.responses_shapes import NAME, Object, Turn, seal, sealed_bytes
from oneapi.dialects.responses_tools import render_choice, render_format, render_tools
from oneapi.dialects.responses_turns import compacts
from oneapi.dialects.responses_usage import render_usage
from oneapi.dialects.responses_write import thought_item
from oneapi.ir import (
    ChatRequest,
    ChatResponse,
    Choice,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Stop,
    Text,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON

_INCOMPLETE: Final[Mapping[Stop, str]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority"})
_LATE: Final = ("output", "status", "usage", "completed_at", "error", "incomplete_details")
"""Members that an answer has at its end alone."""


class Answer:
    """One answer to one request: its ids, and what of the request it repeats."""

    def __init__(self, chat: ChatRequest, stamp: Stamp) -> None:
        self._tools = {t.name: t for t in chat.tools if t.kind != "hosted"}
        self._tools.update((wire_name(t.name, t.namespace), t) for t in [*self._tools.values()])
        self.compacts = compacts(chat.messages)
        self._stamp = stamp
        self._count = 0
        self._base = _echo(chat)
        self._extra: Object = {}

    def begin(
        self, source: str, name: str, model: str, created: int, tier: str, extra: Object
    ) -> None:
        """What the provider says of its answer; `extra` counts where it spoke this dialect."""
        own = source == NAME
        self._base["id"] = name if own and name else f"resp_{self._stamp.id}"
        self._base["model"] = self._stamp.model or model or self._base["model"]
        self._base["created_at"] = created if own else created or self._stamp.created
        if tier and (own or tier in _TIERS):
            self._base["service_tier"] = tier
        if own:
            self.keep(extra)

    def keep(self, response: Object) -> None:
        """Members of the provider's own response."""
        known = (*APART, *_LATE)
        self._extra.update((k, v) for k, v in response.items() if k not in known)

    def response(
        self,
        status: str,
        output: list[JSON],
        usage: JSON = None,
        *,
        late: Object | None = None,
    ) -> Object:
        """The whole object; `late` are members known at its end, in their own words."""
        whole = {**self._base, **self._extra, "status": status, "output": output, "usage": usage}
        if status != "in_progress":
            elapsed = self._stamp.elapsed_ns() // 1_000_000_000
            whole["completed_at"] = self._stamp.created + elapsed
        if late:
            whole.update(late)
        return whole

    def make_id(self, prefix: str) -> str:
        """The next id: the same for the same call of the gateway."""
        self._count += 1
        return f"{prefix}_{self._stamp.id}{self._count:04x}"

    def wraps(self, call: ToolCall) -> bool:
        """Whether the provider knew a custom tool as a function of one string."""
        tool = self._tools.get(call.name)
        return tool is not None and tool.kind == "custom" and not call.custom

    def named(self, call: ToolCall, own: bool) -> ToolCall:
        """The call as this client's tools have it: its id, namespace, and whether it is custom."""
        if own:
            return call
        tool = self._tools.get(call.name)
        wraps = self.wraps(call)
        custom = call.custom or wraps
        return replace(
            call,
            id=call.id or self.make_id("call"),
            item_id=self.make_id("ctc" if custom else "fc"),
            name=tool.name if tool is not None else call.name,
            namespace=call.namespace or (tool.namespace if tool is not None else ""),
            custom=custom,
            arguments=text_of(call.arguments) if wraps else call.arguments,
        )


def render_response(reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
    """The body of a whole answer. Of several answers the first: there is one here."""
    own = reply.source == NAME
    answer = Answer(chat, stamp)
    answer.begin(
        reply.source, reply.id, reply.model, reply.created, reply.service_tier, reply.extra
    )
    choice = min(reply.choices, key=lambda c: c.index, default=Choice([], "stop"))
    status, late = ending(choice.stop or "stop")
    originals = reply.extra.get("output") if own else None
    items = _items(choice, answer, own, originals if isinstance(originals, list) else [])
    if own:
        late.update((k, reply.extra[k]) for k in _LATE[3:] if k in reply.extra)
        status = reply.extra.get("status", status)
    elif status == "incomplete" and items:
        items[-1]["status"] = status
    usage = render_usage(reply.usage, reply.raw_usage if own else None) if reply.usage else None
    if own and usage is None:
        usage = reply.raw_usage
    whole = answer.response(status, items, usage, late=late)
    if own and reply.extra:  # the provider said all of it: nothing is added
        whole = {k: v for k, v in whole.items() if k in reply.extra or k in APART}
    return sealed_bytes(whole)


def ending(stop: Stop) -> tuple[str, Object]:
    """Status and late members that say how an answer ended."""
    reason = _INCOMPLETE.get(stop)
    if reason is None:
        return "completed", {}
    return "incomplete", {"incomplete_details": {"reason": reason}, "completed_at": None}


def message_item(name: str, content: list[JSON], status: str) -> Object:
    return {
        "id": name,
        "type": "message",
        "status": status,
        "content": content,
        "role": "assistant",
    }


def call_item(call: ToolCall, arguments: str, status: str, own: bool) -> Object:
    """A function's call, or a custom tool's."""
    item: Object = {
        "id": call.item_id,
        "type": "custom_tool_call" if call.custom else "function_call",
        "status": status,
        "input" if call.custom else "arguments": arguments,
        "call_id": call.id,
        "name": call.name,
    }
    if call.namespace:
        item["namespace"] = call.namespace
    if own:
        item.update(call.extra)
    return item


def content_part(part: Text | Refusal, text: str, logprobs: JSON, own: bool) -> Object:
    """A part of a message's content, with the text that it holds by now."""
    if isinstance(part, Refusal):
        entry: Object = {"type": "refusal", "refusal": text}
    else:
        entry = {
            "type": "output_text",
            "annotations": cited(part.annotations, own),
            "logprobs": logprobs or [],
            "text": text,
        }
    if own:
        entry.update(part.extra)
    return entry


def cited(annotations: Sequence[JSON], own: bool) -> list[JSON]:
    """Citations that this dialect can say: its own, and a chat's of a page."""
    if own:
        return list(annotations)
    found = []
    for annotation in annotations:
        inner = annotation.get("url_citation") if isinstance(annotation, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("url"), str):
            found.append(
                {
                    "type": "url_citation",
                    "start_index": inner.get("start_index") or 0,
                    "end_index": inner.get("end_index") or 0,
                    "url": inner["url"],
                    "title": inner.get("title") or "",
                }
            )
    return found


def sealed_thought(part: Reasoning, own: bool) -> Reasoning:
    """A thought as this dialect has it: its signature, and what another dialect encrypted, sealed
    in what is encrypted here.

    Those of other dialects are shown as summaries, which is what clients show; the note remembers
    what they were.
    """
    data = part.data
    if part.signature or (data and not own):
        note: Object = {"text": part.text, "signature": part.signature, "data": data}
        note |= {"summary": part.summary, "id": "" if own else part.id}
        data = seal({k: v for k, v in note.items() if v})
    return replace(part, data=data, signature="", summary=part.summary or not own)


def call_note(call: ToolCall, name: str) -> Object:
    """A reasoning item that carries the signature of a call, for its replay."""
    data = seal({"call": call.id, "signature": call.signature})
    return thought_item([Reasoning(id=name, data=data)])


def compaction_item(summary: str, name: str) -> Object:
    """A summary as a note of our own, which is read back as what it says."""
    return {"id": name, "type": "compaction", "encrypted_content": seal({"summary": summary})}


def image_item(part: Media, name: str) -> Object:
    """A picture that the model made."""
    item: Object = {
        "id": name,
        "type": "image_generation_call",
        "status": "completed",
        "result": part.data,
    }
    form = part.media_type.removeprefix("image/")
    if form in ("png", "webp", "jpeg", "gif"):
        item["output_format"] = form
    return item


def _items(choice: Choice, answer: Answer, own: bool, originals: list[JSON]) -> list[JSON]:
    parts, items = choice.parts, []
    if answer.compacts and not own:
        return [compaction_item(plain_text(parts), answer.make_id("cmp"))]
    place = 0
    for item in originals:
        made = output_parts([item])
        if parts[place : place + len(made)] != made:
            break
        items.append(item)
        place += len(made)
    writer = _Writer(answer, own, choice.logprobs if not own else None)
    for part in parts[place:]:
        writer.write(part)
    return items + writer.close()


class _Writer:
    """Parts to items."""

    def __init__(self, answer: Answer, own: bool, logprobs: JSON) -> None:
        self._answer = answer
        self._own = own
        self._logprobs = logprobs.get("content") if isinstance(logprobs, dict) else None
        self._items: list[JSON] = []
        self._content: list[JSON] = []
        self._thought: list[Reasoning] = []

    def close(self) -> list[JSON]:
        self._flush()
        return self._items

    def write(self, part: Part) -> None:
        if not isinstance(part, Text | Refusal):
            self._flush(keep=part if isinstance(part, Reasoning) else None)
        match part:
            case Text() | Refusal():
                self._flush_thought()
                logprobs = self._logprobs if isinstance(part, Text) else None
                if logprobs:
                    self._logprobs = None
                self._content.append(content_part(part, part.text, logprobs, self._own))
            case Reasoning():
                self._thought.append(sealed_thought(part, self._own))
            case ToolCall():
                self._call(part)
            case Media():
                if part.kind == "image" and part.data:
                    self._items.append(image_item(part, self._answer.make_id("ig")))
            case Opaque():
                if part.dialect == NAME:
                    self._items.append(part.data)
            case ToolResult():  # of a hosted tool, which is told in its own dialect alone
                pass

    def _call(self, part: ToolCall) -> None:
        call = self._answer.named(part, self._own)
        if not call.item_id:
            call = replace(call, item_id=self._answer.make_id("ctc" if call.custom else "fc"))
        self._items.append(call_item(call, call.arguments, "completed", self._own))
        if call.signature:
            self._items.append(call_note(call, self._answer.make_id("rs")))

    def _flush(self, keep: Reasoning | None = None) -> None:
        if self._content:
            content, self._content = self._content, []
            name = self._answer.make_id("msg")
            self._items.append(message_item(name, content, "completed"))
        if keep is None or not self._joins(keep):
            self._flush_thought()

    def _joins(self, part: Reasoning) -> bool:
        """Whether a thought and its summary are one item."""
        held = self._thought[-1] if self._thought else None
        return held is not None and bool(part.id) and held.id == part.id and self._own

    def _flush_thought(self) -> None:
        if self._thought:
            thoughts, self._thought = self._thought, []
            item = thought_item(thoughts)
            item["id"] = item["id"] or self._answer.make_id("rs")
            self._items.append(item)


def _echo(chat: ChatRequest) -> Object:
    """The members that repeat the request, and what they are where it said nothing."""
    ignored: list[str] = []
    first = chat.messages[0] if chat.messages else None
    part = first.parts[0] if first is not None and first.parts else None
    instructed = isinstance(first, Turn) and first.origin == "instructions"
    choice = chat.tool_choice
    thinking = chat.thinking
    text: Object = {"format": {"type": "text"}, "verbosity": chat.verbosity or "medium"}
    if chat.format is not None:
        text["format"] = render_format(chat.format, True, ignored)
    return {
        "id": "",
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": part.text if instructed and isinstance(part, Text) else None,
        "max_output_tokens": chat.max_output,
        "max_tool_calls": chat.extra.get("max_tool_calls"),
        "model": chat.model,
        "output": [],
        "parallel_tool_calls": chat.parallel_tools is not False,
        "previous_response_id": chat.extra.get("previous_response_id"),
        "prompt_cache_key": chat.cache_key or None,
        "reasoning": {
            "effort": (thinking.effort or None) if thinking is not None else None,
            "summary": (thinking.summary or None) if thinking is not None else None,
        },
        "safety_identifier": chat.extra.get("safety_identifier"),
        "service_tier": chat.service_tier or "auto",
        "store": chat.extra.get("store", True),
        "temperature": chat.temperature if chat.temperature is not None else 1.0,
        "text": text,
        "tool_choice": (
            render_choice(choice, chat.tools, True, ignored) if choice is not None else "auto"
        ),
        "tools": [_complete(tool) for tool in render_tools(chat.tools, True, ignored)],
        "top_logprobs": chat.top_logprobs or 0,
        "top_p": chat.top_p if chat.top_p is not None else 1.0,
        "truncation": chat.extra.get("truncation", "disabled"),
        "usage": None,
        "user": chat.user or None,
        "metadata": chat.extra.get("metadata", {}),
    }


def _complete(tool: JSON) -> JSON:
    """A function as answers repeat it: strict where the request left that out."""
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    return {"parameters": None, "description": None, **tool, "strict": tool.get("strict", True)}
