"""What several dialects need of a conversation: ids and names of calls, system prompts, turns.

Requests are never changed: what is returned is new where it differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from oneapi.ir import ChatRequest, Media, Message, Part, Text, ToolCall, ToolResult

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?)(;base64)?,", re.IGNORECASE)


def linked(messages: Sequence[Message]) -> list[Message]:
    """The messages with ids on all calls and results, and the tool's name on every result.

    Dialects without ids join a result to its call by the tool's name and the order. An id made here
    is `call_` and the call's number in the conversation: the same at every turn.
    """
    return list(_Linker().messages(messages))


class _Linker:
    """Calls that wait for a result, by id, and by name in their order."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: dict[str, ToolCall] = {}
        self._by_name: dict[str, dict[str, None]] = {}  # ids, first come first served
        self._names: dict[str, str] = {}

    def messages(self, messages: Sequence[Message]) -> Iterator[Message]:
        for message in messages:
            parts: list[Part] = [self._part(part) for part in message.parts]
            same = all(new is old for new, old in zip(parts, message.parts, strict=True))
            yield message if same else replace(message, parts=parts)

    def _part(self, part: Part) -> Part:
        if isinstance(part, ToolCall):
            self._count += 1
            call = part if part.id else replace(part, id=f"call_{self._count}")
            self._waiting[call.id] = call
            self._by_name.setdefault(call.name, {})[call.id] = None
            self._names[call.id] = call.name
            return call
        if isinstance(part, ToolResult):
            return self._result(part)
        return part

    def _result(self, part: ToolResult) -> ToolResult:
        if part.call_id:
            self._answered(part.call_id)
            name = part.name or self._names.get(part.call_id, "")
            return part if name == part.name else replace(part, name=name)
        waiting = self._by_name.get(part.name, {}) if part.name else self._waiting
        found = next(iter(waiting), "")
        if not found:
            self._count += 1
            return replace(part, call_id=f"call_{self._count}")
        self._answered(found)
        return replace(part, call_id=found, name=self._names[found])

    def _answered(self, call_id: str) -> None:
        call = self._waiting.pop(call_id, None)
        if call is not None:
            self._by_name.get(call.name, {}).pop(call_id, None)


def system_first(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """The system and developer messages that open the conversation, and the rest."""
    count = 0
    for message in messages:
        if message.role not in ("system", "developer"):
            break
        count += 1
    return list(messages[:count]), list(messages[count:])


def plain_text(parts: Sequence[Part], between: str = "") -> str:
    """The texts among the parts, joined."""
    return between.join(part.text for part in parts if isinstance(part, Text))


def data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 of a `data:` URL; None for any other. Data that is not base64 is
    percent-encoded text and is encoded here.
    """
    found = _DATA_URL.match(url)
    if found is None:
        return None
    rest = url[found.end() :]
    if not found[3]:
        from base64 import b64encode
        from urllib.parse import unquote_to_bytes

        rest = b64encode(unquote_to_bytes(rest)).decode()
    return found[1].lower(), rest


def as_url(media: Media) -> str:
    """The medium's URL, a data: URL where it is given as data."""
    if media.url or not media.data:
        return media.url
    return f"data:{media.media_type or 'application/octet-stream'};base64,{media.data}"


def with_media(chat: ChatRequest, fetched: dict[str, tuple[str, str]]) -> ChatRequest:
    """The request with what was fetched, (media type, base64) by URL, in the place of the URLs."""
    return replace(chat, messages=[_filled(m, fetched) for m in chat.messages])


def _filled(message: Message, fetched: dict[str, tuple[str, str]]) -> Message:
    return replace(message, parts=[_fill(part, fetched) for part in message.parts])


def _fill(part: Part, fetched: dict[str, tuple[str, str]]) -> Part:
    if isinstance(part, ToolResult):
        return replace(part, parts=[_fill(inner, fetched) for inner in part.parts])
    if isinstance(part, Media) and part.url in fetched:
        media_type, data = fetched[part.url]
        return replace(part, url="", data=data, media_type=part.media_type or media_type)
    return part
