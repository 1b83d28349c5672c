"""DashScope's streams as events.

https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope (read 2026-11-24) and recordings:
`id:`, `event:result`, `:HTTP_STATUS/200` and `data:` lines, no space after the colons. Every event
is a whole answer in small, with the usage so far; the end is the end of the body. A failure is
`event:error` with `{code, message, request_id}`. Texts are new pieces, or everything so far where
`incremental_output` is off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_errors import refused
from oneapi.dialects.dashscope_answers import (
    arguments_of,
    beside,
    choices_of,
    index_of,
    leftover,
    part_of,
    sound,
    text_of,
)
from oneapi.dialects.dashscope_shapes import NAME, finished, parse_usage, stop_of
from oneapi.ir import (
    Aside,
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
    Part,
    Reasoning,
    Spent,
    Start,
    Text,
    ToolCall,
)
from oneapi.wire.json import JSON, MalformedJSON, decode
from oneapi.wire.sse import EventBlocks, data_of, split

_STATUS: Final = re.compile(rb"(?:^|[\r\n]):HTTP_STATUS/(\d{3})")
_ERROR: Final = re.compile(rb"(?:^|[\r\n])event: ?error")


@dataclass(slots=True)
class _Tool:
    """A call that is being written. It is held until its name is known."""

    block: int = -1
    id: str = ""
    name: str = ""
    held: list[str] = field(default_factory=list)
    seen: int = 0


@dataclass(slots=True)
class _Choice:
    """What of one answer has come so far. `open` is the block of text, thought or sound that is
    being written, `kind` says which; lengths are of what was seen, for texts that are repeated.
    """

    kind: str = ""
    open: int = -1
    tools: dict[int, _Tool] = field(default_factory=dict)
    current: int = -1
    seen: dict[str, int] = field(default_factory=dict)
    items: int = 0
    sound: dict[str, JSON] = field(default_factory=dict)
    tail: dict[str, JSON] = field(default_factory=dict)
    called: bool = False
    done: bool = False


class StreamParser:
    """Events of one stream. `done` is set at its end, where every answer has said why it stopped,
    and by an error: the format has no terminal event.
    """

    def __init__(self, stamp: Stamp, *, incremental: bool = True) -> None:
        self.done = False
        self._stamp = stamp
        self._incremental = incremental
        self._blocks = EventBlocks()
        self._choices: dict[int, _Choice] = {}
        self._index = 0
        self._begun = False
        self._usage: JSON = None
        self._told: JSON = None
        self._out: list[Event] = []

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        try:
            block = self._blocks.feed(chunk)
        except ValueError as error:
            return [self._fail({"message": str(error)}, 0)]
        return self._read(block) if block else []

    def close(self) -> list[Event]:
        if self.done:
            return []
        rest = self._blocks.close()
        out = self._read(rest, cut=True) if rest else []
        if out and isinstance(out[-1], Failed):
            return out
        for choice in self._choices.values():
            self._stop_all(choice)
        self._spend()
        self.done = bool(self._choices) and all(c.done for c in self._choices.values())
        out, self._out = out + self._out, []
        return out

    def _read(self, block: bytes, *, cut: bool = False) -> list[Event]:
        """Events of whole blocks; `cut` says that the last one may be cut short."""
        for event in split(block):
            data = _data(event)
            if data is None or data == b"[DONE]":
                continue
            try:
                value = decode(data)
            except MalformedJSON:
                if cut:
                    break
                value = None
            if not isinstance(value, dict):
                self._out.append(self._fail({"message": "an event of the stream is no object"}, 0))
                break
            output = value.get("output")
            if not isinstance(output, dict):
                if self._is_error(event, value):
                    self._out.append(self._fail(value, _status(event)))
                    break
                self._out.append(Aside(NAME, value))
                continue
            self._take(value, output)
        out, self._out = self._out, []
        return out

    def _is_error(self, event: bytes, value: JSON) -> bool:
        return bool(value.get("code")) or _ERROR.search(event) is not None

    def _fail(self, value: JSON, status: int) -> Failed:
        self.done = True
        return Failed(refused(value, status))

    def _take(self, value: JSON, output: JSON) -> None:
        extra = beside(output) if len(output) > 1 else {}
        if not self._begun:
            self._begun = True
            request = text_of(value.get("request_id"))
            start = Start(request, self._stamp.model, extra=extra, source=NAME)
            self._out.append(start)
        elif extra:
            self._out.append(Aside(NAME, extra))
        usage = value.get("usage")
        if usage:
            self._usage = usage
        ended = False
        for place, choice in enumerate(choices_of(output)):
            index = index_of(choice, place)
            held = self._choices.get(index)
            if held is None:
                held = self._choices[index] = _Choice()
            if not held.done:
                ended = self._of_choice(index, held, choice) or ended
        if ended:
            self._spend()

    def _of_choice(self, index: int, held: _Choice, choice: JSON) -> bool:
        """Whether the answer is complete with this."""
        message = choice.get("message")
        if isinstance(message, dict):
            self._of_message(index, held, message, choice.get("logprobs"))
            if len(choice) > 3 or len(message) > 2:
                held.tail.update(leftover(choice, message))
        reason = choice.get("finish_reason")
        if not finished(reason):
            return False
        for tool in held.tools.values():
            if tool.block < 0 and (tool.id or any(tool.held)):
                self._begin_tool(index, held, tool)  # a name never came
        self._stop_all(held)
        held.done = True
        stop = stop_of(reason, called=held.called)
        self._out.append(Finish(stop, index, native_stop=reason, extra=held.tail))
        return True

    def _of_message(self, index: int, held: _Choice, message: JSON, logprobs: JSON) -> None:
        thought = message.get("reasoning_content")
        if thought and isinstance(thought, str):
            self._write(index, held, "thought", thought, None)
        content = message.get("content")
        if isinstance(content, str):
            if content or logprobs is not None:
                self._write(index, held, "text", content, logprobs)
        elif isinstance(content, list):
            self._items(index, held, content, logprobs)
        calls = message.get("tool_calls")
        if isinstance(calls, list):
            for place, call in enumerate(calls):
                if isinstance(call, dict):
                    self._call(index, held, call, place)

    def _write(self, index: int, held: _Choice, kind: str, text: str, logprobs: JSON) -> None:
        """More text of a kind: a new block where another was open."""
        if not self._incremental:
            before = held.seen.get(kind, 0)
            held.seen[kind] = max(before, len(text))
            text = text[before:]
            if not text:
                return
        if held.kind != kind:
            self._stop(held)
            held.kind = kind
            held.open = self._start(index, Reasoning() if kind == "thought" else Text(""))
        self._out.append(Delta(held.open, text, logprobs))

    def _items(self, index: int, held: _Choice, items: list[JSON], logprobs: JSON) -> None:
        """Content as a list: texts are pieces, media are whole, sound comes in pieces of base64."""
        texts: list[str] = []
        for place, item in enumerate(items):
            if isinstance(item, dict) and len(item) == 1 and isinstance(item.get("text"), str):
                texts.append(item["text"])
            elif isinstance(item, dict) and isinstance(item.get("audio"), dict):
                self._sound(index, held, item["audio"])
            elif self._incremental or place >= held.items:
                part = part_of(item)
                if part is not None:
                    self._whole(index, held, part)
        if not self._incremental:
            held.items = max(held.items, len(items))
        text = "".join(texts)
        if text:
            self._write(index, held, "text", text, logprobs)

    def _whole(self, index: int, held: _Choice, part: Part) -> None:
        self._stop(held)
        if isinstance(part, Text):
            text, part.text = part.text, ""
            block = self._start(index, part)
            if text:
                self._out.append(Delta(block, text))
        else:
            block = self._start(index, part)
        self._out.append(BlockStop(block))

    def _sound(self, index: int, held: _Choice, value: JSON) -> None:
        media = sound(value)
        data, media.data = media.data, ""
        if held.kind != "sound":
            self._stop(held)
            held.kind = "sound"
            held.open = self._start(index, Media("audio", file_id=media.file_id))
        if data:
            self._out.append(Delta(held.open, data))
        held.sound.update(media.extra)
        if media.url:
            held.sound["url"] = media.url

    def _call(self, index: int, held: _Choice, value: JSON, place: int) -> None:
        """A piece of a call: later ones have neither id nor name."""
        number = value.get("index")
        if not isinstance(number, int) or isinstance(number, bool):
            number = held.current if self._incremental and not value.get("id") else place
        function = value.get("function")
        function = function if isinstance(function, dict) else {}
        tool = held.tools.get(number)
        if tool is None:
            tool = held.tools[number] = _Tool()
            held.current = number
            self._stop(held)
        tool.id = tool.id or text_of(value.get("id"))
        tool.name = tool.name or text_of(function.get("name"))
        arguments = arguments_of(function.get("arguments"))
        if not self._incremental:
            before = tool.seen
            tool.seen = max(before, len(arguments))
            arguments = arguments[before:]
        if tool.block < 0:
            tool.held.append(arguments)
            if tool.name:
                self._begin_tool(index, held, tool)
        elif arguments:
            self._out.append(Delta(tool.block, arguments))

    def _begin_tool(self, index: int, held: _Choice, tool: _Tool) -> None:
        held.called = True
        tool.block = self._start(index, ToolCall(tool.id, tool.name))
        arguments = "".join(tool.held)
        tool.held.clear()
        if arguments:
            self._out.append(Delta(tool.block, arguments))

    def _start(self, choice: int, part: Part) -> int:
        index = self._index
        self._index += 1
        self._out.append(BlockStart(index, part, choice))
        return index

    def _stop(self, held: _Choice) -> None:
        """Ends the open block of text, thought or sound; what is known of a sound comes last."""
        if held.open >= 0:
            extra = held.sound if held.kind == "sound" else None
            self._out.append(BlockStop(held.open, extra))
            held.open, held.kind = -1, ""

    def _stop_all(self, held: _Choice) -> None:
        self._stop(held)
        for tool in held.tools.values():
            if tool.block >= 0:
                self._out.append(BlockStop(tool.block))
        held.tools.clear()

    def _spend(self) -> None:
        """What was used so far. It stands in every event; it is told where somebody may need it."""
        if self._usage is None or self._usage is self._told:
            return
        self._told = self._usage
        usage = parse_usage(self._usage)
        if usage is not None:
            self._out.append(Spent(usage, self._usage))


def _data(event: bytes) -> bytes | None:
    """The data of an event as the vendor writes it, in one line at its end; of others as the
    standard says, which takes five times as long.
    """
    at = event.find(b"\ndata:") + 6
    last = at > 5 and event.find(b"\n", at) == len(event) - 2
    if last and b"\r" not in event and event.startswith(b"id:") and event.count(b"\ndata") == 1:
        return event[at:-2].removeprefix(b" ")
    return data_of(event)


def _status(event: bytes) -> int:
    found = _STATUS.search(event)
    return int(found[1]) if found else 0
