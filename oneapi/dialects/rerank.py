"""Rerank in the shape that Cohere's and Jina's clients share: the whole client dialect.

https://docs.cohere.com/reference/rerank, …/v1/rerank and https://api.jina.ai/redoc (read
2026-11-24), and recordings. Requests of both have `model`, `query`, `documents` and `top_n`; an
answer's `results` have `index` and `relevance_score`. Cohere counts in `meta`, Jina in `usage`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from oneapi.dialects.base import Headers, Operation, TaskFace
from oneapi.dialects.base_edit import edit_members
from oneapi.dialects.base_errors import parse_error
from oneapi.dialects.base_tap import EventTap, Kind
from oneapi.dialects.base_tasks import bad
from oneapi.dialects.rerank_face import NAME, RERANK, Face, parse_usage
from oneapi.errors import ApiError
from oneapi.ir import Envelope, Usage
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode, encode, members, replace_string

__all__ = [
    "HEADERS",
    "NAME",
    "OPERATIONS",
    "PING",
    "TASK_FACES",
    "WATCHED",
    "edit_request",
    "error_status",
    "parse_answer",
    "parse_error",
    "peek",
    "rename_response",
    "render_error",
    "response_text",
    "stream_error",
    "tap",
]

OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {RERANK: Operation(RERANK, "/rerank", task="rerank")}
)
WATCHED: Final = frozenset({"model", "query", "documents", "top_n"})
HEADERS: Final[Headers] = ()
PING: Final = b""
MAX_MODEL: Final = 256
TASK_FACES: Final[Mapping[str, TaskFace[Any, Any]]] = MappingProxyType({RERANK: Face()})


def peek(
    operation: Operation, members: Mapping[str, Raw], path_model: str | None = None
) -> Envelope:
    """What routing must know of the request. Raises `ApiError` 400 naming the parameter."""
    model = _decoded(members["model"]) if "model" in members else None
    if model is None:
        model = path_model
    if model is None:
        raise bad("model", "is missing", "missing_required_parameter")
    if not isinstance(model, str):
        raise bad("model", "must be a string")
    if not model or len(model) > MAX_MODEL or not model.isprintable():
        raise bad("model", f"must be 1 to {MAX_MODEL} printable characters", "invalid_value")
    if "documents" in members:
        first = bytes(memoryview(members["documents"])[:1])  # may be megabytes: not copied
        if first != b"[":
            raise bad("documents", "must be an array")
    return Envelope(model)


def edit_request(
    members: Mapping[str, Raw],
    *,
    model: str | None = None,
    include_usage: bool = False,
    set: Mapping[str, JSON] | None = None,
    drop: Sequence[str] = (),
) -> bytes | None:
    """The request with top-level members changed, None where nothing changes; usage is unasked."""
    return edit_members(members, model=model, set=set, drop=drop)


def tap(
    operation: Operation,
    *,
    asked: str | None = None,
    withhold_usage: bool = False,
    output_excludes_reasoning: bool = False,
    secrets: Sequence[str] = (),
) -> EventTap:
    """Nothing streams here; a provider that does it all the same is relayed."""
    return EventTap(_Reader(), secrets=secrets)


def parse_answer(
    operation: Operation,
    status: int,
    content_type: str,
    body: bytes,
    *,
    output_excludes_reasoning: bool = False,
) -> tuple[str | None, Usage | None]:
    """Why a whole successful answer is not what was asked for; and what it says it used."""
    if status >= 300:
        return None, None
    start = body[:512].lstrip().lower()
    if not start:
        return "the provider's answer was empty", None
    if "html" in content_type or start.startswith((b"<!doctype", b"<html")):
        return "the provider answered with a web page", None
    try:
        top = members(body)
    except MalformedJSON:
        return "the provider's answer is not a JSON object", None
    if not any(
        bytes(memoryview(top[name])[:1]) == b"[" for name in ("results", "data") if name in top
    ):
        return "the provider's answer has no `results`", None
    counted = {name: _decoded(top[name]) for name in ("usage", "meta", "tokens") if name in top}
    return None, parse_usage(counted)


def rename_response(body: bytes, asked: str) -> bytes:
    """A whole answer with the asked model's name, every other byte as it came."""
    return replace_string(body, "model", asked)


def response_text(body: bytes) -> str:
    """None: a ranking is numbers, what it used is its input."""
    return ""


def error_status(error: ApiError) -> int:
    return error.status


def render_error(error: ApiError, request_id: str = "") -> bytes:
    """`message` is what Cohere's clients show, `detail` what Jina's do."""
    return encode(
        {
            "id": request_id,
            "message": error.message,
            "detail": error.message,
            "code": error.code,
            "param": error.param,
        }
    )


def stream_error(error: ApiError, request_id: str = "") -> bytes:
    return b"data: " + render_error(error, request_id) + b"\n\n"


class _Reader:
    """What one stream's events mean: anything is content."""

    MARKS: Final[Sequence[bytes]] = (b'"error"',)

    def __init__(self) -> None:
        self.usage: Usage | None = None

    def read(self, value: JSON) -> Kind:
        return "error" if isinstance(value, dict) and value.get("error") else "content"

    def text(self, value: JSON) -> str:
        return ""


def _decoded(raw: Raw) -> JSON:
    try:
        return decode(raw)
    except MalformedJSON:
        return None
