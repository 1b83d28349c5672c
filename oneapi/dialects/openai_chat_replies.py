"""Whole answers of the typed middle as clients of OpenAI's chat read them.

https://platform.openai.com/docs/api-reference/chat/object (read 2026-11-24). Thoughts stand in
`reasoning_content`; where a signature must come back with them they stand in `reasoning_details`
too, and a call's in its `extra_content`: clients send back the members that they were given.

An answer that came in this dialect is written as it came, but that null members may be left out or
added, `object`, a call's `type` and an empty `message` are always there, and a content that was an
object (JSON mode of some servers) is its text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_turns import as_url
from oneapi.dialects.openai_chat_shapes import NAME, WORDS, Asked, Thought
from oneapi.dialects.openai_chat_thoughts import render_details, render_thinking_part
from oneapi.dialects.openai_chat_turns import render_call
from oneapi.dialects.openai_json import dump
from oneapi.ir import (
    ChatRequest,
    ChatResponse,
    Choice,
    Extra,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from oneapi.wire.json import JSON

ID = "chatcmpl-"


def render_response(reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
    """The body of a whole answer."""
    same = reply.source == NAME
    body: Extra = {
        "id": reply.id or ID + stamp.id,
        "object": "chat.completion",
        "created": reply.created or stamp.created,
        "model": stamp.model or reply.model or chat.model,
        "choices": [_choice(c, chat, stamp, same=same) for c in reply.choices],
    }
    if reply.service_tier:
        body["service_tier"] = reply.service_tier
    if same and reply.raw_usage is not None:
        body["usage"] = reply.raw_usage
    elif reply.usage is not None:
        body["usage"] = render_usage(reply.usage)
    if same:
        body |= reply.extra
    return dump(body)


def is_legacy(chat: ChatRequest) -> bool:
    """Whether the client offered `functions`: it hears of `function_call`."""
    return isinstance(chat, Asked) and "functions" in chat.wire and "tools" not in chat.wire


def _choice(choice: Choice, chat: ChatRequest, stamp: Stamp, *, same: bool) -> JSON:
    extra = dict(choice.extra) if same else {}
    left = extra.pop("message", {})
    message = _Message(same=same, legacy=is_legacy(chat), stamp=stamp)
    for part in choice.parts:
        message.add(part)
    word: str | None = None
    if choice.stop is not None:
        word = finish_word(
            choice.native_stop if same else "", WORDS[choice.stop], legacy=is_legacy(chat)
        )
    return {
        "index": choice.index,
        "message": message.body(left),
        "logprobs": choice.logprobs,
        "finish_reason": word,
        **extra,
    }


def finish_word(native: str, word: str, *, legacy: bool) -> str:
    """The reason as this client knows it: the provider's own word where it spoke this dialect."""
    if native:
        return native
    return "function_call" if legacy and word == "tool_calls" else word


