"""Recorded exchanges with Bedrock, read from beside the repository, and what their tests share."""

from __future__ import annotations

import json
import struct
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from oneapi.wire.eventstream import encode_frame
from oneapi.wire.json import JSON
from tests.dialects.recorded import FOLDER


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recording. `stream` are the bytes of a binary event stream, b"" for a whole answer."""

    id: str
    api: str
    url: str
    request: JSON
    status: int
    headers: JSON
    body: JSON
    stream: bytes

    @property
    def raw(self) -> bytes:
        return json.dumps(self.body, ensure_ascii=False).encode()


def recorded(api: str) -> list[Recorded]:
    """In whichever file they stand."""
    return [record for record in _all() if record.api == api]


def _all() -> Iterator[Recorded]:
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text("utf-8").split("\n"):
            if '"bedrock' not in line:
                continue
            record = json.loads(line)
            request, answer = record["request"], record["response"]
            yield Recorded(
                record["id"],
                record["api"],
                request["url"],
                request.get("body"),
                answer["status"],
                answer.get("headers"),
                answer.get("body"),
                b64decode(answer.get("body_b64", "")),
            )


def cases(found: Iterable[Recorded]) -> list[Any]:
    """Parameters for a test, or one that is skipped with a reason."""
    params = [pytest.param(record, id=record.id) for record in found]
    skipped = pytest.mark.skip(reason="no recordings beside the tree")
    return params or [pytest.param(None, marks=skipped)]


def payloads(stream: bytes) -> Iterator[tuple[str, JSON]]:
    """(event type, payload) of each frame, read without the code under test."""
    at = 0
    while at < len(stream):
        total, head = struct.unpack_from(">II", stream, at)
        name = stream[at + 12 : at + 12 + head].split(b":event-type\x07")[1]
        size = struct.unpack_from(">H", name)[0]
        body = stream[at + 12 + head : at + total - 4]
        yield name[2 : 2 + size].decode(), json.loads(body)
        at += total


def frame(name: str, payload: JSON, kind: str = "event") -> bytes:
    """A frame as Bedrock sends it; `kind` is event or exception."""
    headers = {
        f":{kind}-type": name,
        ":content-type": "application/json",
        ":message-type": kind,
    }
    return encode_frame(headers, json.dumps(payload).encode())
