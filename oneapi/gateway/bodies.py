"""A request's body on its way to a target: as it came, or with single members changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from oneapi.dialects.openai_requests import edit_request
from oneapi.gateway.snapshot import Target
from oneapi.ir import Envelope
from oneapi.net.base import Headers
from oneapi.wire.json import JSON, Raw, members

JSON_HEADERS: Headers = ((b"content-type", b"application/json"),)

Rendered = tuple[bytes | AsyncIterator[bytes], int | None]
"""What a carrier sends, and its length where the body is an iterator."""


class Edit(Protocol):
    """`ClientDialect.edit_request`."""

    def __call__(
        self,
        members: Mapping[str, Raw],
        *,
        model: str | None = None,
        include_usage: bool = False,
        set: Mapping[str, JSON] | None = None,
        drop: Sequence[str] = (),
    ) -> bytes | None: ...


class Body(Protocol):
    """`repeatable`: it can be sent to another target after the first one got it.

    `headers` stand for those of the client that say what the body is.
    """

    repeatable: bool
    headers: Headers

    def render(self, target: Target, envelope: Envelope) -> Rendered: ...

    def text(self) -> bytes:
        """The JSON it is, for estimates; b"" where it is none."""
        ...


@dataclass(slots=True)
class JsonBody:
    """A JSON object, held whole. Bytes go out untouched unless a member must change (the edit
    lane).
    """

    raw: bytes
    members: Mapping[str, Raw]
    repeatable: bool
    edit: Edit = edit_request
    headers: Headers = JSON_HEADERS  # `curl -d` calls its JSON a form

    def render(self, target: Target, envelope: Envelope) -> Rendered:
        channel = target.channel
        changed = self.edit(
            self.members,
            model=target.model if target.renamed or "model" not in self.members else None,
            include_usage=envelope.stream
            and envelope.usage_option
            and channel.preset.include_usage
            and not envelope.wants_usage,
            set=channel.set,
            drop=channel.drop,
        )
        return (self.raw if changed is None else changed), None

    def text(self) -> bytes:
        return self.raw


@dataclass(slots=True)
class FormBody:
    """A multipart form, held whole. `span` is where the model's value stands, None when it is
    not given.
    """

    raw: bytes
    span: tuple[int, int] | None
    repeatable: bool
    headers: Headers = ()

    def render(self, target: Target, envelope: Envelope) -> Rendered:
        return _spliced(self.raw, self.span, target), None

    def text(self) -> bytes:
        return b""


@dataclass(slots=True)
class StreamedForm:
    """A form too large to hold: its head, the model's name inside, and the rest as it comes.
    Sent once.
    """

    head: bytes
    span: tuple[int, int] | None
    rest: AsyncIterator[bytes]
    length: int | None  # of the whole form as the client sends it, where it said so
    repeatable: bool = False
    headers: Headers = ()

    def render(self, target: Target, envelope: Envelope) -> Rendered:
        head = _spliced(self.head, self.span, target)
        length = None if self.length is None else self.length + len(head) - len(self.head)
        return self._chunks(head), length

    async def _chunks(self, head: bytes) -> AsyncIterator[bytes]:
        yield head
        async for chunk in self.rest:
            yield chunk

    def text(self) -> bytes:
        return b""


def _spliced(raw: bytes, span: tuple[int, int] | None, target: Target) -> bytes:
    """The form with the target's model name where the asked one stands."""
    if span is None or not target.renamed:
        return raw
    return raw[: span[0]] + target.model.encode() + raw[span[1] :]


def edited(body: bytes, target: Target) -> bytes:
    """A rendered request with what the channel sets and drops."""
    channel = target.channel
    if not (channel.set or channel.drop):
        return body
    changed = edit_request(members(body), set=channel.set, drop=channel.drop)
    return body if changed is None else changed
