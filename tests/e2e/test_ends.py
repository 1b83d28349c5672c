"""Streams in the client's own dialect that end without saying that they are complete, or begin with
an error: nothing ends silently, and errors have the status that they stand for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.e2e.harness import (
    Answer,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    people,
    scripted_upstream,
)

JSON = Any


@dataclass(frozen=True, slots=True)
class Native:
    """A dialect that client and provider speak alike: what is asked, how its answer begins, an
    error of it, and what the client must see at the end of a stream that has none.
    """

    type: str
    base: str
    path: str
    ask: JSON
    begins: bytes
    fails: bytes
    status: int
    ends: bytes
    content_type: str = "text/event-stream"


def event(value: JSON) -> bytes:
    named = f"event: {value['type']}\n" if isinstance(value.get("type"), str) else ""
    return f"{named}data: {json.dumps(value)}\n\n".encode()


TALK: Final = [{"role": "user", "content": "a"}]
STARTED: Final = {
    "type": "message_start",
    "message": {"id": "m", "content": [], "usage": {"input_tokens": 5, "output_tokens": 1}},
}
NATIVES: Final[Mapping[str, Native]] = {
    "chat": Native(
        "openai-compatible",
        "/v1",
        "/v1/chat/completions",
        {"model": "chat", "messages": TALK, "stream": True},
        event({"id": "c", "choices": [{"index": 0, "delta": {"content": "Hello"}}]}),
        event({"error": {"message": "slow down", "code": 429}}),
        429,
        b'data: {"error":',
    ),
    "messages": Native(
        "anthropic",
        "/v1",
        "/v1/messages",
        {"model": "messages", "max_tokens": 9, "messages": TALK, "stream": True},
        event(STARTED)
        + event({"type": "content_block_start", "index": 0, "content_block": {"type": "text"}})
        + event(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "Hello"},
            }
        ),
        event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        529,
        b"event: error\n",
    ),
    "gemini": Native(
        "gemini",
        "/v1beta",
        "/v1beta/models/gemini:streamGenerateContent?alt=sse",
        {"contents": [{"parts": [{"text": "a"}]}]},
        event(
            {
                "candidates": [{"content": {"parts": [{"text": "Hello"}]}}],
                "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
            }
        ),
        event({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}),
        503,
        b'data: {"error":',
    ),
    "ollama": Native(
        "ollama",
        "/v1",
        "/api/chat",
        {"model": "ollama", "messages": TALK},
        json.dumps({"message": {"role": "assistant", "content": "Hello"}}).encode() + b"\n",
        b'{"error":"no memory left"}\n',
        502,
        b'{"error":',
        "application/x-ndjson",
    ),
}


def toml(upstream: str) -> str:
    parts = [people()]
    for name, native in NATIVES.items():
        parts.append(
            f'[channels.{name}]\ntype = "{native.type}"\nbase_url = "{upstream}{native.base}"\n'
            f'keys = ["up-key"]\nmodels = ["{name}"]\ndiscover = false\n'
        )
    return "".join(parts)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply({})) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("ends"), toml(upstream.url)) as found:
        yield found


def asked(running: Running, upstream: Upstream, name: str, body: bytes) -> Answer:
    native = NATIVES[name]
    kind = (("content-type", native.content_type),)
    upstream.script = lambda _: Reply(200, kind, [body])
    return running.post(native.path, native.ask)


@pytest.mark.parametrize("name", NATIVES)
def test_a_stream_that_ends_without_its_end_ends_with_an_error(
    running: Running, upstream: Upstream, name: str
) -> None:
    answer = asked(running, upstream, name, NATIVES[name].begins)
    assert answer.body.startswith(NATIVES[name].begins)
    assert answer.body[len(NATIVES[name].begins) :].startswith(NATIVES[name].ends)
    record = running.records()[-1]
    assert (record["settlement"], record["error_code"]) == ("upstream_broke", "stream_unfinished")


@pytest.mark.parametrize("name", NATIVES)
def test_a_stream_that_begins_with_an_error_has_the_status_that_it_stands_for(
    running: Running, upstream: Upstream, name: str
) -> None:
    answer = asked(running, upstream, name, NATIVES[name].fails)
    assert answer.status == NATIVES[name].status
