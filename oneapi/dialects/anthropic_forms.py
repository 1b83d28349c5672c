"""How requests and answers of Anthropic's dialect stood, where the typed middle need not know it.

The middle tells what is meant. A string in the place of one text block, a `null`, an empty list
mean the same as what they stand for; classes here remember them, so that the same dialect gets back
what it was given. Elsewhere they are what they inherit.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Final, Literal

from oneapi.dialects.base_bodies import encode_text
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Extra,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Tool,
    ToolResult,
)
from oneapi.wire.json import JSON, MalformedJSON, decode, encode

NAME: Final = "anthropic"


@dataclass(slots=True)
class Request(ChatRequest):
    """`idle` are members that stood there and say nothing: null, empty lists, `stream: false`."""

    idle: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Turn(Message):
    """`form` is how its content stood; `apart` says that it is the top-level `system`."""

    form: Literal["absent", "text", "blocks"] = "blocks"
    apart: bool = False


@dataclass(slots=True)
class Result(ToolResult):
    form: Literal["absent", "text", "blocks"] = "blocks"
    idle: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Function(Tool):
    idle: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Schema(OutputFormat):
    """`older` says that it stood as `output_format` at top level, its name in a beta of 2025."""

    older: bool = False


@dataclass(slots=True)
class Kept(Media):
    """A document whose block says more than the middle can: search results, documents made of
    blocks. `block` is the whole of it.
    """

    block: JSON = None


@dataclass(slots=True)
class Borrowed(Reasoning):
    """A thought of another provider that travelled to the client as one of Anthropic's."""


@dataclass(slots=True)
class Streamed(Opaque):
    """A block as a stream told it: `began` is how it began, `deltas` what followed."""

    began: JSON = None
    deltas: list[JSON] = field(default_factory=list)


_MARK: Final = "oneapi."
"""Begins a signature, or the data of a redacted thought, that holds another provider's thought."""


def wrap(thought: Reasoning) -> str:
    """What vouches for another provider's thought, as one opaque word that clients send back."""
    held = {
        name: value
        for name, value in (
            ("signature", thought.signature),
            ("data", thought.data),
            ("id", thought.id),
            ("summary", "yes" if thought.summary else ""),
        )
        if value
    }
    return _MARK + urlsafe_b64encode(encode_text(held).encode()).decode()


def unwrap(text: str, word: str) -> Borrowed | None:
    """The thought that `wrap` put into the word; None for a word of Anthropic's own."""
    if not word.startswith(_MARK):
        return None
    try:
        held = decode(urlsafe_b64decode(word[len(_MARK) :]))
    except (ValueError, MalformedJSON):
        return None
    if not isinstance(held, dict) or not all(isinstance(v, str) for v in held.values()):
        return None
    return Borrowed(
        text,
        signature=held.get("signature", ""),
        data=held.get("data", ""),
        summary="summary" in held,
        id=held.get("id", ""),
    )


def dump(value: JSON) -> bytes:
    """JSON for a client, whatever a provider's text holds."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return encode_text(value).encode()


def arguments_of(value: JSON) -> str:
    """A call's input as the middle has it: JSON text."""
    return encode_text(value)


def input_of(arguments: str, *, custom: bool = False) -> JSON:
    """A call's arguments as the object that the dialect demands.

    "" and null are {}. What is no object, and the free text of a custom tool, stands in `input`.
    """
    if custom:
        return {"input": arguments}
    if not arguments.strip():
        return {}
    try:
        value = decode(arguments.encode())
    except (MalformedJSON, UnicodeEncodeError):
        return {"input": arguments}
    if isinstance(value, dict):
        return value
    return {} if value is None else {"input": value}


def refuse(where: str, what: str, code: str = "invalid_type") -> ApiError:
    """The error for a member of a request that cannot be understood."""
    return ApiError(400, f"`{where}` {what}" if where else what, code=code, param=where or None)
