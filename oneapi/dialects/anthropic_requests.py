"""Requests of Anthropic's dialect in the byte lane: what they ask for, and edits.

https://docs.anthropic.com/en/api/messages (read 2026-11-24). Members that are not looked at here
pass untouched: judging them is the provider's part, and so is what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from oneapi.dialects.anthropic_forms import refuse
from oneapi.dialects.base import Operation
from oneapi.dialects.base_edit import edit_members
from oneapi.ir import Envelope
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode

OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation(
            "messages",
            "/messages",
            streams=True,
            ends=True,
            task="chat",
            limits=("max_tokens",),
            budget="thinking.budget_tokens",
        ),
        Operation("messages.count_tokens", "/messages/count_tokens", task="count_tokens"),
    )
}
WATCHED: Final = frozenset({"model", "stream", "max_tokens", "messages", "system", "tools"})
"""Members that decide about a request: doubled ones are refused."""

MAX_MODEL: Final = 256
MAX_TOKENS: Final = 2**30


def peek(
    operation: Operation, members: Mapping[str, Raw], path_model: str | None = None
) -> Envelope:
    """What routing must know of the request. A member that is null counts as absent.

    Raises `ApiError` 400 naming the parameter.
    """
    stream = _value(members, "stream", "a boolean", bool) is True
    _check_messages(members)
    return Envelope(
        model=_model(members, path_model),
        stream=stream and operation.streams,
        max_output=_max_tokens(members),
    )


def edit_request(
    members: Mapping[str, Raw],
    *,
    model: str | None = None,
    include_usage: bool = False,
    set: Mapping[str, JSON] | None = None,
    drop: Sequence[str] = (),
) -> bytes | None:
    """The request with single members changed, None where nothing changes: the original goes out.

    `drop` goes before `set`. Streams always tell their usage: there is nothing to ask for.
    """
    return edit_members(members, model=model, set=set, drop=drop)


def _model(members: Mapping[str, Raw], path_model: str | None) -> str:
    value = _value(members, "model", "a string", str)
    if value is None:
        value = path_model
    if value is None:
        raise refuse("model", "is missing: say which model is meant", "missing_required_parameter")
    if not value or len(value) > MAX_MODEL or not value.isprintable():
        raise refuse("model", f"must be 1 to {MAX_MODEL} printable characters", "invalid_value")
    if path_model and path_model != value:
        raise refuse("model", f"is `{value}`, but the path says `{path_model}`", "invalid_value")
    return str(value)


def _max_tokens(members: Mapping[str, Raw]) -> int:
    value = _value(members, "max_tokens", "an integer", int, float)
    if value is None:
        return 0
    if value != value // 1:
        raise refuse("max_tokens", "must be an integer")
    if not 0 <= value <= MAX_TOKENS:
        raise refuse("max_tokens", f"must be between 0 and {MAX_TOKENS}", "invalid_value")
    return int(value)


def _check_messages(members: Mapping[str, Raw]) -> None:
    if "messages" not in members:
        return
    view = memoryview(members["messages"])  # may be megabytes: looked at, not copied
    if bytes(view[:1]) != b"[":
        raise refuse("messages", "must be an array")


def _value(members: Mapping[str, Raw], name: str, what: str, *types: type) -> JSON:
    """The member's value, None where it is absent or null. Raises `ApiError` for another type."""
    if name not in members:
        return None
    try:
        value = decode(members[name])
    except MalformedJSON as error:
        raise refuse(name, "cannot be read", "invalid_value") from error
    if value is not None and type(value) not in types:
        raise refuse(name, f"must be {what}")
    return value
