"""What the dialects share for tasks that are answered whole: embeddings, rerank, images, speech."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from oneapi.dialects.base import Outgoing
from oneapi.dialects.base_bodies import body_of, encode_text
from oneapi.dialects.base_errors import parse_error, refused
from oneapi.dialects.base_vectors import vectors_of
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import Media, Usage
from oneapi.tasks import (
    EmbeddingReply,
    EmbeddingRequest,
    ImageRequest,
    Picture,
    Ranked,
    RerankRequest,
)
from oneapi.wire.json import JSON, MalformedJSON, decode, encode

JSON_TYPE: Final = b"application/json"
_SIZE: Final = re.compile(r"(\d{1,5})\s*[xX*×]\s*(\d{1,5})")
_MOST: Final = 10**12
_FORMATS: Final[Mapping[str, str]] = {"jpg": "jpeg", "x-png": "png"}

T = TypeVar("T")

__all__ = [
    "JSON_TYPE",
    "answer_of",
    "bad",
    "called",
    "count",
    "image_format",
    "joined",
    "json_of",
    "nearest_ratio",
    "no_answer",
    "object_of",
    "parse_error",
    "picture",
    "pieces",
    "plain_documents",
    "ranked",
    "several",
    "size_of",
    "texts_of",
    "unsaid",
    "vectors_in",
]


def answer_of(body: JSON) -> tuple[bytes, bytes]:
    """Content type and body of an answer in JSON; half surrogate pairs in its texts replaced."""
    return JSON_TYPE, json_of(body)


def json_of(value: JSON) -> bytes:
    """The JSON, whatever its texts hold."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return encode_text(value).encode()


def bad(param: str, words: str, code: str = "invalid_type") -> ApiError:
    """A refusal that names the parameter."""
    return ApiError(400, f"`{param}` {words}" if param else words, code=code, param=param or None)


def no_answer(what: str) -> UpstreamError:
    """What a provider answered is no such thing."""
    return UpstreamError(
        502,
        f"the provider's answer holds no {what}",
        code="bad_upstream_answer",
        retryable=True,
        original_status=200,
    )


def object_of(body: bytes, what: str) -> dict[str, JSON]:
    """A whole answer's members. Raises `UpstreamError`: 502 for what is no object, the provider's
    own error where its answer is one.
    """
    try:
        value = decode(body)
    except MalformedJSON:
        raise no_answer(what) from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise no_answer(what)
    if value.get("error"):
        raise refused(value)
    return value


def called(request: EmbeddingRequest, name: str, index: int | None = None) -> str:
    """A field as the client calls it; one of several inputs by its place."""
    found = request.names.get(name, name)
    if index is None or request.single:
        return found
    return found.replace("{}", str(index)) if "{}" in found else f"{found}[{index}]"


def unsaid(request: EmbeddingRequest, *fields: str) -> list[str]:
    """The names of those fields that the client has set and the provider's format cannot say, and
    of what only its own format has.
    """
    given = [called(request, name) for name in fields if getattr(request, name) not in ("", None)]
    heard = called(request, "purpose") if request.purpose else ""
    given += [name for name in request.extra if name != heard]
    for index, said in enumerate(request.each):
        place = called(request, "inputs", index).rpartition(".")[0]
        known = {name: request.each[0].get(name) for name in (heard, "title")}
        given += [
            f"{place}.{name}" if place else name
            for name, value in said.items()
            if name not in known or known[name] != value
        ]
    return given


def texts_of(request: EmbeddingRequest) -> list[str]:
    """The inputs as texts. Raises `ApiError` 400 naming one that is tokens or a medium."""
    found: list[str] = []
    for index, given in enumerate(request.inputs):
        if isinstance(given, str):
            found.append(given)
            continue
        kind = "media" if any(isinstance(item, Media) for item in given) else "tokens"
        raise bad(
            called(request, "inputs", index),
            f"must be text: this provider takes no {kind}",
            "unsupported_value",
        )
    return found


