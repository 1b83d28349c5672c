"""Requests of OpenAI's dialect: what they ask for, checked where routing depends on it, and edits.

https://platform.openai.com/docs/api-reference (read 2026-11-24). Members that are not looked at
here pass untouched, unknown ones included: judging them is the provider's part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from oneapi.dialects.base import Operation
from oneapi.dialects.base_edit import edit_members
from oneapi.errors import ApiError
from oneapi.ir import Envelope
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode, encode, items, join, members

OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation(
            "chat",
            "/chat/completions",
            streams=True,
            usage_option=True,
            ends=True,
            task="chat",
            limits=("max_completion_tokens", "max_tokens"),
        ),
        Operation(
            "completions",
            "/completions",
            streams=True,
            usage_option=True,
            ends=True,
            task="chat",
            limits=("max_tokens",),
        ),
        Operation("edits", "/edits"),
        Operation("embeddings", "/embeddings", task="embeddings"),
        Operation(
            "moderations",
            "/moderations",
            default_model="text-moderation-stable",
            task="moderation",
        ),
        Operation(
            "images.generations",
            "/images/generations",
            streams=True,
            default_model="dall-e-2",
            task="images",
        ),
        Operation(
            "images.edits", "/images/edits", form=True, streams=True, default_model="dall-e-2"
        ),
        Operation("images.variations", "/images/variations", form=True, default_model="dall-e-2"),
        Operation("speech", "/audio/speech", streams=True, task="speech"),
        Operation(
            "transcriptions",
            "/audio/transcriptions",
            form=True,
            streams=True,
            default_model="whisper-1",
            task="transcription",
        ),
        Operation("translations", "/audio/translations", form=True, default_model="whisper-1"),
        Operation("ocr", "/ocr"),
    )
}

WATCHED: Final = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "best_of",
        "size",
        "quality",
        "messages",
        "prompt",
        "input",
        "instruction",
    }
)
"""Members that decide about a request: doubled ones are refused."""

MAX_N = 128
MANY = 64 * 1024
"""Bytes of an array of prompts from which they are not told apart one by one."""
_PROMPTS: Final = re.compile(rb'\[\s*(["\[])')
MAX_MODEL = 256
MAX_TOKENS = 2**30

_REQUIRED: Final[Mapping[str, tuple[str, tuple[type, ...]]]] = {
    "chat": ("messages", (list,)),
    "completions": ("prompt", (str, list)),
    "edits": ("instruction", (str,)),
    "embeddings": ("input", (str, list)),
    "moderations": ("input", (str, list)),
    "images.generations": ("prompt", (str,)),
    "images.edits": ("prompt", (str,)),
    "speech": ("input", (str,)),
    "ocr": ("document", (dict,)),
}
_TYPES: Final[Mapping[type, str]] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    list: "an array",
    dict: "an object",
}
_FIRST: Final[Mapping[bytes, type]] = {b'"': str, b"[": list, b"{": dict, b"t": bool, b"f": bool}


def peek(
    operation: Operation, members: Mapping[str, Raw], path_model: str | None = None
) -> Envelope:
    """What routing must know of the request.

    `path_model` is the model that the path names, if it does. The body's `size` is left 0, the
    caller knows it. A member that is null counts as absent. Raises `ApiError` 400 naming the
    parameter.
    """
    model = _model(operation, members, path_model)
    stream = _value(members, "stream", bool) is True
    options = _value(members, "stream_options", dict) or {}
    _check_required(operation, members)
    if operation.name == "speech":
        stream = _is_string(members, "stream_format", "sse")
    return Envelope(
        model=model,
        stream=stream and operation.streams,
        max_output=_limit(members),
        n=_answers(operation, members),
        wants_usage=options.get("include_usage") is True,
        usage_option=operation.usage_option,
    )


def _limit(members: Mapping[str, Raw]) -> int:
    """The answer's limit, the higher of two: not every provider reads both names."""
    names = ("max_completion_tokens", "max_tokens")
    limits = [_integer(members, name, least=-1, most=MAX_TOKENS) or 0 for name in names]
    return 0 if min(limits) < 0 else max(limits)  # -1 is how local clients say: no limit


def _answers(operation: Operation, members: Mapping[str, Raw]) -> int:
    """How many answers are made; of those to one prompt of several, all are."""
    n = _integer(members, "n", least=1, most=MAX_N) or 1
    if operation.name != "completions":
        return n
    best_of = _integer(members, "best_of", least=0, most=MAX_N) or 0
    return max(n, best_of) * _prompts(bytes(members.get("prompt", b"")))


def _prompts(raw: bytes) -> int:
    """How many prompts an array of them holds: texts or arrays of tokens. An array of tokens is one
    prompt. Of a long array it is told how many there are at most.
    """
    found = _PROMPTS.match(raw)
    if found is None:
        return 1
    if len(raw) < MANY:
        return max(len(items(raw)), 1)
    return raw.count(b'"') // 2 if found[1] == b'"' else raw.count(b"[") - 1


