"""Blocks of a stream of Anthropic's dialect, one class a kind.

A block begins when it is known to have content: clients would send an empty text back, and the API
refuses it. Blocks of this dialect's own answers begin even so, for they are what they were.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.anthropic_forms import Streamed, dump, input_of, wrap
from oneapi.ir import Extra, Opaque, Reasoning, ToolCall
from oneapi.wire.json import JSON

END: Final = b"}}\n\n"
"""What follows the JSON string of a delta that began with a block's `prefix`."""


class Sheet:
    """What goes out, and the index that the next block gets. `same` says that the answer is of
    this dialect.
    """

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.same = False
        self._next = 0

    def emit(self, event: JSON) -> None:
        self.out += (b"event: ", event["type"].encode(), b"\ndata: ", dump(event), b"\n\n")

    def begin(self, content: JSON) -> int:
        index = self._next
        self._next += 1
        self.emit({"type": "content_block_start", "index": index, "content_block": content})
        return index


class Block:
    """One that shows nothing, and what all have in common.

    `number` is its index in the stream, -1 as long as it has not begun. `prefix` is what a delta of
    its text begins with, b"" where texts cannot simply go out.
    """

    kind: str = ""
    member: str = ""

    def __init__(self, sheet: Sheet) -> None:
        self.number = -1
        self.prefix = b""
        self._sheet = sheet

    def delta(self, text: str, extra: Extra | None) -> None:
        """More text."""

    def annotate(self, note: JSON) -> None:
        """A citation of this dialect."""

    def sign(self, signature: str, data: str) -> None:
        """What vouches for the block."""

    def stop(self) -> None:
        """The block is complete."""
        if self.number >= 0:
            self._sheet.emit({"type": "content_block_stop", "index": self.number})

    def emit_delta(self, delta: JSON) -> None:
        event = {"type": "content_block_delta", "index": self.number, "delta": delta}
        self._sheet.emit(event)

    def _begin(self, content: JSON) -> None:
        self.number = self._sheet.begin(content)
        self._prefix()

    def _prefix(self) -> None:
        if self.kind:
            self.prefix = (
                b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
                b'"delta":{"type":"%b","%b":'
                % (self.number, self.kind.encode(), self.member.encode())
            )

    def _say(self, text: str, extra: Extra | None) -> None:
        if extra and self._sheet.same:
            self.emit_delta({"type": self.kind, self.member: text, **extra})
        elif text or self._sheet.same:
            self._sheet.out += (self.prefix, dump(text), END)


class TextBlock(Block):
    kind = "text_delta"
    member = "text"

    def __init__(self, sheet: Sheet, extra: Extra) -> None:
        super().__init__(sheet)
        if sheet.same:
            self._begin({"type": "text", "text": "", **extra})

    def delta(self, text: str, extra: Extra | None) -> None:
        if self.number < 0:
            if not text:
                return
            self._begin({"type": "text", "text": ""})
        self._say(text, extra)

    def annotate(self, note: JSON) -> None:
        if self._sheet.same:
            self.emit_delta({"type": "citations_delta", "citation": note})


class ThoughtBlock(Block):
    """A thought. Whether it is a `redacted_thinking` shows when it has data and no text."""

    kind = "thinking_delta"
    member = "thinking"

    def __init__(self, sheet: Sheet, part: Reasoning) -> None:
        super().__init__(sheet)
        self._part = Reasoning(
            signature=part.signature,
            data=part.data,
            summary=part.summary,
            id=part.id,
            extra=part.extra if sheet.same else {},
        )

    def delta(self, text: str, extra: Extra | None) -> None:
        if self.number < 0:
            if not text and not self._sheet.same:
                return
            self._show()
        self._say(text, extra)

    def sign(self, signature: str, data: str) -> None:
        self._part.signature += signature
        self._part.data += data

    def stop(self) -> None:
        part = self._part
        if self.number < 0 and part.data:
            data = wrap(part) if part.id or part.signature else part.data
            self.number = self._sheet.begin(
                {"type": "redacted_thinking", "data": data, **part.extra}
            )
        elif part.signature or (self.number >= 0 and (part.data or part.id)):
            if self.number < 0:
                self._show()
            signature = wrap(part) if part.data or part.id else part.signature
            # At the end and once: the client library replaces what came before.
            self.emit_delta({"type": "signature_delta", "signature": signature})
        elif self.number < 0 and self._sheet.same:
            self._show()
        super().stop()

    def _show(self) -> None:
        self._begin({"type": "thinking", "thinking": "", "signature": "", **self._part.extra})


class CallBlock(Block):
    """A call. Arguments go out as they come once they are known to be an object; what is none waits
    until it is complete and is wrapped in one.
    """

    kind = "input_json_delta"
    member = "partial_json"

    def __init__(self, sheet: Sheet, part: ToolCall, call_id: str) -> None:
        super().__init__(sheet)
        extra = part.extra if sheet.same else {}
        self._custom = part.custom
        self._undecided = not part.custom
        self._held: list[str] = []
        self.number = sheet.begin(
            {"type": "tool_use", "id": call_id, "name": part.name, "input": {}, **extra}
        )
        if sheet.same:
            self._prefix()

    def delta(self, text: str, extra: Extra | None) -> None:
        if self.prefix:
            self._say(text, extra)
            return
        self._held.append(text)
        if self._undecided and text.strip():
            self._undecided = False
            if text.lstrip().startswith("{"):
                self._prefix()
                self._say("".join(self._held), None)
                self._held.clear()

    def stop(self) -> None:
        if self._held:
            value = input_of("".join(self._held), custom=self._custom)
            if value:
                self.emit_delta({"type": self.kind, self.member: dump(value).decode()})
        super().stop()


class WholeBlock(Block):
    """A block of this dialect that is complete when it begins."""

    def __init__(self, sheet: Sheet, part: Opaque) -> None:
        super().__init__(sheet)
        if isinstance(part, Streamed):
            self._begin(part.began)
            for delta in part.deltas:
                self.emit_delta(delta)
            return
        given = part.data.get("input")
        if isinstance(given, dict) and given:  # the client library reads it from deltas alone
            self._begin({**part.data, "input": {}})
            self.emit_delta({"type": "input_json_delta", "partial_json": dump(given).decode()})
        else:
            self._begin(part.data)
