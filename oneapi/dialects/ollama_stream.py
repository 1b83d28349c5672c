"""Answers of Ollama's chat and generate as events, and as whole answers.

https://github.com/ollama/ollama/blob/main/docs/api.md (read 2026-11-24): one object a line; the
last one has `done: true` with the counts. Tool calls come whole. What only Ollama's clients know
stands in `extra`: of a line in its `Delta`, of the last one in `Finish`.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_errors import refused
from oneapi.dialects.base_gather import gather
from oneapi.dialects.ollama_shapes import (
    METRICS,
    NAME,
    Call,
    is_call,
    media_type,
    parse_call,
    seconds_of,
    stop_of,
    stripped,
    usage_of,
)
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
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
    Media,
    Part,
    Reasoning,
    Spent,
    Start,
    Text,
    Usage,
)
from oneapi.wire.json import JSON, MalformedJSON, decode
from oneapi.wire.lines import LineBlocks

_OF_LINE: Final = frozenset(
    {"model", "message", "response", "thinking", "image", "tool_calls", "done", "logprobs"}
)
_OF_END: Final = _OF_LINE.union(METRICS, ("done_reason",))
_OF_MESSAGE: Final = frozenset({"role", "content", "thinking", "images", "tool_calls"})


def parse_response(body: bytes, stamp: Stamp) -> ChatResponse:
    """A whole answer; lines, where a server streams though it was not asked to, are gathered.

    Raises `UpstreamError`.
    """
    try:
        value = decode(body)
    except MalformedJSON as error:
        if b"\n" not in body.strip():
            raise _unreadable() from error
        return _gathered(body, stamp)
    if not isinstance(value, dict):
        raise _unreadable()
    if value.get("error"):
        raise _refused(value)
    message, spoken = _spoken(value)
    if message is None:
        raise _unreadable()
    parts = _whole(message, spoken, stamp)
    called = any(isinstance(part, Call) for part in parts)
    reason = value.get("done_reason")
    logprobs = value.get("logprobs")
    extra = {n: v for n, v in value.items() if n not in _OF_END}
    rest = _rest_of(message) if spoken else {}
    if rest:
        extra["message"] = rest
    return ChatResponse(
        id=stamp.id,
        model=_text(value.get("model")),
        choices=[
            Choice(
                parts,
                stop_of(reason, called),
                native_stop=_text(reason),
                logprobs={"content": logprobs} if isinstance(logprobs, list) else None,
            )
        ],
        usage=usage_of(value),
        source=NAME,
        created=seconds_of(value.get("created_at")),
        raw_usage={n: value[n] for n in METRICS if n in value},
        extra=extra,
    )


class Parser:
    """One stream as events."""

    def __init__(self, stamp: Stamp) -> None:
        self.done = False
        self._stamp = stamp
        self._blocks = LineBlocks()
        self._started = False
        self._index = 0
        self._open = ""
        self._calls = 0

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        try:
            block = self._blocks.feed(chunk)
        except ValueError as error:
            return self._failed(_unreadable(str(error)))
        return self._lines(block) if block else []

    def close(self) -> list[Event]:
        if self.done:
            return []
        events = self._lines(self._blocks.close())
        if not self.done:
            self._close_block(events)
            self.done = True
        return events

    def _lines(self, block: bytes) -> list[Event]:
        events: list[Event] = []
        for line in block.split(b"\n"):
            if not line or line.isspace():
                continue
            try:
                value = decode(line)
            except MalformedJSON:
                value = None
            if not isinstance(value, dict):
                return events + self._failed(_unreadable())
            if value.get("error"):
                return events + self._failed(_refused(value))
            self._line(value, events)
            if self.done:
                break
        return events

    def _line(self, value: Extra, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            created = seconds_of(value.get("created_at"))
            model = _text(value.get("model"))
            events.append(Start(self._stamp.id, model, created, source=NAME))
        message, spoken = _spoken(value)
        last = value.get("done") is True
        extra = {n: v for n, v in value.items() if n not in _OF_LINE}
        rest = _rest_of(message) if spoken and message is not None else {}
        if last:
            extra = {n: v for n, v in extra.items() if n not in _OF_END}
        elif rest:
            extra["message"] = rest
        before = len(events)
        if message is not None:
            self._content(message, spoken, value.get("logprobs"), ({} if last else extra), events)
        if last:
            self._end(value, extra, rest, events)
        elif (
            len(events) == before
        ):  # nothing that other formats could say: an empty frame, progress
            events.append(Aside(NAME, value))

    def _content(
        self, message: Extra, spoken: bool, logprobs: JSON, extra: Extra, events: list[Event]
    ) -> None:
        thought = message.get("thinking")
        if thought and isinstance(thought, str):
            index = self._block("thinking", events)
            events.append(Delta(index, thought, None, extra))
        text = message.get("content" if spoken else "response")
        listed = {"content": logprobs} if logprobs and isinstance(logprobs, list) else None
        if (text and isinstance(text, str)) or listed is not None:
            index = self._block("text", events)
            events.append(Delta(index, _text(text), listed, extra))
        for data in _images(message):
            image = Media("image", data=data, media_type=media_type(data), extra=extra)
            self._finished(image, events)
        if message.get("tool_calls"):
            self._tool_calls(message, extra, events)

    def _tool_calls(self, message: Extra, extra: Extra, events: list[Event]) -> None:
        entries = _calls(message)
        for i, entry in enumerate(entries):
            self._calls += 1
            call = parse_call(entry, f"call_{self._stamp.id}_{self._calls}")
            call.line = extra
            call.more = i + 1 < len(entries)
            self._finished(call, events)

    def _end(self, value: Extra, extra: Extra, rest: Extra, events: list[Event]) -> None:
        self._close_block(events)
        self.done = True
        if rest:
            extra["message"] = rest
        raw = {n: value[n] for n in METRICS if n in value}
        usage = usage_of(value)
        if usage is not None or raw:
            events.append(Spent(usage or Usage(), raw))
        reason = value.get("done_reason")
        stop = stop_of(reason, self._calls > 0)
        events.append(Finish(stop, native_stop=_text(reason), extra=extra))

    def _block(self, kind: str, events: list[Event]) -> int:
        """The index of the open block of this kind."""
        if self._open != kind:
            self._close_block(events)
            self._open = kind
            part: Part = Text("") if kind == "text" else Reasoning()
            events.append(BlockStart(self._index, part))
        return self._index

    def _close_block(self, events: list[Event]) -> None:
        if self._open:
            events.append(BlockStop(self._index))
            self._index += 1
            self._open = ""

    def _finished(self, part: Call | Media, events: list[Event]) -> None:
        """A block that came whole."""
        self._close_block(events)
        if isinstance(part, Call):
            events.append(BlockStart(self._index, stripped(part)))
            if part.arguments:
                events.append(Delta(self._index, part.arguments))
        else:
            events.append(BlockStart(self._index, part))
        events.append(BlockStop(self._index))
        self._index += 1

    def _failed(self, error: ApiError) -> list[Event]:
        events: list[Event] = []
        self._close_block(events)
        self.done = True
        return [*events, Failed(error)]


def _gathered(body: bytes, stamp: Stamp) -> ChatResponse:
    parser = Parser(stamp)
    try:
        return gather([*parser.feed(body), *parser.close()], NAME)
    except UpstreamError:
        raise
    except ApiError as error:
        raise _unreadable() from error


def _spoken(value: Extra) -> tuple[Extra | None, bool]:
    """Where the content stands, and whether that is a message: generate has it at the top."""
    message = value.get("message")
    if isinstance(message, dict):
        return message, True
    generates = "response" in value or "image" in value or "thinking" in value
    return (value if generates or value.get("done") is True else None), False


def _whole(message: Extra, spoken: bool, stamp: Stamp) -> list[Part]:
    parts: list[Part] = []
    thought, text = message.get("thinking"), message.get("content" if spoken else "response")
    if thought and isinstance(thought, str):
        parts.append(Reasoning(thought))
    if text and isinstance(text, str):
        parts.append(Text(text))
    parts += [Media("image", data=d, media_type=media_type(d)) for d in _images(message)]
    for i, entry in enumerate(_calls(message), 1):
        parts.append(parse_call(entry, f"call_{stamp.id}_{i}"))
    return parts


def _calls(message: Extra) -> list[Extra]:
    entries = message.get("tool_calls")
    return [e for e in entries if is_call(e)] if isinstance(entries, list) else []


def _images(message: Extra) -> list[str]:
    """Images that were made, as base64."""
    found = message.get("images") or message.get("image")
    if not found:
        return []
    several = found if isinstance(found, list) else [found]
    return [data for data in several if isinstance(data, str) and data]


def _rest_of(message: Extra) -> Extra:
    """Members of a message that are not understood, or say something unusual."""
    if len(message) == 2 and message.get("role") == "assistant" and "content" in message:
        return {}
    rest = {n: v for n, v in message.items() if n not in _OF_MESSAGE}
    role = message.get("role")
    if role != "assistant":
        rest["role"] = role
    return rest


def _refused(value: JSON) -> UpstreamError:
    status = value.get("status_code")
    return refused(value, status if isinstance(status, int) else 0)


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def _unreadable(what: str = "the provider's answer cannot be read") -> UpstreamError:
    return UpstreamError(502, what, code="bad_upstream_answer", retryable=True)
