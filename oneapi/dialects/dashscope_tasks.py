"""DashScope's models that are no chats: embeddings, rerank, pictures.

https://help.aliyun.com/zh/model-studio/text-embedding-synchronous-api, …/text-rerank-api and
…/text-to-image-v2-api-reference (read 2026-11-24) and a recording. Pictures are made by tasks that
are asked for until they are done; where the option `images` is "messages" the model is asked as a
multimodal chat and answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from oneapi.dialects.base import FollowUp, Headers, Hints, Outgoing
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_errors import refused
from oneapi.dialects.base_tasks import (
    called,
    count,
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
from oneapi.dialects.dashscope_shapes import MULTIMODAL, NAME
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
from oneapi.wire.json import JSON, MalformedJSON, decode

EMBED: Final = "dashscope.embed"
RERANK: Final = "dashscope.rerank"
IMAGES: Final = "dashscope.images"
MOST: Final = 10
POLL_S: Final = 1.0
_PENDING: Final = frozenset({"PENDING", "RUNNING", "SUSPENDED"})
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"search_document": "document", "search_query": "query"}
)
_SAID: Final = ("negative_prompt", "seed", "prompt_extend", "watermark")
"""Parameters of this vendor that clients write into OpenAI's request."""


class Embeddings:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (EMBED,)

    def render_request(self, request: EmbeddingRequest, model: str, hints: Hints) -> Outgoing:
        dropped = unsaid(request, "user", "title", "truncate")
        parameters: Extra = {}
        if request.purpose in _TYPES:
            parameters["text_type"] = _TYPES[request.purpose]
        elif request.purpose:
            dropped.append(called(request, "purpose"))
        if request.dimensions is not None:
            parameters["dimension"] = request.dimensions
        rest: Extra = {"parameters": parameters} if parameters else {}
        bodies: list[JSON] = [
            {"model": model, "input": {"texts": piece}, **rest}
            for piece in pieces(texts_of(request), MOST)
        ]
        return several(EMBED, bodies, dropped=dropped)

    def parse_response(
        self, content_type: str, body: bytes, request: EmbeddingRequest
    ) -> EmbeddingReply:
        value, output = _answer(body, "embeddings")
        found = output.get("embeddings")
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise no_answer("embeddings")
        for name in ("text_index", "index"):
            if all(type(item.get(name)) is int for item in found):
                found = sorted(found, key=lambda item: item[name])
                break
        vectors = vectors_in([item.get("embedding") for item in found])
        return EmbeddingReply("", vectors, _usage(value))

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


class Rerank:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (RERANK,)

    def render_request(self, request: RerankRequest, model: str, hints: Hints) -> Outgoing:
        parameters: Extra = {}
        if request.top_n is not None:
            parameters["top_n"] = request.top_n
        if "instruct" in request.extra:
            parameters["instruct"] = request.extra["instruct"]
        body: Extra = {
            "model": model,
            "input": {"query": request.query, "documents": plain_documents(request)},
            "parameters": parameters,
        }
        dropped = [name for name in request.extra if name != "instruct"]
        return Outgoing(RERANK, body_of(body), streams=False, dropped=dropped)

    def parse_response(self, content_type: str, body: bytes, request: RerankRequest) -> RerankReply:
        value, output = _answer(body, "ranking")
        name = value.get("request_id")
        return RerankReply(
            ranked(request, output.get("results")),
            name if isinstance(name, str) else "",
            usage=_usage(value),
        )

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


class Images:
    """See `TaskProvider` and `AnswersLater`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (IMAGES, MULTIMODAL)

    def render_request(self, request: ImageRequest, model: str, hints: Hints) -> Outgoing:
        names = ("quality", "style", "background", "user")
        dropped = [name for name in names if getattr(request, name)]
        if request.file_format:
            dropped.append("output_format")
        dropped += [name for name in request.extra if name not in _SAID]
        size = size_of(request)
        parameters: Extra = {"n": request.n}
        if size is not None:
            parameters["size"] = f"{size[0]}*{size[1]}"
        parameters.update({n: request.extra[n] for n in _SAID[1:] if n in request.extra})
        less = request.extra.get("negative_prompt")
        if hints.options.get("images") == "messages":
            if less is not None:
                parameters["negative_prompt"] = less
            said = [{"role": "user", "content": [{"text": request.prompt}]}]
            body: Extra = {
                "model": model,
                "input": {"messages": said},
                "parameters": parameters,
            }
            return Outgoing(MULTIMODAL, body_of(body), streams=False, dropped=dropped)
        given: Extra = {"prompt": request.prompt}
        if less is not None:
            given["negative_prompt"] = less
        body = {"model": model, "input": given, "parameters": parameters}
        headers = ((b"x-dashscope-async", b"enable"),)
        return Outgoing(IMAGES, body_of(body), streams=False, headers=headers, dropped=dropped)

    def follow_up(self, body: bytes) -> FollowUp | None:
        try:
            value = decode(body)
        except MalformedJSON:
            return None
        output = value.get("output") if isinstance(value, dict) else None
        if not isinstance(output, dict):
            return None
        status, task = output.get("task_status"), output.get("task_id")
        if not isinstance(status, str) or status not in _PENDING:
            return None
        if not isinstance(task, str) or not task.replace("-", "").isalnum():
            return None
        return FollowUp(f"/api/v1/tasks/{task}", wait_s=POLL_S)

    def parse_response(self, content_type: str, body: bytes, request: ImageRequest) -> ImageReply:
        _, output = _answer(body, "picture")
        results, choices = output.get("results"), output.get("choices")
        found = results if isinstance(results, list) else _said(choices)
        made = [one for item in found if (one := _picture(item)) is not None]
        if not made:
            failed = next((item for item in found if isinstance(item, dict)), output)
            if failed.get("code") or failed.get("message"):
                raise refused(failed)
            raise no_answer("picture")
        return ImageReply(made, usage=Usage(images=len(made)))

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def _answer(body: bytes, what: str) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """The answer and its output. Raises `UpstreamError`: the provider's own where it failed."""
    value = object_of(body, what)
    output = value.get("output")
    if isinstance(output, dict):
        return value, output
    if value.get("code") or value.get("message"):
        raise refused(value)
    raise no_answer(what)


def _usage(value: dict[str, JSON]) -> Usage | None:
    used = value.get("usage")
    tokens = count(used, "total_tokens")
    if tokens is None:
        tokens = count(used, "input_tokens")
    return None if tokens is None else Usage(input=tokens)


def _said(choices: JSON) -> list[JSON]:
    """The pictures in the messages of a multimodal answer."""
    found: list[JSON] = []
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get("message") if isinstance(choice, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        parts = content if isinstance(content, list) else ()
        found += [part for part in parts if isinstance(part, dict) and part.get("image")]
    return found


def _picture(item: JSON) -> Picture | None:
    made = picture(item)
    prompt = item.get("actual_prompt") if isinstance(item, dict) else None
    if made is not None and isinstance(prompt, str):
        made.revised_prompt = prompt
    return made
