"""Recorded exchanges that are no chats: what becomes of each, as a table.

    python -m tests.dialects.recorded_tasks

`translated`: the recorded answer is parsed by the provider's side and rendered in OpenAI's shape
(rerank: in the shape of Cohere and Jina), and the recorded request is what the provider's side
renders. `native`: the same, but the gateway relays the bytes. `refusal`: the provider's error is
understood. `relayed`: bytes alone, no middle. `outside`: nothing the gateway offers, and why.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from oneapi.dialects import registry
from oneapi.dialects.base import Stamp, TaskFace, TaskProvider
from oneapi.dialects.base_vectors import vector_of
from oneapi.ir import Envelope
from oneapi.providers.catalog import load_catalog
from oneapi.tasks import EmbeddingRequest, RerankRequest
from oneapi.wire.json import JSON
from tests.dialects.recorded import FOLDER

How = Literal["translated", "native", "relayed", "refusal", "pending", "outside"]
STAMP = Stamp("0" * 16, created=1)
_ELIDED = re.compile(r"__ELIDED_LEN_\d+(?:_SHA256_[0-9a-f]+)?__")
_APIS = frozenset(
    "embeddings rerank images moderation speech transcription ocr predict video".split()
)
_DIALECTS = {
    "bedrock": "bedrock-converse",
    "vertex": "gemini",
    **{name: name for name in ("cohere", "gemini", "dashscope", "replicate")},
}
"""Files of formats that are no OpenAI's, and their dialects."""
_CHATS = ("claude", "command", "llama", "sagemaker")


@dataclass(frozen=True, slots=True)
class Exchange:
    id: str
    file: str
    api: str
    model: str
    method: str
    url: str
    request: JSON
    status: int
    content_type: str
    body: JSON

    @property
    def raw(self) -> bytes:
        """The answer's body; base64 that the recording shortened ends where it was cut."""
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(_uncut(self.body)).encode()

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


@dataclass(frozen=True, slots=True)
class Outcome:
    how: How
    note: str = ""


def exchanges() -> Iterator[Exchange]:
    """All that are no chats and not of another room's kind (lists of models, counting, deepl)."""
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            request, answer = row["request"], row["response"]
            api, model = row["api"], str(row.get("model"))
            body = answer.get("body")
            picture = api == "predictions" and "stability-ai" in json.dumps(body)
            picture = picture and not body.get("stream")
            vectors = api == "invoke" and "embed" in model
            if api not in _APIS and not picture and not vectors:
                continue
            if any(word in model for word in _CHATS) and api in ("predict", "invoke"):
                continue
            yield Exchange(
                row["id"],
                path.stem,
                "embeddings" if api in ("predict", "invoke") else "images" if picture else api,
                model,
                request["method"],
                request["url"],
                request.get("body"),
                answer["status"],
                answer.get("headers", {}).get("content-type", ""),
                answer.get("body"),
            )


def outcome(exchange: Exchange) -> Outcome:
    """What becomes of it. Raises AssertionError where something is lost on the way."""
    if exchange.method != "POST" and exchange.file != "replicate":
        return Outcome("outside", "the vendor's own books, or a film: reached by the proxy route")
    if exchange.status >= 400:
        _, provider = _sides(exchange)
        message, _, _ = provider.parse_error(exchange.status, (), exchange.raw)
        assert message
        assert not message.startswith("the provider answered")
        return Outcome("refusal", message[:60])
    if exchange.api in ("transcription", "ocr") or (
        exchange.request is None and _is_form(exchange)
    ):
        return Outcome("relayed", "a form, or a format that is one provider's alone")
    if exchange.api == "speech" and not isinstance(exchange.body, dict):
        return Outcome("relayed", "the sound itself")
    if exchange.file == "replicate":
        return _prediction(exchange)
    return _whole(exchange)


def _whole(exchange: Exchange) -> Outcome:
    face, provider = _sides(exchange)
    request = _asked(exchange, face)
    reply = provider.parse_response(exchange.content_type, exchange.raw, request)
    _, body = face.render_response(reply, request, STAMP)
    if exchange.api == "speech":
        assert body
        return Outcome("translated", "sound in JSON")
    _compare(exchange, json.loads(body))
    foreign = exchange.file in _DIALECTS or _is_ollamas(exchange) or _is_other(exchange)
    return Outcome("translated" if foreign else "native")


def _prediction(exchange: Exchange) -> Outcome:
    provider: Any = registry.task_provider("replicate", "images")
    if exchange.body.get("status") in ("starting", "processing"):
        assert provider.follow_up(exchange.raw).url == exchange.body["urls"]["get"]
        return Outcome("pending", "asked again until it is done")
    assert exchange.body["status"] == "canceled"
    return Outcome("outside", "a cancel: the gateway sends none")


