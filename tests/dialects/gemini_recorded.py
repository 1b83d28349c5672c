"""Recorded exchanges with Gemini's two services, read from beside the repository."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from oneapi.wire.json import JSON

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
APIS = ("generateContent", "count_tokens")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recording. `answer` is a whole answer's JSON, `sse` a stream's bytes."""

    id: str
    api: str
    model: str
    request: JSON
    status: int
    answer: JSON
    sse: bytes

    @property
    def body(self) -> bytes:
        """The whole answer's bytes."""
        return json.dumps(self.answer, ensure_ascii=False).encode()

    @property
    def chunks(self) -> list[JSON]:
        """A stream's chunks."""
        text = self.sse.decode().replace("\r\n", "\n")
        return [json.loads(e[6:]) for e in text.split("\n\n") if e.startswith("data: ")]


def exchanges() -> Iterator[Exchange]:
    for name in ("gemini", "vertex"):
        path = FOLDER / f"{name}.jsonl"
        for line in path.read_text().splitlines() if path.exists() else ():
            record = json.loads(line)
            if record["api"] in APIS:
                answer = record["response"]
                yield Exchange(
                    record["id"],
                    record["api"],
                    record["model"],
                    record["request"]["body"],
                    answer["status"],
                    answer.get("body"),
                    answer.get("sse", "").encode(),
                )


def cases(found: Iterable[Exchange]) -> list[object]:
    """Parameters for a test, or one that is skipped with a reason."""
    params: list[object] = [pytest.param(exchange, id=exchange.id) for exchange in found]
    return params or [
        pytest.param(None, marks=pytest.mark.skip(reason="no recordings beside the tree"))
    ]


CHATS = [e for e in exchanges() if e.api == "generateContent"]
WHOLE = [e for e in CHATS if e.status == 200 and not e.sse]
STREAMS = [e for e in CHATS if e.status == 200 and e.sse]
REFUSED = [e for e in exchanges() if e.status != 200]
