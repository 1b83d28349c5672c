"""Bedrock's models that are no chats, through InvokeModel: embeddings, rerank, pictures.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html (Titan, Nova, Cohere,
Stability; read 2026-11-24) and a recording. Each vendor's body is its own; the options say which
one a model takes: `embed` is "text" (Titan's: one a call), "multimodal" (Titan's with pictures),
"texts" (Cohere's) or "single" (Nova's), `images` is "task" (Titan's and Nova's) or "prompt"
(Stability's), `rerank_version` the version that a body must name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from oneapi.dialects.base import Headers, Hints, Outgoing
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_tasks import (
    bad,
    called,
    count,
    nearest_ratio,
    no_answer,
    object_of,
    parse_error,
    pieces,
    plain_documents,
    ranked,
    several,
    size_of,
    texts_of,
    unsaid,
    vectors_in,
)
from oneapi.dialects.base_turns import as_url
from oneapi.dialects.bedrock_shapes import NAME
from oneapi.errors import UpstreamError
from oneapi.ir import Extra, Media, Usage
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

INVOKE: Final = "bedrock.invoke"
MOST: Final = 96
_PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "search_document": "GENERIC_INDEX",
        "search_query": "GENERIC_RETRIEVAL",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
        "similarity": "GENERIC_INDEX",
    }
)
_TYPES: Final = frozenset({"search_document", "search_query", "classification", "clustering"})
_RATIOS: Final = ("1:1", "16:9", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")


class Embeddings:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (INVOKE,)

    def render_request(self, request: EmbeddingRequest, model: str, hints: Hints) -> Outgoing:
        form = hints.options.get("embed", "text")
        if form == "texts":
            return _texts(request)
        if form == "single":
            bodies: list[JSON] = [_nova(request, text) for text in texts_of(request)]
            dropped = unsaid(request, "user", "title")
        elif form == "multimodal":
            bodies = [_multimodal(request, index) for index in range(len(request.inputs))]
            dropped = unsaid(request, "user", "title", "purpose", "truncate")
        else:
            size: Extra = {} if request.dimensions is None else {"dimensions": request.dimensions}
            bodies = [{"inputText": text, **size} for text in texts_of(request)]
            dropped = unsaid(request, "user", "title", "purpose", "truncate")
        return several(INVOKE, bodies, dropped=dropped)

    def parse_response(
        self, content_type: str, body: bytes, request: EmbeddingRequest
    ) -> EmbeddingReply:
        value = object_of(body, "embeddings")
        tokens = count(value, "inputTextTokenCount")
        usage = None if tokens is None else Usage(input=tokens)
        if isinstance(value.get("embedding"), list):
            return EmbeddingReply("", vectors_in([value["embedding"]]), usage)
        found = value.get("embeddings")
        if isinstance(found, dict):
            found = found.get("float")
        if isinstance(found, list) and found and isinstance(found[0], dict):
            found = [item.get("embedding") for item in found if isinstance(item, dict)]
        return EmbeddingReply("", vectors_in(found), usage)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


class Rerank:
    """See `TaskProvider`: Cohere's and Amazon's."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (INVOKE,)

    def render_request(self, request: RerankRequest, model: str, hints: Hints) -> Outgoing:
        body: Extra = {"query": request.query, "documents": plain_documents(request)}
        if request.top_n is not None:
            body["top_n"] = request.top_n
        version = hints.options.get("rerank_version")
        if version is not None:
            body["api_version"] = version
        return Outgoing(INVOKE, body_of(body), streams=False, dropped=list(request.extra))

    def parse_response(self, content_type: str, body: bytes, request: RerankRequest) -> RerankReply:
        return RerankReply(ranked(request, object_of(body, "ranking").get("results")))

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


