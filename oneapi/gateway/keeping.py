"""Keeps the answer that goes out to a client, before its last byte does: whatever the lane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from oneapi.gateway.job import Client
from oneapi.net.base import Headers


class Keeping:
    """A `Client` that hands a complete answer to `keep` just before the real one gets its end.

    `whole` finds the answer in the last bytes of a stream, None where the stream did not complete:
    both lanes hold the terminal event until the record is committed, so that it stands there whole.
    """

    def __init__(
        self,
        client: Client,
        keep: Callable[[bytes], Awaitable[None]],
        whole: Callable[[bytes], bytes | None],
    ) -> None:
        self._client = client
        self._keep = keep
        self._whole = whole
        self.begin = client.begin
        self.write = client.write  # the client's own: a chunk costs nothing more

    @property
    def begun(self) -> bool:
        return self._client.begun

    @begun.setter
    def begun(self, value: bool) -> None:
        self._client.begun = value

    async def finish(self, data: bytes = b"") -> None:
        body = self._whole(data)
        if body is not None:
            await self._keep(body)
        await self._client.finish(data)

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        if status < 300:
            await self._keep(body)
        await self._client.answer(status, headers, body)
