"""Clients that leave before their answer is complete, where the provider's is read to its end.

With `on_disconnect = "drain"` a call goes on without its client, so that its true usage is known
and paid (`settlement` `client_left`, the usage the provider's own). With `"cancel"` none of this is
used: the provider's connection is closed, and what was relayed is settled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from oneapi.errors import OneApiError
from oneapi.gateway.job import Client, Job
from oneapi.net.base import CarrierError, Headers
from oneapi.net.shared import ClientGone

log = logging.getLogger("oneapi.relay")

LONGEST_S: Final = 600.0
"""Seconds that a call goes on without its client."""


class Leaving:
    """A `Client` that may leave: what is sent to it then goes nowhere, and nobody hears of it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.begun = client.begun
        self.left = False

    async def begin(self, status: int, headers: Headers) -> None:
        self.begun = True
        await self._to(lambda: self.client.begin(status, headers))

    async def write(self, data: bytes) -> None:
        await self._to(lambda: self.client.write(data))

    async def finish(self, data: bytes = b"") -> None:
        await self._to(lambda: self.client.finish(data))

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.begun = True
        await self._to(lambda: self.client.answer(status, headers, body))

    async def _to(self, send: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self.left:
            return
        try:
            await send()
        except ClientGone:
            self.left = True


class Departures:
    """Calls that go on without their clients. One for the process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    async def relay(
        self, job: Job, work: Callable[[], Coroutine[Any, Any, None]], close: Callable[[], None]
    ) -> None:
        """Do the work of one call, which outlives its client.

        When the client leaves while a channel that drains is asked, the work goes on, and `close`
        is called once it is over; this raises `CancelledError` or `ClientGone` at once. An
        operator's cancelling ends the work.
        """
        meter, client = job.meter, Leaving(job.client)
        job.client = client
        task = asyncio.create_task(work())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done() or job.flight.cancelled_by or meter.settled or not _drains(job):
                task.cancel()
                await asyncio.wait([task])
                raise
            client.left = meter.left = meter.detached = True
            job.flight.task = task
            self._follow(job, task, close)
            raise
        if client.left:
            meter.left = True
            raise ClientGone("the client left")

    async def ended(self, seconds: float) -> None:
        """Wait for the calls that go on, so long at most; what is left then is ended and
        settled.
        """
        if self._tasks and seconds > 0:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)  # what is called when they are done has been called

    def _follow(self, job: Job, task: asyncio.Task[None], close: Callable[[], None]) -> None:
        self._tasks.add(task)
        timer = asyncio.get_running_loop().call_later(LONGEST_S, task.cancel)

        def over(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            timer.cancel()
            error = None if done.cancelled() else done.exception()
            if error is not None and not isinstance(error, OneApiError | CarrierError | OSError):
                log.error("request %s failed", job.meter.request_id, exc_info=error)
            close()

        task.add_done_callback(over)


def _drains(job: Job) -> bool:
    """Whether a provider has been asked whose answer is read to its end."""
    target = job.meter.target
    return target is not None and target.channel.drains
