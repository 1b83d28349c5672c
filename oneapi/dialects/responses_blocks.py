"""The output of a streamed answer: blocks of the middle as parts of items, event by event.

Each item is added, then its parts, their deltas, and all of it again when it is done. Texts that
follow each other are parts of one message, a thought and its summary are one item.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from oneapi.dialects.base_calls import text_of
from oneapi.dialects.responses_frames import (
    ADDED,
    DONE,
    KINDS,
    PART_ADDED,
    PART_DONE,
    SUMMARY_ADDED,
    SUMMARY_DONE,
    Frames,
)
from oneapi.dialects.responses_reply import (
    Answer,
    call_item,
    call_note,
    cited,
    compaction_item,
    content_part,
    image_item,
    message_item,
    sealed_thought,
)
from oneapi.dialects.responses_shapes import NAME, Object, sealed_bytes, word_in
from oneapi.dialects.responses_write import thought_item
from oneapi.ir import (
    Annotation,
    BlockStart,
    Delta,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    Signature,
    Text,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON, encode

_SHOWN: Final = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})
"""Items that are made of blocks; all others pass as they are."""
_HOSTED: Final = "item"
"""How the id of an item begins that came without one."""


@dataclass(slots=True, eq=False)
class _Item:
    """One item of the output.

    `framed` says that the provider will say when it is done, `open` counts its open blocks, `final`
    is the item where it is not made of `content` or `thoughts`.
    """

    kind: str
    id: str
    index: int
    framed: bool = False
    open: int = 0
    content: list[JSON] = field(default_factory=list)
    thoughts: list[Reasoning] = field(default_factory=list)
    final: JSON = None


@dataclass(slots=True, eq=False)
class _Block:
    """A part of an item while it comes.

    `kind` is the middle of its events' types, `head` its delta event up to the number, `place` the
    part's number. A `buffered` block tells its text at its end. Of a thought, `texts` is the part
    of the summary that comes, `whole` all of it.
    """

    item: _Item
    part: Text | Refusal | Reasoning | ToolCall | Opaque
    kind: str
    place: int = 0
    head: bytes = b""
    texts: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    annotations: list[JSON] = field(default_factory=list)
    logprobs: list[JSON] = field(default_factory=list)
    started: bool = False
    buffered: bool = False
    signature: str = ""
    data: str = ""


class Output:
    """Takes the events of blocks.

    `own` says that the provider speaks this dialect, `compacting` that all texts are to be one
    compaction.
    """

    def __init__(self, frames: Frames, answer: Answer) -> None:
        self.own = False
        self.compacting = False
        self._summary: dict[int, list[str]] = {}  # texts by block
        self._frames = frames
        self._answer = answer
        self._count = 0
        self._blocks: dict[int, _Block] = {}
        self._current: _Item | None = None  # the message or thought that may go on
        self._unfinished: dict[int, _Item] = {}
        self._by_id: dict[str, _Item] = {}
        self._done: dict[int, JSON] = {}
        self._waiting: dict[int, Object] = {}  # done items before which others are not done
        self._next = 0

    @property
    def items(self) -> list[JSON]:
        """The items that are done, in their order."""
        return [self._done[index] for index in sorted(self._done)]

    def begin(self, event: BlockStart) -> None:
        """Of several answers the first is told: there is one here."""
        if event.choice != 0:
            return
        part = event.part
        if self.compacting:
            if isinstance(part, Text):
                self._summary[event.index] = []
            return
        match part:
            case Text() | Refusal():
                self._begin_content(event.index, part)
            case Reasoning():
                self._begin_thought(event.index, part)
            case ToolCall():
                self._begin_call(event.index, part)
            case Opaque():
                self._begin_opaque(event.index, part)
            case Media():
                self._image(part)
            case ToolResult():  # of a hosted tool, which is told in its own dialect alone
                self._settle()
            case _:
                assert_never(part)

    def delta(self, event: Delta) -> None:
        block = self._blocks.get(event.index)
        if block is None:
            if event.index in self._summary:
                self._summary[event.index].append(event.text)
            return
        if block.buffered:
            block.texts.append(event.text)
            return
        extra = event.extra if self.own else None
        if isinstance(block.part, Reasoning):
            self._thought_delta(block, event.text, extra)
            return
        if not block.head:  # of an item that is told whole
            return
        found = event.logprobs
        if isinstance(found, dict) and isinstance(found.get("content"), list):
            block.logprobs += found["content"]
            extra = {**(extra or {}), "logprobs": found["content"]}
        self._text(block, event.text, extra)

    def sign(self, event: Signature) -> None:
        block = self._blocks.get(event.index)
        if block is not None:
            block.signature += event.signature
            block.data += event.data

    def annotate(self, event: Annotation) -> None:
        block = self._blocks.get(event.index)
        if block is None or not isinstance(block.part, Text):
            return
        for annotation in cited([event.annotation], self.own):
            more = {"annotation_index": len(block.annotations), "annotation": annotation}
            block.annotations.append(annotation)
            kind = "response.output_text.annotation.added"
            self._frames.send(kind, {**_where(block), **more})

    def stop(self, index: int) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        item, part = block.item, block.part
        item.open -= 1
        match part:
            case Text() | Refusal():
                self._stop_content(block, part)
            case Reasoning():
                self._stop_thought(block, part)
            case ToolCall():
                self._stop_call(block, part)
            case Opaque():
                if item.kind == "message":
                    self._frames.frame(PART_DONE, {**_where(block), "part": part.data})
                elif not item.framed:
                    self._finish(item)
            case _:
                assert_never(part)

    def told(self, kind: str, data: Object) -> None:
        """An event of the provider's own that is about an item."""
        if kind not in KINDS:
            item = self._by_id.get(word_in(data, "item_id"))
            members = data if item is None else {**data, "output_index": item.index}
            self._frames.send(kind, members)
            return
        self._frames.kept[kind] = data
        shown = self._frames.item_of(kind)
        if kind == ADDED and shown and word_in(shown, "type") not in _SHOWN:
            self._settle()
            self._open(word_in(shown, "type"), _HOSTED, shown, final=shown)
        elif kind == DONE:
            held = self._by_id.get(word_in(shown, "id"))
            if held is not None and not held.open:
                self._finish(held)
            self._frames.kept.pop(kind, None)

    def close(self) -> None:
        """Whatever is open is complete."""
        if self.compacting:
            summary = "".join("".join(texts) for texts in self._summary.values())
            shown = compaction_item(summary, self._answer.make_id("cmp"))
            self._finish(self._open("compaction", "cmp", shown, final=shown))
        for index in [*self._blocks]:
            self.stop(index)
        for item in [*self._unfinished.values()]:
            self._finish(item)

    def _begin_content(self, index: int, part: Text | Refusal) -> None:
        kind = "refusal" if isinstance(part, Refusal) else "output_text"
        block = self._content(index, part, kind)
        where = _where(block)
        self._frames.frame(PART_ADDED, {**where, "part": content_part(part, "", None, self.own)})
        more: Object = {} if isinstance(part, Refusal) else {"logprobs": []}
        block.head = _head(f"response.{kind}.delta", {**where, **more})

    def _content(self, index: int, part: Text | Refusal | Opaque, kind: str) -> _Block:
        """The block of a message's next part."""
        given = self._frames.kept.get(PART_ADDED, {})
        item = self._by_id.get(word_in(given, "item_id")) or self._current
        if item is None or item.kind != "message" or self._frames.announced("message"):
            item = self._next_item("message", "msg")
        block = self._blocks[index] = _Block(item, part, kind, len(item.content))
        item.open += 1
        item.content.append(part.data if isinstance(part, Opaque) else None)
        return block

    def _begin_thought(self, index: int, part: Reasoning) -> None:
        item = self._current
        joins = item is not None and item.kind == "reasoning" and part.id == item.id
        if item is None or not joins or self._frames.announced("reasoning"):
            item = self._next_item("reasoning", "rs", part.id)
        # Codex and others show summaries; a thought itself is shown where its provider did so.
        summary = part.summary or not self.own
        kind = "reasoning_summary_text" if summary else "reasoning_text"
        self._blocks[index] = _Block(item, part, kind)
        item.open += 1

    def _begin_call(self, index: int, part: ToolCall) -> None:
        wraps = not self.own and self._answer.wraps(part)
        call = self._answer.named(replace(part, arguments=""), self.own)
        self._settle()
        item = self._open(
            "custom_tool_call" if call.custom else "function_call",
            "ctc" if call.custom else "fc",
            call_item(call, "", "in_progress", self.own),
        )
        kind = "custom_tool_call_input" if call.custom else "function_call_arguments"
        call = replace(call, item_id=item.id)
        block = self._blocks[index] = _Block(item, call, kind, buffered=wraps)
        item.open += 1
        block.head = _head(f"response.{kind}.delta", _where(block))

    def _begin_opaque(self, index: int, part: Opaque) -> None:
        if part.dialect != NAME or not isinstance(part.data, dict):
            self._settle()
            return
        given = self._frames.kept.get(PART_ADDED, {}).get("part")
        if isinstance(given, dict) and given.get("type") == part.data.get("type"):
            block = self._content(index, part, "")
            self._frames.frame(PART_ADDED, {**_where(block), "part": part.data})
            return
        item = self._by_id.get(word_in(part.data, "id"))
        if item is None or item.kind in _SHOWN:
            self._settle()
            item = self._open(word_in(part.data, "type"), _HOSTED, part.data)
        item.final = part.data
        item.open += 1
        self._blocks[index] = _Block(item, part, "")

    def _image(self, part: Media) -> None:
        self._settle()
        if part.kind == "image" and part.data:
            shown = image_item(part, self._answer.make_id("ig"))
            self._finish(self._open("image_generation_call", "ig", shown, final=shown))

    def _text(self, block: _Block, text: str, extra: Object | None) -> None:
        """The hot path: all but the number and the text was written when the block began."""
        block.texts.append(text)
        frames = self._frames
        if extra and "logprobs" in extra:
            kind = f"response.{block.kind}.delta"
            frames.send(kind, {**_where(block), "delta": text, **extra})
            return
        try:
            said = encode(text)
        except UnicodeEncodeError:
            said = sealed_bytes(text)
        tail = b"," + sealed_bytes(extra)[1:] + b"\n\n" if extra else b"}\n\n"
        frames.out.append(b'%b%d,"delta":%b%b' % (block.head, frames.number, said, tail))
        frames.number += 1

    def _thought_delta(self, block: _Block, text: str, extra: Object | None) -> None:
        part = extra.get("part") if extra else None
        block.whole.append(text)
        if isinstance(part, int):  # what stands between two parts of a summary
            self._end_part(block)
            block.place = part
            return
        if not block.started:
            self._start_part(block)
        self._text(block, text, extra)

    def _start_part(self, block: _Block) -> None:
        where = _where(block)
        if block.kind == "reasoning_text":
            part = {"type": "reasoning_text", "text": ""}
            if self._framing(block, PART_ADDED):
                self._frames.frame(PART_ADDED, {**where, "part": part})
        elif self._framing(block, SUMMARY_ADDED):
            part = {"type": "summary_text", "text": ""}
            self._frames.frame(SUMMARY_ADDED, {**where, "part": part})
        block.head = _head(f"response.{block.kind}.delta", where)
        block.texts = []
        block.started = True

    def _end_part(self, block: _Block) -> None:
        if not block.started:
            return
        block.started = False
        where, text = _where(block), "".join(block.texts)
        done = f"response.{block.kind}.done"
        if self._framing(block, done):
            self._frames.frame(done, {**where, "text": text})
        if block.kind == "reasoning_text":
            part = {"type": "reasoning_text", "text": text}
            if self._framing(block, PART_DONE):
                self._frames.frame(PART_DONE, {**where, "part": part})
        elif self._framing(block, SUMMARY_DONE):
            part = {"type": "summary_text", "text": text}
            self._frames.frame(SUMMARY_DONE, {**where, "part": part})

    def _framing(self, block: _Block, kind: str) -> bool:
        """Whether parts of thoughts are framed: providers differ, and theirs is kept."""
        return not block.item.framed or kind in self._frames.kept

    def _stop_content(self, block: _Block, part: Text | Refusal) -> None:
        text, where = "".join(block.texts), _where(block)
        shown = content_part(part, text, block.logprobs, self.own)
        if isinstance(part, Refusal):
            self._frames.frame("response.refusal.done", {**where, "refusal": text})
        else:
            shown["annotations"] = block.annotations
            done = {**where, "text": text, "logprobs": block.logprobs}
            self._frames.frame("response.output_text.done", done)
        event = self._frames.frame(PART_DONE, {**where, "part": shown})
        block.item.content[block.place] = event["part"]

    def _stop_thought(self, block: _Block, part: Reasoning) -> None:
        self._end_part(block)
        thought = replace(
            part,
            text="".join(block.whole),
            signature=part.signature + block.signature,
            data=block.data or part.data,
        )
        block.item.thoughts.append(sealed_thought(thought, self.own))

    def _stop_call(self, block: _Block, part: ToolCall) -> None:
        item, frames = block.item, self._frames
        if block.buffered:
            text, block.texts = text_of("".join(block.texts)), []
            self._text(block, text, None)
        text = "".join(block.texts)
        member = "input" if part.custom else "arguments"
        frames.frame(f"response.{block.kind}.done", {**_where(block), member: text})
        item.final = call_item(part, text, "completed", self.own)
        if item.framed:
            return
        self._finish(item)
        signature = part.signature + block.signature
        if signature and not self.own:
            call = replace(part, signature=signature)
            note = call_note(call, self._answer.make_id("rs"))
            self._finish(self._open("reasoning", "rs", note, final=note))

    def _next_item(self, kind: str, prefix: str, name: str = "") -> _Item:
        """A new item for blocks of its kind, and the current one from now on."""
        self._settle()
        shown: Object = {"id": name, "type": kind, "summary": []}
        if kind == "message":
            shown = message_item(name, [], "in_progress")
        self._current = self._open(kind, prefix, shown)
        return self._current

    def _open(self, kind: str, prefix: str, shown: Object, *, final: JSON = None) -> _Item:
        framed = self._frames.announced(kind)
        given = word_in(self._frames.item_of(ADDED), "id") if framed else ""
        name = given or word_in(shown, "id") or self._answer.make_id(prefix)
        item = _Item(kind, name, self._count, framed, final=final)
        self._count += 1
        self._unfinished[item.index] = self._by_id[name] = item
        if final is None:
            shown = {**shown, "id": name}
        self._frames.frame(ADDED, {"output_index": item.index, "item": shown})
        return item

    def _settle(self) -> None:
        """The current item is complete, unless the provider will say so itself."""
        item, self._current = self._current, None
        if item is not None and not item.open and not item.framed:
            self._finish(item)

    def _finish(self, item: _Item) -> None:
        if self._unfinished.pop(item.index, None) is None:
            return
        if self._current is item:
            self._current = None
        final = item.final
        if item.kind == "message":
            final = message_item(item.id, item.content, "completed")
        elif item.kind == "reasoning" and final is None:
            final = {**thought_item(item.thoughts or [Reasoning()]), "id": item.id}
        event = self._frames.chosen(DONE, {"output_index": item.index, "item": final})
        self._done[item.index] = event["item"]
        self._waiting[item.index] = event
        while self._next in self._waiting:  # clients keep items in the order of these events
            self._frames.send(DONE, self._waiting.pop(self._next))
            self._next += 1


def _where(block: _Block) -> Object:
    """Which part of which item an event speaks of."""
    where: Object = {"item_id": block.item.id, "output_index": block.item.index}
    if block.kind == "reasoning_summary_text":
        where["summary_index"] = block.place
    elif not isinstance(block.part, ToolCall):
        where["content_index"] = block.place
    return where


def _head(kind: str, members: Object) -> bytes:
    """An event up to its number, the text to follow."""
    start = sealed_bytes({"type": kind, **members})
    return b"event: " + kind.encode() + b"\ndata: " + start[:-1] + b',"sequence_number":'
