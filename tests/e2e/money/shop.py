"""What is sold in these tests: a model at a price a request, whose provider takes its time.

With a price a request alone, what a request holds is what it costs, to the nano-dollar, so that
figures are exact.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tests.e2e.harness import Received, Reply, key_hash

JSON = Any
MODEL: Final = "sold"
PRICE_NANOUSD: Final = 100_000_000
"""$0.1 a request."""
USAGE: Final = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
ASK: Final[Mapping[str, JSON]] = {
    "model": MODEL,
    "max_tokens": 20,
    "messages": [{"role": "user", "content": "hello"}],
}
STREAM: Final[Mapping[str, JSON]] = {**ASK, "stream": True}
SLOW_S: Final = 0.3
"""How long the provider thinks: so many requests are under way at once."""


def answer(request: Received) -> Reply:
    """The provider's: after a while, as a stream where it is asked for one."""
    return answer_after(request, SLOW_S)


def answer_after(request: Received, seconds: float, usage: JSON = USAGE) -> Reply:
    """A whole answer or a stream, with its usage, after so many seconds."""
    if request.json().get("stream"):
        head = (("content-type", "text/event-stream"),)
        return Reply(200, head, [seconds, *stream_events(usage)])
    message = {"role": "assistant", "content": "Good day to you."}
    body = {
        "id": "c",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    return Reply(200, body=[seconds, json.dumps(body).encode()])


def stream_events(usage: JSON = USAGE) -> list[bytes]:
    """Two words, the end, the usage."""
    chunks: list[JSON] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Good"}}]},
        {"choices": [{"index": 0, "delta": {"content": " day."}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    ]
    named = ({"id": "c", "object": "chat.completion.chunk", "model": MODEL, **c} for c in chunks)
    return [*(b"data: " + json.dumps(c).encode() + b"\n\n" for c in named), b"data: [DONE]\n\n"]


def failing(status: int = 400) -> Reply:
    """The provider's refusal of one request, which nobody else is asked after."""
    body = {"error": {"message": "no", "type": "invalid_request_error", "code": "odd"}}
    return Reply(status, body=json.dumps(body).encode())


def channel(url: str, name: str = "up", models: tuple[str, ...] = (MODEL,), more: str = "") -> str:
    """TOML of a channel at the scripted provider."""
    return (
        f'[channels.{name}]\ntype = "openai-compatible"\nbase_url = "{url}/v1"\n'
        f'keys = ["sk-upstream"]\nmodels = {json.dumps(list(models))}\n{more}\n'
    )


def price(name: str = MODEL, lines: str = "request = 0.1") -> str:
    return f'[prices."{name}"]\n{lines}\n'


def secret(name: str) -> str:
    """The key of the token of that name: 48 letters, which differ by the name."""
    return "sk-" + (name.replace("_", "").replace("-", "") * 48)[:48]


def buyer(name: str, *, user: str = "", policy: str = "", token: str = "") -> str:
    """TOML of a user, a policy and a token of one name, each with further lines."""
    return (
        f"[users.{name}]\n{user}\n[policies.{name}]\n{policy}\n"
        f'[tokens.{name}]\nuser = "{name}"\npolicy = "{name}"\nkey = "{key_hash(secret(name))}"\n'
        f"{token}\n"
    )
