"""The client's side of chats that are more than a question: those that follow a stored answer, and
compactions, which any provider of chats can do.

https://platform.openai.com/docs/guides/conversation-state (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from oneapi.dialects.base import ChatFace, Stamp, StreamRenderer
from oneapi.dialects.responses_history import compact_request, compact_response
from oneapi.dialects.responses_kept import ends_with_trigger
from oneapi.dialects.responses_shapes import NAME, Object, seal
from oneapi.errors import ApiError
from oneapi.ir import (
    BlockStart,
    BlockStop,
    ChatRequest,
    ChatResponse,
    Choice,
    Delta,
    Envelope,
    Event,
    Failed,
    Finish,
    Opaque,
    Spent,
    Start,
    Text,
)
from oneapi.wire.json import JSON


class FollowingFace:
    """A client's side of a chat whose answer says which one it follows, although the request that
    is rendered holds that history itself.
    """

    def __init__(self, face: ChatFace, previous: str) -> None:
        self._face = face
        self._previous = previous
        self.NAME = face.NAME
        self.CONTENT_TYPE = face.CONTENT_TYPE

    def parse_request(self, body: JSON, envelope: Envelope) -> ChatRequest:
        return self._face.parse_request(body, envelope)

    def render_request(self, chat: ChatRequest) -> JSON:
        return self._face.render_request(chat)

    def render_response(self, reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
        return self._face.render_response(reply, self._with_previous(chat), stamp)

    def stream_renderer(self, chat: ChatRequest, stamp: Stamp) -> StreamRenderer:
        return self._face.stream_renderer(self._with_previous(chat), stamp)

    def _with_previous(self, chat: ChatRequest) -> ChatRequest:
        if not self._previous:
            return chat
        return replace(chat, extra={**chat.extra, "previous_response_id": self._previous})


class CompactingFace(FollowingFace):
    """`/responses/compact`."""

    def __init__(self, face: ChatFace) -> None:
        super().__init__(face, "")
        self._body: JSON = None

    def parse_request(self, body: JSON, envelope: Envelope) -> ChatRequest:
        self._body = body
        return compact_request(body, envelope)

    def render_response(self, reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
        return compact_response(reply, self._body, stamp)


class TriggeredFace(FollowingFace):
    """A compaction that is asked for by a `compaction_trigger` at the end of the input: the answer
    is one item that stands for the conversation.
    """

    def parse_request(self, body: JSON, envelope: Envelope) -> ChatRequest:
        given = body.get("input") if isinstance(body, dict) else None
        if isinstance(given, list) and ends_with_trigger(given):
            body = {**body, "input": given[:-1]}
        chat = compact_request(body, envelope)
        chat.stream = envelope.stream
        return chat

    def render_response(self, reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
        first = reply.choices[0] if reply.choices else Choice([], "stop")
        text = "".join(part.text for part in first.parts if isinstance(part, Text))
        choice = replace(first, parts=[_note(text, stamp)], index=0)
        compacted = replace(reply, choices=[choice], source="", extra={})
        return super().render_response(compacted, chat, stamp)

    def stream_renderer(self, chat: ChatRequest, stamp: Stamp) -> StreamRenderer:
        return _Compaction(super().stream_renderer(chat, stamp), stamp)


class _Compaction:
    """A streamed summary as one item, which is sent when the summary is complete."""

    def __init__(self, renderer: StreamRenderer, stamp: Stamp) -> None:
        self._renderer = renderer
        self._stamp = stamp
        self._texts: list[str] = []
        self._open: set[int] = set()

    def render(self, events: Iterable[Event]) -> bytes:
        out: list[Event] = []
        for event in events:
            match event:
                case Start():
                    out.append(replace(event, source="", extra={}))
                case BlockStart(part=Text(), choice=0):
                    self._open.add(event.index)
                case Delta() if event.index in self._open:
                    self._texts.append(event.text)
                case Finish(choice=0):
                    note = _note("".join(self._texts), self._stamp)
                    out += [BlockStart(0, note), BlockStop(0), event]
                case Spent() | Failed():
                    out.append(event)
                case _:
                    pass  # thoughts, and what belongs to other choices
        return self._renderer.render(out)

    def fail(self, error: ApiError) -> bytes:
        return self._renderer.fail(error)

    def close(self) -> bytes:
        return self._renderer.close()


def _note(summary: str, stamp: Stamp) -> Opaque:
    item: Object = {
        "id": f"cmp_{stamp.id}",
        "type": "compaction",
        "encrypted_content": seal({"summary": summary}),
    }
    return Opaque(NAME, item)
