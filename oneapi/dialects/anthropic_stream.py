"""Events as a stream of Anthropic's dialect.

https://docs.anthropic.com/en/docs/build-with-claude/streaming (read 2026-11-24); its client library
acts on `event:` lines and finds blocks by their index, which must count as they begin. An answer of
this dialect is told event by event as it was; normalised: pings, the padding of data, the moment at
which thoughts and server tools' blocks begin, signatures in several pieces (they become one), text
that stood in a block's beginning (it becomes a delta).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from oneapi.dialects.anthropic_answers import (
    OF_THE_DELTA,
    made_id,
    native_stop,
    no_answer,
    shown_media,
)
from oneapi.dialects.anthropic_errors import stream_error
from oneapi.dialects.anthropic_forms import NAME, dump
from oneapi.dialects.anthropic_stream_blocks import (
    END,
    Block,
    CallBlock,
    Sheet,
    TextBlock,
    ThoughtBlock,
    WholeBlock,
)
from oneapi.dialects.anthropic_usage import render_usage
from oneapi.dialects.anthropic_write import write_part
from oneapi.dialects.base import Stamp
from oneapi.errors import ApiError
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
    Refusal,
    Signature,
    Spent,
    Start,
    Text,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON

_OF_THE_EVENT: Final = frozenset({"context_management", "input_transformations"})
"""Members that stand beside a `message_delta`'s `delta`, not in it."""


class Renderer:
    """One stream. After `fail` or `close` nothing more comes."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._sheet = Sheet()
        self._begun = False
        self._ended = False
        self._blocks: dict[int, Block] = {}
        self._calls = 0
        self._refused = False
        self._finish: Finish | None = None
        self._spent: Spent | None = None
        self._last: JSON = {"type": "message_stop"}

    def render(self, events: Iterable[Event]) -> bytes:
        try:
            self._render(events)
        except RecursionError:
            return self.fail(no_answer("the provider's answer is nested too deeply"))
        return self._taken()

    def _render(self, events: Iterable[Event]) -> None:
        sheet, blocks = self._sheet, self._blocks
        for event in events:
            if self._ended:
                break
            if type(event) is Delta:
                block = blocks.get(event.index)
                if block is None:
                    continue
                if block.prefix and event.extra is None and event.text:
                    sheet.out += (block.prefix, dump(event.text), END)
                else:
                    block.delta(event.text, event.extra)
            else:
                self._event(event)

    def fail(self, error: ApiError) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return self._taken() + stream_error(error)

    def close(self) -> bytes:
        if self._ended:
            return b""
        self._start(Start("", ""))
        for block in self._blocks.values():
            block.stop()
        self._message_delta()
        self._sheet.emit(self._last)
        self._ended = True
        return self._taken()

    def _taken(self) -> bytes:
        out = b"".join(self._sheet.out)
        self._sheet.out.clear()
        return out

    def _event(self, event: Event) -> None:
        match event:
            case Start():
                self._start(event)
            case BlockStart():
                self._start(Start("", ""))
                if event.choice == 0:  # the format has one answer
                    self._blocks[event.index] = self._block(event.part)
            case Delta():
                pass  # `render` took it
            case Signature() | Annotation() | BlockStop():
                self._of_block(event)
            case Finish():
                if event.choice == 0:
                    self._finish = event
            case Spent():
                self._spent = event
            case Aside():
                self._aside(event)
            case Failed():
                self._sheet.out.append(self.fail(event.error))
            case _:
                assert_never(event)

    def _of_block(self, event: Signature | Annotation | BlockStop) -> None:
        block = self._blocks.get(event.index)
        if block is None:
            return
        match event:
            case Signature():
                block.sign(event.signature, event.data)
            case Annotation():
                block.annotate(event.annotation)
            case BlockStop():
                del self._blocks[event.index]
                block.stop()

    def _start(self, event: Start) -> None:
        if self._begun:
            return
        self._begun = True
        same = self._sheet.same = event.source == NAME
        message: JSON = {
            "id": event.id if same else f"msg_{self._stamp.id}",
            "type": "message",
            "role": "assistant",
            "model": self._stamp.model or event.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            **(event.extra if same else {}),
            "usage": self._usage(),
        }
        self._sheet.emit({"type": "message_start", "message": message})

    def _usage(self) -> JSON:
        spent = self._spent
        if self._sheet.same and spent is not None and isinstance(spent.raw, dict):
            return spent.raw
        return render_usage(spent.usage if spent is not None else None)

    def _block(self, part: Part) -> Block:
        sheet = self._sheet
        match part:
            case Text():
                block: Block = TextBlock(sheet, part.extra)
                if part.text:
                    block.delta(part.text, None)
                return block
            case Refusal():
                self._refused = True
                block = TextBlock(sheet, {})
                block.delta(part.text, None)
                return block
            case Reasoning():
                block = ThoughtBlock(sheet, part)
                if part.text:
                    block.delta(part.text, None)
                return block
            case ToolCall():
                self._calls += 1
                block = CallBlock(sheet, part, part.id or made_id(self._stamp, self._calls))
                if part.arguments:
                    block.delta(part.arguments, None)
                return block
            case Media() | ToolResult() | Opaque():
                return self._other(part)
            case _:
                assert_never(part)

    def _other(self, part: Media | ToolResult | Opaque) -> Block:
        """What Anthropic's own answers may hold, and of other providers' media their address."""
        sheet = self._sheet
        if isinstance(part, Opaque):
            mine = part.dialect == NAME and isinstance(part.data, dict)
            return WholeBlock(sheet, part) if mine else Block(sheet)
        whole = write_part(part) if sheet.same else None
        if whole is not None:
            return WholeBlock(sheet, Opaque(NAME, whole))
        if isinstance(part, ToolResult) or not shown_media(part):
            return Block(sheet)
        block = TextBlock(sheet, {})
        block.delta(shown_media(part), None)
        return block

    def _aside(self, event: Aside) -> None:
        data = event.data
        if event.dialect != NAME or not isinstance(data, dict):
            return
        kind = data.get("type")
        if not isinstance(kind, str) or not (kind.isascii() and kind.isprintable()):
            return  # it would stand in a line of its own
        if kind == "message_stop":
            self._last = data
            return
        block = self._blocks.get(data["index"]) if type(data.get("index")) is int else None
        if block is not None and block.number >= 0:
            data = {**data, "index": block.number}
        self._sheet.emit(data)

    def _message_delta(self) -> None:
        finish = self._finish or Finish("stop")
        if self._sheet.same:
            self._own_delta(finish)
            return
        sequence = finish.stop_sequence
        reason = native_stop(
            finish.stop, sequence=sequence, calls=self._calls > 0, refused=self._refused
        )
        self._sheet.emit(
            {
                "type": "message_delta",
                "delta": {"stop_reason": reason, "stop_sequence": sequence},
                "usage": self._usage(),
            }
        )

    def _own_delta(self, finish: Finish) -> None:
        """The end of an answer of this dialect, as it was."""
        delta: JSON = {
            "stop_reason": finish.native_stop or None,
            "stop_sequence": finish.stop_sequence,
        }
        event: JSON = {"type": "message_delta", "delta": delta, "usage": self._usage()}
        for name, value in finish.extra.items():
            if name == OF_THE_DELTA or name in _OF_THE_EVENT:
                event[name] = value
            else:
                delta[name] = value
        self._sheet.emit(event)
