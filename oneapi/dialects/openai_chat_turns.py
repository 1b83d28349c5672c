"""Messages of the typed middle as OpenAI's chat writes them.

A message that came in this dialect and was not changed is written as it came. What this format
cannot say is dropped and named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, assert_never

from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_calls import SHORTEST, wire_name
from oneapi.dialects.base_turns import as_url, linked
from oneapi.dialects.openai_chat_shapes import NAME, Thought, Turn, bad, mark
from oneapi.dialects.openai_chat_thoughts import (
    render_blocks,
    render_details,
    render_thinking_part,
)
from oneapi.ir import (
    Extra,
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

ThoughtsIn = Literal["reasoning_content", "reasoning", "reasoning_details", "thinking", "none"]
"""Where a provider wants the thoughts of earlier turns."""

_LONGEST_ID: Final = 40

_FORMATS: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}


@dataclass(slots=True)
class Manner:
    """How messages are written for one provider.

    `same` says that the request came in this dialect. `system_role` is the role of system prompts,
    `thoughts` where earlier thoughts go, `signed` whether calls keep their signatures, `cache`
    whether marks of cached prefixes are understood, `flat` whether text must be one string,
    `custom` whether custom tools are known; where they are not, their calls are those of a function
    with the single argument `input`.
    """

    same: bool = True
    system_role: str = ""
    thoughts: ThoughtsIn = "reasoning_content"
    cache: bool = True
    flat: bool = False
    custom: bool = True
    signed: bool = True
    dropped: list[str] = field(default_factory=list)


def render_messages(messages: Sequence[Message], manner: Manner) -> list[JSON]:
    """Raises `ApiError` 400 naming a part that must not be dropped."""
    out: list[JSON] = []
    for i, message in enumerate(messages if manner.same else linked(messages)):
        if manner.same and isinstance(message, Turn) and message.wire is not None:
            out.append(message.wire)
        else:
            _Writer(message, f"messages[{i}]", manner).write(out)
    return out


class _Writer:
    """One message, as one of the format or several."""

    def __init__(self, message: Message, at: str, manner: Manner) -> None:
        self._message = message
        self._at = at
        self._manner = manner
        self._content: list[JSON] = []
        self._thoughts: list[Reasoning] = []
        self._calls: list[ToolCall] = []
        self._refusal = ""
        self._members: Extra = {}
        self._results: list[JSON] = []
        self._shown: list[JSON] = []  # media of results, which this format has in user's turns

    def write(self, out: list[JSON]) -> None:
        for i, part in enumerate(self._message.parts):
            self._part(part, f"{self._at}.content[{i}]")
        if not self._manner.same:
            self._manner.dropped += (f"{self._at}.{name}" for name in self._message.extra)
        out += self._results
        if self._shown:
            out.append({"role": "user", "content": self._shown})
        match self._message.role:
            case "assistant":
                out.append(self._assistant())
            case "tool":
                if self._content:
                    out.append({"role": "user", "content": self._text_or_parts()})
            case "system" | "developer" | "user":
                if self._content or not self._results:
                    out.append(self._plain())

    def _part(self, part: Part, at: str) -> None:
        match part:
            case Text():
                self._text(part, at)
            case Refusal():
                self._refused(part)
            case Reasoning():
                self._thoughts.append(part)
            case Media():
                self._media(part, at)
            case ToolCall():
                self._calls.append(part)
            case ToolResult():
                self._result(part, at)
            case Opaque():
                if part.dialect == NAME:
                    self._content.append(part.data)
                else:
                    self._manner.dropped.append(at)
            case _:
                assert_never(part)

    def _text(self, part: Text, at: str) -> None:
        if part.annotations and self._message.role == "assistant" and self._manner.same:
            self._members["annotations"] = part.annotations
        self._content.append(self._text_part(part, at))

    def _text_part(self, part: Text, at: str) -> JSON:
        entry: Extra = {"type": "text", "text": part.text}
        return self._finished(entry, part.cache, part.extra, at)

    def _refused(self, part: Refusal) -> None:
        if self._message.role == "assistant" and not part.extra:
            self._refusal += part.text
        else:
            self._content.append({"type": "refusal", "refusal": part.text, **part.extra})

    def _media(self, part: Media, at: str) -> None:
        if self._message.role == "assistant" and part.kind == "audio" and part.file_id:
            self._members["audio"] = {"id": part.file_id}
            return
        self._content.append(self._media_part(part, at))

    def _media_part(self, part: Media, at: str) -> JSON:
        entry = render_media(part, at, same=self._manner.same)
        return self._finished(entry, part.cache, part.extra, at)

    def _finished(self, entry: Extra, cache: str, extra: Extra, at: str) -> JSON:
        """A part with its mark and what the source has there beyond the middle."""
        if cache and self._manner.cache:
            entry["cache_control"] = mark(cache)
        elif cache:
            self._manner.dropped.append(f"{at}.cache_control")
        if not self._manner.same:
            self._manner.dropped += (f"{at}.{name}" for name in extra)
            return entry
        for name, value in extra.items():
            held = entry.get(name)
            if isinstance(held, dict) and isinstance(value, dict):
                value = {**held, **value}
            entry[name] = value
        return entry

    def _result(self, part: ToolResult, at: str) -> None:
        manner = self._manner
        if part.error and not manner.same:
            manner.dropped.append(f"{at}.is_error")
        content: list[JSON] = []
        for i, inner in enumerate(part.parts):
            where = f"{at}.content[{i}]"
            if isinstance(inner, Text):
                content.append(self._text_part(inner, where))
            elif isinstance(inner, Media) and manner.same:
                content.append(self._media_part(inner, where))
            elif isinstance(inner, Media):  # results are text alone: a user's turn shows the media
                label = f"Shown by the tool {part.name or part.call_id}:"
                self._shown.append({"type": "text", "text": label})
                self._shown.append(self._media_part(inner, where))
            elif isinstance(inner, Opaque) and inner.dialect == NAME:
                content.append(inner.data)
            else:
                manner.dropped.append(where)
        message: Extra = {"role": "tool", "content": _string_or_parts(content, flat=manner.flat)}
        if manner.same and not part.call_id and part.name:
            message = {**message, "role": "function", "name": part.name}
        else:
            message["tool_call_id"] = part.call_id if manner.same else short_id(part.call_id)
            if manner.same and part.name:
                message["name"] = part.name
        if part.cache and manner.cache:
            message["cache_control"] = mark(part.cache)
        elif part.cache:
            manner.dropped.append(f"{at}.cache_control")
        if manner.same:
            message |= {**part.extra, **self._message.extra}
        else:
            manner.dropped += (f"{at}.{name}" for name in part.extra)
        self._results.append(message)

    def _plain(self) -> JSON:
        role: str = self._message.role
        if role != "user" and self._manner.system_role:
            role = self._manner.system_role
        message: Extra = {"role": role, "content": self._text_or_parts()}
        if self._message.name:
            message["name"] = self._message.name
        if self._manner.same:
            message |= self._message.extra
        return message

    def _assistant(self) -> JSON:
        message: Extra = {"role": "assistant"}
        self._write_thoughts(message)
        message["content"] = self._text_or_parts()
        if self._calls:
            self._write_calls(message)
        if not message["content"] and (self._calls or self._refusal or self._members):
            message["content"] = None
        if self._refusal:
            message["refusal"] = self._refusal
        if self._message.name:
            message["name"] = self._message.name
        message |= self._members
        if self._manner.same:
            message |= self._message.extra
        return message

    def _text_or_parts(self) -> JSON:
        joins = self._manner.flat or (
            self._message.role == "assistant" and not self._manner.same
        )  # many servers take an assistant's content as a string alone
        return _string_or_parts(self._content, flat=joins)

    def _write_thoughts(self, message: Extra) -> None:
        if not self._thoughts:
            return
        if self._manner.same and any(isinstance(t, Thought) for t in self._thoughts):
            self._as_they_stood(message)
            return
        texts = "\n\n".join(t.text for t in self._thoughts if t.text)
        sealed = any(t.signature or t.data for t in self._thoughts)
        match self._manner.thoughts:
            case "reasoning_content" | "reasoning":
                if texts:
                    message[self._manner.thoughts] = texts
                elif sealed:
                    self._manner.dropped.append(f"{self._at}.reasoning")
            case "reasoning_details":
                if texts:
                    message["reasoning"] = texts
                message["reasoning_details"] = render_details(self._thoughts)
            case "thinking":
                shown = [render_thinking_part(t) for t in self._thoughts if t.text]
                self._content[:0] = shown
            case "none":
                self._manner.dropped.append(f"{self._at}.reasoning")
            case _:
                assert_never(self._manner.thoughts)

    def _as_they_stood(self, message: Extra) -> None:
        """Thoughts that came in this dialect, in the members that they came in."""
        blocks: list[Reasoning] = []
        details: list[Reasoning] = []
        parts: list[JSON] = []
        for thought in self._thoughts:
            member = thought.member if isinstance(thought, Thought) else "reasoning_content"
            if member == "thinking":
                parts.append(render_thinking_part(thought))
            elif member == "thinking_blocks":
                blocks.append(thought)
            elif member and thought.text:
                message[member] = message.get(member, "") + thought.text
            if isinstance(thought, Thought) and thought.detail is not None:
                details.append(thought)
        self._content[:0] = parts
        if details:
            message["reasoning_details"] = render_details(details)
        if blocks:
            message["thinking_blocks"] = render_blocks(blocks)

    def _write_calls(self, message: Extra) -> None:
        first = self._calls[0]
        if self._manner.same and not first.id and not first.custom and len(self._calls) == 1:
            message["function_call"] = {"name": first.name, "arguments": first.arguments}
            return
        message["tool_calls"] = [self._call(c, i) for i, c in enumerate(self._calls)]

    def _call(self, call: ToolCall, number: int) -> JSON:
        manner, at = self._manner, f"{self._at}.tool_calls[{number}]"
        if not manner.same:
            name = wire_name(call.name, call.namespace, most=SHORTEST)
            call = replace(call, id=short_id(call.id), name=name)
        if call.custom and not manner.custom:
            arguments = encode_text({"input": call.arguments})
            call = replace(call, arguments=arguments, custom=False)
        if call.cache and not manner.cache:
            manner.dropped.append(f"{at}.cache_control")
        if not manner.same:
            manner.dropped += (f"{at}.{name}" for name in call.extra)
        if call.signature and not manner.signed:
            manner.dropped.append(f"{at}.signature")
        return render_call(call, same=manner.same, cache=manner.cache, signed=manner.signed)


def short_id(id: str) -> str:
    """A call's id in the 40 characters that OpenAI allows; calls and results alike are cut."""
    return id if len(id) <= _LONGEST_ID else wire_name(id, most=_LONGEST_ID)


