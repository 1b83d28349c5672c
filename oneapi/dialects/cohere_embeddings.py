"""Embeddings in Cohere's format, version 2; answers of version 1 are understood too.

https://docs.cohere.com/reference/embed (read 2026-11-24) and recordings. `input_type` must be said:
where the client says no purpose it is `search_document`, or the channel's option `input_type`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from oneapi.dialects.base import Headers, Hints, Outgoing
from oneapi.dialects.base_tasks import (
    bad,
    called,
    no_answer,
    object_of,
    parse_error,
    pieces,
    several,
    unsaid,
    vectors_in,
)
from oneapi.dialects.base_turns import as_url
from oneapi.dialects.cohere_shapes import NAME, parse_usage
from oneapi.ir import Extra, Media
from oneapi.tasks import EmbeddingReply, EmbeddingRequest
from oneapi.wire.json import JSON

EMBED: Final = "cohere.embed"
MOST: Final = 96
DOCUMENT: Final = "search_document"
_TYPES: Final = frozenset({DOCUMENT, "search_query", "classification", "clustering"})


class Provider:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (EMBED,)

    def render_request(self, request: EmbeddingRequest, model: str, hints: Hints) -> Outgoing:
        rest, dropped = members_of(request, hints)
        bodies: list[JSON] = [
            {"model": model, **inputs, **rest, **kind} for inputs, kind in inputs_of(request)
        ]
        return several(EMBED, bodies, dropped=dropped)

    def parse_response(
        self, content_type: str, body: bytes, request: EmbeddingRequest
    ) -> EmbeddingReply:
        return parse_embeddings(body)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def members_of(request: EmbeddingRequest, hints: Hints) -> tuple[Extra, list[str]]:
    """What stands beside the inputs, and what cannot."""
    dropped = unsaid(request, "user", "title")
    usual = hints.options.get("input_type")
    kind = request.purpose
    if kind not in _TYPES:
        if kind:
            dropped.append(called(request, "purpose"))
        kind = usual if isinstance(usual, str) else DOCUMENT
    body: Extra = {"input_type": kind, "embedding_types": ["float"]}
    if request.dimensions is not None:
        body["output_dimension"] = request.dimensions
    if request.truncate is not None:
        body["truncate"] = "END" if request.truncate else "NONE"
    return body, dropped


def inputs_of(request: EmbeddingRequest) -> list[tuple[Extra, Mapping[str, str]]]:
    """The inputs call by call, and the input type where it is another: texts, single images, or
    texts and images mixed.
    """
    none: Mapping[str, str] = MappingProxyType({})
    given = request.inputs
    if all(isinstance(item, str) for item in given):
        return [({"texts": piece}, none) for piece in pieces(given, MOST)]
    parts = [_parts(request, index) for index in range(len(given))]
    if all(len(one) == 1 and "image_url" in one[0] for one in parts):
        image = {"input_type": "image"}
        return [({"images": [one[0]["image_url"]["url"]]}, image) for one in parts]
    mixed = [{"content": one} for one in parts]
    return [({"inputs": piece}, none) for piece in pieces(mixed, MOST)]


def parse_embeddings(body: bytes) -> EmbeddingReply:
    """The vectors of an answer. Those asked for by type stand under it, floats first."""
    value = object_of(body, "embeddings")
    found = value.get("embeddings")
    if isinstance(found, dict):
        found = next((found[n] for n in ("float", "base64", "int8", "uint8") if n in found), None)
    if found is None:
        raise no_answer("embeddings")
    return EmbeddingReply("", vectors_in(found), parse_usage(value.get("meta")))


def _parts(request: EmbeddingRequest, index: int) -> list[JSON]:
    """An input as a list of texts and images."""
    given, at = request.inputs[index], called(request, "inputs", index)
    if isinstance(given, str):
        return [{"type": "text", "text": given}]
    found: list[JSON] = []
    for item in given:
        if not isinstance(item, Media):
            words = "must be text or an image: this provider takes no tokens"
            raise bad(at, words, "unsupported_value")
        if item.text:
            found.append({"type": "text", "text": item.text})
        elif item.kind == "image" and item.data:
            found.append({"type": "image_url", "image_url": {"url": _address(item)}})
        else:
            words = "must be text or an image given as data for this provider"
            raise bad(at, words, "unsupported_value")
    return found


def _address(item: Media) -> str:
    return as_url(item) if item.media_type else f"data:image/png;base64,{item.data}"