def pieces(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """The items in as few lists as no one is longer than `most`; one empty list of none."""
    return [items[at : at + most] for at in range(0, len(items), most)] or [items]


def several(operation: str, bodies: Sequence[JSON], **rest: Sequence[str]) -> Outgoing:
    """One call after the other to one place."""
    first, *more = map(body_of, bodies)
    return Outgoing(operation, first, streams=False, more=more, **rest)  # type: ignore[arg-type]


def joined(replies: Sequence[Any]) -> Any:
    """The answers to several calls as one: what they hold in order, what they used in sum."""
    first = replies[0]
    if len(replies) == 1:
        return first
    usage = _sum([reply.usage for reply in replies])
    if isinstance(first, EmbeddingReply):
        vectors = [vector for reply in replies for vector in reply.vectors]
        return replace(first, vectors=vectors, usage=usage)
    pictures = [made for reply in replies for made in reply.pictures]
    return replace(first, pictures=pictures, usage=usage)


def vectors_in(values: JSON) -> list[list[float]]:
    """A list of vectors. Raises `UpstreamError` where it is none."""
    found = vectors_of(values)
    if found is None:
        raise no_answer("embeddings")
    return found


def plain_documents(request: RerankRequest) -> list[str]:
    """The documents' texts. Raises `ApiError` 400 naming one without text."""
    return [text for _, text in _documents(request)]


def ranked(
    request: RerankRequest, items: JSON, *, index: str = "index", score: str = "relevance_score"
) -> list[Ranked]:
    """A provider's list of places. Documents are the request's own: providers cut or omit theirs.

    Raises `UpstreamError` for what is no such list, or speaks of documents that were not given.
    """
    if not isinstance(items, list):
        raise no_answer("ranking")
    found: list[Ranked] = []
    for item in items:
        place, value = (item.get(index), item.get(score)) if isinstance(item, dict) else (0, None)
        if not isinstance(place, int) or not isinstance(value, int | float):
            raise no_answer("ranking")
        if not 0 <= place < len(request.documents):
            raise no_answer("ranking")
        found.append(Ranked(place, value, request.documents[place]))
    return found


def size_of(request: ImageRequest) -> tuple[int, int] | None:
    """Width and height, None where the provider may choose. Raises `ApiError` 400."""
    if request.size in ("", "auto"):
        return None
    match = _SIZE.fullmatch(request.size)
    if match is None or "0" in (match[1].strip("0") or "0", match[2].strip("0") or "0"):
        raise bad("size", "must be WIDTHxHEIGHT or auto", "invalid_value")
    return int(match[1]), int(match[2])


def nearest_ratio(size: tuple[int, int], ratios: Sequence[str]) -> str:
    """The ratio (`16:9`) that comes nearest to a picture's size."""

    def distance(ratio: str) -> float:
        width, _, height = ratio.partition(":")
        wanted, offered = size[0] / size[1], int(width) / int(height)
        return max(wanted / offered, offered / wanted)

    return min(ratios, key=distance)


def picture(value: JSON) -> Picture | None:
    """A picture as providers of OpenAI's kind write it: an address, a data: URL, base64, or an
    object with one of them.
    """
    if isinstance(value, str):
        return _from_text(value)
    if not isinstance(value, dict):
        return None
    for name in ("b64_json", "url", "image", "b64", "b64_image", "image_url", "base64"):
        found = value.get(name)
        if isinstance(found, dict):
            found = found.get("url")
        if isinstance(found, str) and found:
            made = _from_text(found)
            kind, prompt = value.get("mime_type"), value.get("revised_prompt")
            made.media_type = made.media_type or (kind if isinstance(kind, str) else "")
            made.revised_prompt = prompt if isinstance(prompt, str) else ""
            return made
    return None


def image_format(media_type: str) -> str:
    """`image/png` → `png`."""
    word = media_type.partition(";")[0].strip().lower().removeprefix("image/")
    return _FORMATS.get(word, word)


def count(value: JSON, name: str) -> int | None:
    """A member that is a believable count."""
    number = value.get(name) if isinstance(value, dict) else None
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= _MOST:
        return int(number)
    return None


def _from_text(text: str) -> Picture:
    if text.startswith("data:"):
        head, _, data = text.partition(",")
        return Picture(data=data, media_type=head[5:].partition(";")[0])
    if text.startswith(("http://", "https://")):
        return Picture(url=text)
    return Picture(data=text)


def _documents(request: RerankRequest) -> Iterator[tuple[int, str]]:
    for index, document in enumerate(request.documents):
        text = document.get("text") if isinstance(document, dict) else document
        if not isinstance(text, str):
            words = "must have a text: this provider ranks nothing else"
            raise bad(f"documents[{index}]", words, "unsupported_value")
        yield index, text


def _sum(usages: Sequence[Usage | None]) -> Usage | None:
    """None where one of them is not known: a part would pass for the whole."""
    known = [usage for usage in usages if usage is not None]
    if len(known) < len(usages):
        return None
    return Usage(*map(sum, zip(*(usage.as_tuple() for usage in known), strict=True)))
