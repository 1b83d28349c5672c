"""Thoughts that a model writes into its text, between tags, as blocks of their own.

Models such as deepseek-r1 begin their text with `<think>…</think>`. Servers that take it apart look
at the beginning of the text alone, and so does this: a tag further on is what the model says about
tags (https://docs.vllm.ai/en/latest/features/reasoning_outputs.html, read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import Enum, auto
from typing import assert_never

from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    ChatResponse,
    Choice,
    Delta,
    Event,
    Extra,
    Failed,
    Finish,
    Part,
    Reasoning,
    Signature,
    Spent,
    Start,
    Text,
)
from oneapi.wire.json import JSON

OPEN = "<think>"
CLOSE = "</think>"
MAX_BLANK = 1024
"""Characters of white space that are held back in case a tag follows."""


class _State(Enum):
    BEFORE = auto()  # nothing but white space and a piece of the opening tag so far
    THOUGHT = auto()
    AFTER = auto()  # white space behind the closing tag is left out
    TEXT = auto()


class _Cutter:
    """One text, in pieces, as thought and answer."""

    def __init__(self, opening: str, closing: str, *, implicit: bool) -> None:
        self.state = _State.BEFORE
        self._opening = opening
        self._closing = closing
        self._implicit = implicit
        self._held = ""
        self._blank = True  # the thought is white space so far: held back, it may stay empty

    def feed(self, text: str) -> tuple[str, str]:
        """What is certain now: of the thought, and of the answer that follows it."""
        if self.state is _State.TEXT:
            return "", text
        rest, self._held = self._held + text, ""
        thought = ""
        if self.state is _State.BEFORE:
            rest = self._before(rest)
        if self.state is _State.THOUGHT:
            thought, rest = self._thought(rest)
        if self.state is _State.AFTER:
            rest = rest.lstrip()
            if rest:
                self.state = _State.TEXT
        return thought, rest if self.state is _State.TEXT else ""

    def close(self) -> tuple[str, str]:
        """What was held back, at the end of the text."""
        held, self._held = self._held, ""
        if self.state is _State.THOUGHT:
            return ("" if self._blank and not held.strip() else held), ""
        if self.state is _State.BEFORE and self._implicit:
            return ("" if not held.strip() else held), ""
        return "", held

    def _before(self, text: str) -> str:
        """Decide how the text begins, as soon as that is certain; what is left of it then."""
        body = text.lstrip()
        if body.startswith(self._opening):
            self.state = _State.THOUGHT
            return body[len(self._opening) :]
        if self._opening.startswith(body) and len(text) <= MAX_BLANK:
            self._held = text  # nothing yet, or the beginning of the tag
            return ""
        self.state = _State.THOUGHT if self._implicit else _State.TEXT
        return text

    def _thought(self, text: str) -> tuple[str, str]:
        end = text.find(self._closing)
        if end >= 0:
            self.state = _State.AFTER
            thought, rest = text[:end], text[end + len(self._closing) :]
        else:
            keep = _overlap(text, self._closing)
            thought, rest = text[: len(text) - keep], ""
            self._held = text[len(text) - keep :]
        if self._blank and len(thought) <= MAX_BLANK and not thought.strip():
            if self.state is _State.THOUGHT:
                self._held = thought + self._held
            return "", rest
        self._blank = False
        return thought, rest


class _Block:
    """A text block that comes in, and the blocks it becomes: thought first, then text."""

    def __init__(self, part: Text, choice: int, cutter: _Cutter) -> None:
        self.part = part
        self.choice = choice
        self.cutter = cutter
        self.index = -1
        self.open: Part | None = None
        self.held: list[tuple[JSON, Extra | None]] = []


class ThinkSplitter:
    """Takes text blocks apart into reasoning and text, whatever the cuts between deltas.

    Blocks are numbered anew. With `implicit_open` every text is a thought until the closing tag:
    some models' templates write the opening one themselves. The white space behind the closing tag
    is left out, and so is a thought that is nothing but white space.
    """

    def __init__(
        self, open: str = OPEN, close: str = CLOSE, *, implicit_open: bool = False
    ) -> None:
        self._tags = (open, close)
        self._implicit = implicit_open
        self._texts: dict[int, _Block] = {}
        self._numbers: dict[int, int] = {}
        self._count = 0

    def feed(self, events: Iterable[Event]) -> list[Event]:
        out: list[Event] = []
        for event in events:
            match event:
                case Delta():
                    self._delta(event, out)
                case BlockStart():
                    self._start(event, out)
                case Signature() | Annotation() | BlockStop():
                    self._of_block(event, out)
                case Finish():
                    self._end(event.choice, out)
                    out.append(event)
                case Start() | Spent() | Aside() | Failed():
                    out.append(event)
                case _:
                    assert_never(event)
        return out

    def close(self) -> list[Event]:
        """What was held back of texts that were never stopped."""
        out: list[Event] = []
        for index in list(self._texts):
            self._stop(BlockStop(index), out)
        return out

    def _start(self, event: BlockStart, out: list[Event]) -> None:
        if not isinstance(event.part, Text):
            self._numbers[event.index] = self._count
            out.append(_numbered(event, self._count))
            self._count += 1
            return
        cutter = _Cutter(*self._tags, implicit=self._implicit)
        block = _Block(event.part, event.choice, cutter)
        self._texts[event.index] = block
        if event.part.text:
            block.part = replace(event.part, text="")
            self._pieces(block, cutter.feed(event.part.text), out)

    def _delta(self, event: Delta, out: list[Event]) -> None:
        block = self._texts.get(event.index)
        if block is None:
            out.append(_numbered(event, self._numbers[event.index]))
            return
        if block.cutter.state is _State.TEXT and isinstance(block.open, Text):
            out.append(_numbered(event, block.index))
            return
        if event.logprobs is not None or event.extra:
            block.held.append((event.logprobs, event.extra))
        self._pieces(block, block.cutter.feed(event.text), out)

    def _pieces(self, block: _Block, pieces: tuple[str, str], out: list[Event]) -> None:
        thought, text = pieces
        if thought:
            self._switch(block, Reasoning(), out)
            out.append(Delta(block.index, thought))
        if text:
            self._switch(block, block.part, out)
            out.append(Delta(block.index, text))

    def _switch(self, block: _Block, part: Part, out: list[Event]) -> None:
        """Have a block of the part's kind open. What was held for a block comes first in it."""
        if type(block.open) is not type(part):
            if block.open is not None:
                out.append(BlockStop(block.index))
            block.index, block.open = self._count, part
            self._count += 1
            out.append(BlockStart(block.index, part, block.choice))
        out += (Delta(block.index, "", *held) for held in block.held)
        block.held.clear()

    def _of_block(self, event: Signature | Annotation | BlockStop, out: list[Event]) -> None:
        block = self._texts.get(event.index)
        if block is None:
            out.append(_numbered(event, self._numbers[event.index]))
        elif isinstance(event, BlockStop):
            self._stop(event, out)
        else:  # a citation is the answer's: the thought is over, if there was one
            self._pieces(block, block.cutter.close(), out)
            block.cutter.state = _State.TEXT
            self._switch(block, block.part, out)
            out.append(_numbered(event, block.index))

    def _end(self, choice: int, out: list[Event]) -> None:
        for index, block in list(self._texts.items()):
            if block.choice == choice:
                self._stop(BlockStop(index), out)

    def _stop(self, event: BlockStop, out: list[Event]) -> None:
        block = self._texts.pop(event.index)
        self._numbers[event.index] = max(block.index, 0)
        self._pieces(block, block.cutter.close(), out)
        if block.open is None or block.held:
            self._switch(block, block.open or block.part, out)
        out.append(BlockStop(block.index, event.extra))


