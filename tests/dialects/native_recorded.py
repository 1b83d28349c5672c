"""Recorded exchanges of providers whose format no client speaks, and what their tests share."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from oneapi.dialects.base import StreamParser
from oneapi.ir import (
    BlockStart,
    BlockStop,
    ChatRequest,
    ChatResponse,
    Delta,
    Event,
    Failed,
    Finish,
    Message,
    Reasoning,
    Start,
    Text,
    ToolCall,
)
from oneapi.wire.json import JSON
from tests.dialects.recorded import FOLDER

CUTS = (1, 2, 3, 7, 64, 1_000_000)


@dataclass(frozen=True, slots=True)
class Recorded:
    id: str
    api: str
    method: str
    url: str
    request: JSON
    status: int
    body: JSON
    sse: bytes

    @property
    def raw(self) -> bytes:
        """The answer's body as bytes."""
        if self.sse or self.body is None:
            return self.sse
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body, ensure_ascii=False).encode()


def recorded(name: str) -> list[Recorded]:
    path = FOLDER / f"{name}.jsonl"
    return [_read(json.loads(line)) for line in _lines(path)] if path.exists() else []


def cases(found: Iterable[Recorded]) -> list[Any]:
    """Parameters for a test, or one that is skipped with a reason."""
    params = [pytest.param(record, id=record.id) for record in found]
    skipped = pytest.mark.skip(reason="no recordings beside the tree")
    return params or [pytest.param(None, marks=skipped)]


def _lines(path: Any) -> list[str]:
    text: str = path.read_text("utf-8")
    return text.split("\n")[:-1]


def _read(record: JSON) -> Recorded:
    request, answer = record["request"], record["response"]
    body = request.get("body")
    if isinstance(body, str) and body.startswith("{'"):  # one recorder wrote Python's literals
        body = ast.literal_eval(body)
    return Recorded(
        record["id"],
        record["api"],
        request["method"],
        request["url"],
        body,
        answer["status"],
        answer.get("body"),
        answer.get("sse", "").encode(),
    )


def run(parser: StreamParser, stream: bytes, size: int = 1_000_000) -> list[Event]:
    """All events of a stream that comes in chunks of a size."""
    events: list[Event] = []
    for start in range(0, len(stream), size):
        events += parser.feed(stream[start : start + size])
    return events + parser.close()


def well_formed(events: Iterable[Event]) -> bool:
    """Whether the grammar of `oneapi.ir` is kept: one start, blocks begun in order and stopped
    before their answer is finished. A failure ends everything as it stands.
    """
    begun = starts = 0
    opened: dict[int, int] = {}  # block → its answer
    for event in events:
        match event:
            case Failed():
                return True
            case Start():
                starts += 1
            case BlockStart():
                if event.index != begun or starts != 1:
                    return False
                begun += 1
                opened[event.index] = event.choice
            case Delta():
                if event.index not in opened:
                    return False
            case BlockStop():
                if opened.pop(event.index, None) is None:
                    return False
            case Finish():
                if starts != 1 or event.choice in opened.values():
                    return False
            case _:
                pass
    return starts <= 1 and not opened


def said(reply: ChatResponse) -> tuple[str, str, list[tuple[str, str, str]], str | None]:
    """Text, thought, calls and the stop of the first answer."""
    parts = reply.choices[0].parts
    return (
        "".join(part.text for part in parts if isinstance(part, Text)),
        "".join(part.text for part in parts if isinstance(part, Reasoning)),
        [(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolCall)],
        reply.choices[0].stop,
    )


def asks(*messages: Message, **rest: Any) -> ChatRequest:
    """A request of some client's dialect."""
    return ChatRequest("m", list(messages), "openai-chat", **rest)


def user(text: str) -> Message:
    return Message("user", [Text(text)])
