"""The stage of the clients' libraries: one gateway before scripted providers of every dialect.

Asked for a model `on-gemini`, say, the gateway reaches the scripted Gemini under a name of that
provider's own. `library` is how a test module gets its library, and is skipped where it is absent.
"""

from __future__ import annotations

import importlib.util
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.e2e.clients.speakers import (
    anthropic,
    bedrock,
    chat,
    cohere,
    gemini,
    ollama,
    responses,
)
from tests.e2e.clients.speakers.base import CACHED, CITY, FRESH, MADE, SIGNATURE, THOUGHT_OF, whole
from tests.e2e.harness import Received, Reply, Running, Upstream, people

JSON = Any


WINDOW: Final = 4096
"""Tokens that the scripted Ollama holds."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A scripted provider: the type of its channel, the path of its address, its dialect and the
    model's name there. `counts_thoughts` and `counts_cache` say which tokens it tells apart, `more`
    are further lines of its channel.
    """

    speak: Callable[[Received], Reply]
    type: str
    path: str
    dialect: str
    model: str
    key: str = '["up-key"]'
    more: str = ""
    counts_thoughts: bool = True
    counts_cache: bool = True

    def usage(self, *, thought: bool = False) -> dict[str, int]:
        """The buckets of one answer as they must stand in the ledger."""
        thinks = THOUGHT_OF if thought else 0
        cached = CACHED if self.counts_cache else 0
        apart = thinks if self.counts_thoughts else 0
        return {
            "input": FRESH + CACHED - cached,
            "cache_read": cached,
            "output": MADE + thinks - apart,
            "reasoning": apart,
        }


PROVIDERS: Final[Mapping[str, Provider]] = {
    "chat": Provider(chat.speak, "openai", "/v1", "openai-chat", "gpt-5-mini"),
    "responses": Provider(responses.speak, "openai", "/v1", "openai-responses", "gpt-5-mini"),
    "anthropic": Provider(
        anthropic.speak, "anthropic", "/v1", "anthropic", "claude-sonnet-4-5-20250929"
    ),
    "gemini": Provider(gemini.speak, "gemini", "/v1beta", "gemini", "gemini-3-pro-preview"),
    "ollama": Provider(
        ollama.speak,
        "ollama",
        "/v1",
        "ollama",
        "qwen3:8b",
        key="[]",
        more=f"num_ctx = {WINDOW}\n",
        counts_thoughts=False,
        counts_cache=False,
    ),
    "bedrock": Provider(
        bedrock.speak,
        "bedrock",
        "",
        "bedrock-converse",
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        counts_thoughts=False,
    ),
    "cohere": Provider(
        cohere.speak,
        "cohere",
        "/compatibility/v1",
        "cohere",
        "command-a-reasoning-08-2025",
        counts_cache=False,
    ),
}
THINKING: Final = ("anthropic", "gemini", "bedrock", "responses", "cohere", "ollama")
"""Providers that show what they thought."""
SIGNING: Final = ("anthropic", "gemini", "bedrock")
"""Providers that sign a thought, or the call that follows it, and want both back."""
ROOTS: Final = {"v2": "cohere", "v1": "cohere"}
"""First parts of paths that begin at a host's root, wherever its channel's address points."""
EMBEDDERS: Final[Mapping[str, str]] = {
    "chat": "text-embedding-3-small",
    "gemini": "gemini-embedding-001",
    "ollama": "nomic-embed-text",
    "cohere": "embed-v4.0",
}
"""Who makes vectors, by which model; clients ask for `embed-gemini`."""
SECRETLY: Final = "secretly: what is the weather there?"
"""Makes those who can think in encrypted form alone."""
QUESTION: Final = "What is the weather there?"
TOOL: Final = "get_weather"
RESULT: Final = "17 °C & „föhnig“"
TOLD: Final = f"{TOOL} said {RESULT}"
ARGUMENTS: Final = {"city": CITY}
SCHEMA: Final[JSON] = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "The city’s name"}},
    "required": ["city"],
    "additionalProperties": False,
}
PLACE: Final[JSON] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "celsius": {"type": "integer"}},
    "required": ["city", "celsius"],
    "additionalProperties": False,
}
PNG: Final = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
    b"\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xfc\xcf\xc0P\x0f\x00\x04\x85\x01\x80"
    b"\x84\xa9\x8c!\x00\x00\x00\x00IEND\xaeB`\x82"
)
PDF: Final = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
NEEDED: Final = ("anthropic", "google.genai", "langchain_anthropic", "langchain_openai", "ollama")
ABSENT: Final = "the client libraries are in an environment of their own, made by tests/run"
WRONG_KEY: Final = "sk-" + "w" * 48


