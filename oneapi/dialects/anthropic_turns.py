"""Conversations of other dialects as Anthropic's turns.

https://docs.anthropic.com/en/api/messages (read 2026-11-24): the system prompt stands apart, turns
alternate, results come first in the turn after their calls, no text is empty, ids and names have
few characters. Rules where the format leaves none: a system message inside the conversation is the
user's text between `<system>` tags; a conversation that the assistant begins gets a word before it;
one that has a system prompt alone says it as the user.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Final, Literal

from oneapi.dialects.anthropic_blocks import canonical_mark
from oneapi.dialects.anthropic_forms import NAME, Borrowed, input_of, refuse
from oneapi.dialects.base_calls import wire_name
from oneapi.dialects.base_turns import linked, system_first
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

_MARKS: Final = 4
"""Cache marks of one request, says the page; the earliest of more are dropped."""
_FIRST: Final = "(start)"
_MAGIC: Final = (
    ("/9j/", "image/jpeg"),
    ("iVBOR", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)


class Turns:
    """Renders the messages of one request. `dropped` names what has no place, `betas` what needs
    one of them, `calls` the tools that the conversation has called.
    """

    def __init__(self, messages: Sequence[Message], *, keep_system: bool = False) -> None:
        self.dropped: list[str] = []
        self.betas: list[str] = []
        self.calls: list[str] = []
        self.system: JSON = None
        self.turns: list[JSON] = []
        self._keep_system = keep_system
        self._marked: list[tuple[JSON, str]] = []
        self._results: list[JSON] = []  # of the last turn, which they are to begin
        first, rest = system_first(linked(messages))
        system = [b for i, m in enumerate(first) for b in self._system(m, f"messages[{i}]")]
        for index, message in enumerate(rest, len(first)):
            self._message(message, f"messages[{index}]")
        self._end_turn()
        self._settle(system)
        self._limit_marks()

    def mark(self, block: JSON, cache: str, where: str) -> None:
        """Put the mark on the block; which stay is decided when all are known."""
        if cache:
            block["cache_control"] = canonical_mark(cache)
            self._marked.append((block, f"{where}.cache_control"))

    def drop(self, extra: Extra, where: str) -> None:
        """Name the members that only their own dialect knows."""
        self.dropped += [f"{where}.{name}" for name, value in extra.items() if value is not None]

    def _settle(self, system: list[JSON]) -> None:
        if self.turns and self.turns[0]["role"] == "assistant":
            self._add("user", [{"type": "text", "text": _FIRST}], at=0)
        if system and not self.turns:
            self._add("user", system)
            return
        plain = len(system) == 1 and "cache_control" not in system[0]
        self.system = system[0]["text"] if plain else system or None

    def _limit_marks(self) -> None:
        for block, where in self._marked[:-_MARKS]:
            del block["cache_control"]
            self.dropped.append(where)

    def _add(self, role: str, blocks: list[JSON], *, at: int | None = None) -> None:
        self._end_turn()
        turn = {"role": role, "content": blocks}
        self.turns.insert(len(self.turns) if at is None else at, turn)

    def _system(self, message: Message, where: str) -> list[JSON]:
        self.drop(message.extra, where)
        blocks = []
        for index, part in enumerate(message.parts):
            at = f"{where}.content[{index}]"
            if isinstance(part, Text):
                blocks += self._text(part, at)
            else:
                self.dropped.append(at)
        return blocks

    def _message(self, message: Message, where: str) -> None:
        if message.role in ("system", "developer"):
            self._inner_system(message, where)
            return
        self.drop(message.extra, where)
        if message.name:
            self.dropped.append(f"{where}.name")
        role = "assistant" if message.role == "assistant" else "user"
        blocks: list[JSON] = []
        for index, part in enumerate(message.parts):
            blocks += self._part(part, role, f"{where}.content[{index}]")
        self._join(role, blocks)

    def _inner_system(self, message: Message, where: str) -> None:
        blocks = self._system(message, where)
        if not blocks:
            return
        if self._keep_system:
            self._add("system", blocks)
            return
        for block in blocks:
            block["text"] = f"<system>\n{block['text']}\n</system>"
        self._join("user", blocks)

    def _join(self, role: str, blocks: list[JSON]) -> None:
        """The blocks as a turn, or at the end of the turn of the same role; results first."""
        if not blocks:
            return
        if not self.turns or self.turns[-1]["role"] != role:
            self._add(role, [])
        held = self.turns[-1]["content"]
        for block in blocks:
            result = role == "user" and block["type"] == "tool_result"
            (self._results if result else held).append(block)

    def _end_turn(self) -> None:
        if self._results:
            self.turns[-1]["content"][:0] = self._results
            self._results = []

    def _part(self, part: Part, role: str, where: str) -> list[JSON]:
        match part:
            case Text():
                return self._text(part, where)
            case Refusal():
                self.drop(part.extra, where)
                return _texts(part.text)
            case Media():
                return self._media(part, where)
            case Reasoning() if role == "assistant":
                return self._thought(part, where)
            case ToolCall() if role == "assistant":
                return [self._call(part, where)]
            case ToolResult() if role == "user":
                return [self._result(part, where)]
            case Opaque() if part.dialect == NAME and _is_block(part.data):
                return [part.data]
            case _:
                self.dropped.append(where)
                return []

    def _text(self, part: Text, where: str) -> list[JSON]:
        self.drop(part.extra, where)
        if part.annotations:
            self.dropped.append(f"{where}.annotations")
        blocks = _texts(part.text)
        for block in blocks:
            self.mark(block, part.cache, where)
        return blocks

    def _thought(self, part: Reasoning, where: str) -> list[JSON]:
        """Thoughts that nothing vouches for, or that another provider encrypted, are refused by the
        API; the conversation is complete without them.
        """
        self.drop(part.extra, where)
        mine = not (part.id or part.summary or isinstance(part, Borrowed))
        if mine and part.signature and not part.data:
            return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]
        if mine and part.data and not (part.text or part.signature):
            return [{"type": "redacted_thinking", "data": part.data}]
        self.dropped.append(where)
        return []

    def _call(self, part: ToolCall, where: str) -> JSON:
        self.drop(part.extra, where)
        name = wire_name(part.name, part.namespace)
        self.calls.append(name)
        block: JSON = {
            "type": "tool_use",
            "id": wire_name(part.id),
            "name": name,
            "input": input_of(part.arguments, custom=part.custom),
        }
        self.mark(block, part.cache, where)
        return block

    def _result(self, part: ToolResult, where: str) -> JSON:
        self.drop(part.extra, where)
        block: JSON = {"type": "tool_result", "tool_use_id": wire_name(part.call_id)}
        inner: list[JSON] = []
        for index, item in enumerate(part.parts):
            at = f"{where}.content[{index}]"
            if isinstance(item, Text | Media | Refusal | Opaque):
                inner += self._part(item, "user", at)
            else:
                self.dropped.append(at)
        if len(inner) == 1 and inner[0].keys() == {"type", "text"}:
            block["content"] = inner[0]["text"]
        elif inner:
            block["content"] = inner
        if part.error:
            block["is_error"] = True
        self.mark(block, part.cache, where)
        return block

    def _media(self, part: Media, where: str) -> list[JSON]:
        self.drop(part.extra, where)
        if part.kind in ("audio", "video"):
            raise refuse(where, f"is {part.kind}, which this model cannot take", "unsupported")
        if part.detail not in ("", "auto"):
            self.dropped.append(f"{where}.detail")
        block: JSON = {
            "type": "image" if part.kind == "image" else "document",
            "source": self._source(part, where),
        }
        if part.filename and part.kind == "file":
            block["title"] = part.filename
        self.mark(block, part.cache, where)
        return [block]

    def _source(self, part: Media, where: str) -> JSON:
        if part.text:
            return {"type": "text", "media_type": "text/plain", "data": part.text}
        if part.url:
            if not part.url.startswith(("https://", "http://")):
                raise refuse(where, "must be an https URL or hold its data", "unsupported")
            return {"type": "url", "url": part.url}
        if "://" in part.file_id:
            raise refuse(where, "is a file of another provider's: send its content", "unsupported")
        if part.file_id:
            self.betas.append("files-api-2025-04-14")
            return {"type": "file", "file_id": part.file_id}
        media_type = part.media_type or sniffed(part.data)
        if part.kind == "file" and media_type != "application/pdf":
            text = _decoded(part.data, media_type)
            if text is None:
                raise refuse(
                    where, f"is {media_type or 'a file of unknown type'}: PDF or text is possible"
                )
            return {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "base64", "media_type": media_type, "data": part.data}


def sniffed(data: str) -> str:
    """The media type that base64 begins like, "" for none that is known here."""
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")


def _is_block(data: JSON) -> bool:
    return isinstance(data, dict) and isinstance(data.get("type"), str)


def _texts(text: str) -> list[JSON]:
    """The text as a block, nothing for white space: the API refuses it."""
    return [{"type": "text", "text": text}] if text.strip() else []


def _decoded(data: str, media_type: str) -> str | None:
    """Base64 of a text, None for what is none."""
    kinds: tuple[Literal["text/", "application/json", ""], ...] = ("text/", "application/json")
    if not media_type.startswith(kinds) and media_type:
        return None
    try:
        return b64decode(data).decode() or None
    except ValueError:
        return None
