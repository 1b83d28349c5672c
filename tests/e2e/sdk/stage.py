"""A stage for client libraries: one gateway over one scripted upstream, and its ledger.

The channel `openai` is of OpenAI's own type and serves every model, at prices that tell the buckets
apart. Every other recorded provider has a channel, a policy and a token of its own name beside it.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from openai import OpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.e2e.harness import KEY, Received, Reply, Running, Upstream, key_hash, people
from tests.e2e.recordings import FOLDER, Exchange, read

JSON = Any
MISSING = "the recorded exchanges are not beside the repository"
UPSTREAM_KEY = "up-key-0123456789abcdef"
DIALS: Mapping[str, tuple[str, str]] = {
    "ollama": ("ollama", "/v1"),
    "openai_compat_other": ("openai-compatible", "/v1"),
    "azure": ("azure", "/openai/v1"),
    "cloudflare": ("openai-compatible", "/v1"),
    "groq": ("groq", "/openai/v1"),
    "deepseek": ("deepseek", ""),
    "mistral": ("mistral", "/v1"),
    "together": ("together", "/v1"),
    "xai": ("xai", "/v1"),
    "novita": ("novita", "/v3/openai"),
    "openrouter": ("openrouter", "/api/v1"),
    "zhipu": ("zhipu", "/api/paas/v4"),
    "dashscope": ("dashscope", "/compatible-mode/v1"),
}
"""Recorded providers: the type of their channel, and the path of its address."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway that stands before one upstream. `client` is the library's, with the gateway's key;
    it does not try again by itself.
    """

    running: Running
    upstream: Upstream
    client: OpenAI

    def play(self, *replies: Reply) -> None:
        """Answer the next requests so; the last reply for ever. Forgets what was received."""
        waiting = list(replies)
        self.upstream.received.clear()
        self.upstream.script = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]

    @property
    def asked(self) -> Received:
        """What the upstream was asked last."""
        return self.upstream.received[-1]

    def records(self, count: int) -> list[dict[str, JSON]]:
        """The last records, the newest last."""
        found = self.running.records(limit=count, newest_first=True)
        return found[::-1]

    def record(self, request_id: str | None = None) -> dict[str, JSON]:
        """The newest record, which must be of this request where its id is given."""
        found = self.records(1)[0]
        if request_id is not None:
            assert found["request_id"] == request_id
        return found


def configuration(upstream: Upstream) -> str:
    """The stage's file."""
    parts = [
        '[server]\ndebug_headers = "always"\n',
        people(policy='channels = ["openai"]'),
        _channel("openai", "openai", f"{upstream.url}/v1", '["gpt-4o", "dall-e-2", "*"]'),
        '[models.fast]\nroutes = [{ channel = "openai", model = "gpt-4o" }]\n',
        '[prices."*"]\ninput = 2\noutput = 8\ncache_read = 0.5\n',
    ]
    for name, (kind, path) in DIALS.items():
        parts.append(_channel(name, kind, upstream.url + path, '["*"]'))
        parts.append(f'[policies.{name}]\nchannels = ["{name}"]\n')
        hashed = key_hash(key_of(name))
        parts.append(f'[tokens.{name}]\nuser = "e2e"\npolicy = "{name}"\nkey = "{hashed}"\n')
    return "".join(parts)


def key_of(provider: str) -> str:
    """The key whose requests go to that provider's channel."""
    return KEY if provider == "openai" else f"sk-{provider:_<48}"


def _channel(name: str, kind: str, address: str, models: str) -> str:
    return (
        f'[channels.{name}]\ntype = "{kind}"\nbase_url = "{address}"\nkeys = ["{UPSTREAM_KEY}"]\n'
        f"models = {models}\ndiscover = false\n"
    )


def recorded(provider: str, identity: str) -> Exchange:
    """A recorded exchange; skips the test where it is absent."""
    if not FOLDER.is_dir():
        pytest.skip(MISSING)
    found = next((e for e in read(provider) if e.id == identity), None)
    if found is None:
        pytest.skip(f"the recording {identity} is absent")
    return found


def replay(exchange: Exchange, piece: int = 97) -> Reply:
    """Its answer: streams in pieces that end anywhere, in the middle of events and of letters."""
    if not exchange.is_stream:
        return Reply(exchange.status, exchange.headers, exchange.body)
    body = exchange.body
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    return Reply(exchange.status, exchange.headers, pieces)


def json_of(exchange: Exchange) -> JSON:
    """The recorded answer's value."""
    return Received("", "", (), exchange.body).json()


def as_recorded(exchange: Exchange) -> dict[str, JSON]:
    """The recorded request as keywords of the library: what it does not name goes beside."""
    rest = dict(exchange.asks())
    named: dict[str, JSON] = {
        n: rest.pop(n) for n in ("model", "messages", "input", "prompt", "voice") if n in rest
    }
    if rest.pop("stream", False):
        named["stream"] = True
    return {**named, "extra_body": rest}


def whole(client: OpenAI, exchange: Exchange) -> ChatCompletion:
    """Ask what was asked in the recording, for a whole answer."""
    found = client.chat.completions.create(**as_recorded(exchange))
    assert isinstance(found, ChatCompletion)
    return found


def chunks(client: OpenAI, exchange: Exchange) -> list[ChatCompletionChunk]:
    """Ask what was asked in the recording, for a stream, and read it to its end."""
    stream: JSON = client.chat.completions.create(**as_recorded(exchange))
    with stream:
        return list(stream)


def check_usage(record: Mapping[str, JSON], usage: CompletionUsage | None) -> None:
    """The record holds the usage that the client saw, in its buckets, and what it costs here."""
    assert usage is not None
    sides = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = (sides[0].cached_tokens if sides[0] else 0) or 0
    thought = (sides[1].reasoning_tokens if sides[1] else 0) or 0
    read_in = record["input"] + record["audio_in"] + record["image_in"]
    made = record["output"] + record["reasoning"] + record["audio_out"]
    assert (read_in + record["cache_read"], made) == (usage.prompt_tokens, usage.completion_tokens)
    assert (record["cache_read"], record["reasoning"]) == (cached, thought)
    assert record["usage_source"] == "upstream"
    assert record["cost_nanousd"] == 2_000 * read_in + 500 * cached + 8_000 * made
    assert record["price_rule"].startswith("prices.*@")
    assert record["settlement"] == "complete"


def floats_as_base64(values: Sequence[float]) -> str:
    return b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
