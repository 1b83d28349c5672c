"""A stream of lines as Ollama's clients read it.

https://github.com/ollama/ollama/blob/main/docs/api.md (read 2026-11-24): text and thoughts as they
come, a tool call whole, the last line with counts and times. Lines that came from an Ollama server
are rendered as they were, their own times and members with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from oneapi.dialects.base import Stamp
from oneapi.dialects.ollama_answers import (
    Clock,
    called,
    encoded,
    logprobs_of,
    metrics,
    plain,
    shaped,
    stream_error,
)
from oneapi.dialects.ollama_shapes import NAME, Call, reason_of
from oneapi.errors import ApiError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Extra,
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
from oneapi.wire.json import JSON, encode


class Renderer:
    """One stream of lines."""

    def __init__(self, stamp: Stamp, *, generate: bool) -> None:
        self._stamp = stamp
        self._generate = generate
        self._clock = Clock(stamp)
        self._model = stamp.model
        self._head = b'{"model":' + encoded(stamp.model) + b',"created_at":"'
        if generate:
            self._of_text, self._of_thought = b'","response":', b'","response":"","thinking":'
            self._tail = b',"done":false}\n'
        else:
            said = b'","message":{"role":"assistant","content":'
            self._of_text, self._of_thought = said, said + b'"","thinking":'
            self._tail = b'},"done":false}\n'
        self._own = False
        self._texts: dict[int, bytes] = {}
        self._open: dict[int, tuple[ToolCall | Media, list[str]]] = {}
        self._calls: list[Extra] = []
        self._count = 0
        self._first_ns = 0
        self._finish: Finish | None = None
        self._spent: Spent | None = None
        self._failed = False

    def render(self, events: Iterable[Event]) -> bytes:
        if self._failed:
            return b""
        out: list[bytes] = []
        for event in events:
            if type(event) is Delta:
                self._delta(event, out)
            elif isinstance(event, Failed):
                out.append(self.fail(event.error))
                break
            else:
                self._other(event, out)
        return b"".join(out)

    def fail(self, error: ApiError) -> bytes:
        if self._failed:
            return b""
        self._failed = True
        return stream_error(error)

    def close(self) -> bytes:
        if self._failed:
            return b""
        out: list[bytes] = []
        for index in list(self._open):
            self._stop(index, out)
        if self._calls:
            out.append(self._call_line({}))
        out.append(self._last_line())
        self._failed = True  # whatever comes now comes too late
        return b"".join(out)

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        between = self._texts.get(event.index)
        if between is None:
            held = self._open.get(event.index)
            if held is not None:
                held[1].append(event.text)
            return
        if not self._first_ns:
            self._first_ns = self._stamp.elapsed_ns()
        extra = event.extra if self._own else None
        listed = None if event.logprobs is None else logprobs_of(event.logprobs)
        if listed is None and (extra is None or (len(extra) == 1 and "created_at" in extra)):
            created = self._clock.now() if extra is None else plain(extra["created_at"])
            try:
                text = encode(event.text)
            except UnicodeEncodeError:
                text = encoded(event.text)
            out.append(b"".join((self._head, created.encode(), between, text, self._tail)))
        elif event.text or listed is not None:
            thought = between is self._of_thought
            message: Extra = {"role": "assistant", "content": "" if thought else event.text}
            if thought:
                message["thinking"] = event.text
            out.append(self._line(message, extra or {}, listed))

    def _other(self, event: Event, out: list[bytes]) -> None:
        match event:
            case BlockStart():
                if event.choice == 0:
                    self._begin(event.index, event.part)
            case BlockStop():
                self._stop(event.index, out)
            case Start():
                self._start(event)
            case Finish():
                if event.choice == 0:
                    self._finish = event
            case Spent():
                self._spent = event
            case Aside():
                out.append(self._aside(event))
            case Delta() | Failed() | Signature() | Annotation():
                pass  # the first two are `render`'s
            case _:
                assert_never(event)

    def _start(self, event: Start) -> None:
        self._own = event.source == NAME
        if not self._model:
            self._model = event.model
            self._head = b'{"model":' + encoded(event.model) + b',"created_at":"'

    def _aside(self, event: Aside) -> bytes:
        """A line that other formats have no events for, with the model's name."""
        if event.dialect != NAME or not isinstance(event.data, dict):
            return b""
        renamed = {"model": self._model} if "model" in event.data else {}
        return encoded({**event.data, **renamed}) + b"\n"

    def _begin(self, index: int, part: Part) -> None:
        match part:
            case Text() | Refusal():
                self._texts[index] = self._of_text
            case Reasoning():
                self._texts[index] = self._of_thought
            case ToolCall():
                self._open[index] = (part, [part.arguments])
            case Media():
                self._open[index] = (part, [part.data])
            case ToolResult() | Opaque():
                pass
            case _:
                assert_never(part)

    def _stop(self, index: int, out: list[bytes]) -> None:
        self._texts.pop(index, None)
        held = self._open.pop(index, None)
        if held is None:
            return
        part, texts = held
        if isinstance(part, Media):
            data = "".join(texts)
            if part.kind == "image" and data and (self._own or self._generate):
                message: Extra = {"role": "assistant", "content": "", "images": [data]}
                out.append(self._line(message, part.extra if self._own else {}))
            return
        self._calls.append(called(part, "".join(texts), self._count))
        self._count += 1
        if not (isinstance(part, Call) and part.more):
            own = self._own and isinstance(part, Call)
            out.append(self._call_line(part.line if own and isinstance(part, Call) else {}))

    def _call_line(self, extra: Extra) -> bytes:
        calls, self._calls = self._calls, []
        return self._line({"role": "assistant", "content": "", "tool_calls": calls}, extra)

    def _line(self, message: Extra, extra: Extra, logprobs: JSON = None) -> bytes:
        rest = {n: v for n, v in extra.items() if n not in ("created_at", "message")}
        created = extra.get("created_at")
        message.update(extra.get("message") or {})
        line: Extra = {
            "model": self._model,
            "created_at": created if isinstance(created, str) else self._clock.now(),
            **shaped(message, self._generate),
            "done": False,
            **rest,
        }
        if logprobs is not None:
            line["logprobs"] = logprobs
        return encoded(line) + b"\n"

    def _last_line(self) -> bytes:
        finish, spent = self._finish, self._spent
        extra = dict(finish.extra) if finish is not None and self._own else {}
        created = extra.pop("created_at", None)
        message: Extra = {"role": "assistant", "content": "", **(extra.pop("message", None) or {})}
        line: Extra = {
            "model": self._model,
            "created_at": created if isinstance(created, str) else self._clock.now(),
            **shaped(message, self._generate),
            "done": True,
        }
        reason = reason_of(finish.stop if finish is not None else None)
        if finish is not None and self._own:
            reason = finish.native_stop
        if reason:
            line["done_reason"] = reason
        if self._own and spent is not None and isinstance(spent.raw, dict):
            line.update(spent.raw)
        elif not self._own:
            usage = spent.usage if spent is not None else None
            line.update(metrics(usage, self._stamp.elapsed_ns(), self._first_ns))
        return encoded({**line, **extra}) + b"\n"
