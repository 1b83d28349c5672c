"""Embeddings in Ollama's format: `embed`, and the older `embeddings` of one prompt.

https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embeddings (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from oneapi.dialects.base import Headers, Hints, Outgoing, Stamp, TaskFace, TaskProvider
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_errors import parse_error, refused
from oneapi.dialects.ollama_shapes import EMBED, EMBEDDINGS, NAME, is_empty, usage_of
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import Envelope, Extra
from oneapi.tasks import EmbeddingReply, EmbeddingRequest
from oneapi.wire.json import JSON, MalformedJSON, decode, encode

_JSON: Final = b"application/json"
_KNOWN: Final = frozenset({"model", "input", "prompt", "truncate", "dimensions", "stream"})


class Face:
    """The client's side. `older` is the endpoint that takes one prompt and answers one vector."""

    NAME: Final = NAME

    def __init__(self, *, older: bool) -> None:
        self._older = older
        self._member = "prompt" if older else "input"

    def parse_request(self, body: JSON, envelope: Envelope) -> EmbeddingRequest:
        if not isinstance(body, dict):
            raise _bad("", "the request must be an object")
        given = body.get(self._member)
        single = isinstance(given, str)
        inputs: JSON = [given] if single else (given or [])
        fits = isinstance(inputs, list) and all(isinstance(text, str) for text in inputs)
        if not fits or (self._older and not single):
            raise _bad(self._member, "must be text")
        dimensions, truncate = body.get("dimensions"), body.get("truncate")
        if dimensions is not None and (type(dimensions) is not int or dimensions < 0):
            raise _bad("dimensions", "must be a positive integer")
        if not isinstance(truncate, bool | None):
            raise _bad("truncate", "must be a boolean")
        return EmbeddingRequest(
            envelope.model,
            inputs,
            NAME,
            dimensions=dimensions or None,
            truncate=truncate,
            single=single,
            extra={n: v for n, v in body.items() if n not in _KNOWN and not is_empty(v)},
        )

    def render_response(
        self, reply: EmbeddingReply, request: EmbeddingRequest, stamp: Stamp
    ) -> tuple[bytes, bytes]:
        if self._older:
            return _JSON, encode({"embedding": reply.vectors[0] if reply.vectors else []})
        out: Extra = {
            "model": stamp.model or reply.model,
            "embeddings": reply.vectors,
            "total_duration": stamp.elapsed_ns(),
            "load_duration": 0,
        }
        if reply.usage is not None:
            out["prompt_eval_count"] = reply.usage.input_tokens
        return _JSON, encode(out)


class Provider:
    """The provider's side: always `embed`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (EMBED,)

    def render_request(self, request: EmbeddingRequest, model: str, hints: Hints) -> Outgoing:
        for i, given in enumerate(request.inputs):
            if not isinstance(given, str):
                raise _bad(f"input[{i}]", "must be text: this provider takes no tokens or media")
        single = request.single and len(request.inputs) == 1
        body: Extra = {"model": model, "input": request.inputs[0] if single else request.inputs}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.truncate is not None:
            body["truncate"] = request.truncate
        if "keep_alive" in hints.options:
            body["keep_alive"] = hints.options["keep_alive"]
        dropped = [name for name in ("user", "title", "purpose") if getattr(request, name)]
        if request.source == NAME:
            body.update(request.extra)
        else:
            dropped += request.extra
        return Outgoing(EMBED, body_of(body), streams=False, dropped=dropped)

    def parse_response(
        self, content_type: str, body: bytes, request: EmbeddingRequest
    ) -> EmbeddingReply:
        try:
            value = decode(body)
        except MalformedJSON as error:
            raise _unreadable() from error
        if not isinstance(value, dict):
            raise _unreadable()
        if value.get("error"):
            raise refused(value)
        vectors = value.get("embeddings")
        if vectors is None and isinstance(value.get("embedding"), list):
            vectors = [value["embedding"]]
        if not isinstance(vectors, list) or not all(isinstance(v, list) for v in vectors):
            raise _unreadable()
        model = value.get("model")
        return EmbeddingReply(
            model if isinstance(model, str) else request.model, vectors, usage_of(value)
        )

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


TASK_FACES: Final[Mapping[str, TaskFace[Any, Any]]] = MappingProxyType(
    {EMBED: Face(older=False), EMBEDDINGS: Face(older=True)}
)
TASK_PROVIDERS: Final[Mapping[str, TaskProvider[Any, Any]]] = MappingProxyType(
    {"embeddings": Provider()}
)


def _bad(name: str, what: str) -> ApiError:
    words = f"`{name}` {what}" if name else what
    return ApiError(400, words, code="invalid_type", param=name or None)


def _unreadable() -> UpstreamError:
    return UpstreamError(
        502,
        "the provider's answer holds no embeddings",
        code="bad_upstream_answer",
        retryable=True,
    )
