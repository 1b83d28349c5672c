"""A stream as a whole answer, and a whole answer as a stream.

`gather` and `replay` are each other's inverse: for clients that want a whole answer of a provider
that streams, and the reverse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from oneapi.errors import UpstreamError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    ChatResponse,
    Choice,
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

_LOGPROBS_DEPTH: Final = 4
"""Levels of members within which lists of log probabilities are looked for."""


@dataclass(slots=True)
class _Block:
    part: Part
    choice: int
    texts: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    annotations: list[JSON] = field(default_factory=list)


def gather(events: Iterable[Event], source: str) -> ChatResponse:
    """The whole answer that a complete stream tells. `source` is the provider's dialect.

    Raises the error of a `Failed`, and `UpstreamError` 502 where the stream has no `Start`.
    """
    gatherer = Gatherer(source)
    gatherer.feed(events)
    return gatherer.response()


class Gatherer:
    """Events to a whole answer, a few at a time."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._start: Start | None = None
        self._spent: Spent | None = None
        self._blocks: dict[int, _Block] = {}
        self._finishes: dict[int, Finish] = {}
        self._logprobs: dict[int, list[JSON]] = {}

    def feed(self, events: Iterable[Event]) -> None:
        """Raises the error of a `Failed`."""
        for event in events:
            match event:
                case Start():
                    self._start = event
                case BlockStart():
                    self._blocks[event.index] = _Block(event.part, event.choice)
                case Finish():
                    self._finishes[event.choice] = event
                case Spent():
                    self._spent = event
                case Failed():
                    raise event.error
                case Aside():
                    pass
                case _:
                    self._of_block(self._blocks[event.index], event)

    def response(self) -> ChatResponse:
        start = self._start
        if start is None:
            raise UpstreamError(
                502,
                "the provider's stream ended before it began",
                code="bad_upstream_answer",
                retryable=True,
            )
        return ChatResponse(
            id=start.id,
            model=start.model,
            choices=_choices(self._blocks, self._finishes, self._logprobs),
            usage=self._spent.usage if self._spent else None,
            source=self._source,
            created=start.created,
            service_tier=start.service_tier,
            raw_usage=self._spent.raw if self._spent else None,
            extra=dict(start.extra),
        )

    def _of_block(self, block: _Block, event: Delta | Signature | Annotation | BlockStop) -> None:
        part = block.part
        match event:
            case Delta():
                block.texts.append(event.text)
                if event.logprobs is not None:
                    self._logprobs.setdefault(block.choice, []).append(event.logprobs)
            case Signature():
                block.signatures.append(event.signature)
                block.data.append(event.data)
            case Annotation():
                block.annotations.append(event.annotation)
            case BlockStop():
                if event.extra and not isinstance(part, Opaque):
                    block.part = replace(part, extra={**part.extra, **event.extra})


def replay(reply: ChatResponse) -> Iterator[Event]:
    """The events of a whole answer."""
    yield Start(
        reply.id,
        reply.model,
        reply.created,
        reply.service_tier,
        dict(reply.extra),
        reply.source,
    )
    index = 0
    for choice in reply.choices:
        first = True
        for part in choice.parts:
            empty, text = _emptied(part)
            yield BlockStart(index, empty, choice.index)
            if text or (first and choice.logprobs is not None):
                yield Delta(index, text, choice.logprobs if first else None)
                first = False
            if isinstance(part, Reasoning) and (part.signature or part.data):
                yield Signature(index, part.signature, part.data)
            elif isinstance(part, ToolCall) and part.signature:
                yield Signature(index, part.signature)
            elif isinstance(part, Text):
                for annotation in part.annotations:
                    yield Annotation(index, annotation)
            yield BlockStop(index)
            index += 1
        yield Finish(
            choice.stop or "stop",
            choice.index,
            choice.native_stop,
            choice.stop_sequence,
            dict(choice.extra),
        )
    if reply.usage is not None:
        yield Spent(reply.usage, reply.raw_usage)


def _choices(
    blocks: dict[int, _Block], finishes: dict[int, Finish], logprobs: dict[int, list[JSON]]
) -> list[Choice]:
    parts: dict[int, list[Part]] = {number: [] for number in finishes}
    for index in sorted(blocks):
        parts.setdefault(blocks[index].choice, []).append(_filled(blocks[index]))
    choices = []
    for number in sorted(parts):
        finish = finishes.get(number)
        choice = Choice(parts[number], finish.stop if finish else None, number)
        if finish is not None:
            choice.native_stop = finish.native_stop
            choice.stop_sequence = finish.stop_sequence
            choice.extra = dict(finish.extra)
        choice.logprobs = _joined(logprobs.get(number, []))
        choices.append(choice)
    return choices


def _filled(block: _Block) -> Part:
    """The block's part with the text that came for it."""
    text, part = "".join(block.texts), block.part
    signature, data = "".join(block.signatures), "".join(block.data)
    match part:
        case Text():
            annotations = [*part.annotations, *block.annotations]
            return replace(part, text=part.text + text, annotations=annotations)
        case Refusal():
            return replace(part, text=part.text + text)
        case Reasoning():
            return replace(
                part,
                text=part.text + text,
                signature=part.signature + signature,
                data=data or part.data,
            )
        case ToolCall():
            return replace(
                part, arguments=part.arguments + text, signature=part.signature + signature
            )
        case Media():
            return replace(part, data=part.data + text)
        case ToolResult() | Opaque():
            return part


def _emptied(part: Part) -> tuple[Part, str]:
    """The part as a block begins with it, and the text that follows as deltas."""
    match part:
        case Text():
            return replace(part, text="", annotations=[]), part.text
        case Refusal():
            return replace(part, text=""), part.text
        case Reasoning():
            return replace(part, text="", signature="", data=""), part.text
        case ToolCall():
            return replace(part, arguments="", signature=""), part.arguments
        case Media() | ToolResult() | Opaque():
            return part, ""


def _joined(deltas: Sequence[JSON], depth: int = _LOGPROBS_DEPTH) -> JSON:
    """Log probabilities of all deltas: lists are joined, member by member."""
    found = [value for value in deltas if value is not None]
    if all(isinstance(value, list) for value in found):
        return [item for value in found for item in value] if found else None
    if depth and all(isinstance(value, dict) for value in found):
        members: dict[str, list[JSON]] = {}
        for value in found:
            for name, inner in value.items():
                members.setdefault(name, []).append(inner)
        return {name: _joined(inner, depth - 1) for name, inner in members.items()}
    return found[-1]
