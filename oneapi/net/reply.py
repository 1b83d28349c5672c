"""The answer to a call on a direct connection: the `Reply` that `upstream.Pool.send` returns.

A `DirectReply` is what the reader holds, `net.connection` what feeds it. Between the two lie the
pieces that have come and were not read, and one future while the reader waits.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import Protocol

from oneapi.net.base import CarrierError, Headers, Origin, Timeouts, read_whole

NEVER = math.inf  # as a time of the event loop's clock


class Line(Protocol):
    """What a reply asks of its connection."""

    loop: asyncio.AbstractEventLoop
    deadline: float  # for the answer's next part
    reading_paused: bool

    def watch(self, seconds: float) -> None:
        """The answer's next part must come within `seconds`."""

    def resume_reading(self) -> None: ...

    def fail(self, error: BaseException) -> None:
        """End the reply with this error, and close the socket."""


@dataclass(slots=True, eq=False)
class DirectReply:
    """One request on a connection and its answer.

    `connection` is None as soon as the answer is complete or has failed; pieces may still wait.
    """

    origin: Origin
    connection: Line | None
    timeouts: Timeouts
    is_head: bool
    status: int = 0
    headers: Headers = ()
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0  # bytes in pieces
    done: bool = False
    error: BaseException | None = None
    upload: asyncio.Task[None] | None = None
    uploaded: bool = False
    waiter: asyncio.Future[None] | None = None

    async def answered(self) -> DirectReply:
        """Wait for the answer's head."""
        connection = self.connection
        try:
            if connection is not None:
                self.waiter = waiter = connection.loop.create_future()
                if self.uploaded:
                    connection.watch(self.timeouts.first_byte)
                await waiter
            if self.upload is not None:
                await self._join_upload()
        except BaseException:
            self.drop()
            raise
        if not self.status and self.error is not None:
            raise self.error
        return self

    async def chunk(self) -> bytes:
        pieces = self.pieces
        connection = self.connection
        if not pieces and connection is not None:
            self.waiter = waiter = connection.loop.create_future()
            connection.watch(self.timeouts.idle)
            try:
                await waiter
            except BaseException:
                self.drop()
                raise
            connection = self.connection  # the pool's again, if that was the end
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self.size = 0
            if connection is not None and connection.reading_paused:
                connection.resume_reading()
            return data
        if self.error is not None:
            raise self.error
        return b""

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit, self.origin)

    async def aclose(self) -> None:
        self.drop()
        if self.upload is not None:
            await self._join_upload()

    def drop(self) -> None:
        """Forget what was not read; close the connection unless it was given back."""
        self.pieces.clear()
        connection = self.connection
        if connection is not None:
            connection.fail(CarrierError.at(self.origin, "closed", "the call was given up"))

    def wake(self) -> None:
        """Called by the connection: there is news for whoever waits, and the wait is over."""
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if self.connection is not None:
                self.connection.deadline = NEVER
            if not waiter.done():
                waiter.set_result(None)

    async def _join_upload(self) -> None:
        """Once an upload is cancelled, wait: the iterator's owner may want to close it."""
        if self.upload is not None and not self.upload.done() and self.upload.cancelling():
            await asyncio.wait((self.upload,))
