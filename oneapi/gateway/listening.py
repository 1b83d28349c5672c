"""Listens to answers of the byte lane whose thoughts must come back with their calls."""

from __future__ import annotations

from oneapi.dialects.base import ChatProvider, Hints, Stamp
from oneapi.dialects.base_gather import Gatherer
from oneapi.errors import ApiError
from oneapi.gateway.recall import Owner, Recall
from oneapi.net.base import Headers, Reply

MAX_BYTES = 16 * 1024 * 1024
"""Of the longest answer that is read along."""


class Listening:
    """A reply that is read along, at the price of parsing it; what passes is what came."""

    def __init__(
        self, reply: Reply, provider: ChatProvider, recall: Recall, owner: Owner, stamp: Stamp
    ) -> None:
        self._reply = reply
        self._provider = provider
        self._recall = recall
        self._owner = owner
        self._stamp = stamp
        self._hints = Hints()
        self._gatherer: Gatherer | None = Gatherer(provider.NAME)
        self._size = 0
        self._parser = provider.stream_parser(self._hints, stamp)
        self.status = reply.status
        self.headers: Headers = reply.headers

    async def chunk(self) -> bytes:
        chunk = await self._reply.chunk()
        self._size += len(chunk)
        if self._size > MAX_BYTES:
            self._gatherer = None
        gatherer = self._gatherer
        if gatherer is not None:
            try:
                gatherer.feed(self._parser.feed(chunk) if chunk else self._parser.close())
                if not chunk or self._parser.done:
                    self._gatherer = None
                    self._recall.remember(self._owner, gatherer.response())
            except ApiError:  # the answer failed: there is nothing to remember of it
                self._gatherer = None
        return chunk

    async def read(self, limit: int) -> bytes:
        body = await self._reply.read(limit)
        if b'"tool_calls"' in body and len(body) <= MAX_BYTES:
            try:
                reply = self._provider.parse_response(body, self._hints, self._stamp)
                self._recall.remember(self._owner, reply)
            except ApiError:
                pass
        return body

    async def aclose(self) -> None:
        await self._reply.aclose()
