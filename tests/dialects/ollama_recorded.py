"""Recorded exchanges in Ollama's native format, read from beside the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from oneapi.dialects.base import Stamp
from oneapi.dialects.ollama import FACES, OPERATIONS, peek
from oneapi.dialects.ollama_shapes import CHAT, EMBED, EMBEDDINGS, GENERATE
from oneapi.ir import ChatRequest
from oneapi.wire.json import JSON, encode, members

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
PATHS = {
    "/api/chat": CHAT,
    "/api/generate": GENERATE,
    "/api/embed": EMBED,
    "/api/embeddings": EMBEDDINGS,
}
STAMP = Stamp("0123456789abcdef", 1_790_000_000, "", lambda: 1_500_000_000)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recording. `lines` is a stream's text, "" where the answer came whole."""

    id: str
    operation: str
    request: JSON
    status: int
    body: JSON
    lines: str


def exchanges() -> Iterator[Exchange]:
    """All in the native format, whichever file they stand in."""
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            if "/api/" not in line:
                continue
            record = json.loads(line)
            asked, answer = record["request"], record["response"]
            ours = record["provider"].startswith("ollama") or record["api"].startswith("ollama")
            found = [name for suffix, name in PATHS.items() if asked["url"].endswith(suffix)]
            if not ours or not found or not isinstance(asked.get("body"), dict):
                continue
            yield Exchange(
                record["id"],
                found[0],
                asked["body"],
                answer["status"],
                answer.get("body"),
                answer.get("sse", ""),
            )


def chats(*, stream: bool) -> list[Exchange]:
    return [
        e
        for e in exchanges()
        if e.operation in FACES and bool(e.lines) == stream and e.status == 200
    ]


def cases(found: list[Exchange]) -> list[object]:
    """Parameters for a test, or one that is skipped with a reason."""
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="no recordings beside the tree"))]
    return [pytest.param(exchange, id=exchange.id) for exchange in found]


def parsed(body: JSON, operation: str = CHAT) -> ChatRequest:
    envelope = peek(OPERATIONS[operation], members(encode(body)))
    return FACES[operation].parse_request(body, envelope)