def render_call(call: ToolCall, *, same: bool, cache: bool = False, signed: bool = True) -> JSON:
    """A tool call, of a request or an answer. `same` says that its extras are this dialect's."""
    extra = dict(call.extra) if same else {}
    kind = "custom" if call.custom else "function"
    written = "input" if call.custom else "arguments"
    inner: Extra = {"name": call.name, written: call.arguments, **extra.pop(kind, {})}
    entry: Extra = {"id": call.id, "type": kind, kind: inner}
    if call.cache and cache:
        entry["cache_control"] = mark(call.cache)
    if call.signature and signed:
        entry["extra_content"] = signed_content(call.signature, extra.pop("extra_content", {}))
    return {**entry, **extra}


def signed_content(signature: str, others: Extra) -> JSON:
    """`extra_content` with a thought signature, as Google's servers give and want it."""
    google = others.get("google")
    held = google if isinstance(google, dict) else {}
    return {**others, "google": {**held, "thought_signature": signature}}


def render_media(part: Media, at: str, *, same: bool) -> Extra:
    """A medium as a content part. Raises `ApiError` 400 for what only its own provider has."""
    if part.file_id and not same:
        raise bad(at, "is a file of another provider's, which cannot be sent", "unsupported_value")
    if part.text and not part.data and not part.url:
        return {"type": "text", "text": part.text}
    match part.kind:
        case "image" | "video":
            inner: Extra = {"url": as_url(part)}
            if part.detail:
                inner["detail"] = part.detail
            return {"type": f"{part.kind}_url", f"{part.kind}_url": inner}
        case "audio":
            return _sound(part)
        case "file":
            return _file(part, named=not same)
        case _:
            assert_never(part.kind)


def _sound(part: Media) -> Extra:
    if part.url:
        return {"type": "audio_url", "audio_url": {"url": part.url}}
    subtype = part.media_type.partition("/")[2]
    inner: Extra = {"data": part.data}
    if subtype:
        inner["format"] = _FORMATS.get(subtype, subtype)
    return {"type": "input_audio", "input_audio": inner}


def _file(part: Media, *, named: bool) -> Extra:
    inner: Extra = {}
    if part.file_id:
        inner["file_id"] = part.file_id
    if part.filename:
        inner["filename"] = part.filename
    elif part.data and named:
        inner["filename"] = "document"  # OpenAI wants a name beside the data
    if part.url or part.data:
        inner["file_data"] = as_url(part)
    return {"type": "file", "file": inner}


def _string_or_parts(content: list[JSON], *, flat: bool) -> JSON:
    """One plain text is a string, nothing an empty one; everything else are parts."""
    if not content:
        return ""
    plain = all(isinstance(p, dict) and p.keys() == {"type", "text"} for p in content)
    if plain and (flat or len(content) == 1):
        return "\n\n".join(part["text"] for part in content) if flat else content[0]["text"]
    return content
