"""Workers AI's models that are no chats: embeddings, rerank, pictures.

https://developers.cloudflare.com/workers-ai/models/ (bge-m3, bge-reranker-base, flux-1-schnell and
others, read 2026-11-24). A picture comes as the file itself or as base64 in the envelope.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from oneapi.dialects.base import Headers, Hints, Outgoing
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_errors import refused
from oneapi.dialects.base_tasks import (
    bad,
    called,
    no_answer,
    object_of,
    parse_error,
    picture,
    pieces,
    plain_documents,
    ranked,
    several,
    size_of,
    texts_of,
    unsaid,
    vectors_in,
)
from oneapi.dialects.cloudflare_shapes import NAME, RUN, parse_usage
from oneapi.ir import Extra, Usage
from oneapi.tasks import (
    EmbeddingReply,
    EmbeddingRequest,
    ImageReply,
    ImageRequest,
    Picture,
    RerankReply,
    RerankRequest,
)
from oneapi.wire.json import JSON

MOST: Final = 100
_SAID: Final = ("negative_prompt", "seed", "steps", "num_steps", "guidance", "strength")
"""Inputs of picture models that clients write into OpenAI's request."""


class Embeddings:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (RUN,)

    def render_request(self, request: EmbeddingRequest, model: str, hints: Hints) -> Outgoing:
        if request.dimensions is not None:
            words = "cannot be chosen at this provider: its vectors have one length"
            raise bad(called(request, "dimensions"), words, "unsupported_value")
        rest: Extra = {"truncate_inputs": request.truncate} if request.truncate is not None else {}
        bodies: list[JSON] = [{"text": piece, **rest} for piece in pieces(texts_of(request), MOST)]
        return several(RUN, bodies, dropped=unsaid(request, "user", "title", "purpose"))

    def parse_response(
        self, content_type: str, body: bytes, request: EmbeddingRequest
    ) -> EmbeddingReply:
        result = _result(body, "embeddings")
        vectors = vectors_in(result.get("data") or result.get("embeddings"))
        return EmbeddingReply("", vectors, parse_usage(result.get("usage")))

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


class Rerank:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (RUN,)

    def render_request(self, request: RerankRequest, model: str, hints: Hints) -> Outgoing:
        contexts = [{"text": text} for text in plain_documents(request)]
        body: Extra = {"query": request.query, "contexts": contexts}
        if request.top_n is not None:
            body["top_k"] = request.top_n
        return Outgoing(RUN, body_of(body), streams=False, dropped=list(request.extra))

    def parse_response(self, content_type: str, body: bytes, request: RerankRequest) -> RerankReply:
        result = _result(body, "ranking")
        places = ranked(request, result.get("response"), index="id", score="score")
        places.sort(key=lambda place: -place.score)
        return RerankReply(places, usage=parse_usage(result.get("usage")))

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


class Images:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (RUN,)

    def render_request(self, request: ImageRequest, model: str, hints: Hints) -> Outgoing:
        names = ("quality", "style", "background", "user")
        dropped = [name for name in names if getattr(request, name)]
        if request.file_format:
            dropped.append("output_format")
        dropped += [name for name in request.extra if name not in _SAID]
        body: Extra = {"prompt": request.prompt}
        size = size_of(request)
        if size is not None:
            body["width"], body["height"] = size
        body.update({name: request.extra[name] for name in _SAID if name in request.extra})
        return several(RUN, [body] * request.n, dropped=dropped)

    def parse_response(self, content_type: str, body: bytes, request: ImageRequest) -> ImageReply:
        if content_type.startswith("image/"):
            kind = content_type.partition(";")[0]
            made: Picture | None = Picture(data=b64encode(body).decode(), media_type=kind)
        else:
            made = picture(_result(body, "picture"))
        if made is None or not (made.data or made.url):
            raise no_answer("picture")
        return ImageReply([made], usage=Usage(images=1))

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def _result(body: bytes, what: str) -> dict[str, JSON]:
    """What stands in the envelope. Raises `UpstreamError`: the provider's own where it failed."""
    value = object_of(body, what)
    if value.get("success") is False or value.get("errors"):
        raise refused(value)
    result = value.get("result", value)
    if not isinstance(result, dict):
        raise no_answer(what)
    return result
