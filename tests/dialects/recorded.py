"""Recorded exchanges with providers of OpenAI's dialect, read from beside the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from oneapi.dialects.base import Operation
from oneapi.dialects.openai import OPERATIONS
from oneapi.wire.json import JSON

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
FILES = (
    "openai ollama openai_compat_other azure cloudflare groq deepseek mistral together xai novita "
    "openrouter zhipu dashscope"
).split()
OPERATION_OF = {
    "chat": "chat",
    "completions": "completions",
    "embeddings": "embeddings",
    "moderation": "moderations",
    "images": "images.generations",
    "speech": "speech",
    "transcription": "transcriptions",
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recording. `body` is the answer's JSON, `sse` a stream's bytes, both empty for sound."""

    id: str
    provider: str
    operation: Operation
    status: int
    body: JSON
    sse: bytes
    prefix: bytes

    @property
    def raw(self) -> bytes:
        """The answer's body as bytes."""
        if self.sse or self.body is None:
            return self.sse
        if isinstance(self.body, str):
            return self.body.encode()
        return self.prefix + json.dumps(self.body, ensure_ascii=False).encode()


def exchanges() -> Iterator[Exchange]:
    """All that a client of these endpoints could have caused."""
    for name in FILES:
        path = FOLDER / f"{name}.jsonl"
        for line in path.read_text().splitlines() if path.exists() else ():
            record = json.loads(line)
            request, answer = record["request"], record["response"]
            if record["api"] not in OPERATION_OF or request["method"] != "POST":
                continue
            if request["url"].endswith("/api/embeddings"):  # another dialect
                continue
            yield Exchange(
                record["id"],
                name,
                OPERATIONS[OPERATION_OF[record["api"]]],
                answer["status"],
                answer.get("body"),
                answer.get("sse", "").encode(),
                answer.get("raw_prefix", "").encode(),
            )


def recorded(*, stream: bool, ok: bool = True) -> list[Exchange]:
    return [e for e in exchanges() if bool(e.sse) == stream and (e.status == 200) == ok]


def cases(found: list[Exchange]) -> list[object]:
    """Parameters for a test, or one that is skipped with a reason."""
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="no recordings beside the tree"))]
    return [pytest.param(exchange, id=exchange.id) for exchange in found]
