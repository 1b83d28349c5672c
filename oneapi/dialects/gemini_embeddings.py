"""Embeddings in Gemini's format: `embedContent` of one, `batchEmbedContents` of many, and Vertex'
`predict`.

https://ai.google.dev/api/embeddings and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api (read
2026-11-24), and the vendor's SDK for Python. Options: `embed` is "predict" or "single" (Vertex'
`embedContent`) where the model is not asked by batches, `embed_most` how many inputs a call takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from oneapi.dialects.base import Headers, Hints, Outgoing, Stamp
from oneapi.dialects.base_tasks import (
    answer_of,
    bad,
    called,
    count,
    no_answer,
    object_of,
    parse_error,
    pieces,
    several,
    texts_of,
    vectors_in,
)
from oneapi.dialects.gemini_shapes import bad as wrong
from oneapi.dialects.gemini_shapes import integer, items, message, optional, text
from oneapi.dialects.gemini_usage import parse_usage
from oneapi.ir import Envelope, Extra, Media, Usage
from oneapi.tasks import EmbeddingReply, EmbeddingRequest
from oneapi.wire.json import JSON

NAME: Final = "gemini"
EMBED: Final = "gemini.embed"
BATCH: Final = "gemini.batch_embed"
PREDICT: Final = "gemini.predict"
SINGLE: Final = "gemini.embed_single"
MOST: Final = 100

_TASKS: Final = (
    "TASK_TYPE_UNSPECIFIED",
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
)
"""In the order of their numbers: some clients write those."""
_PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "RETRIEVAL_QUERY": "search_query",
        "RETRIEVAL_DOCUMENT": "search_document",
        "SEMANTIC_SIMILARITY": "similarity",
        "CLASSIFICATION": "classification",
        "CLUSTERING": "clustering",
        "QUESTION_ANSWERING": "search_query",
        "FACT_VERIFICATION": "search_query",
        "CODE_RETRIEVAL_QUERY": "search_query",
    }
)
_TASK_OF: Final[Mapping[str, str]] = MappingProxyType(
    {purpose: task for task, purpose in reversed(list(_PURPOSES.items()))}
)
_NAMES: Final = {"purpose": "taskType", "dimensions": "outputDimensionality"}


class Face:
    """See `TaskFace`. What requests of a batch say each for itself is kept in `each`."""

    NAME: Final = NAME

    def __init__(self, *, batch: bool) -> None:
        self._batch = batch
        self._names = {**_NAMES, "inputs": "requests[{}].content" if batch else "content"}

    def parse_request(self, body: JSON, envelope: Envelope) -> EmbeddingRequest:
        members = message(body, "")
        single = not self._batch
        requests = [members] if single else items(members, "requests", "")
        if not requests:
            raise wrong("requests", "must not be empty", "invalid_value")
        asked = [
            _Asked(request, "" if single else f"requests[{i}]")
            for i, request in enumerate(requests)
        ]
        first = asked[0]
        for one in asked:
            if one.dimensions != first.dimensions:
                words = "must be the same for all requests of a batch"
                raise wrong("requests[].outputDimensionality", words, "invalid_value")
        return EmbeddingRequest(
            envelope.model,
            [one.input for one in asked],
            NAME,
            dimensions=first.dimensions,
            purpose=_PURPOSES.get(first.task, ""),
            title=first.title,
            truncate=first.truncate,
            single=single,
            each=[one.said for one in asked],
            names=self._names,
        )

    def render_response(
        self, reply: EmbeddingReply, request: EmbeddingRequest, stamp: Stamp
    ) -> tuple[bytes, bytes]:
        made: list[JSON] = [{"values": vector} for vector in reply.vectors]
        body: Extra = {"embeddings": made}
        if not self._batch:
            body = {"embedding": made[0] if made else {"values": []}}
        if reply.usage is not None:
            used = reply.usage.input_tokens
            body["usageMetadata"] = {"promptTokenCount": used, "totalTokenCount": used}
        return answer_of(body)


class Provider:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (BATCH, PREDICT, SINGLE)

    def render_request(self, request: EmbeddingRequest, model: str, hints: Hints) -> Outgoing:
        dropped = ["user"] if request.user else []
        dropped += request.extra
        numbers = range(len(request.inputs))
        form = hints.options.get("embed")
        most = hints.options.get("embed_most")
        size = most if type(most) is int and most > 0 else MOST
        if form == "predict":
            texts = texts_of(request)
            instances: list[JSON] = [_instance(request, i, texts[i]) for i in numbers]
            given: Extra = {}
            if request.dimensions is not None:
                given["outputDimensionality"] = request.dimensions
            if request.truncate is not None:
                given["autoTruncate"] = request.truncate
            rest: Extra = {"parameters": given} if given else {}
            bodies: list[JSON] = [{"instances": p, **rest} for p in pieces(instances, size)]
            return several(PREDICT, bodies, dropped=dropped)
        if form == "single":
            return several(SINGLE, [_configured(request, i) for i in numbers], dropped=dropped)
        name = model if model.startswith("models/") else f"models/{model}"
        batch: list[JSON] = [{"model": name, **_request(request, i)} for i in numbers]
        if request.truncate is not None:
            dropped.append(called(request, "truncate"))
        return several(BATCH, [{"requests": p} for p in pieces(batch, size)], dropped=dropped)

    def parse_response(
        self, content_type: str, body: bytes, request: EmbeddingRequest
    ) -> EmbeddingReply:
        value = object_of(body, "embeddings")
        usage = parse_usage(value.get("usageMetadata"))
        if "predictions" in value:
            made = [_prediction(item) for item in _list(value["predictions"])]
            counts = [tokens for _, tokens in made if tokens is not None]
            if made and len(counts) == len(made):
                usage = Usage(input=sum(counts))
            return EmbeddingReply("", vectors_in([vector for vector, _ in made]), usage)
        found = [value["embedding"]] if "embedding" in value else value.get("embeddings")
        vectors = [e.get("values") if isinstance(e, dict) else None for e in _list(found)]
        return EmbeddingReply("", vectors_in(vectors), usage)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


class _Asked:
    """One request of a batch."""

    def __init__(self, value: JSON, where: str) -> None:
        members = message(value, where)
        nested = optional(members, "embedContentConfig", where)
        members = {**nested, **members}
        self.task = _task(members.pop("taskType", None), where)
        self.title = text(members, "title", where)
        self.dimensions = integer(members, "outputDimensionality", where, 1)
        truncate = members.pop("autoTruncate", None)
        self.truncate = truncate if isinstance(truncate, bool) else None
        at = f"{where}.content" if where else "content"
        self.input = _content(members.pop("content", None), at)
        members.pop("model", None)
        self.said: Extra = members
        if self.task:
            self.said["taskType"] = self.task
        if self.title:
            self.said["title"] = self.title


def _task(value: JSON, where: str) -> str:
    if value is None:
        return ""
    if type(value) is int and 0 <= value < len(_TASKS):
        value = _TASKS[value]
    if not isinstance(value, str):
        raise wrong(f"{where}.taskType" if where else "taskType", "must be a task's name")
    return value


def _content(value: JSON, at: str) -> str | list[int] | list[Media]:
    """The text of a content, all its parts where one is no text."""
    if value is None:
        raise bad(at, "is missing", "missing_required_parameter")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    parts = items(message(value, at), "parts", at)
    found = [_part(part, f"{at}.parts[{index}]") for index, part in enumerate(parts)]
    if not found:
        raise bad(f"{at}.parts", "must not be empty", "invalid_value")
    if all(part.kind == "file" and part.media_type == "text/plain" for part in found):
        return "\n".join(part.text for part in found)
    return found


def _part(value: JSON, at: str) -> Media:
    part = message({"text": value} if isinstance(value, str) else value, at)
    if "text" in part:
        return Media("file", text=text(part, "text", at), media_type="text/plain")
    for name, member in (("inlineData", "data"), ("fileData", "fileUri")):
        if name in part:
            inner = optional(part, name, at)
            kind = text(inner, "mimeType", f"{at}.{name}")
            where = text(inner, member, f"{at}.{name}")
            word = kind.partition("/")[0]
            known = word if word in ("image", "audio", "video") else "file"
            if member == "data":
                return Media(known, data=where, media_type=kind)  # type: ignore[arg-type]
            return Media(known, url=where, media_type=kind)  # type: ignore[arg-type]
    raise bad(at, "must be text or data", "unsupported_value")


def _request(request: EmbeddingRequest, index: int) -> Extra:
    """An input in the Gemini API's form."""
    found: Extra = {"content": {"parts": _parts(request, index)}, **_said(request, index)}
    if request.dimensions is not None:
        found["outputDimensionality"] = request.dimensions
    return found


