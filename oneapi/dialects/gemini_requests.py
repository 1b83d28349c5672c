"""Requests of Gemini's dialect in the byte lane: what they ask for, and edits.

https://ai.google.dev/api (read 2026-11-24). The model stands in the path, and whether a stream is
wanted in its verb. Members that are not looked at here pass untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from oneapi.dialects.base import Operation
from oneapi.dialects.gemini_shapes import bad, camel, integer, message, snake
from oneapi.errors import ApiError
from oneapi.ir import Envelope
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode, encode, items, join, members

LIMITS: Final = (
    "generationConfig.maxOutputTokens",
    "generationConfig.max_output_tokens",
    "generation_config.max_output_tokens",
    "generation_config.maxOutputTokens",
)
OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation(
            "generate",
            "/models/{model}:generateContent",
            streams=True,
            ends=True,
            task="chat",
            limits=LIMITS,
        ),
        Operation(
            "generate.array",
            "/models/{model}:streamGenerateContent",
            streams=True,
            ends=True,
            task="chat",
            limits=LIMITS,
        ),
        Operation("gemini.count_tokens", "/models/{model}:countTokens", task="count_tokens"),
        Operation("gemini.embed", "/models/{model}:embedContent", task="embeddings"),
        Operation("gemini.batch_embed", "/models/{model}:batchEmbedContents", task="embeddings"),
    )
}
_NAMES: Final = (
    "model",
    "contents",
    "content",
    "requests",
    "tools",
    "systemInstruction",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "cachedContent",
    "generateContentRequest",
)
WATCHED: Final = frozenset({*_NAMES, *map(snake, _NAMES)})
"""Members that decide about a request, in both spellings: doubled ones are refused."""

MAX_N: Final = 128
MAX_MODEL: Final = 256
MAX_TOKENS: Final = 2**30


def peek(
    operation: Operation, members: Mapping[str, Raw], path_model: str | None = None
) -> Envelope:
    """What routing must know of the request; whether it streams, the path's verb says.

    Raises `ApiError` 400 naming the member: also where it stands in both spellings, and where the
    body names another model than the path.
    """
    for name in _NAMES:
        other = snake(name)
        if other != name and name in members and other in members:
            raise bad(name, "stands twice", "invalid_value")
    model = bare_model(path_model or "")
    if not model:
        model = bare_model(_string(_raw(members, "model"), "model"))
    if not model or len(model) > MAX_MODEL or not model.isprintable():
        what = f"must be 1 to {MAX_MODEL} printable characters"
        raise bad("model", what, "invalid_value")
    _check_models(members, model)
    config = _object(members, "generationConfig")
    n = integer(config, "candidateCount", "generationConfig", 1) or 1
    limit = integer(config, "maxOutputTokens", "generationConfig") or 0
    if n > MAX_N or limit > MAX_TOKENS:
        which = "candidateCount" if n > MAX_N else "maxOutputTokens"
        raise bad(f"generationConfig.{which}", "is too large", "invalid_value")
    return Envelope(model, max_output=max(limit, 0), n=n, wants_usage=True)


def edit_request(
    members: Mapping[str, Raw],
    *,
    model: str | None = None,
    include_usage: bool = False,
    set: Mapping[str, JSON] | None = None,
    drop: Sequence[str] = (),
) -> bytes | None:
    """The request with single members changed, None where nothing changes.

    The body names a model in the requests of a batch and inside `generateContentRequest` alone.
    `drop` goes before `set`; both reach a member in either spelling. Usage is always told here.
    """
    edited: dict[str, Raw | bytes] = dict(members)
    if model is not None:
        _rename(edited, model)
    for name in drop:
        edited.pop(camel(name), None)
        edited.pop(snake(name), None)
    for name, value in (set or {}).items():
        held = next((n for n in (name, camel(name), snake(name)) if n in edited), name)
        edited[held] = encode(value)
    same = len(edited) == len(members) and all(
        name in members and bytes(raw) == bytes(members[name]) for name, raw in edited.items()
    )
    return None if same else join(edited)


def bare_model(name: str) -> str:
    """`models/x` and `publishers/google/models/x` → `x`."""
    head, found, rest = name.rpartition("models/")
    return rest if found and (not head or head.endswith("/")) else name


def _rename(edited: dict[str, Raw | bytes], model: str) -> None:
    """Puts the model's name where the body has one."""
    for name in ("model", "generateContentRequest", "generate_content_request", "requests"):
        if name not in edited:
            continue
        raw = bytes(edited[name])
        if name == "model":
            edited[name] = _named(raw, model)
        elif name == "requests":
            found = [_with_model(bytes(item), model) for item in items(raw)]
            edited[name] = b"[" + b",".join(found) + b"]"
        else:
            edited[name] = _with_model(raw, model)


def _with_model(raw: bytes, model: str) -> bytes:
    """An object whose `model` is another, every other member as it stands."""
    try:
        found: dict[str, Raw | bytes] = dict(members(raw))
    except MalformedJSON:
        return raw
    if "model" not in found:
        return raw
    found["model"] = _named(bytes(found["model"]), model)
    return join(found)


def _named(raw: bytes, model: str) -> bytes:
    """The new name in the old one's form: a prefix stays. An equal one keeps its bytes."""
    try:
        old = decode(raw)
    except MalformedJSON:
        return raw
    if not isinstance(old, str) or bare_model(old) == model:
        return raw
    prefix = old[: len(old) - len(bare_model(old))]
    return encode(prefix + model)


def _check_models(members: Mapping[str, Raw], model: str) -> None:
    named = [("model", _raw(members, "model"))]
    inner = _raw(members, "generateContentRequest")
    if inner is not None:
        named.append(("generateContentRequest.model", _model_in(inner)))
    requests = _raw(members, "requests")
    for number, item in enumerate(items(requests) if requests is not None else ()):
        named.append((f"requests[{number}].model", _model_in(bytes(item))))
    for where, raw in named:
        told = _string(raw, where)
        if told and bare_model(told) != model:
            raise bad(where, f"is `{told}`, but the path says `{model}`", "invalid_value")


def _model_in(raw: bytes) -> bytes | None:
    try:
        found = members(raw).get("model")
    except MalformedJSON:
        return None  # what is no object is the provider's to refuse
    return None if found is None else bytes(found)


def _object(members: Mapping[str, Raw], name: str) -> dict[str, JSON]:
    raw = _raw(members, name)
    return {} if raw is None else message(_value(raw, name), name)


def _string(raw: bytes | None, name: str) -> str:
    value = None if raw is None else _value(raw, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad(name, "must be a string")
    return value


def _value(raw: bytes, name: str) -> JSON:
    try:
        return decode(raw)
    except MalformedJSON as error:
        raise ApiError(400, f"`{name}` cannot be read", code="invalid_value", param=name) from error


def _raw(members: Mapping[str, Raw], name: str) -> bytes | None:
    for spelling in (name, snake(name)):
        if spelling in members:
            raw = bytes(members[spelling])
            return None if raw == b"null" else raw
    return None
