"""Embeddings in OpenAI's format, the client's side and the provider's.

https://platform.openai.com/docs/api-reference/embeddings (read 2026-11-24). Inputs that are objects
are Jina's and vLLM's way to give media: `{"text": …}`, `{"image": …}`, or parts of a chat message.
`input_type` is what compatible providers call the purpose. A request of this dialect is rendered in
it again as it was, but for: `encoding_format: "float"`, the default, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from oneapi.dialects.base import Headers, Hints, Outgoing, Stamp
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_tasks import (
    answer_of,
    bad,
    called,
    no_answer,
    object_of,
    parse_error,
    unsaid,
)
from oneapi.dialects.base_turns import as_url, data_url
from oneapi.dialects.base_vectors import to_base64, vector_of
from oneapi.dialects.openai_usage import parse_usage_value
from oneapi.ir import Envelope, Extra, Media
from oneapi.tasks import EmbeddingReply, EmbeddingRequest
from oneapi.wire.json import JSON

NAME: Final = "openai-chat"
OPERATION: Final = "embeddings"
_KNOWN: Final = frozenset({"model", "input", "encoding_format", "dimensions", "user", "input_type"})
_PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "search_document": "search_document",
        "document": "search_document",
        "passage": "search_document",
        "search_query": "search_query",
        "query": "search_query",
        "classification": "classification",
        "clustering": "clustering",
        "similarity": "similarity",
    }
)
_NAMES: Final = MappingProxyType({"inputs": "input", "purpose": "input_type"})


class Face:
    """See `TaskFace`."""

    NAME: Final = NAME

    def parse_request(self, body: JSON, envelope: Envelope) -> EmbeddingRequest:
        if not isinstance(body, dict):
            raise bad("", "the request must be an object")
        given = body.get("input")
        if given is None:
            raise bad("input", "is missing", "missing_required_parameter")
        single = isinstance(given, str | dict) or _is_tokens(given)
        encoding = body.get("encoding_format")
        if encoding not in (None, "float", "base64"):
            raise bad("encoding_format", "must be float or base64", "invalid_value")
        dimensions, user = body.get("dimensions"), body.get("user")
        if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
            raise bad("dimensions", "must be a positive integer")
        if not isinstance(user, str | None):
            raise bad("user", "must be a string")
        purpose = body.get("input_type")
        known = _PURPOSES.get(purpose, "") if isinstance(purpose, str) else ""
        extra = {n: v for n, v in body.items() if n not in _KNOWN and v is not None}
        if purpose is not None and known != purpose:  # another word of a provider's own
            extra["input_type"] = purpose
        return EmbeddingRequest(
            envelope.model,
            _inputs([given] if single else given),
            NAME,
            encoding="base64" if encoding == "base64" else "float",
            dimensions=dimensions,
            purpose=known,
            user=user or "",
            single=single,
            names=_NAMES,
            extra=extra,
        )

    def render_response(
        self, reply: EmbeddingReply, request: EmbeddingRequest, stamp: Stamp
    ) -> tuple[bytes, bytes]:
        packed = request.encoding == "base64"
        used = reply.usage.input_tokens if reply.usage is not None else 0
        body = {
            "object": "list",
            "data": [
                {
                    "object": "embedding",
                    "index": index,
                    "embedding": to_base64(vector) if packed else vector,
                }
                for index, vector in enumerate(reply.vectors)
            ],
            "model": stamp.model or reply.model or request.model,
            "usage": {"prompt_tokens": used, "total_tokens": used},
        }
        return answer_of(body)


class Provider:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (OPERATION,)

    def render_request(self, request: EmbeddingRequest, model: str, hints: Hints) -> Outgoing:
        rendered = [_render(request, index) for index in range(len(request.inputs))]
        single = request.single and len(rendered) == 1
        body: Extra = {"model": model, "input": rendered[0] if single else rendered}
        if request.encoding == "base64" and request.source == NAME:
            body["encoding_format"] = "base64"
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.user:
            body["user"] = request.user
        if request.source != NAME:
            dropped = unsaid(request, "purpose", "title", "truncate")
            return Outgoing(OPERATION, body_of(body), streams=False, dropped=dropped)
        if request.purpose:
            body["input_type"] = request.purpose
        body.update(request.extra)
        return Outgoing(OPERATION, body_of(body), streams=False)

    def parse_response(
        self, content_type: str, body: bytes, request: EmbeddingRequest
    ) -> EmbeddingReply:
        value = object_of(body, "embeddings")
        data = value.get("data")
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise no_answer("embeddings")
        if all(type(item.get("index")) is int for item in data):
            data = sorted(data, key=lambda item: item["index"])
        vectors = [v for item in data if (v := vector_of(item.get("embedding"))) is not None]
        if len(vectors) < len(data):
            raise no_answer("embeddings")
        model = value.get("model")
        return EmbeddingReply(
            model if isinstance(model, str) else "", vectors, parse_usage_value(value.get("usage"))
        )

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def _is_tokens(value: JSON) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and set(map(type, value)) == {int}
        and min(value) >= 0
    )


def _inputs(given: JSON) -> list[str | list[int] | list[Media]]:
    if not isinstance(given, list):
        raise bad("input", "must be a string or an array")
    if not given:
        raise bad("input", "must not be empty", "invalid_value")
    return [_input(item, f"input[{index}]") for index, item in enumerate(given)]


def _input(item: JSON, at: str) -> str | list[int] | list[Media]:
    if isinstance(item, str) or _is_tokens(item):
        return item  # type: ignore[no-any-return]  # one of the two
    parts = item if isinstance(item, list) else [item]
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise bad(at, "must be a string, an array of tokens, or an object with a text or an image")
    return [_part(part, at) for part in parts]


def _part(part: dict[str, JSON], at: str) -> Media:
    text = part.get("text")
    if isinstance(text, str):
        return Media("file", text=text, media_type="text/plain")
    image = part.get("image_url", part.get("image"))
    address = image.get("url") if isinstance(image, dict) else image
    if not isinstance(address, str) or not address:
        raise bad(at, "must have a text or an image")
    if address.startswith(("http://", "https://")):
        return Media("image", url=address)
    inside = data_url(address)
    if inside is None:
        return Media("image", data=address)
    return Media("image", data=inside[1], media_type=inside[0])


def _render(request: EmbeddingRequest, index: int) -> JSON:
    """An input as it was, media in the short way."""
    given = request.inputs[index]
    if isinstance(given, str) or not given or not isinstance(given[0], Media):
        return given
    parts = [_short(item) for item in given if isinstance(item, Media)]
    if any(part is None for part in parts) or len(parts) > 1:
        words = "must be one text or one image for this provider"
        raise bad(called(request, "inputs", index), words, "unsupported_value")
    return parts[0]


def _short(item: Media) -> JSON:
    if item.text:
        return {"text": item.text}
    address = as_url(item) if item.media_type or item.url else item.data
    return {"image": address} if item.kind == "image" and address else None
