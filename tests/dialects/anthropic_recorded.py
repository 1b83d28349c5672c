"""Recorded exchanges in Anthropic's format, with Anthropic and with hosts of Claude, read from
beside the repository.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from oneapi.wire.eventstream import EventStream
from oneapi.wire.json import JSON
from tests.dialects.recorded import FOLDER


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recording. `sse` is a stream, whatever it was packed in; b"" where there is none."""

    id: str
    api: str
    request: JSON
    status: int
    body: JSON
    sse: bytes

    @property
    def raw(self) -> bytes:
        return json.dumps(self.body, ensure_ascii=False).encode()


def _exchanges() -> Iterable[Exchange]:
    for name, apis in (
        ("anthropic", ("messages", "count_tokens")),
        ("bedrock", ("invoke",)),
        ("vertex", ("predict",)),
    ):
        path = FOLDER / f"{name}.jsonl"
        for line in path.read_text().splitlines() if path.exists() else ():
            record = json.loads(line)
            request, answer = record["request"].get("body"), record["response"]
            if record["api"] not in apis or not isinstance(request, dict):
                continue
            if name != "anthropic" and "anthropic_version" not in request:
                continue
            yield Exchange(
                record["id"],
                record["api"],
                request,
                answer["status"],
                answer.get("body"),
                answer.get("sse", "").encode() or _unpacked(answer.get("body_b64", "")),
            )


def _unpacked(body: str) -> bytes:
    """Events that came in frames of Amazon's, as events of the format."""
    out = b""
    for frame in EventStream().feed(b64decode(body)):
        inner = json.loads(frame.payload)
        if "bytes" in inner:
            data = b64decode(inner["bytes"])
            out += b"event: %b\ndata: %b\n\n" % (json.loads(data)["type"].encode(), data)
    return out


EXCHANGES = list(_exchanges())
STREAMS = [e for e in EXCHANGES if e.sse]
ANSWERS = [e for e in EXCHANGES if not e.sse and e.status == 200 and e.api != "count_tokens"]
ERRORS = [e for e in EXCHANGES if e.status != 200 and e.api in ("messages", "count_tokens")]


def cases(found: list[Exchange]) -> list[object]:
    """Parameters for a test, or one that is skipped with a reason."""
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="no recordings beside the tree"))]
    return [pytest.param(exchange, id=exchange.id) for exchange in found]


def data_events(sse: bytes) -> list[JSON]:
    """The JSON of a stream's events, pings left out."""
    lines = (line[5:] for line in sse.splitlines() if line.startswith(b"data:"))
    return [value for line in lines if (value := json.loads(line))["type"] != "ping"]
