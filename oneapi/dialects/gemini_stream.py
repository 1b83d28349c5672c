"""Streams of Gemini's dialect as events.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (read 2026-11-24)
and recordings. Every chunk is an answer of its own with more parts; usage is cumulative and the
last one counts. The end of the body is the end: a finish reason may be told before the last chunk,
so finishes come with `close`. Without `alt=sse` the chunks stand in one array; errors do so too.

Left out: empty texts without a signature, and a usage that counts nothing. Members of candidates
beside their content come with the choice's `Finish`, the last of each name: what is told in pieces
(`groundingMetadata`) is put together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.gemini_answers import (
    block_reason,
    call_prefix,
    created,
    failure,
    openai_logprobs,
    stop_of,
)
from oneapi.dialects.gemini_enums import has_integers, to_names
from oneapi.dialects.gemini_objects import ObjectBlocks, bare
from oneapi.dialects.gemini_partial import Arguments
from oneapi.dialects.gemini_parts import NAME, lenient_part
from oneapi.dialects.gemini_usage import parse_usage, searches
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
    Aside,
    BlockStart,
    BlockStop,
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
    ToolCall,
)
from oneapi.wire.json import JSON, MalformedJSON, decode
from oneapi.wire.sse import EventBlocks, data_of, split

_DATA: Final = b"data: "
_END: Final = b"\r\n\r\n"
_BETWEEN: Final = _END + _DATA
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"


@dataclass(slots=True)
class _Choice:
    """One candidate so far: its open block (-1: none), why it ended, what else it said."""

    number: int
    block: int = -1
    thinks: bool = False
    called: bool = False
    reason: str = ""
    extra: Extra = field(default_factory=dict)
    call: ToolCall | None = None
    arguments: Arguments | None = None


class StreamParser:
    """One stream, sans I/O: `feed(chunk) -> events`, `close() -> events`. Raises nothing."""

    def __init__(self, hints: Hints, stamp: Stamp) -> None:
        self.done = False
        self._stamp = stamp
        self._prefix = call_prefix(stamp)
        self._blocks: EventBlocks | ObjectBlocks | None = None
        self._head = b""
        self._at_edge = False
        self._start: Start | None = None
        self._later: Extra = {}
        self._choices: dict[int, _Choice] = {}
        self._block_count = 0
        self._calls = 0
        self._searches: dict[int, int] = {}

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self.done:
            return events
        if self._at_edge and chunk.startswith(_DATA) and chunk.endswith(_END):
            pieces = chunk[6:-4].split(_BETWEEN)
            if chunk.count(b"\n") == 2 * len(pieces):  # whole events of one line: the usual case
                for piece in pieces:
                    if not self.done:
                        self._data(piece, events)
                return events
        blocks = self._blocks
        if blocks is None:
            chunk = self._head + chunk
            if not chunk.strip(_BLANK):
                self._head = chunk
                return events
            lists = chunk.lstrip(_BLANK)[:1] in (b"[", b"{")
            blocks = self._blocks = ObjectBlocks() if lists else EventBlocks()
            self._at_edge = not lists
        if self._at_edge or isinstance(blocks, EventBlocks):
            self._at_edge = chunk.endswith((_END, b"\n\n"))
        try:
            block = blocks.feed(chunk)
        except ValueError as error:
            self._fail(
                UpstreamError(502, str(error), code="upstream_broke", retryable=False), events
            )
            return events
        if block:
            self._block(block, events)
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        if self.done:
            return events
        if self._blocks is not None:
            rest = self._blocks.close()
            if rest.strip(b"[], \t\r\n"):
                self._last(rest, events)
        if not any(isinstance(event, Failed) for event in events):
            self._end(events)
        return events

    def _block(self, block: bytes, events: list[Event]) -> None:
        if isinstance(self._blocks, ObjectBlocks):
            for item in self._blocks.split(block):
                data = bare(item)
                if data is not None and not self.done:
                    self._data(data, events)
            return
        for event in split(block):
            data = data_of(event)
            if data is None:
                plain = event.strip()  # an error comes as it is, without `data:`
                data = plain if plain.startswith((b"{", b"[")) else None
            if data is not None and not self.done:
                self._data(data, events)

    def _last(self, rest: bytes, events: list[Event]) -> None:
        """What stands after the last complete event: taken if it can be read."""
        data = bare(rest) if isinstance(self._blocks, ObjectBlocks) else data_of(rest)
        try:
            value = decode(data if data is not None else rest)
        except MalformedJSON:
            if self._start is None:
                self._fail(failure(None), events)
            return
        self._value(value, events)

    def _data(self, data: bytes, events: list[Event]) -> None:
        try:
            value = decode(data)
        except MalformedJSON:
            if data != b"[DONE]":
                self._fail(failure(None), events)
            return
        self._value(value, events)

    def _value(self, value: JSON, events: list[Event]) -> None:
        for answer in value if isinstance(value, list) else (value,):
            if not isinstance(answer, dict) or answer.get("error"):
                self._fail(failure(answer), events)
                return
            try:
                self._answer(answer, events)
            except RecursionError:  # arguments that can be read, but are too deep to be written
                self._fail(failure(None), events)
                return

    def _fail(self, error: ApiError, events: list[Event]) -> None:
        self.done = True
        events.append(Failed(error))

    def _answer(self, answer: dict[str, JSON], events: list[Event]) -> None:
        if has_integers(answer):
            to_names(answer)
        raw = answer.pop("usageMetadata", None)
        candidates = answer.pop("candidates", None)
        self._begin(answer, events)
        if isinstance(candidates, list):
            for candidate in candidates:
                if isinstance(candidate, dict):
                    self._candidate(candidate, events)
        usage = parse_usage(raw)
        if usage is not None:
            usage.searches = sum(self._searches.values())
            events.append(Spent(usage, raw))

    def _begin(self, answer: dict[str, JSON], events: list[Event]) -> None:
        """The answer's own members: those of the first chunk begin it, later ones wait."""
        identifier, model = answer.pop("responseId", None), answer.pop("modelVersion", None)
        start = self._start
        if start is not None:
            for name, value in answer.items():
                if start.extra.get(name) != value:
                    self._later[name] = value
            return
        self._start = Start(
            identifier if isinstance(identifier, str) and identifier else self._stamp.id,
            model if isinstance(model, str) else "",
            created(answer) or self._stamp.created,
            extra=answer,
            source=NAME,
        )
        events.append(self._start)

    def _candidate(self, candidate: dict[str, JSON], events: list[Event]) -> None:
        index = candidate.pop("index", None)
        number = index if type(index) is int and index >= 0 else 0
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice(number)
        content = candidate.pop("content", None)
        parts = content.get("parts") if isinstance(content, dict) else None
        if isinstance(parts, list):
            for part in parts:
                self._part(choice, part, events)
        reason = candidate.pop("finishReason", None)
        if isinstance(reason, str) and reason:
            choice.reason = reason
        if candidate:
            for name, value in candidate.items():
                before = choice.extra.get(name)
                if isinstance(before, dict) and isinstance(value, dict):
                    value = {**before, **value}
                choice.extra[name] = value
            self._beside(choice, candidate, events)

    def _beside(self, choice: _Choice, candidate: dict[str, JSON], events: list[Event]) -> None:
        probable = openai_logprobs(candidate.get("logprobsResult"))
        if probable is not None and choice.block >= 0:
            events.append(Delta(choice.block, "", probable))
        found = searches(candidate.get("groundingMetadata"))
        if found:
            self._searches[choice.number] = found

    def _part(self, choice: _Choice, value: JSON, events: list[Event]) -> None:
        if isinstance(value, dict):
            text = value.get("text")
            if type(text) is str and len(value) == 1:
                self._text(choice, text, events)
                return
        part = lenient_part(value)
        match part:
            case Text():
                self._text(choice, part.text, events, extra=part.extra)
            case Reasoning():
                self._thought(choice, part, events)
            case ToolCall():
                self._call(choice, part, events)
            case _:
                self._open(choice, part, events)
                self._stop(choice, events)

    def _text(
        self, choice: _Choice, text: str, events: list[Event], *, extra: Extra | None = None
    ) -> None:
        if choice.block < 0 or choice.thinks:
            if not text and not extra:
                return
            self._open(choice, Text(""), events)
        if text:
            events.append(Delta(choice.block, text))
        if extra:  # what has a signature stands alone
            self._stop(choice, events, extra)

    def _thought(self, choice: _Choice, part: Reasoning, events: list[Event]) -> None:
        if choice.block < 0 or not choice.thinks:
            if not part.text and not part.signature:
                return
            self._open(choice, Reasoning(summary=True), events)
            choice.thinks = True
        if part.text:
            events.append(Delta(choice.block, part.text))
        if part.signature:
            events.append(Signature(choice.block, part.signature))
        if part.signature or part.extra:
            self._stop(choice, events, part.extra)

    def _call(self, choice: _Choice, part: ToolCall, events: list[Event]) -> None:
        """A call: whole, or in pieces that are put together here."""
        inner = part.extra.get("functionCall")
        told = inner if isinstance(inner, dict) else {}
        if (
            choice.call is None
            and "partialArgs" not in told
            and told.get("willContinue") is not True
        ):
            self._whole_call(choice, part, events)
            return
        if choice.call is None or part.name:
            self._end_call(choice, events)
            choice.call, choice.arguments = part, Arguments()
        assert choice.arguments is not None
        choice.arguments.add(told.get("partialArgs"))
        choice.call.signature = choice.call.signature or part.signature
        if told.get("willContinue") is not True:
            self._end_call(choice, events)

    def _end_call(self, choice: _Choice, events: list[Event]) -> None:
        call, arguments = choice.call, choice.arguments
        if call is None or arguments is None:
            return
        choice.call = choice.arguments = None
        call.arguments = call.arguments or encode_text(arguments.value)
        call.extra = {name: v for name, v in call.extra.items() if name != "functionCall"}
        self._whole_call(choice, call, events)

    def _whole_call(self, choice: _Choice, part: ToolCall, events: list[Event]) -> None:
        choice.called = True
        identifier = part.id or f"{self._prefix}{self._calls}"
        self._calls += 1
        begun = replace(part, id=identifier, arguments="", signature="")
        index = self._open(choice, begun, events)
        if part.arguments:
            events.append(Delta(index, part.arguments))
        if part.signature:
            events.append(Signature(index, part.signature))
        self._stop(choice, events)

    def _open(self, choice: _Choice, part: Part, events: list[Event]) -> int:
        if choice.block >= 0:
            self._stop(choice, events)
        choice.block, choice.thinks = self._block_count, False
        self._block_count += 1
        events.append(BlockStart(choice.block, part, choice.number))
        return choice.block

    def _stop(self, choice: _Choice, events: list[Event], extra: Extra | None = None) -> None:
        events.append(BlockStop(choice.block, extra or None))
        choice.block = -1

    def _end(self, events: list[Event]) -> None:
        """The body is over: what is open ends, and the candidates that said so are finished."""
        for choice in self._choices.values():
            self._end_call(choice, events)
            if choice.block >= 0:
                self._stop(choice, events)
        if self._later:
            events.append(Aside(NAME, self._later))
        for choice in self._choices.values():
            if choice.reason:
                stop = stop_of(choice.reason, choice.called)
                events.append(Finish(stop, choice.number, choice.reason, extra=choice.extra))
        if self._start is not None and not self._choices:
            reason = block_reason(self._start.extra) or block_reason(self._later)
            if reason:
                events.append(Finish("content_filter", native_stop=reason))
