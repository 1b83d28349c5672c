"""Streams of Cohere as events: server-sent events of v2 chat, and lines of the older API.

https://docs.cohere.com/docs/streaming and …/reference/chat-stream-v1 (read 2026-11-24), the
vendor's SDK and recordings. Which of the two it is, the first byte tells. A text block that
ended is held open until something other than a citation follows: citations come after their text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_errors import describe, refused
from oneapi.dialects.cohere_response import call_of
from oneapi.dialects.cohere_shapes import NAME, PLAN, logprobs_of, parse_usage, stop_of
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Failed,
    Finish,
    Opaque,
    Part,
    Reasoning,
    Spent,
    Start,
    Text,
    ToolCall,
)
from oneapi.wire.json import JSON, MalformedJSON, decode
from oneapi.wire.lines import LineBlocks
from oneapi.wire.sse import EventBlocks, data_of, split

_LIMIT: Final = 64 * 1024 * 1024
_DONE: Final = b"[DONE]"
Key = tuple[str, int]
_TEXT, _CALL, _PLAN = "content", "tool_calls", "tool_plan"
Step = Callable[[JSON, list[Event]], None]


class CohereParser:
    """One stream. See `StreamParser`."""

    def __init__(self, stamp: Stamp) -> None:
        self.done = False
        self._stamp = stamp
        self._blocks: EventBlocks | LineBlocks | None = None
        self._open: dict[Key, int] = {}
        self._ended: Key | None = None
        self._texts: dict[Key, str] = {}
        self._count = 0
        self._started = False
        self._called = False
        self._steps: Mapping[str, Step] = {
            "content-delta": self._content_delta,
            "tool-call-delta": self._call_delta,
            "tool-plan-delta": self._plan_delta,
            "message-start": self._message_start,
            "content-start": self._content_start,
            "content-end": self._content_end,
            "tool-call-start": self._call_start,
            "tool-call-end": self._call_end,
            "citation-start": self._citation,
            "citation-end": _ignore,
            "message-end": self._message_end,
            "stream-start": self._older_start,
            "text-generation": self._older_text,
            "tool-calls-chunk": self._older_chunk,
            "tool-calls-generation": self._older_calls,
            "citation-generation": self._older_citations,
            "stream-end": self._older_end,
            "stream-error": self._failed,
        }

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self.done:
            return events
        if self._blocks is None:
            chunk = chunk.lstrip()
            if not chunk:
                return events
            lines = chunk.startswith(b"{")
            self._blocks = LineBlocks(_LIMIT) if lines else EventBlocks(_LIMIT)
        try:
            block = self._blocks.feed(chunk)
        except ValueError as error:
            self._fail({"message": str(error)}, events)
            return events
        self._walk(block, events)
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        if self._blocks is not None and not self.done:
            self._walk(self._blocks.close(), events)
        if not self.done:
            self._stop_all(events)
        return events

    def _walk(self, block: bytes, events: list[Event]) -> None:
        if not block:
            return
        if isinstance(self._blocks, LineBlocks):
            pieces = [line.strip() for line in block.split(b"\n")]
        else:
            pieces = [data for event in split(block) if (data := data_of(event)) is not None]
        for data in pieces:
            if self.done:
                return
            if data == _DONE:
                self._stop_all(events)
                self.done = True
            elif data:
                self._event(data, events)

    def _event(self, data: bytes, events: list[Event]) -> None:
        try:
            value = decode(data)
        except MalformedJSON as error:
            self._fail({"message": f"an event of the stream is no JSON: {error}"}, events)
            return
        if not isinstance(value, dict):
            self._fail({"message": "an event of the stream is no object"}, events)
            return
        name = value.get("type", value.get("event_type"))
        step = self._steps.get(name) if isinstance(name, str) else None
        if step is not None:
            step(value, events)
        elif name is None and describe(value)[0]:
            self._failed(value, events)
        else:
            self._begin("", events)
            events.append(Aside(NAME, value))

    def _failed(self, value: JSON, events: list[Event]) -> None:
        told = value.get("err")
        self._fail({"message": told} if isinstance(told, str) else value, events)

    def _fail(self, value: JSON, events: list[Event]) -> None:
        self.done = True
        events.append(Failed(refused(value)))

    # v2: typed events, blocks with numbers of their own

    def _message_start(self, value: JSON, events: list[Event]) -> None:
        self._begin(_word(value, "id"), events)

    def _content_start(self, value: JSON, events: list[Event]) -> None:
        content = _inside(value, "content")
        key, kind = (_TEXT, _number(value)), content.get("type")
        if kind not in ("text", "thinking"):
            if "text" not in content and "thinking" not in content:
                self._whole(Opaque(NAME, content), events)
                return
            kind = "text" if "text" in content else "thinking"
        self._start(key, Text("") if kind == "text" else Reasoning(), events)
        self._more(key, _word(content, kind), events)

    def _content_delta(self, value: JSON, events: list[Event]) -> None:
        content = _inside(value, "content")
        kind = "text" if isinstance(content.get("text"), str) else "thinking"
        text = content.get(kind)
        if not isinstance(text, str):
            return
        key = (_TEXT, _number(value))
        if self._texts.get(key) not in (None, kind):  # another kind under the same number
            self._stop(key, events)
        if key not in self._open:
            self._start(key, Text("") if kind == "text" else Reasoning(), events)
        logprobs = value.get("logprobs")
        found = logprobs_of(logprobs) if logprobs is not None else None
        events.append(Delta(self._open[key], text, found))

    def _content_end(self, value: JSON, events: list[Event]) -> None:
        key = (_TEXT, _number(value))
        if self._texts.get(key) == "text":
            self._ended = key
        else:
            self._stop(key, events)

    def _plan_delta(self, value: JSON, events: list[Event]) -> None:
        message = _message(value)
        self._planned(_word(message, "tool_plan"), events)

    def _call_start(self, value: JSON, events: list[Event]) -> None:
        call = call_of(_inside(value, "tool_calls"))
        first, call.arguments = call.arguments, ""
        key = (_CALL, _number(value))
        self._start(key, call, events)
        self._more(key, first, events)

    def _call_delta(self, value: JSON, events: list[Event]) -> None:
        function = _inside(value, "tool_calls").get("function")
        arguments = function.get("arguments") if isinstance(function, dict) else None
        if isinstance(arguments, str):
            self._more((_CALL, _number(value)), arguments, events)

    def _call_end(self, value: JSON, events: list[Event]) -> None:
        self._stop((_CALL, _number(value)), events)

    def _citation(self, value: JSON, events: list[Event]) -> None:
        citation = _message(value).get("citations")
        found = citation if isinstance(citation, list) else [citation]
        for item in found:
            place = item.get("content_index") if isinstance(item, dict) else None
            self._cite(item, place if isinstance(place, int) else None, events)

    def _message_end(self, value: JSON, events: list[Event]) -> None:
        delta = value.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        if _word(delta, "error"):
            self._fail({"message": delta["error"]}, events)
            return
        self._finish(delta, delta.get("usage"), events)

    # v1: one text, calls whole

    def _older_start(self, value: JSON, events: list[Event]) -> None:
        self._begin(_word(value, "generation_id"), events)

    def _older_text(self, value: JSON, events: list[Event]) -> None:
        text, key = _word(value, "text"), (_TEXT, 0)
        if text and key not in self._open:
            self._start(key, Text(""), events)
        self._more(key, text, events)

    def _older_chunk(self, value: JSON, events: list[Event]) -> None:
        """Pieces of the plan count; those of the calls come again, whole."""
        self._planned(_word(value, "text"), events)

    def _older_calls(self, value: JSON, events: list[Event]) -> None:
        calls = value.get("tool_calls")
        for i, item in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(item, dict):
                call = call_of(item, i + 1)
                arguments, call.arguments = call.arguments, ""
                self._start((_CALL, i), call, events)
                self._more((_CALL, i), arguments, events)
                self._stop((_CALL, i), events)

    def _older_citations(self, value: JSON, events: list[Event]) -> None:
        citations = value.get("citations")
        for item in citations if isinstance(citations, list) else []:
            self._cite(item, None, events)

    def _older_end(self, value: JSON, events: list[Event]) -> None:
        response = value.get("response")
        meta = response.get("meta") if isinstance(response, dict) else None
        reason = _word(value, "finish_reason")
        if reason.startswith("ERROR") and _word(value, "err"):
            self._failed(value, events)
            return
        self._finish(value, meta, events)

    # blocks

    def _begin(self, id_: str, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            stamp = self._stamp
            events.append(Start(id_ or stamp.id, stamp.model, stamp.created, source=NAME))

    def _start(self, key: Key, part: Part, events: list[Event]) -> None:
        self._begin("", events)
        self._stop(key, events)
        if self._ended is not None:
            self._stop(self._ended, events)
        if key[0] != _PLAN:
            self._stop((_PLAN, 0), events)
        self._called = self._called or isinstance(part, ToolCall)
        if not isinstance(part, ToolCall):
            self._texts[key] = "text" if isinstance(part, Text) else "thinking"
        self._open[key] = self._count
        events.append(BlockStart(self._count, part))
        self._count += 1

    def _more(self, key: Key, text: str, events: list[Event]) -> None:
        index = self._open.get(key)
        if text and index is not None:
            events.append(Delta(index, text))

    def _planned(self, text: str, events: list[Event]) -> None:
        key = (_PLAN, 0)
        if text and key not in self._open:
            self._start(key, Reasoning(extra={PLAN: True}), events)
        self._more(key, text, events)

    def _whole(self, part: Part, events: list[Event]) -> None:
        self._begin("", events)
        events += (BlockStart(self._count, part), BlockStop(self._count))
        self._count += 1

    def _cite(self, citation: JSON, place: int | None, events: list[Event]) -> None:
        """To the text it names, else the last one that is open; aside where there is none."""
        texts = [k for k in self._open if self._texts.get(k) == "text"]
        named = (_TEXT, place) if place is not None else None
        key = named if named in texts else texts[-1] if texts else None
        if key is None:
            self._begin("", events)
            events.append(Aside(NAME, {"citations": citation}))
        else:
            events.append(Annotation(self._open[key], citation))

    def _stop(self, key: Key, events: list[Event]) -> None:
        index = self._open.pop(key, None)
        self._texts.pop(key, None)
        if key == self._ended:
            self._ended = None
        if index is not None:
            events.append(BlockStop(index))

    def _stop_all(self, events: list[Event]) -> None:
        for key in list(self._open):
            self._stop(key, events)

    def _finish(self, value: JSON, usage: JSON, events: list[Event]) -> None:
        self._begin("", events)
        self._stop_all(events)
        reason = value.get("finish_reason")
        native = reason if isinstance(reason, str) else ""
        events.append(Finish(stop_of(reason, called=self._called), native_stop=native))
        spent = parse_usage(usage)
        if spent is not None:
            events.append(Spent(spent, usage))
        self.done = True


def _ignore(value: JSON, events: list[Event]) -> None:
    pass


def _message(value: JSON) -> JSON:
    delta = value.get("delta")
    message = delta.get("message") if isinstance(delta, dict) else None
    return message if isinstance(message, dict) else {}


def _inside(value: JSON, name: str) -> JSON:
    """What an event adds: one object, though a message has a list of them."""
    found = _message(value).get(name)
    if isinstance(found, list):
        found = found[0] if found else None
    return found if isinstance(found, dict) else {}


def _number(value: JSON) -> int:
    number = value.get("index")
    return number if isinstance(number, int) else 0


def _word(value: JSON, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
