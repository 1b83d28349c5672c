"""Which path is which operation of which dialect: one table for the hot paths, patterns for those
that hold a model's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from oneapi.dialects import anthropic, gemini, gemini_array, registry, responses
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.lanes import Wanted
from oneapi.web.counting import Counting
from oneapi.web.ollama import OllamaChat
from oneapi.web.relayed import Relayed
from oneapi.web.responses import Compaction, InputTokens, Responses
from oneapi.wire.json import JSON

OPENAI: Final = "openai-chat"
RESPONSES: Final = "openai-responses"
ANTHROPIC: Final = "anthropic"
GEMINI: Final = "gemini"
OLLAMA: Final = "ollama"
RERANK: Final = "rerank"

PREFIXES: Final = ("/v1", "", "/openai/v1")
"""Every route of OpenAI's and Anthropic's stands with and without its version."""
AZURE: Final = "/openai/deployments/"
MODELS: Final = "/models/"
ENGINES: Final = "/engines/"
ENDPOINTS: Final[Mapping[str, str]] = {
    "ollama.chat": "chat",
    "ollama.generate": "completions",
    "ollama.embed": "embeddings",
    "ollama.embeddings": "embeddings",
    "generate": "chat",
    "generate.array": "chat",
    "gemini.embed": "embeddings",
    "gemini.batch_embed": "embeddings",
    "gemini.count_tokens": "count_tokens",
    "messages.count_tokens": "count_tokens",
    "responses.input_tokens": "count_tokens",
}
"""What an operation is called in policies and records, where that is not its own name."""
INTEGERS: Final[Mapping[str, str]] = {
    "generateContent": "integers",
    "streamGenerateContent": "streamIntegers",
}


def relayed(
    gateway: Gateway, dialect: str, name: str, kind: type[Relayed] = Relayed, **options: bool | None
) -> Relayed:
    """The endpoint of an operation."""
    operation = registry.client(dialect).OPERATIONS[name]
    endpoint = ENDPOINTS.get(name, name.partition(".")[0])
    return kind(gateway, operation, dialect, name=endpoint, **options)  # type: ignore[arg-type]


class HotPaths:
    """Finds the endpoint of a POST. Built once."""

    def __init__(self, gateway: Gateway) -> None:
        self.exact: dict[str, Relayed] = {}
        for operation in registry.client(OPENAI).OPERATIONS.values():
            self._add(gateway, OPENAI, operation.name)
        self._add(gateway, RESPONSES, "responses", Responses)
        self._add(gateway, RESPONSES, "responses.compact", Compaction)
        self._add(gateway, ANTHROPIC, "messages")
        self._add(gateway, RERANK, "rerank")
        self.exact["/v2/rerank"] = self.exact["/v1/rerank"]
        for prefix in PREFIXES:
            self.exact[f"{prefix}/messages/count_tokens"] = Counting(
                gateway,
                ANTHROPIC,
                "messages.count_tokens",
                chat="messages",
                answer=anthropic.count_tokens_answer,
            )
            self.exact[f"{prefix}/responses/input_tokens"] = InputTokens(
                gateway,
                RESPONSES,
                "responses.input_tokens",
                chat="responses",
                answer=responses.render_input_tokens,
            )
        self.exact["/anthropic/v1/messages"] = self.exact["/v1/messages"]
        for name in ("ollama.chat", "ollama.generate", "ollama.embed", "ollama.embeddings"):
            path = registry.client(OLLAMA).OPERATIONS[name].path.removeprefix("^")
            chat = registry.face(OLLAMA, name) is not None
            self.exact[path] = relayed(gateway, OLLAMA, name, OllamaChat if chat else Relayed)
        for rest in ("", "/compact", "/input_tokens"):  # Azure's older path
            self.exact[f"/openai/responses{rest}"] = self.exact[f"/v1/responses{rest}"]
        self._engines = relayed(gateway, OPENAI, "embeddings")
        self._azure = {
            operation.path: relayed(gateway, OPENAI, operation.name, path_model_wins=True)
            for operation in registry.client(OPENAI).OPERATIONS.values()
        }
        self._verbs = {
            "generateContent": relayed(gateway, GEMINI, "generate", stream=False),
            "streamGenerateContent": relayed(gateway, GEMINI, "generate", stream=True),
            "array": relayed(gateway, GEMINI, "generate.array", stream=True),
            "integers": _with_integers(relayed(gateway, GEMINI, "generate", stream=False)),
            "streamIntegers": _with_integers(relayed(gateway, GEMINI, "generate", stream=True)),
            "embedContent": relayed(gateway, GEMINI, "gemini.embed"),
            "batchEmbedContents": relayed(gateway, GEMINI, "gemini.batch_embed"),
        }
        array = self._verbs["array"]
        array.dialect, array.errors_in_band = gemini_array, True
        counting = Counting(
            gateway,
            GEMINI,
            "gemini.count_tokens",
            chat="generate",
            answer=gemini.count_tokens_answer,
            inside=_gemini_inside,
        )
        self._verbs["countTokens"] = counting
        for endpoint in self._verbs.values():
            endpoint.query_key = True

    def find(self, path: str, query: bytes) -> tuple[Relayed, str | None] | None:
        """The endpoint and the model that the path names."""
        exact = self.exact.get(path)
        if exact is not None:
            return exact, None
        if path.startswith(AZURE):
            return self._deployment(path)
        if path.endswith("/embeddings") and ENGINES in path:
            return self._engine(path)
        return self._verb(path, query) if ":" in path and MODELS in path else None

    def _add(
        self, gateway: Gateway, dialect: str, name: str, kind: type[Relayed] = Relayed
    ) -> None:
        endpoint = relayed(gateway, dialect, name, kind)
        for prefix in PREFIXES:
            self.exact[prefix + endpoint.operation.path] = endpoint

    def _deployment(self, path: str) -> tuple[Relayed, str | None] | None:
        """Azure's `/openai/deployments/{model}/chat/completions`."""
        model, slash, rest = path[len(AZURE) :].partition("/")
        endpoint = self._azure.get(slash + rest)
        return (endpoint, model) if endpoint is not None and model else None

    def _engine(self, path: str) -> tuple[Relayed, str | None] | None:
        """`/v1/engines/{model}/embeddings`, whose name may hold slashes."""
        for prefix in PREFIXES:
            start = prefix + ENGINES
            if path.startswith(start):
                model = path[len(start) : -len("/embeddings")]
                return (self._engines, model) if model else None
        return None

    def _verb(self, path: str, query: bytes) -> tuple[Relayed, str | None] | None:
        """Gemini's `/v1beta/models/{model}:generateContent`, below any version."""
        before, _, verb = path.rpartition(":")
        model = before[before.index(MODELS) + len(MODELS) :]
        if b"enum-encoding" in query:
            verb = INTEGERS.get(verb, verb)
        elif verb == "streamGenerateContent" and b"alt=sse" not in query:
            verb = "array"
        endpoint = self._verbs.get(verb)
        return (endpoint, model) if endpoint is not None and model else None


def _with_integers(endpoint: Relayed) -> Relayed:
    """For clients that ask for enums as integers: rendered here, whoever answers."""
    operation = replace(endpoint.operation, name="generate.integers")
    endpoint.wanted = Wanted(GEMINI, operation)
    endpoint.face = gemini.face(integers=True)
    return endpoint


def _gemini_inside(body: JSON) -> JSON:
    """The chat whose tokens are counted: the body, or the request that it holds."""
    if not isinstance(body, dict):
        return body
    inner = body.get("generateContentRequest") or body.get("generate_content_request")
    return inner if isinstance(inner, dict) else body
