"""Prompts too long for Ollama's own default are not cut without a word (demand.md 37)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.harness import Received, Reply, gateway, json_reply, people, scripted_upstream

NATIVE = {
    "model": "qwen",
    "created_at": "2026-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": "hello"},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 9000,
    "eval_count": 1,
}
CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "qwen",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "hello"},
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


def ollama(request: Received) -> Reply:
    if request.path == "/api/tags":
        return json_reply({"models": [{"name": "qwen", "model": "qwen"}]})
    return json_reply(NATIVE if request.path == "/api/chat" else CHAT)


def test_a_long_prompt_takes_the_native_way_with_a_window_that_holds_it(tmp_path: Path) -> None:
    with scripted_upstream(ollama) as upstream:
        text = f'[channels.o]\ntype = "ollama"\nbase_url = "{upstream.url}/v1"\nmodels = ["qwen"]\n'
        with gateway(tmp_path, text + people()) as running:
            for content in ("hi", "some words " * 5000):
                messages = [{"role": "user", "content": content}]
                body = {"model": "qwen", "messages": messages}
                answer = running.post("/v1/chat/completions", body).json()
                assert answer["choices"][0]["message"]["content"] == "hello"
        asked = [r for r in upstream.received if r.path != "/api/tags"]
        assert [r.path for r in asked] == ["/v1/chat/completions", "/api/chat"]
        long: dict[str, Any] = json.loads(asked[1].body)
        assert long["options"]["num_ctx"] >= 10_000
