"""What the byte and edit lanes need of Ollama's format: requests looked at, answers read along.

https://github.com/ollama/ollama/blob/main/docs/api.md (read 2026-11-24). Members that are not
looked at pass untouched; judging them is the server's part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from oneapi.dialects.base import Operation
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_edit import edit_members
from oneapi.dialects.base_tap import EventTap, Kind
from oneapi.dialects.ollama_shapes import CHAT, EMBED, EMBEDDINGS, GENERATE, usage_of
from oneapi.errors import ApiError
from oneapi.ir import Envelope, Usage
from oneapi.wire.json import (
    JSON,
    MalformedJSON,
    Raw,
    decode,
    members,
    replace_string,
)

WATCHED: Final = frozenset({"model", "stream", "messages", "prompt", "input", "options"})

MAX_MODEL: Final = 256
MAX_TOKENS: Final = 2**30
_PAYLOADS: Final[Mapping[str, tuple[str, bytes, str]]] = {
    CHAT: ("messages", b"[", "an array"),
    GENERATE: ("prompt", b'"', "a string"),
    EMBED: ("input", b'"[', "a string or an array"),
    EMBEDDINGS: ("prompt", b'"', "a string"),
}
"""By operation: the member that is asked about, how it may begin, and what that means."""
_ANSWERS: Final[Mapping[str, Sequence[str]]] = {
    CHAT: ("message",),
    GENERATE: ("response", "image"),
    EMBED: ("embeddings",),
    EMBEDDINGS: ("embedding",),
}
"""By operation: members of which an answer has one."""


def peek(
    operation: Operation, members: Mapping[str, Raw], path_model: str | None = None
) -> Envelope:
    """What routing must know of the request. Streams unless told otherwise.

    A member that is null counts as absent; a payload that is absent asks to load the model. Raises
    `ApiError` 400 naming the parameter.
    """
    model = _value(members, "model", str, "a string")
    if model is None:
        model = path_model
    if not model:
        raise ApiError(400, "model is required", code="missing_required_parameter", param="model")
    if len(model) > MAX_MODEL or not model.isprintable():
        raise _bad("model", f"must be 1 to {MAX_MODEL} printable characters", "invalid_value")
    stream = _value(members, "stream", bool, "a boolean")
    _check_payload(operation, members)
    return Envelope(
        model=model,
        stream=operation.streams and stream is not False,
        max_output=_limit(members),
        wants_usage=True,
    )


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
    """Reads along with one stream of lines. Every line names the model."""
    rename = None if asked is None else lambda line: replace_string(line, "model", asked)
    return EventTap(_Reader(), lines=True, rename=rename, renames_all=True, secrets=secrets)


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
    if not any(_present(top, name) for name in _ANSWERS[operation.name]):
        if _present(top, "error"):
            return "the provider answered with an error inside a status of success", None
        if not _present(top, "done_reason"):
            return f"the provider's answer has no `{_ANSWERS[operation.name][0]}`", None
    counts = ("prompt_eval_count", "eval_count")
    return None, usage_of({n: _decoded(top[n]) for n in counts if n in top})


def rename_response(body: bytes, asked: str) -> bytes:
    """The answer with the asked model's name, every other byte as it came."""
    return replace_string(body, "model", asked)


def response_text(body: bytes) -> str:
    """The text of a whole answer, for estimating what was not counted."""
    return text_of(_decoded(body))


def text_of(value: JSON) -> str:
    """Text, thoughts and tool calls of an answer or of a line."""
    return "".join(_texts(value))


class _Reader:
    """What one stream's lines mean."""

    MARKS: Final = (b"true", b'"error"')
    """The last line has `done: true`, however it is spaced."""

    def __init__(self) -> None:
        self.usage: Usage | None = None

    def read(self, value: JSON) -> Kind:
        if not isinstance(value, dict):
            return "frame"
        if value.get("error"):
            return "error"
        if value.get("done") is True:
            self.usage = usage_of(value)
            return "end"
        if any(value.get(name) for name in ("response", "thinking", "image", "completed")):
            return "content"
        message = value.get("message")
        filled = isinstance(message, dict) and any(
            message.get(name) for name in ("content", "thinking", "tool_calls", "images")
        )
        return "content" if filled else "frame"

    def text(self, value: JSON) -> str:
        return text_of(value)


def _texts(value: JSON) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for level in (value, value.get("message")):
        if not isinstance(level, dict):
            continue
        for name in ("thinking", "content", "response"):
            if isinstance(level.get(name), str):
                yield level[name]
        calls = level.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                yield str(function.get("name", ""))
                yield encode_text(function.get("arguments"))


def _limit(members: Mapping[str, Raw]) -> int:
    """`options.num_predict`, 0 where there is no limit."""
    options = _value(members, "options", dict, "an object") or {}
    limit = options.get("num_predict")
    if limit is None:
        return 0
    if not isinstance(limit, (int, float)) or isinstance(limit, bool) or limit != limit // 1:
        raise _bad("options.num_predict", "must be an integer", "invalid_type")
    if limit > MAX_TOKENS:
        raise _bad("options.num_predict", f"must be at most {MAX_TOKENS}", "invalid_value")
    return max(int(limit), 0)


def _check_payload(operation: Operation, members: Mapping[str, Raw]) -> None:
    name, starts, what = _PAYLOADS[operation.name]
    if name not in members:
        return
    first = bytes(memoryview(members[name])[:4])  # may be megabytes: looked at, not copied
    if first != b"null" and first[:1] not in (starts[i : i + 1] for i in range(len(starts))):
        raise _bad(name, f"must be {what}", "invalid_type")


def _value(members: Mapping[str, Raw], name: str, kind: type, what: str) -> JSON:
    if name not in members:
        return None
    try:
        value = decode(members[name])
    except MalformedJSON as error:
        raise _bad(name, "cannot be read", "invalid_value") from error
    if value is not None and type(value) is not kind:
        raise _bad(name, f"must be {what}", "invalid_type")
    return value


def _present(top: Mapping[str, Raw], name: str) -> bool:
    return name in top and bytes(memoryview(top[name])[:4]) != b"null"


def _decoded(raw: bytes | Raw) -> JSON:
    try:
        return decode(raw)
    except MalformedJSON:
        return None


def _bad(name: str, what: str, code: str) -> ApiError:
    return ApiError(400, f"`{name}` {what}", code=code, param=name)
