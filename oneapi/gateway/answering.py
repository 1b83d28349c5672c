"""The end of every answer: the record committed first, the head with what the client may know."""

from __future__ import annotations

import asyncio

from oneapi.gateway.books import Books, written
from oneapi.gateway.job import Job
from oneapi.gateway.meter import Settlement
from oneapi.gateway.snapshot import Target
from oneapi.net.base import CarrierError, Headers, Reply
from oneapi.providers.headers import response_headers

AFTER_DONE_S = 0.2
"""Seconds to wait for a provider's end of body after its terminal event, so that its connection can
be kept.
"""

Head = list[tuple[bytes, bytes]]


class Answering:
    """One for the process."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def settle(
        self, job: Job, status: int, settlement: Settlement, code: str = ""
    ) -> int | None:
        """Commit the record; what the client sees completed is in the ledger first. Returns the
        cost.
        """
        record, committed = job.meter.settle(self._books, status, settlement, code)
        await written(committed)
        return record.cost_nanousd

    def head(self, job: Job, target: Target, reply: Reply, settled: int | None = None) -> Head:
        """Of an answer in the provider's own words."""
        return self._with_notes(response_headers(reply.headers), job, target, settled)

    def own_head(self, job: Job, target: Target, kind: bytes, settled: int | None = None) -> Head:
        """Of an answer that is rendered here."""
        return self._with_notes([(b"content-type", kind)], job, target, settled)

    def _with_notes(self, head: Head, job: Job, target: Target, settled: int | None) -> Head:
        if job.notes:
            head.extend(job.notes.items())
        if job.debug:
            head.append((b"x-oneapi-channel", target.channel.name.encode()))
            head.append((b"x-oneapi-model", target.model.encode("utf-8", "replace")))
            head.append((b"x-oneapi-attempts", str(job.meter.attempts).encode()))
            if settled is not None:
                head.append((b"x-oneapi-cost", f"{settled / 1e9:.9f}".encode()))
        return head


async def rest_of(reply: Reply) -> None:
    """Read past `[DONE]` to the end of the body, if it comes soon: the connection can then be
    kept.
    """
    try:
        async with asyncio.timeout(AFTER_DONE_S):
            while await reply.chunk():
                pass
    except (CarrierError, TimeoutError):
        return


def content_type(headers: Headers) -> str:
    for name, value in headers:
        if name == b"content-type":
            return value.decode("latin-1").lower()
    return ""
