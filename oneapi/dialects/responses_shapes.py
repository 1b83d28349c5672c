"""What all parts of the Responses dialect share: names, reading of members, sealed notes.

Sealed notes are how thoughts of other providers travel through a client that knows only
`encrypted_content`: what vouches for a thought goes out in it, and comes back with the replay.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from oneapi.dialects.base_bodies import encode_text
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Message, Part
from oneapi.wire.json import JSON, MalformedJSON, decode, encode

NAME: Final = "openai-responses"
ENCRYPTED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
"""Words of `include`."""

MAX_TOKENS: Final = 2**30
BETWEEN: Final = "\n\n"
"""Stands between the parts of one summary in the middle's single text."""

SEAL: Final = "oneapi1."
"""How a note of the gateway's own begins."""

Object = dict[str, Any]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class Noted:
    """An input item as it came, and the parts that were made of it.

    It returns to the wire where those parts are unchanged. `sealed` says that the item is a note of
    our own, which means nothing to a provider.
    """

    item: JSON
    parts: tuple[Part, ...]
    sealed: bool = False


@dataclass(slots=True)
class Turn(Message):
    """A message that remembers the items it was made of, in their order.

    `origin` says that it stood in `instructions`, or was the whole `input` as a string.
    """

    items: tuple[Noted, ...] = ()
    origin: Literal["items", "instructions", "string"] = "items"


@dataclass(slots=True)
class Asked(ChatRequest):
    """A request as it came: `wire` holds its members but for the input."""

    wire: Object = field(default_factory=dict, compare=False)


def bad(param: str, what: str, code: str = "invalid_type") -> ApiError:
    """A member that cannot be understood."""
    return ApiError(400, f"`{param}` {what}", code=code, param=param)


def as_object(value: JSON, param: str) -> Object:
    """Raises `ApiError` 400 for what is no object."""
    if not isinstance(value, dict):
        raise bad(param, "must be an object")
    return value


def text_in(value: Object, name: str, param: str) -> str:
    """A member that must be a string."""
    found = value.get(name)
    if not isinstance(found, str):
        raise bad(f"{param}.{name}", "must be a string")
    return found


def word_in(value: Object, name: str, param: str = "") -> str:
    """A string member that may be absent or null: "" then. Without `param` nothing is raised."""
    found = value.get(name)
    if isinstance(found, str):
        return found
    if found is not None and param:
        raise bad(f"{param}.{name}", "must be a string")
    return ""


def list_in(value: JSON, name: str) -> list[JSON]:
    """A list member of what a provider sent; [] for anything else."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def rest_of(value: Object, *known: str) -> Object:
    """The members beyond these that say something."""
    return {k: v for k, v in value.items() if k not in known and v is not None}


def seal(note: Object) -> str:
    """The note as an opaque text of [0-9A-Za-z_.-]."""
    return SEAL + urlsafe_b64encode(sealed_bytes(note)).decode().rstrip("=")


def unseal(text: str) -> Object | None:
    """The note again; None for a text that is none of ours."""
    if not text.startswith(SEAL):
        return None
    raw = text[len(SEAL) :]
    try:
        note = decode(urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    except (ValueError, MalformedJSON):
        return None
    return note if isinstance(note, dict) else None


def sealed_bytes(value: JSON) -> bytes:
    """JSON for a client, half surrogate pairs replaced."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return encode_text(value).encode()
