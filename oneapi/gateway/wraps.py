"""How some providers transport a format that is otherwise the client's own: Claude on other hosts.

`bedrock-invoke`: no model and no stream in the body, the version and betas in it, events inside a
binary stream. `vertex`: no model, the version in the body, betas still in the header.
https://docs.anthropic.com/en/api/claude-on-amazon-bedrock and …/claude-on-vertex-ai (read
2026-11-24).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from oneapi.dialects.anthropic_hosted import hosted_body
from oneapi.dialects.bedrock_invoke import InvokeUnwrapper
from oneapi.gateway.failures import WORDS
from oneapi.net.base import CarrierError, Headers, Reply
from oneapi.wire.json import members

BEDROCK = "bedrock-invoke"


def wrapped(wrap: str, body: bytes, headers: Mapping[bytes, bytes]) -> bytes:
    """The body as the transport wants it; betas of the client's header go in where they belong."""
    betas = [b.strip() for b in headers.get(b"anthropic-beta", b"").decode("latin-1").split(",")]
    bedrock = wrap == BEDROCK
    return hosted_body(
        members(body),
        version="bedrock-2023-05-31" if bedrock else "vertex-2023-10-16",
        betas=[b for b in betas if b] if bedrock else [],
        keep_stream=not bedrock,
    )


def unwrapped_lines(wrap: str, lines: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The header lines without Anthropic's own, whose place is the body there. Betas stay a header
    on Vertex: without it members that need one are refused (S BerriAI/litellm#22321).
    """
    stays = () if wrap == BEDROCK else (b"anthropic-beta",)
    return [line for line in lines if line[0] in stays or not line[0].startswith(b"anthropic-")]


class Unwrapper(Protocol):
    def feed(self, chunk: bytes) -> bytes: ...
    def close(self) -> bytes: ...


class Unwrapping:
    """A reply whose stream is unpacked to server-sent events on its way."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._unwrapper: Unwrapper | None = InvokeUnwrapper()
        self.status = reply.status
        self.headers: Headers = [
            (name, b"text/event-stream" if name == b"content-type" else value)
            for name, value in reply.headers
        ]

    async def chunk(self) -> bytes:
        """As `Reply.chunk`. Raises `CarrierError` for a frame that is damaged."""
        try:
            while self._unwrapper is not None:
                chunk = await self._reply.chunk()
                if chunk:
                    out = self._unwrapper.feed(chunk)
                else:
                    out, self._unwrapper = self._unwrapper.close(), None
                if out:
                    return out
        except ValueError as error:
            raise CarrierError("protocol", f"{WORDS['protocol']}: {error}", sent=True) from error
        return b""

    async def read(self, limit: int) -> bytes:
        return await self._reply.read(limit)

    async def aclose(self) -> None:
        await self._reply.aclose()
