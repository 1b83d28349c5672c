"""A provider inside this process: a `Carrier` that answers by itself, with options for how.

It backs the demo model, which works without a network and a key, and tests that need a provider
who is slow, refuses, or breaks off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from oneapi.net.base import Call, CarrierError, Headers, Origin, Timeouts
from oneapi.providers.mock.answers import answer
from oneapi.providers.mock.base import Answer, error
from oneapi.providers.mock.options import MockOptions


class MockCarrier:
    """A `Carrier`. It counts its requests for `error.every` and `error.count`."""

    def __init__(self, options: MockOptions | None = None) -> None:
        self._options = options or MockOptions()
        self._seen = 0
        self._failures = 0

    async def send(self, origin: Origin, call: Call, timeouts: Timeouts) -> MockReply:
        """Answer the call. Raises `CarrierError` when the latency is beyond `first_byte`."""
        body = call.body
        if not isinstance(body, bytes):
            body = b"".join([chunk async for chunk in body])
        await _sleep(self._options.latency_ms, timeouts.first_byte, "first_byte_timeout")
        made = self._scripted_error() or answer(
            call.target.partition(b"?")[0].decode("latin-1"),
            dict(call.headers).get(b"content-type", b"").decode("latin-1"),
            body,
            self._options,
        )
        return MockReply(made, self._options, timeouts)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _scripted_error(self) -> Answer | None:
        scripted = self._options.error
        if scripted is None:
            return None
        self._seen += 1
        spent = scripted.count is not None and self._failures >= scripted.count
        if spent or self._seen % scripted.every:
            return None
        self._failures += 1
        message = scripted.message or f"the mock provider answers {scripted.status} as it was told"
        return error(scripted.status, message, scripted.code)


class MockReply:
    """A `Reply`: an answer's parts, one a chunk."""

    def __init__(self, made: Answer, options: MockOptions, timeouts: Timeouts) -> None:
        self.status = made.status
        self.headers: Headers = _headers(made)
        self._parts: Iterator[bytes] = iter(made.parts)
        self._pause_ms = options.chunk_ms if made.stream else 0
        self._left = options.cut_after if made.stream else None
        self._idle = timeouts.idle
        self._closed = False

    async def chunk(self) -> bytes:
        """The next part. Raises `CarrierError` where the stream is to be cut."""
        if self._closed:
            raise CarrierError("closed", "the mock provider's answer was closed", sent=True)
        part = next(self._parts, b"")
        if part and self._left is not None:
            if self._left == 0:
                raise CarrierError("closed", "the mock provider cut its answer", sent=True)
            self._left -= 1
        if part:
            await _sleep(self._pause_ms, self._idle, "idle_timeout")
        return part

    async def read(self, limit: int) -> bytes:
        body = bytearray()
        while part := await self.chunk():
            body += part
            if len(body) > limit:
                raise CarrierError("too_large", "the mock provider's answer is too long", sent=True)
        return bytes(body)

    async def aclose(self) -> None:
        self._closed = True


def _headers(made: Answer) -> Sequence[tuple[bytes, bytes]]:
    return ((b"content-type", made.content_type), (b"openai-processing-ms", b"0"))


async def _sleep(pause_ms: int, limit_s: float, reason: str) -> None:
    """Wait, if only for other tasks to run; a wait beyond `limit_s` ends there, as a socket's."""
    pause_s = pause_ms / 1000
    await asyncio.sleep(min(pause_s, limit_s))
    if pause_s > limit_s:
        raise CarrierError(reason, "the mock provider took too long", sent=True)
