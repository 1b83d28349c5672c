"""Recorded exchanges in the Responses format, with all providers that speak it, read from beside
the repository; and what tests say of their events.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from oneapi.dialects.base import Stamp
from oneapi.dialects.responses import FACES, OPERATIONS, peek
from oneapi.ir import ChatRequest
from oneapi.wire.json import JSON, members
from tests.dialects.recorded import FOLDER

FACE = FACES["responses"]
STAMP = Stamp("0123456789abcdef", created=1_700_000_000)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recording. `sse` is a stream's bytes, b"" where there is none."""

    id: str
    request: JSON
    status: int
    body: JSON
    sse: bytes

    @property
    def raw(self) -> bytes:
        return json.dumps(self.body, ensure_ascii=False).encode()


def exchanges() -> list[Exchange]:
    found = []
    for path in sorted(FOLDER.glob("*.jsonl")) if FOLDER.exists() else ():
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if record["api"] != "responses" or not isinstance(record["request"]["body"], dict):
                continue
            answer = record["response"]
            found.append(
                Exchange(
                    record["id"],
                    record["request"]["body"],
                    answer["status"],
                    answer.get("body"),
                    answer.get("sse", "").encode(),
                )
            )
    return found


def cases(found: list[Exchange]) -> list[object]:
    """Parameters for a test, or one that is skipped with a reason."""
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="no recordings beside the tree"))]
    return [pytest.param(exchange, id=exchange.id) for exchange in found]


ALL = exchanges()
WHOLE = cases([e for e in ALL if e.status == 200 and not e.sse])
STREAMS = cases([e for e in ALL if e.sse])
REFUSALS = cases([e for e in ALL if e.status != 200])


def parsed(body: JSON) -> ChatRequest:
    """The request as the gateway parses it."""
    envelope = peek(OPERATIONS["responses"], members(json.dumps(body).encode()))
    return FACE.parse_request(body, envelope)


def told(stream: bytes) -> list[JSON]:
    """The events of a stream."""
    found = []
    for block in stream.decode().replace("\r\n", "\n").split("\n\n"):
        data = [line[5:].strip() for line in block.split("\n") if line.startswith("data:")]
        if data and data[0] != "[DONE]":
            found.append(json.loads(data[0]))
    return found


def kinds(events: list[JSON]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]