class Images:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (INVOKE,)

    def render_request(self, request: ImageRequest, model: str, hints: Hints) -> Outgoing:
        size = size_of(request)
        dropped = [n for n in ("style", "background", "user") if getattr(request, n)]
        dropped += request.extra
        if hints.options.get("images") == "prompt":
            body: Extra = {"prompt": request.prompt}
            if size is not None:
                body["aspect_ratio"] = nearest_ratio(size, _RATIOS)
            if request.file_format:
                body["output_format"] = request.file_format
            if request.quality:
                dropped.append("quality")
            return several(INVOKE, [body] * request.n, dropped=dropped)
        config: Extra = {"numberOfImages": request.n}
        if size is not None:
            config["width"], config["height"] = size
        if request.quality not in ("", "auto"):
            config["quality"] = "premium" if request.quality in ("hd", "high") else "standard"
        if request.file_format:
            dropped.append("output_format")
        body = {
            "taskType": "TEXT_IMAGE",
            "textToImageParams": {"text": request.prompt},
            "imageGenerationConfig": config,
        }
        return Outgoing(INVOKE, body_of(body), streams=False, dropped=dropped)

    def parse_response(self, content_type: str, body: bytes, request: ImageRequest) -> ImageReply:
        value = object_of(body, "picture")
        images = value.get("images")
        found = images if isinstance(images, list) else []
        made = [Picture(data=item) for item in found if isinstance(item, str) and item]
        if not made:
            reasons = value.get("finish_reasons")
            reason = reasons[0] if isinstance(reasons, list) and reasons else None
            raise _filtered(reason) if isinstance(reason, str) else no_answer("picture")
        return ImageReply(made, usage=Usage(images=len(made)))

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def _texts(request: EmbeddingRequest) -> Outgoing:
    """Cohere's body: many texts, or one picture."""
    dropped = unsaid(request, "user", "title")
    kind = request.purpose
    if kind not in _TYPES:
        dropped += [called(request, "purpose")] if kind else []
        kind = "search_document"
    rest: Extra = {"input_type": kind}
    if request.dimensions is not None:
        rest["output_dimension"] = request.dimensions
    if request.truncate is not None:
        rest["truncate"] = "END" if request.truncate else "NONE"
    pictures = [_picture(given) for given in request.inputs]
    if all(pictures):
        rest["input_type"] = "image"
        images: list[JSON] = [
            {"images": [as_url(item)], **rest} for item in pictures if item is not None
        ]
        return several(INVOKE, images, dropped=dropped)
    bodies: list[JSON] = [{"texts": p, **rest} for p in pieces(texts_of(request), MOST)]
    return several(INVOKE, bodies, dropped=dropped)


def _picture(given: str | list[int] | list[Media]) -> Media | None:
    """The picture that an input is, None for any other; it must be given as data."""
    if isinstance(given, str) or len(given) != 1 or not isinstance(given[0], Media):
        return None
    return given[0] if given[0].kind == "image" and given[0].data else None


def _multimodal(request: EmbeddingRequest, index: int) -> JSON:
    """Titan's body for a text, a picture, or one of each."""
    given, body = request.inputs[index], dict[str, JSON]()
    for item in [given] if isinstance(given, str) else given:
        if isinstance(item, str):
            body["inputText"] = item
        elif isinstance(item, Media) and item.text:
            body["inputText"] = item.text
        elif isinstance(item, Media) and item.kind == "image" and item.data:
            body["inputImage"] = item.data
        else:
            words = "must be text or a picture given as data for this provider"
            raise bad(called(request, "inputs", index), words, "unsupported_value")
    if request.dimensions is not None:
        body["embeddingConfig"] = {"outputEmbeddingLength": request.dimensions}
    return body


def _nova(request: EmbeddingRequest, text: str) -> JSON:
    """Nova's body for a text."""
    params: Extra = {
        "embeddingPurpose": _PURPOSES.get(request.purpose, "GENERIC_INDEX"),
        "text": {"truncationMode": "NONE" if request.truncate is False else "END", "value": text},
    }
    if request.dimensions is not None:
        params["embeddingDimension"] = request.dimensions
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}


def _filtered(reason: str) -> UpstreamError:
    """The picture was made and is withheld: another target is no better."""
    return UpstreamError(
        400,
        f"the provider withheld the picture: {reason}",
        code="content_filter",
        kind="invalid_request_error",
        retryable=False,
        original_status=200,
    )
