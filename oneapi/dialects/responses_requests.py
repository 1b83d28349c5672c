"""Requests of the Responses dialect: what they ask for, checked where routing depends on it.

https://platform.openai.com/docs/api-reference/responses/create (read 2026-11-24). Members that are
not looked at here pass untouched: judging them is the provider's part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from oneapi.dialects.base import Operation
from oneapi.dialects.base_edit import edit_members
from oneapi.dialects.responses_shapes import MAX_TOKENS, bad
from oneapi.errors import ApiError
from oneapi.ir import Envelope
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode

OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation(
            "responses",
            "/responses",
            streams=True,
            ends=True,
            task="chat",
            limits=("max_output_tokens",),
        ),
        Operation("responses.input_tokens", "/responses/input_tokens"),
        Operation("responses.compact", "/responses/compact", task="chat"),
    )
}

WATCHED: Final = frozenset(
    {"model", "stream", "input", "max_output_tokens", "background", "store"}
    | {"previous_response_id", "conversation"}
)
"""Members that decide about a request: doubled ones are refused."""

MAX_MODEL: Final = 256
_TYPES: Final[Mapping[type, str]] = {str: "a string", bool: "a boolean", int: "an integer"}


def peek(
    operation: Operation, members: Mapping[str, Raw], path_model: str | None = None
) -> Envelope:
    """What routing must know of the request; a member that is null counts as absent.

    Raises `ApiError` 400 naming the parameter, 501 for answers in the background: they cannot be
    metered until they are polled for (D24).
    """
    model = _model(members, path_model)
    stream = _value(members, "stream", bool) is True
    if _value(members, "background", bool) is True:
        raise ApiError(
            501,
            "this gateway does not answer in the background; leave `background` out",
            code="api_not_implemented",
            kind="one_api_error",
            param="background",
            headers={"x-should-retry": "false"},
        )
    _check_input(members)
    return Envelope(
        model=model,
        stream=stream and operation.streams,
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
    """The request with single members changed; `include_usage` has no meaning here: the terminal
    event always tells it.
    """
    return edit_members(members, model=model, set=set, drop=drop)


def _model(members: Mapping[str, Raw], path_model: str | None) -> str:
    value = _value(members, "model", str)
    if value is None:
        value = path_model
    if value is None:
        raise ApiError(
            400,
            "you must provide a `model` parameter",
            code="missing_required_parameter",
            param="model",
        )
    if not value or len(value) > MAX_MODEL or not value.isprintable():
        raise bad("model", f"must be 1 to {MAX_MODEL} printable characters", "invalid_value")
    if path_model and path_model != value:
        raise bad("model", f"is `{value}`, but the path says `{path_model}`", "invalid_value")
    return str(value)


def _check_input(members: Mapping[str, Raw]) -> None:
    """Absent and null are lawful: a stored prompt or a conversation may hold all of it."""
    raw = members.get("input")
    if raw is not None and bytes(memoryview(raw)[:1]) not in (b'"', b"[", b"n"):
        raise bad("input", "must be a string or an array")


def _limit(members: Mapping[str, Raw]) -> int:
    value = _value(members, "max_output_tokens", int, float)
    if value is None:
        return 0
    if value != value // 1:
        raise bad("max_output_tokens", "must be an integer")
    if not -1 <= value <= MAX_TOKENS:
        raise bad("max_output_tokens", f"must be between 1 and {MAX_TOKENS}", "invalid_value")
    return max(int(value), 0)  # -1 is how local clients say: no limit


def _value(members: Mapping[str, Raw], name: str, *types: type) -> JSON:
    """The member's value, None where it is absent or null. Raises `ApiError` for another type."""
    raw = members.get(name)
    if raw is None:
        return None
    try:
        value = decode(raw)
    except MalformedJSON as error:
        raise bad(name, "cannot be read", "invalid_value") from error
    if value is None:
        return None
    if type(value) not in types:
        raise bad(name, f"must be {_TYPES[types[0]]}")
    return value