def _configured(request: EmbeddingRequest, index: int) -> Extra:
    """An input in the form of Vertex' `embedContent`."""
    found: Extra = {"content": {"role": "user", "parts": _parts(request, index)}}
    config = _said(request, index)
    if request.dimensions is not None:
        config["outputDimensionality"] = request.dimensions
    if request.truncate is not None:
        config["autoTruncate"] = request.truncate
    return {**found, "embedContentConfig": config} if config else found


def _instance(request: EmbeddingRequest, index: int, said: str) -> Extra:
    """An input in the form of `predict`, whose names are in snake_case."""
    found: Extra = {"content": said}
    for name, value in _said(request, index).items():
        found["task_type" if name == "taskType" else name] = value
    return found


def _said(request: EmbeddingRequest, index: int) -> Extra:
    """Task, title and what else was said of one input."""
    if request.source == NAME and index < len(request.each):
        return dict(request.each[index])
    found: Extra = {}
    task = _TASK_OF.get(request.purpose)
    if task is not None:
        found["taskType"] = task
    if request.title:
        found["title"] = request.title
    return found


def _parts(request: EmbeddingRequest, index: int) -> list[JSON]:
    given = request.inputs[index]
    if isinstance(given, str):
        return [{"text": given}]
    parts: list[JSON] = []
    for item in given:
        at = called(request, "inputs", index)
        if not isinstance(item, Media):
            words = "must be text or data: this provider takes no tokens"
            raise bad(at, words, "unsupported_value")
        if item.kind == "file" and item.text:
            parts.append({"text": item.text})
        elif item.data:
            kind = item.media_type or "image/png"
            parts.append({"inlineData": {"mimeType": kind, "data": item.data}})
        else:
            parts.append({"fileData": {"mimeType": item.media_type, "fileUri": item.url}})
    return parts


def _prediction(value: JSON) -> tuple[JSON, int | None]:
    """The vector of a prediction and the tokens of its text, None where they are not counted."""
    if not isinstance(value, dict):
        raise no_answer("embeddings")
    found = value.get("embeddings")
    if isinstance(found, dict):
        return found.get("values"), count(found.get("statistics"), "token_count")
    return value.get("textEmbedding") or value.get("imageEmbedding"), None


def _list(value: JSON) -> list[JSON]:
    if not isinstance(value, list):
        raise no_answer("embeddings")
    return value
