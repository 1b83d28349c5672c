"""Reasoning that a model writes into its text is taken apart where a channel or model says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import (
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    people,
    scripted_upstream,
    sse_reply,
)


@dataclass
class World:
    gateway: Running
    upstream: Upstream


def settings(url: str) -> str:
    channel = f'type = "openai-compatible"\nbase_url = "{url}/v1"\nkeys = ["k"]\n'
    return (
        f'[channels.r1]\n{channel}models = ["r1"]\nthink_tags = true\n'
        f'[channels.plain]\n{channel}models = ["plain"]\n'
        '[models.named]\nroutes = [{ channel = "plain", model = "plain" }]\n'
        'think_tags = "reasoning"\n'
        '[models.closed]\nroutes = [{ channel = "plain", model = "plain" }]\n'
        'think_tags = "/think"\n' + people()
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("think")
    with (
        scripted_upstream(lambda request: json_reply({})) as upstream,
        gateway(folder, settings(upstream.url)) as running,
    ):
        yield World(running, upstream)


def chunk(text: str, finish: str | None = None) -> bytes:
    delta = {"content": text} if text else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**value, "choices": [choice]}).encode() + b"\n\n"


def whole(text: str) -> Reply:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return json_reply(
        {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}
    )


def asked(world: World, model: str, text: str) -> tuple[str, str]:
    """Thought and text of a whole answer."""
    world.upstream.script = lambda request: whole(text)
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    answer = world.gateway.post("/v1/chat/completions", body)
    message: dict[str, Any] = answer.json()["choices"][0]["message"]
    return message.get("reasoning_content") or "", message["content"]


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("r1", "<think>why</think>because"),
        ("named", "<reasoning>why</reasoning>because"),
        ("closed", "why</think>because"),
    ],
)
def test_a_thought_is_taken_out_of_the_text(world: World, model: str, text: str) -> None:
    assert asked(world, model, text) == ("why", "because")


def test_a_model_without_the_rule_keeps_its_text(world: World) -> None:
    assert asked(world, "plain", "<think>why</think>because") == ("", "<think>why</think>because")


def test_a_streamed_thought_is_taken_out_across_the_borders_of_chunks(world: World) -> None:
    pieces = ["<th", "ink>w", "hy</", "think", ">be", "cause"]
    stream = [*(chunk(piece) for piece in pieces), chunk("", "stop"), b"data: [DONE]\n\n"]
    world.upstream.script = lambda request: sse_reply(*stream)
    body = {"model": "r1", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    answer = world.gateway.post("/v1/chat/completions", body)
    chunks = [json.loads(line[6:]) for line in answer.body.splitlines() if b"{" in line]
    deltas = [choice["delta"] for c in chunks for choice in c["choices"]]
    assert "".join(d.get("reasoning_content") or "" for d in deltas) == "why"
    assert "".join(d.get("content") or "" for d in deltas) == "because"
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_an_anthropic_client_sees_a_thinking_block(world: World) -> None:
    world.upstream.script = lambda request: whole("<think>why</think>because")
    body = {"model": "r1", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    blocks = world.gateway.post("/v1/messages", body).json()["content"]
    assert [(b["type"], b.get("thinking") or b.get("text")) for b in blocks] == [
        ("thinking", "why"),
        ("text", "because"),
    ]
