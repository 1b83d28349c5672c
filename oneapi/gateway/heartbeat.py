"""Keeps a stream alive while its first token is awaited: a comment or a ping every 15 seconds.

Proxies on the way give up on silent answers after a minute or two. The first ping fixes the
status to 200; what fails later is told inside the stream (D20).
"""

from __future__ import annotations

import asyncio

from oneapi.gateway.job import Client
from oneapi.net.base import Headers

EVERY_S = 15.0


class Heartbeat:
    """A `Client` that pings the real one until the relay begins to answer.

    `begun` says whether the relay has begun, `pinged` whether a head went out before it did.
    """

    def __init__(self, client: Client, ping: bytes, head: Headers, every_s: float) -> None:
        self.begun = False
        self.pinged = False
        self._client = client
        self._ping = ping
        self._head = head
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(every_s, self._due)
        self._beat: asyncio.Task[None] | None = None

    async def begin(self, status: int, headers: Headers) -> None:
        await self.stop()
        self.begun = True
        if not self.pinged:
            await self._client.begin(status, headers)

    async def write(self, data: bytes) -> None:
        await self._client.write(data)

    async def finish(self, data: bytes = b"") -> None:
        await self._client.finish(data)

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        await self.stop()
        self.begun = True
        await self._client.answer(status, headers, body)

    async def stop(self) -> None:
        """No ping is under way or will follow. Costs nothing where none has been sent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._beat is not None:
            beat, self._beat = self._beat, None
            await asyncio.wait([beat])  # a ping half sent must be whole before anything follows

    def _due(self) -> None:
        self._beat = self._loop.create_task(self._send())

    async def _send(self) -> None:
        try:
            if not self.pinged:
                self.pinged = True
                await self._client.begin(200, self._head)
            await self._client.write(self._ping)
        except OSError:  # the client left: the request's own task learns of it
            return
        if self._timer is not None:
            self._timer = self._loop.call_later(self._every_s, self._due)