def split_response(
    reply: ChatResponse, open: str = OPEN, close: str = CLOSE, *, implicit_open: bool = False
) -> ChatResponse:
    """The same for a whole answer."""

    def split(part: Part) -> list[Part]:
        if not isinstance(part, Text):
            return [part]
        cutter = _Cutter(open, close, implicit=implicit_open)
        pieces = (cutter.feed(part.text), cutter.close())
        thought, text = ("".join(piece) for piece in zip(*pieces, strict=True))
        if thought and not text and not part.annotations:
            return [Reasoning(thought)]
        whole = part if text == part.text else replace(part, text=text)
        return [Reasoning(thought), whole] if thought else [whole]

    def choice(old: Choice) -> Choice:
        return replace(old, parts=[new for part in old.parts for new in split(part)])

    return replace(reply, choices=[choice(old) for old in reply.choices])


def _numbered(
    event: BlockStart | Delta | Signature | Annotation | BlockStop, index: int
) -> BlockStart | Delta | Signature | Annotation | BlockStop:
    return event if event.index == index else replace(event, index=index)


def _overlap(text: str, tag: str) -> int:
    """How many characters at the text's end may be the beginning of the tag."""
    for size in range(min(len(text), len(tag) - 1), 0, -1):
        if text.endswith(tag[:size]):
            return size
    return 0
