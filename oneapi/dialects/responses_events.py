"""A Responses provider's stream as events of the middle.

https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11-24). Events that
frame items go along as `Aside`s before the middle's own, so that a client of the same dialect hears
what the middle has no word for: ids, phases, whole responses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.responses_answers import seconds, stop_of
from oneapi.dialects.responses_errors import upstream_error
from oneapi.dialects.responses_items import CALLS, call_of, said_part
from oneapi.dialects.responses_shapes import BETWEEN, NAME, Object, list_in, word_in
from oneapi.dialects.responses_usage import parse_usage
from oneapi.errors import UpstreamError
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
    Refusal,
    Signature,
    Spent,
    Start,
    Text,
)
from oneapi.wire.json import JSON, MalformedJSON, decode
from oneapi.wire.sse import EventBlocks, data_of, split

_DELTA: Final = {"type", "sequence_number", "item_id", "output_index", "content_index"} | {
    "summary_index",
    "delta",
    "logprobs",
}
THOUGHT: Final = "reasoning_text"
"""The type of a part that holds a thought itself, and not a summary of it."""
_FAILURES: Final = frozenset({"response.failed", "response.cancelled", "response.error", "error"})
_CALL: Final = ("call", 0)
_THOUGHT: Final = ("thought", 0)
_SUMMARY: Final = ("summary", 0)
"""Blocks of an item, beside those of a message's content."""
_MEMBERS: Final = (
    (_THOUGHT, "content", "content_index"),
    (_SUMMARY, "summary", "summary_index"),
)


@dataclass(slots=True)
class _Block:
    """`length` counts the characters that came, `part` the parts of a summary."""

    index: int
    length: int = 0
    part: int = 0
    annotations: int = 0
    open: bool = True


