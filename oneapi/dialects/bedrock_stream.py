"""Streams of Bedrock's ConverseStream as events.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (read
2026-11-24) and recordings. Blocks of text and of thought begin with their first delta;
`messageStop` is not the end, `metadata` with the usage follows it. Every payload is padded by a
random member `p`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_errors import refused
from oneapi.dialects.bedrock_shapes import (
    ERRORS,
    NAME,
    parse_usage,
    read_name,
    read_redacted,
    stop_of,
)
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
    Opaque,
    Part,
    Reasoning,
    Signature,
    Spent,
    Start,
    Text,
    ToolCall,
)
from oneapi.wire.eventstream import EventStream, Frame
from oneapi.wire.json import JSON, MalformedJSON, decode

_PADDING: Final = "p"


@dataclass(slots=True)
class _Block:
    """A block under way. `index` is the middle's; -1 while a block that comes whole is gathered."""

    kind: str
    index: int = -1
    whole: dict[str, JSON] = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)


class ConverseParser:
    """One stream. See `StreamParser`."""

    def __init__(self, stamp: Stamp) -> None:
        self.done = False
        self._stamp = stamp
        self._frames = EventStream()
        self._blocks: dict[int, _Block] = {}
        self._count = 0
        self._started = False
        self._called = False
        self._finished = False
        self._steps = {
            "contentBlockDelta": self._delta,
            "contentBlockStart": self._start,
            "contentBlockStop": self._stop,
            "messageStart": self._begin,
            "messageStop": self._finish,
            "metadata": self._metadata,
        }

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self.done:
            return events
        try:
            frames = self._frames.feed(chunk)
            for frame in frames:
                self._frame(frame, events)
            if self._frames.fault:
                self._fail(self._frames.fault, events)
        except ValueError as error:
            self._fail(str(error), events)
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        if self.done:
            return events
        try:
            self._frames.close()
            self._stop_all(events)
        except ValueError as error:
            if not self._finished:  # usage may be missing then, but nothing of the answer is
                self._fail(str(error), events)
        return events

    def _fail(self, message: str, events: list[Event]) -> None:
        if self.done:
            return
        self.done = True
        events.append(Failed(refused({"message": message})))

    def _frame(self, frame: Frame, events: list[Event]) -> None:
        if self.done:
            return
        headers, payload = frame
        kind = headers.get(":message-type", "event")
        if kind == "error":
            value: JSON = {"message": headers.get(":error-message", "")}
            self._refused(headers.get(":error-code", ""), value, events)
            return
        value = decode(payload) if payload else {}
        if not isinstance(value, dict):
            raise MalformedJSON("an event of the stream is no object")
        if kind == "exception":
            self._refused(headers.get(":exception-type", ""), value, events)
            return
        name = headers.get(":event-type", "")
        if self._finished and name.startswith("contentBlock"):
            return
        step = self._steps.get(name)
        if step is not None:
            step(value, events)
        elif name.lower() in ERRORS:
            self._refused(name, value, events)
        elif name != "initial-response":
            self._begin(value, events)
            events.append(Aside(NAME, {name: _unpadded(value)}))

    def _refused(self, name: str, value: JSON, events: list[Event]) -> None:
        self.done = True
        status = ERRORS.get(name.lower(), 500)
        told = {"message": _message(value) or name, "code": name, "type": name}
        events.append(Failed(refused(told, status)))

    def _begin(self, value: JSON, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            stamp = self._stamp
            events.append(Start(stamp.id, stamp.model, stamp.created, source=NAME))

    def _start(self, value: JSON, events: list[Event]) -> None:
        self._begin(value, events)
        number, start = _number(value), value.get("start")
        name, inner = (
            next(iter(start.items()), ("", None)) if isinstance(start, dict) else ("", None)
        )
        if not isinstance(inner, dict):
            return
        if name == "toolUse" and inner.get("type", "tool_use") == "tool_use":
            self._called = True
            call = ToolCall(_word(inner, "toolUseId"), read_name(_word(inner, "name")))
            call.extra = {k: v for k, v in inner.items() if k not in ("toolUseId", "name")}
            self._open(number, "toolUse", call, events)
        else:
            self._blocks[number] = _Block(name, whole=dict(inner))

    def _delta(self, value: JSON, events: list[Event]) -> None:
        delta = value.get("delta")
        if not isinstance(delta, dict):
            return
        number = _number(value)
        for name, inner in delta.items():
            if name == "text" and isinstance(inner, str):
                events.append(Delta(self._of(number, "text", events), inner))
            elif name == "toolUse" and isinstance(inner, dict):
                self._arguments(number, _word(inner, "input"), events)
            elif name == "reasoningContent" and isinstance(inner, dict):
                self._thought(number, inner, events)
            elif name == "citation":
                events.append(Annotation(self._of(number, "text", events), inner))
            elif name in ("toolResult", "image"):
                self._gather(number, name, inner)
            elif name != _PADDING:
                self._begin(value, events)
                events.append(Aside(NAME, {"contentBlockDelta": _unpadded(value)}))

    def _arguments(self, number: int, text: str, events: list[Event]) -> None:
        block = self._blocks.get(number)
        if block is None or block.kind != "toolUse":
            return
        if block.index >= 0:
            events.append(Delta(block.index, text))
            return
        block.pieces.append(text)  # the provider's own call: its input is kept with it

    def _thought(self, number: int, inner: JSON, events: list[Event]) -> None:
        index = self._of(number, "reasoningContent", events)
        text = inner.get("text")
        if isinstance(text, str):
            events.append(Delta(index, text))
        signature, data = _word(inner, "signature"), _word(inner, "redactedContent")
        if signature or data:
            events.append(Signature(index, signature, read_redacted(data) if data else ""))

    def _gather(self, number: int, name: str, inner: JSON) -> None:
        """Pieces of what the middle has whole only: results of the provider's tools, images."""
        block = self._blocks.setdefault(number, _Block(name))
        if name == "toolResult" and isinstance(inner, list):
            held = block.whole.get("content")
            if isinstance(held, list):
                held.extend(inner)
            else:
                block.whole["content"] = list(inner)
        elif name == "image" and isinstance(inner, dict):
            block.pieces.append(_word(inner.get("source"), "bytes"))
            if "error" in inner:
                block.whole["error"] = inner["error"]

    def _stop(self, value: JSON, events: list[Event]) -> None:
        block = self._blocks.pop(_number(value), None)
        if block is not None:
            self._end(block, events)

    def _end(self, block: _Block, events: list[Event]) -> None:
        if block.index < 0:
            events.append(BlockStart(self._next(), _whole(block)))
            events.append(BlockStop(self._count - 1))
            return
        events.append(BlockStop(block.index))

    def _stop_all(self, events: list[Event]) -> None:
        for block in self._blocks.values():
            self._end(block, events)
        self._blocks.clear()

    def _finish(self, value: JSON, events: list[Event]) -> None:
        self._begin(value, events)
        self._stop_all(events)
        if self._finished:
            return
        self._finished = True
        reason, more = value.get("stopReason"), value.get("additionalModelResponseFields")
        met = more.get("stop_sequence") if isinstance(more, dict) else None
        finish = Finish(
            stop_of(reason, called=self._called),
            native_stop=reason if isinstance(reason, str) else "",
            stop_sequence=met if isinstance(met, str) else None,
        )
        if more is not None:
            finish.extra["additionalModelResponseFields"] = more
        events.append(finish)

    def _metadata(self, value: JSON, events: list[Event]) -> None:
        usage = parse_usage(value.get("usage"))
        if usage is not None:
            events.append(Spent(usage, value["usage"]))
        rest = {k: v for k, v in value.items() if k not in ("usage", _PADDING)}
        if rest:
            events.append(Aside(NAME, {"metadata": rest}))
        self.done = self._finished

    def _of(self, number: int, kind: str, events: list[Event]) -> int:
        """The index of the block of that kind, which begins here where it has not yet."""
        block = self._blocks.get(number)
        if block is not None and block.kind == kind:
            return block.index
        if block is not None:
            self._end(block, events)
        self._begin(None, events)
        return self._open(number, kind, Text("") if kind == "text" else Reasoning(), events)

    def _open(self, number: int, kind: str, part: Part, events: list[Event]) -> int:
        index = self._next()
        self._blocks[number] = _Block(kind, index)
        events.append(BlockStart(index, part))
        return index

    def _next(self) -> int:
        self._count += 1
        return self._count - 1


def _whole(block: _Block) -> Part:
    data = "".join(block.pieces)
    if block.kind == "toolUse" and data:
        block.whole["input"] = data
    if block.kind == "image" and data and "error" not in block.whole:
        return Media("image", data=data, media_type=f"image/{block.whole.get('format', 'png')}")
    return Opaque(NAME, {block.kind: block.whole})


def _number(value: JSON) -> int:
    number = value.get("contentBlockIndex")
    return number if isinstance(number, int) else 0


def _unpadded(value: JSON) -> JSON:
    return {name: member for name, member in value.items() if name != _PADDING}


def _message(value: JSON) -> str:
    return _word(value, "message") or _word(value, "Message") or _word(value, "originalMessage")


def _word(value: JSON, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
