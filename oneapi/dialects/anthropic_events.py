"""Streams of Anthropic's dialect as events.

https://docs.anthropic.com/en/docs/build-with-claude/streaming (read 2026-11-24). An event's type
stands in its data, which is believed rather than its `event:` line; data is padded with spaces;
pings say nothing. Blocks that only this dialect knows are held until they are complete.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from oneapi.dialects.anthropic_answers import (
    OF_THE_DELTA,
    no_answer,
    stop_of,
    string_of,
    tier_of,
)
from oneapi.dialects.anthropic_blocks import answer_part
from oneapi.dialects.anthropic_errors import failure
from oneapi.dialects.anthropic_forms import NAME, Streamed
from oneapi.dialects.anthropic_usage import parse_usage
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
    Signature,
    Spent,
    Start,
    Text,
    ToolCall,
)
from oneapi.wire.json import JSON, MalformedJSON, decode
from oneapi.wire.sse import EventBlocks, data_of, split

_EVENT: Final = 64 * 1024 * 1024
"""Bytes of the largest event: results of server tools stand in one."""
_NAME: Final = re.compile(rb"^event: ?([a-z_]+)[ \r]*$", re.MULTILINE)
_MESSAGE: Final = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
)


@dataclass(slots=True)
class _Block:
    """One block that is open: its number among the events. `held` is one that waits for its end,
    `initial` the arguments that its beginning already had.
    """

    number: int
    held: Streamed | None = None
    initial: str = ""


class Parser:
    """One stream. `done` after `message_stop` or an error."""

    def __init__(self) -> None:
        self.done = False
        self._blocks = EventBlocks(_EVENT)
        self._open: dict[int, _Block] = {}
        self._count = 0
        self._started = False
        self._finished = False
        self._usage: dict[str, JSON] = {}
        self._out: list[Event] = []

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        try:
            block = self._blocks.feed(chunk)
        except ValueError as error:
            self._fail(Failed(no_answer(f"the provider's stream has {error}")))
            return self._taken()
        if block:
            self._walk(block)
        return self._taken()

    def close(self) -> list[Event]:
        rest = b"" if self.done else self._blocks.close()
        if rest:
            self._walk(rest)
        if not self.done:
            self.done = True
            self._stop_all()
        return self._taken()

    def _taken(self) -> list[Event]:
        out, self._out = self._out, []
        return out

    def _walk(self, block: bytes) -> None:
        for event in split(block):
            data = data_of(event)
            if data is None:
                continue
            try:
                self._event(decode(data), event)
            except MalformedJSON:
                self._unreadable(data)
            except RecursionError:
                self._fail(Failed(no_answer("an event of the provider's stream is too deep")))
            if self.done:
                return

    def _unreadable(self, data: bytes) -> None:
        if data.strip() and data.strip() != b"[DONE]":  # servers that speak OpenAI's too say it
            self._fail(Failed(no_answer("an event of the provider's stream is not JSON")))

    def _event(self, value: JSON, event: bytes) -> None:
        if not isinstance(value, dict):
            return
        kind = value.get("type")
        if kind == "content_block_delta":
            self._delta(value)
            return
        if not isinstance(kind, str):
            named = _NAME.search(event)
            kind = "error" if value.get("error") else named[1].decode() if named else ""
        match kind:
            case "content_block_start":
                self._block_start(value)
            case "content_block_stop":
                self._block_stop(_index(value))
            case "message_start":
                self._message_start(value.get("message"))
            case "message_delta":
                self._message_delta(value)
            case "message_stop":
                self._message_stop(value)
            case "content_block_delta":
                self._delta(value)
            case "error":
                self._fail(Failed(failure(value)))
            case "ping":
                pass
            case _:
                self._out.append(Aside(NAME, value))

    def _message_start(self, message: JSON) -> None:
        if not isinstance(message, dict):
            message = {}
        self._spend(message.get("usage"))
        if self._started:
            return
        self._started = True
        self._out.append(
            Start(
                string_of(message.get("id")),
                string_of(message.get("model")),
                service_tier=tier_of(message.get("usage")),
                extra={name: v for name, v in message.items() if name not in _MESSAGE},
                source=NAME,
            )
        )

    def _spend(self, usage: JSON) -> None:
        if not isinstance(usage, dict):
            return
        # Cumulative: what is named counts anew, what is left out stays.
        self._usage.update((name, v) for name, v in usage.items() if v is not None)
        for name in usage:
            self._usage.setdefault(name, None)
        spent = parse_usage(self._usage)
        if spent is not None:
            self._out.append(Spent(spent, dict(self._usage)))

    def _begun(self) -> None:
        if not self._started:
            self._message_start({})

    def _block_start(self, value: JSON) -> None:
        self._begun()
        index, given = _index(value), value.get("content_block")
        if index in self._open:
            self._block_stop(index)
        self._start(index, answer_part(given) if isinstance(given, dict) else Text(""))

    def _start(self, index: int, part: Part) -> _Block:
        block = self._open[index] = _Block(self._count)
        self._count += 1
        match part:
            case Text():
                text, notes = part.text, part.annotations
                part.text, part.annotations = "", []
                self._out.append(BlockStart(block.number, part))
                if text:
                    self._out.append(Delta(block.number, text))
                self._out.extend(Annotation(block.number, note) for note in notes)
            case Reasoning():
                self._start_thought(block, part)
            case ToolCall():
                block.initial = "" if part.arguments == "{}" else part.arguments
                part.arguments = ""
                self._out.append(BlockStart(block.number, part))
            case Opaque():
                began = part.data if isinstance(part.data, dict) else {}
                block.held = Streamed(NAME, dict(began), began)
            case _:
                self._out.append(BlockStart(block.number, part))
        return block

    def _start_thought(self, block: _Block, part: Reasoning) -> None:
        text, signature, data = part.text, part.signature, part.data
        part.text = part.signature = part.data = ""
        self._out.append(BlockStart(block.number, part))
        if text:
            self._out.append(Delta(block.number, text))
        if signature or data:
            self._out.append(Signature(block.number, signature, data))

    def _delta(self, value: JSON) -> None:
        delta, index = value.get("delta"), _index(value)
        if not isinstance(delta, dict):
            return
        kind = delta.get("type")
        block = self._open.get(index)
        if block is None:
            block = self._missing(index, kind)
            if block is None:
                self._out.append(Aside(NAME, value))
                return
        if block.held is not None:
            block.held.deltas.append(delta)
            return
        number = block.number
        match kind:
            case "text_delta":
                self._text(number, delta, "text")
            case "input_json_delta":
                block.initial = ""
                self._text(number, delta, "partial_json")
            case "thinking_delta":
                self._text(number, delta, "thinking")
            case "signature_delta":
                self._out.append(Signature(number, string_of(delta.get("signature"))))
            case "citations_delta":
                self._out.append(Annotation(number, delta.get("citation")))
            case _:
                self._out.append(Aside(NAME, value))

    def _text(self, number: int, delta: JSON, name: str) -> None:
        text = delta.get(name)
        if type(text) is not str:
            text = ""
        if len(delta) == 2:
            self._out.append(Delta(number, text))
            return
        extra = {n: v for n, v in delta.items() if n not in ("type", name)}
        self._out.append(Delta(number, text, None, extra))

    def _missing(self, index: int, kind: JSON) -> _Block | None:
        """A block whose beginning never came, as some servers have it for text."""
        self._begun()
        if kind == "text_delta":
            return self._start(index, Text(""))
        return self._start(index, Reasoning()) if kind == "thinking_delta" else None

    def _block_stop(self, index: int) -> None:
        block = self._open.pop(index, None)
        if block is None:
            return
        if block.held is not None:
            _settle(block.held)
            self._out.append(BlockStart(block.number, block.held))
        elif block.initial:
            self._out.append(Delta(block.number, block.initial))
        self._out.append(BlockStop(block.number))

    def _stop_all(self) -> None:
        for index in list(self._open):
            self._block_stop(index)

    def _message_delta(self, value: JSON) -> None:
        self._begun()
        self._spend(value.get("usage"))
        delta = value.get("delta")
        if not isinstance(delta, dict) or not isinstance(delta.get("stop_reason"), str):
            return
        self._stop_all()
        if self._finished:
            return
        self._finished = True
        left = ("stop_reason", "stop_sequence")
        extra = {name: v for name, v in delta.items() if name not in left}
        extra.update((n, v) for n, v in value.items() if n not in ("type", "delta", "usage"))
        if isinstance(value.get("usage"), dict):
            extra[OF_THE_DELTA] = value["usage"]
        native, sequence = delta["stop_reason"], delta.get("stop_sequence")
        sequence = sequence if isinstance(sequence, str) else None
        self._out.append(Finish(stop_of(native), 0, native, sequence, extra))

    def _message_stop(self, value: JSON) -> None:
        self._begun()
        self._stop_all()
        if len(value) > 1:  # Bedrock's end tells how long it took
            self._out.append(Aside(NAME, value))
        if not self._finished:
            self._out.append(Finish("stop"))
        self.done = True

    def _fail(self, failed: Failed) -> None:
        self._out.append(failed)
        self.done = True


def _index(value: JSON) -> int:
    index = value.get("index")
    return index if type(index) is int else 0


def _settle(held: Streamed) -> None:
    """Put the deltas into the block, as they would stand in a whole answer."""
    written = "".join(
        string_of(delta.get("partial_json"))
        for delta in held.deltas
        if delta.get("type") == "input_json_delta"
    )
    if written:
        try:
            held.data["input"] = decode(written.encode())
        except (MalformedJSON, UnicodeEncodeError):
            held.data["input"] = {"input": written}
    for delta in held.deltas:
        if delta.get("type") == "compaction_delta":
            held.data.update((name, v) for name, v in delta.items() if name != "type")