def library(name: str) -> Any:
    """The module; skips the whole test module in environments without the client libraries."""
    for needed in NEEDED:
        top = needed.partition(".")[0]
        if importlib.util.find_spec(top) is None:
            pytest.skip(ABSENT, allow_module_level=True)
    return pytest.importorskip(name, reason=ABSENT)


@dataclass(slots=True)
class World:
    """One gateway over one upstream."""

    running: Running
    upstream: Upstream

    @property
    def base(self) -> str:
        return self.running.base_url

    @property
    def asked(self) -> Received:
        """What a provider was asked last."""
        return self.upstream.received[-1]

    def last(self, count: int = 1) -> list[dict[str, JSON]]:
        """The last records, the newest last."""
        return self.running.records(limit=count, newest_first=True)[::-1]


def answer(request: Received) -> Reply:
    """The provider whose name begins the path."""
    name = request.path.split("/")[1]
    try:
        return PROVIDERS[ROOTS.get(name, name)].speak(request)
    except Exception as error:  # noqa: BLE001 - any malformed request must fail its test in words
        return whole({"error": {"message": f"malformed: {error!r}", "type": "malformed"}}, 400)


def configuration(upstream: Upstream) -> str:
    """The stage's file."""
    parts = [
        '[server]\ndebug_headers = "always"\n',
        people(),
        '[prices."*"]\ninput = 2\noutput = 8\ncache_read = 0.5\n',
    ]
    for name, provider in PROVIDERS.items():
        parts.append(
            f'[channels.{name}]\ntype = "{provider.type}"\n'
            f'base_url = "{upstream.url}/{name}{provider.path}"\nkeys = {provider.key}\n'
            f'models = ["{provider.model}", "*embed*"]\ndialects = ["{provider.dialect}"]\n'
            f"discover = false\n{provider.more}"
            f'[models.on-{name}]\nroutes = [{{ channel = "{name}", model = "{provider.model}" }}]\n'
        )
    for name, model in EMBEDDERS.items():
        parts.append(
            f'[models.embed-{name}]\nroutes = [{{ channel = "{name}", model = "{model}" }}]\n'
        )
    return "".join(parts)


def check_records(
    world: World, provider: str, dialect: str, *thoughts: bool, stream: bool | None = None
) -> None:
    """The last records, one for each of `thoughts`, are of complete chats in `dialect`, translated
    for `provider`, with the usage that it told: with a thought or without.
    """
    expected = PROVIDERS[provider]
    for record, thought in zip(world.last(len(thoughts)), thoughts, strict=True):
        assert (record["dialect_in"], record["dialect_out"]) == (dialect, expected.dialect)
        assert (record["status"], record["settlement"], record["attempts"]) == (200, "complete", 1)
        assert (record["model"], record["channel"]) == (f"on-{provider}", provider)
        usage = expected.usage(thought=thought)
        assert {name: record[name] for name in usage} == usage
        assert record["usage_source"] == "upstream"
        if stream is not None:
            assert record["stream"] is stream or record["stream"] == int(stream)


def check_replayed(world: World, provider: str) -> None:
    """What the provider signed or sealed with its call came back with it, letter for letter."""
    if provider in SIGNING:
        assert SIGNATURE in world.asked.body.decode(), world.asked.body.decode()


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode()}"


def others(*own: str) -> Sequence[str]:
    """Every provider that does not speak the client's own dialect."""
    return [name for name in PROVIDERS if name not in own]


def questions(*own: str) -> list[tuple[str, str]]:
    """Providers that do not speak the client's own dialect, each with a question that it answers
    with a thought and a call.
    """
    found = [(name, QUESTION) for name in others(*own)]
    return found + [(name, SECRETLY) for name in ("anthropic", "bedrock") if name not in own]


def joined(texts: Iterable[str | None]) -> str:
    return "".join(text or "" for text in texts)
