"""What the gateway asks of a wire format that clients speak.

A dialect is a module of functions, pure: no I/O, no clock, no configuration, no provider's name.
The byte and edit lanes need what stands here. The translate lane adds to it, on the client's side,
`parse_request`, `render_response` and a stream renderer, and a second protocol for formats that
providers speak (`render_request`, `parse_response`, a stream parser), both over `oneapi.ir`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from oneapi.errors import ApiError
from oneapi.ir import Envelope, Usage
from oneapi.wire.json import JSON, Raw

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a dialect can ask for.

    `path` follows the provider's base address. `form` says that requests may be multipart forms,
    `streams` that answers may be event streams, `default_model` what is meant where none is named,
    `usage_option` that a stream's usage is asked for by an option of the request, `ends` that a
    stream says when it is complete: by a finish reason or a terminal event.
    """

    name: str
    path: str
    form: bool = False
    streams: bool = False
    default_model: str | None = None
    usage_option: bool = False
    ends: bool = False


class Tap(Protocol):
    """Reads along while a stream is relayed, and decides which bytes may go to the client when."""

    usage: Usage | None
    error: JSON
    content_seen: bool
    done: bool

    @property
    def finished(self) -> bool:
        """Whether the stream said that it is complete."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """What may go to the client now. Raises ValueError when an event outgrows every bound."""
        ...

    def close(self) -> bytes:
        """At the end of the provider's stream: what was held back, the terminal event with it."""
        ...

    def sample(self) -> str:
        """Text of what was relayed, for estimating; bounded."""
        ...


class ClientDialect(Protocol):
    """A wire format that clients speak."""

    @property
    def OPERATIONS(self) -> Mapping[str, Operation]:
        """By name."""
        ...

    def peek(
        self, operation: Operation, members: Mapping[str, Raw], path_model: str | None
    ) -> Envelope:
        """What routing must know, its types checked. Raises `ApiError` 400 naming the parameter."""
        ...

    def parse_usage(
        self, operation: Operation, body: bytes, *, output_excludes_reasoning: bool = False
    ) -> Usage | None:
        """What a whole answer says it used; None where it does not say. Raises nothing."""
        ...

    def inspect_response(
        self, operation: Operation, status: int, content_type: str, body: bytes
    ) -> str | None:
        """Why a successful answer is not what was asked for; None where it is."""
        ...

    def render_error(self, error: ApiError, request_id: str) -> bytes:
        """The body that makes this format's own client libraries raise the right error."""
        ...

    def stream_error(self, error: ApiError, request_id: str = "") -> bytes:
        """The same inside a stream whose status has gone out."""
        ...

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        """Message, code and kind of a provider's refusal, "" where it does not say."""
        ...