def edit_request(
    members: Mapping[str, Raw],
    *,
    model: str | None = None,
    include_usage: bool = False,
    set: Mapping[str, JSON] | None = None,
    drop: Sequence[str] = (),
) -> bytes | None:
    """The request with single members changed, None where nothing changes: the original goes out.

    `model` is the name to put in, `include_usage` asks for the usage chunk and leaves the other
    stream options alone. `drop` goes before `set`; both name top-level members and have the last
    word. Every other member keeps its bytes and its place.
    """
    changes: dict[str, bytes] = {}
    if include_usage:
        changes["stream_options"] = _with_usage(members.get("stream_options"))
    return edit_members(members, model=model, changes=changes, set=set, drop=drop)


def peek_form(operation: Operation, fields: Mapping[str, str], size: int = 0) -> Envelope:
    """The same of a form's fields, where files and long values stand as "" (`FormScanner.fields`).

    Of the fields that decide, which are never files nor long, an empty one counts as absent.
    """
    given = {name: v for name, v in fields.items() if v or name not in ("model", "stream", "n")}
    envelope = peek(operation, {name: _as_member(name, v) for name, v in given.items()})
    envelope.size = size
    return envelope


def _as_member(name: str, value: str) -> Raw:
    """A field's value as it would stand in JSON."""
    if name == "n" and value.isdecimal() and value.isascii():
        return Raw((value.lstrip("0") or "0").encode())
    if name == "stream" and value.lower() in ("true", "false"):
        return Raw(value.lower().encode())
    return Raw(encode(value))


def _model(operation: Operation, members: Mapping[str, Raw], path_model: str | None) -> str:
    value = _value(members, "model", str)
    if value is None:
        value = path_model or operation.default_model
    if value is None:
        raise _missing("model")
    if not value or len(value) > MAX_MODEL or not value.isprintable():
        what = f"must be 1 to {MAX_MODEL} printable characters"
        raise _bad("model", what, "invalid_value")
    if path_model and path_model != value:
        raise _bad("model", f"is `{value}`, but the path says `{path_model}`", "invalid_value")
    return str(value)


def _check_required(operation: Operation, members: Mapping[str, Raw]) -> None:
    name, types = _REQUIRED.get(operation.name, ("", ()))
    if name not in members:
        return  # what is missing is the provider's to say, in its own words (D17)
    view = memoryview(members[name])  # may be megabytes: looked at, not copied
    if bytes(view[:4]) == b"null":
        raise _missing(name)
    if _FIRST.get(bytes(view[:1]), int) not in types:
        what = " or ".join(_TYPES[t] for t in types)
        raise _bad(name, f"must be {what}", "invalid_type")


def _integer(members: Mapping[str, Raw], name: str, *, least: int, most: int) -> int | None:
    value = _value(members, name, int, float)
    if value is None:
        return None
    if value != value // 1:
        raise _bad(name, "must be an integer", "invalid_type")
    if not least <= value <= most:
        raise _bad(name, f"must be between {least} and {most}", "invalid_value")
    return int(value)


def _value(members: Mapping[str, Raw], name: str, *types: type) -> JSON:
    """The member's value, None where it is absent or null. Raises `ApiError` for another type."""
    raw = _raw(members, name)
    if raw is None:
        return None
    try:
        value = decode(raw)
    except MalformedJSON as error:
        raise _bad(name, "cannot be read", "invalid_value") from error
    if type(value) not in types:
        raise _bad(name, f"must be {_TYPES[types[0]]}", "invalid_type")
    return value


def _raw(members: Mapping[str, Raw], name: str) -> bytes | None:
    raw = bytes(members[name]) if name in members else b"null"
    return None if raw == b"null" else raw


def _is_string(members: Mapping[str, Raw], name: str, wanted: str) -> bool:
    raw = _raw(members, name)
    return raw is not None and raw[:1] == b'"' and _value(members, name, str) == wanted


def _with_usage(options: Raw | None) -> bytes:
    """Stream options that ask for usage, the others as they stand."""
    held: dict[str, Raw | bytes] = {}
    if options is not None and bytes(options) != b"null":
        held.update(members(bytes(options)))
    if bytes(held.get("include_usage", b"")) == b"true":
        return bytes(options or b"")
    return join({**held, "include_usage": b"true"})


def _missing(name: str) -> ApiError:
    return ApiError(
        400,
        f"you must provide a `{name}` parameter",
        code="missing_required_parameter",
        param=name,
    )


def _bad(name: str, what: str, code: str) -> ApiError:
    return ApiError(400, f"`{name}` {what}", code=code, param=name)
