"""Which model's name a translated answer carries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.harness import gateway, json_reply, people, scripted_upstream

CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4},
}


@pytest.mark.parametrize("model", ["amazon.nova-micro-v1:0", "small"])
def test_a_format_that_names_no_model_gets_the_asked_one(tmp_path: Path, model: str) -> None:
    with scripted_upstream(lambda request: json_reply(CONVERSE)) as upstream:
        text = (
            f'[channels.aws]\ntype = "bedrock"\nbase_url = "{upstream.url}"\nkeys = ["k"]\n'
            'models = ["amazon.nova-micro-v1:0"]\nvars = { region = "us-east-1" }\n'
            '[models.small]\nroutes = [{ channel = "aws", model = "amazon.nova-micro-v1:0" }]\n'
        )
        with gateway(tmp_path, text + people()) as running:
            body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
            answer = running.post("/v1/chat/completions", body).json()
            assert answer["model"] == model
            assert answer["choices"][0]["message"]["content"] == "hello"
            assert upstream.received[0].path == "/model/amazon.nova-micro-v1%3A0/converse"
