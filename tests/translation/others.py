"""The recorded exchanges that are no chats: what becomes of each, one by one.

What the tasks of `recorded_tasks` are is decided and checked there. What is relayed as bytes must
besides be a request that the client's dialect takes and an answer that it finds nothing wrong with.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from oneapi.dialects import registry
from oneapi.providers.discover import parse_models
from oneapi.wire.json import members
from tests.dialects import recorded_tasks
from tests.translation.asked import OPERATION_OF
from tests.translation.recordings import OTHER, Exchange, exchanges

_OPERATIONS = (
    ("/completions", "openai-chat", "completions"),
    ("/embeddings", "openai-chat", "embeddings"),
    ("/images/generations", "openai-chat", "images.generations"),
    ("/moderations", "openai-chat", "moderations"),
    ("/audio/speech", "openai-chat", "speech"),
    ("/audio/transcriptions", "openai-chat", "transcriptions"),
    ("/audio/translations", "openai-chat", "translations"),
    ("/images/edits", "openai-chat", "images.edits"),
    ("/ocr", "openai-chat", "ocr"),
    ("/rerank", "rerank", "rerank"),
    ("/messages/count_tokens", "anthropic", "messages.count_tokens"),
    (":countTokens", "gemini", "gemini.count_tokens"),
    (":batchEmbedContents", "gemini", "gemini.batch_embed"),
    ("/api/embeddings", "ollama", "ollama.embeddings"),
)
"""Ends of addresses, and the operations that clients ask for there; the last that fits is meant."""
_SENTENCES = {
    "write": "writing is DeepL's own service, reached by the proxy route",
    "usage": "the provider's own books, reached by the proxy route",
    "interactions": "another API of Google's, reached by the proxy route",
    "video": "films are another step's work, reached by the proxy route",
}


def others() -> list[Exchange]:
    """What is no chat: 63, and what was asked for at a chat's address, vectors and pictures."""
    tasks = {task.id for task in recorded_tasks.exchanges()}
    return [e for e in exchanges() if e.group == OTHER or e.id in tasks]


def outcome(exchange: Exchange) -> tuple[str, str]:
    """What becomes of it, and a note: a proof's name or a reason. Raises AssertionError where it
    is not what it should be.
    """
    tasks = {e.id: e for e in recorded_tasks.exchanges()}
    if exchange.id in tasks:
        how, note = _task(tasks[exchange.id])
    else:
        how, note = _other(exchange)
    relayed = how in ("native", "relayed")
    return how, "; ".join(text for text in (note, relayed and _relays(exchange)) if text)


def _task(exchange: recorded_tasks.Exchange) -> tuple[str, str]:
    found = recorded_tasks.outcome(exchange)
    return found.how, found.note


def _other(exchange: Exchange) -> tuple[str, str]:
    if exchange.status >= 400:
        return "refusal", "read by every client's library, see the refusals"
    if exchange.api in _SENTENCES:
        return "outside", _SENTENCES[exchange.api]
    if exchange.api == "models":
        return _models(exchange)
    if exchange.method != "POST":
        return "outside", "the provider's own books, reached by the proxy route"
    if exchange.api in OPERATION_OF:
        return "translated", "a chat of one message, see the requests and the answers"
    return "native", "counted by the gateway itself where the provider cannot"


def _models(exchange: Exchange) -> tuple[str, str]:
    listed = isinstance(exchange.body.get("data"), list)
    if not listed:
        return "outside", "one model's or one film's own page, reached by the proxy route"
    names = parse_models(exchange.raw)
    assert names == [entry["id"] for entry in exchange.body["data"]]
    return "translated", f"{len(names)} models are found by asking for them"


def _relays(exchange: Exchange) -> str:
    """Checks what is relayed as it is; the operation's name, "" where there is none."""
    path = urlsplit(exchange.url).path
    found = [(d, o) for end, d, o in _OPERATIONS if path.endswith(end)]
    if not found or exchange.method != "POST":
        return ""
    dialect, name = found[-1]
    client = registry.client(dialect)
    operation = client.OPERATIONS[name]
    if isinstance(exchange.request, dict) and exchange.status < 400:
        raw = json.dumps(exchange.request).encode()
        named = path.rpartition("/models/")[2].partition(":")[0]
        in_path = None if "model" in exchange.request else named
        assert client.peek(operation, members(raw), in_path).model
    if exchange.status < 300 and not exchange.stream and isinstance(exchange.body, dict):
        why, _ = client.parse_answer(operation, 200, "application/json", exchange.raw)
        assert why is None, why
    return f"bytes of `{name}`"