class _Message:
    """The message of one choice, part by part."""

    def __init__(self, *, same: bool, legacy: bool, stamp: Stamp) -> None:
        self._same = same
        self._legacy = legacy
        self._stamp = stamp
        self._content: list[JSON] = []  # parts, where the content is a list
        self._texts: list[str] = []
        self._length = 0
        self._listed = False
        self._thoughts: list[Reasoning] = []
        self._members: Extra = {}
        self._calls: list[ToolCall] = []

    def add(self, part: Part) -> None:
        match part:
            case Text():
                self._text(part)
            case Refusal():
                self._members["refusal"] = self._members.get("refusal", "") + part.text
            case Reasoning():
                self._thought(part)
            case Media():
                self._media(part)
            case ToolCall():
                self._calls.append(part)
            case Opaque():
                if part.dialect == NAME:
                    self._listed = True
                    self._content.append(part.data)
            case ToolResult():
                pass  # a hosted tool's: no client of this dialect knows it
            case _:
                assert_never(part)

    def body(self, left: Extra) -> JSON:
        """The message. `left` holds the members of a message in this dialect that no part holds."""
        content: JSON = "".join(self._texts) or None
        if self._listed or left.get("content") == []:
            content = self._content
        message: Extra = {"role": "assistant", "content": content, **self._members}
        message.setdefault("refusal", None)
        self._write_thoughts(message)
        if self._calls:
            self._write_calls(message)
        for name, value in left.items():
            if name != "content" or not content:
                message[name] = value
        return message

    def _text(self, part: Text) -> None:
        end = self._length + len(part.text)
        for annotation in part.annotations:
            cited = annotation if self._same else citation(annotation, self._length, end)
            if cited is not None:
                self._members.setdefault("annotations", []).append(cited)
        self._length = end
        self._texts.append(part.text)
        extra = part.extra if self._same else {}
        self._content.append({"type": "text", "text": part.text, **extra})

    def _thought(self, part: Reasoning) -> None:
        if self._same and isinstance(part, Thought) and part.member == "thinking":
            self._listed = True
            self._content.append(render_thinking_part(part))
            return
        self._thoughts.append(part)

    def _write_thoughts(self, message: Extra) -> None:
        if self._same:
            _as_they_stood(self._thoughts, message)
            return
        texts = [t.text for t in self._thoughts if t.text]
        if texts:
            message["reasoning_content"] = "\n\n".join(texts)
        if any(t.signature or t.data for t in self._thoughts):
            message["reasoning_details"] = render_details(self._thoughts)

    def _write_calls(self, message: Extra) -> None:
        if self._legacy and len(self._calls) == 1 and not self._calls[0].custom:
            call = self._calls[0]
            message["function_call"] = {"name": call.name, "arguments": call.arguments}
            return
        calls = [
            call if call.id else replace(call, id=call_id(self._stamp, number))
            for number, call in enumerate(self._calls)
        ]
        message["tool_calls"] = [render_call(call, same=self._same) for call in calls]

    def _media(self, part: Media) -> None:
        entry = media_member(part, same=self._same)
        if entry is None:
            return
        name, value = entry
        if name == "images":
            self._members.setdefault("images", []).append(value)
        else:
            self._members[name] = value


def _as_they_stood(thoughts: list[Reasoning], message: Extra) -> None:
    """Thoughts of this dialect, in the members that they came in."""
    details = [t for t in thoughts if isinstance(t, Thought) and t.detail is not None]
    for thought in thoughts:
        member = thought.member if isinstance(thought, Thought) else "reasoning_content"
        if member and member != "thinking_blocks" and thought.text:
            message[member] = message.get(member, "") + thought.text
    if details:
        message["reasoning_details"] = render_details(details)


def call_id(stamp: Stamp, number: int) -> str:
    """An id for a call whose provider gave none."""
    return f"call_{stamp.id}_{number}"


def media_member(part: Media, *, same: bool) -> tuple[str, JSON] | None:
    """The member of a message that shows a medium: `images` as OpenRouter has them, or `audio`."""
    extra = part.extra if same else {}
    if part.kind == "image" and (part.url or part.data):
        return "images", {"type": "image_url", "image_url": {"url": as_url(part)}, **extra}
    if part.kind == "audio":
        told: Extra = {"id": part.file_id or "audio_0", "data": part.data}
        if not same:
            told |= {"transcript": part.text, "expires_at": 0}
        return "audio", {**told, **extra}
    return None


def render_usage(usage: Usage) -> JSON:
    """The usage as this dialect counts: the parts of prompt and answer are in their wholes."""
    prompt, answer = usage.input_tokens, usage.output_tokens
    written = usage.cache_write_5m + usage.cache_write_1h
    details: Extra = {"cached_tokens": usage.cache_read, "audio_tokens": usage.audio_in}
    if written:
        details["cache_write_tokens"] = written
    if usage.image_in:
        details["image_tokens"] = usage.image_in
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": details,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_out,
        },
    }


def citation(annotation: JSON, start: int, end: int) -> JSON:
    """Another dialect's citation as a `url_citation`, None where it cites no address.

    `start` and `end` are the place of the text that it belongs to, used where it names none.
    """
    if not isinstance(annotation, dict):
        return None
    inner = annotation.get("url_citation")
    told = inner if isinstance(inner, dict) else annotation
    web = next((told[n] for n in ("web", "source") if isinstance(told.get(n), dict)), told)
    url = web.get("url") or web.get("uri")
    if not isinstance(url, str) or not url:
        return None
    title = web.get("title")
    first, last = told.get("start_index"), told.get("end_index")
    return {
        "type": "url_citation",
        "url_citation": {
            "url": url,
            "title": title if isinstance(title, str) else "",
            "start_index": first if isinstance(first, int) else start,
            "end_index": last if isinstance(last, int) else end,
        },
    }