class ResponsesParser:
    """`feed(chunk) -> events`, `close() -> events`, whatever the cuts between chunks."""

    def __init__(self, hints: Hints, stamp: Stamp) -> None:
        self.done = False
        self._excludes = hints.output_excludes_reasoning
        self._stamp = stamp
        self._events = EventBlocks()
        self._started = False
        self._calls = False
        self._count = 0
        self._items: dict[int, dict[tuple[str, int], _Block]] = {}  # by output index
        self._handlers: dict[str, Callable[[Object, list[Event]], None]] = {
            "response.output_text.delta": self._text_delta,
            "response.refusal.delta": self._text_delta,
            "response.function_call_arguments.delta": self._call_delta,
            "response.custom_tool_call_input.delta": self._call_delta,
            "response.reasoning_text.delta": self._thought_delta,
            "response.reasoning_summary_text.delta": self._summary_delta,
            "response.output_text.done": self._text_done,
            "response.refusal.done": self._text_done,
            "response.output_text.annotation.added": self._annotation,
            "response.content_part.added": self._part_added,
            "response.content_part.done": self._part_done,
            "response.reasoning_text.done": self._thought_done,
            "response.reasoning_summary_text.done": self._summary_done,
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.created": self._created,
            "response.completed": self._end,
            "response.incomplete": self._end,
            "response.done": self._end,
            "response.failed": self._fail,
            "response.cancelled": self._fail,
            "response.error": self._fail,
            "error": self._fail,
        }

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        try:
            block = self._events.feed(chunk)
        except ValueError as error:
            self.done = True
            return [Failed(_unreadable(str(error)))]
        return self._read(block) if block else []

    def close(self) -> list[Event]:
        if self.done:
            return []
        out = self._read(self._events.close())
        self._stop_all(out)
        self.done = True
        return out

    def _read(self, block: bytes) -> list[Event]:
        out: list[Event] = []
        for raw in split(block):
            data = data_of(raw)
            if data is None or self.done:
                continue
            try:
                event = decode(data)
            except MalformedJSON:
                if data.strip() != b"[DONE]":
                    self.done = True
                    out.append(Failed(_unreadable("an event is no JSON")))
                continue
            self._event(event, out)
        return out

    def _event(self, event: JSON, out: list[Event]) -> None:
        if not isinstance(event, dict):
            return
        kind = event.get("type")
        if not isinstance(kind, str):
            if event.get("error"):
                self._fail(event, out)
            return
        handler = self._handlers.get(kind)
        if not self._started and kind not in _FAILURES:
            self._start(event, out)
        if handler is not None:
            handler(event, out)
        else:
            out.append(Aside(NAME, event))

    def _start(self, event: Object, out: list[Event]) -> None:
        self._started = True
        response = event.get("response")
        held: Object = response if isinstance(response, dict) else {}
        out.append(
            Start(
                word_in(held, "id"),
                word_in(held, "model"),
                seconds(held) or self._stamp.created,
                word_in(held, "service_tier"),
                source=NAME,
            )
        )

    def _created(self, event: Object, out: list[Event]) -> None:
        out.append(Aside(NAME, event))

    def _begin(self, item: int, key: tuple[str, int], part: Part, out: list[Event]) -> _Block:
        block = _Block(self._count)
        self._count += 1
        self._of(item)[key] = block
        out.append(BlockStart(block.index, part))
        return block

    def _of(self, item: int) -> dict[tuple[str, int], _Block]:
        """The blocks of an item."""
        found = self._items.get(item)
        if found is None:
            found = self._items[item] = {}
        return found

    def _more(self, block: _Block, event: Object, usual: int, out: list[Event]) -> None:
        """A delta; one of this kind has so many members where it has no further ones."""
        text = event.get("delta")
        if not isinstance(text, str):
            return
        block.length += len(text)
        found = event.get("logprobs")
        extra = None
        if len(event) > usual:
            extra = {k: v for k, v in event.items() if k not in _DELTA} or None
        out.append(Delta(block.index, text, {"content": found} if found else None, extra))

    def _text_delta(self, event: Object, out: list[Event]) -> None:
        item, key = _index(event), _content(event)
        block = self._of(item).get(key)
        if block is None:
            refusal = event["type"] == "response.refusal.delta"
            block = self._begin(item, key, Refusal("") if refusal else Text(""), out)
        self._more(block, event, 7 if "logprobs" in event else 6, out)

    def _call_delta(self, event: Object, out: list[Event]) -> None:
        block = self._of(_index(event)).get(_CALL)
        if block is not None:
            self._more(block, event, 5, out)

    def _thought_delta(self, event: Object, out: list[Event]) -> None:
        self._more(self._thinking(event, _THOUGHT, out), event, 6, out)

    def _summary_delta(self, event: Object, out: list[Event]) -> None:
        self._more(self._thinking(event, _SUMMARY, out), event, 6, out)

    def _thinking(self, event: Object, key: tuple[str, int], out: list[Event]) -> _Block:
        """The block of a thought or of its summary; a further part of it begins a paragraph."""
        item = _index(event)
        block = self._of(item).get(key)
        if block is None:
            part = Reasoning(summary=key is _SUMMARY, id=word_in(event, "item_id"))
            block = self._begin(item, key, part, out)
        number = event.get("summary_index" if key is _SUMMARY else "content_index")
        if isinstance(number, int) and number > block.part:
            block.part = number
            block.length = 0
            out.append(Delta(block.index, BETWEEN, extra={"part": number}))
        return block

    def _text_done(self, event: Object, out: list[Event]) -> None:
        block = self._of(_index(event)).get(_content(event))
        if block is not None:
            self._missing(block, event.get("text") or event.get("refusal"), out)
        out.append(Aside(NAME, event))

    def _thought_done(self, event: Object, out: list[Event]) -> None:
        self._missing(self._thinking(event, _THOUGHT, out), event.get("text"), out)
        out.append(Aside(NAME, event))

    def _summary_done(self, event: Object, out: list[Event]) -> None:
        self._missing(self._thinking(event, _SUMMARY, out), event.get("text"), out)
        out.append(Aside(NAME, event))

    def _missing(self, block: _Block, whole: JSON, out: list[Event]) -> None:
        """What did not come as deltas but stands in the whole text."""
        if isinstance(whole, str) and len(whole) > block.length:
            out.append(Delta(block.index, whole[block.length :]))
            block.length = len(whole)

    def _annotation(self, event: Object, out: list[Event]) -> None:
        block = self._of(_index(event)).get(_content(event))
        if block is not None:
            block.annotations += 1
            out.append(Annotation(block.index, event.get("annotation")))

    def _part_added(self, event: Object, out: list[Event]) -> None:
        out.append(Aside(NAME, event))
        part = said_part(event.get("part"))
        if isinstance(part, Text):
            self._begin(_index(event), _content(event), Text("", extra=part.extra), out)
        elif isinstance(part, Refusal):
            self._begin(_index(event), _content(event), Refusal("", part.extra), out)

    def _part_done(self, event: Object, out: list[Event]) -> None:
        item, key, part = _index(event), _content(event), event.get("part")
        block = self._of(item).get(key)
        if block is None:
            out.append(Aside(NAME, event))
            if isinstance(part, dict) and part.get("type") != THOUGHT:
                self._stop(self._begin(item, key, Opaque(NAME, part), out), out)
            return
        if isinstance(part, dict):
            self._complete(block, part, out)
        out.append(Aside(NAME, event))
        self._stop(block, out)

    def _complete(self, block: _Block, part: Object, out: list[Event]) -> None:
        """Text and citations that stand in a finished part alone."""
        self._missing(block, part.get("text") or part.get("refusal"), out)
        for annotation in list_in(part, "annotations")[block.annotations :]:
            block.annotations += 1
            out.append(Annotation(block.index, annotation))

    def _item_added(self, event: Object, out: list[Event]) -> None:
        out.append(Aside(NAME, event))
        item = event.get("item")
        if isinstance(item, dict) and (kind := word_in(item, "type")) in CALLS:
            self._calls = True
            call = call_of(item, kind)
            call.arguments = ""
            self._begin(_index(event), _CALL, call, out)

    def _item_done(self, event: Object, out: list[Event]) -> None:
        item = event.get("item")
        if not isinstance(item, dict):
            return
        self._whole(item, _index(event), out)
        out.append(Aside(NAME, event))

    def _whole(self, item: Object, index: int, out: list[Event]) -> None:
        """A complete item: what of it did not come yet, and the end of its blocks."""
        kind = word_in(item, "type")
        if kind == "message":
            self._message_done(item, index, out)
        elif kind == "reasoning":
            self._reasoning_done(item, index, out)
        elif kind in CALLS:
            self._call_done(item, kind, index, out)
        else:
            self._begin(index, ("item", 0), Opaque(NAME, item), out)
        for block in self._of(index).values():
            self._stop(block, out)

    def _message_done(self, item: Object, index: int, out: list[Event]) -> None:
        for number, value in enumerate(list_in(item, "content")):
            block = self._of(index).get(("content", number))
            if block is None:
                part = said_part(value)
                if isinstance(part, Text):
                    part = Text("", extra=part.extra)
                elif isinstance(part, Refusal):
                    part = Refusal("", part.extra)
                block = self._begin(index, ("content", number), part, out)
            if block.open and isinstance(value, dict):
                self._complete(block, value, out)

    def _reasoning_done(self, item: Object, index: int, out: list[Event]) -> None:
        name = word_in(item, "id")
        for key, member, numbered in _MEMBERS:
            for number, part in enumerate(list_in(item, member)):
                held = self._of(index).get(key)
                if isinstance(part, dict) and (held is None or held.part <= number):
                    where = {"output_index": index, "item_id": name, numbered: number}
                    self._missing(self._thinking(where, key, out), part.get("text"), out)
        blocks = list(self._of(index).values())
        last = blocks[-1] if blocks else self._begin(index, _THOUGHT, Reasoning(id=name), out)
        data = word_in(item, "encrypted_content")
        if data:
            out.append(Signature(last.index, data=data))

    def _call_done(self, item: Object, kind: str, index: int, out: list[Event]) -> None:
        call = call_of(item, kind)
        block = self._of(index).get(_CALL)
        whole, call.arguments = call.arguments, ""
        if block is None:
            self._calls = True
            block = self._begin(index, _CALL, call, out)
        self._missing(block, whole, out)

    def _end(self, event: Object, out: list[Event]) -> None:
        response = event.get("response")
        held: Object = response if isinstance(response, dict) else {}
        if held.get("status") in ("failed", "cancelled"):
            self._fail(event, out)
            return
        if not self._items:  # an answer that came in one piece
            for index, item in enumerate(list_in(held, "output")):
                if isinstance(item, dict):
                    self._whole(item, index, out)
        self._stop_all(out)
        self._spend(held, out)
        out.append(Aside(NAME, event))
        stop, native = stop_of(held, self._calls)
        out.append(Finish(stop, native_stop=native))
        self.done = True

    def _fail(self, event: Object, out: list[Event]) -> None:
        response = event.get("response")
        if isinstance(response, dict):
            self._spend(response, out)
            if self._started and event["type"] == "response.failed":
                out.append(Aside(NAME, event))
        out.append(Failed(upstream_error(event)))
        self.done = True

    def _spend(self, response: Object, out: list[Event]) -> None:
        usage = parse_usage(response, output_excludes_reasoning=self._excludes)
        if usage is not None:
            out.append(Spent(usage, response.get("usage")))

    def _stop(self, block: _Block, out: list[Event]) -> None:
        if block.open:
            block.open = False
            out.append(BlockStop(block.index))

    def _stop_all(self, out: list[Event]) -> None:
        for blocks in self._items.values():
            for block in blocks.values():
                self._stop(block, out)


def _index(event: Object) -> int:
    index = event.get("output_index")
    return index if isinstance(index, int) else 0


def _content(event: Object) -> tuple[str, int]:
    number = event.get("content_index")
    return "content", number if isinstance(number, int) else 0


def _unreadable(what: str) -> UpstreamError:
    return UpstreamError(
        502,
        f"the provider's stream cannot be read: {what}",
        code="bad_upstream_answer",
        retryable=True,
        original_status=200,
    )