def _compare(exchange: Exchange, rendered: JSON) -> None:
    """Whether the rendered answer says what the recorded one does."""
    if exchange.api == "embeddings":
        vectors = [vector for vector in _vectors(exchange.body) if vector is not None]
        assert vectors
        assert [item["embedding"] for item in rendered["data"]] == vectors
    elif exchange.api == "rerank":
        places = [(r["index"], r["relevance_score"]) for r in exchange.body["results"]]
        assert [(r["index"], r["relevance_score"]) for r in rendered["results"]] == places
    elif exchange.api == "moderation":
        assert rendered["results"] == exchange.body["results"]
    else:
        recorded = _uncut(exchange.body)["data"]
        assert [i.get("url") or i["b64_json"] for i in rendered["data"]] == [
            i.get("url") or i["b64_json"] for i in recorded
        ]


def _vectors(body: JSON) -> Iterator[list[float] | None]:
    """The vectors anywhere in a recorded answer, in their order."""
    if isinstance(body, dict):
        for name, value in body.items():
            if name in ("embedding", "values", "float") and not isinstance(value, dict):
                found = value if name == "float" else [value]
                yield from map(vector_of, found)
            elif name not in ("texts", "usage"):
                yield from _vectors(value)
    elif isinstance(body, list):
        for item in body:
            yield from _vectors(item)


def _sides(exchange: Exchange) -> tuple[TaskFace[Any, Any], TaskProvider[Any, Any]]:
    """The client's side that is rendered, and the provider's that has answered."""
    task = "speech" if exchange.api == "transcription" else exchange.api
    operation = {"moderation": "moderations", "images": "images.generations"}.get(task, task)
    face = registry.task_face("rerank" if task == "rerank" else "openai-chat", operation)
    dialect = _DIALECTS.get(exchange.file, "cohere" if task == "rerank" else "openai-chat")
    if _is_ollamas(exchange):
        dialect = "ollama"
    provider = registry.task_provider(dialect, task)
    assert face is not None
    assert provider is not None
    return face, provider


def _asked(exchange: Exchange, face: TaskFace[Any, Any]) -> Any:
    """The recorded request in the middle; rendered again it is what was recorded."""
    envelope = Envelope(exchange.model)
    if exchange.file not in _DIALECTS and not _is_ollamas(exchange):
        return face.parse_request(_uncut(exchange.request), envelope)
    if exchange.api == "rerank":
        body = exchange.request
        return RerankRequest(
            exchange.model, body["query"], body["documents"], "rerank", top_n=body.get("top_n")
        )
    return EmbeddingRequest(exchange.model, list(_texts(exchange.request)), "openai-chat")


def _texts(body: JSON) -> Iterator[str]:
    """The texts of a request in a provider's own format."""
    if "prompt" in body:
        yield body["prompt"]
    yield from body.get("texts") or body.get("images") or ()
    for request in body.get("requests", ()):
        yield request["content"]["parts"][0]["text"]
    for instance in body.get("instances", ()):
        yield instance["content"]


def _is_ollamas(exchange: Exchange) -> bool:
    return exchange.path.endswith("/api/embeddings")


def _is_other(exchange: Exchange) -> bool:
    """Whether the catalog says that this provider's endpoint is not quite OpenAI's."""
    host = urlsplit(exchange.url).hostname
    presets = [p for p in load_catalog().values() if urlsplit(p.base_url).hostname == host]
    return any(f"{exchange.api}.other" in preset.operations for preset in presets)


def _is_form(exchange: Exchange) -> bool:
    return exchange.path.endswith(("/images/edits", "/audio/translations"))


def _uncut(value: JSON) -> JSON:
    if isinstance(value, str):
        cut = _ELIDED.sub("", value)
        return value if cut == value else cut[: len(cut) // 4 * 4]
    if isinstance(value, list):
        return [_uncut(item) for item in value]
    if isinstance(value, dict):
        return {name: _uncut(item) for name, item in value.items()}
    return value


def main() -> int:
    counts: dict[str, int] = {}
    for exchange in exchanges():
        found = outcome(exchange)
        counts[found.how] = counts.get(found.how, 0) + 1
        row = f"{exchange.id:34} {exchange.api:13} {exchange.status} {found.how:10} {found.note}"
        sys.stdout.write(row.rstrip() + "\n")
    sys.stdout.write(", ".join(f"{how} {n}" for how, n in sorted(counts.items())) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
