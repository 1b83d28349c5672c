"""Lets the `openai` package talk to a carrier, so that it judges what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2 as httpx
import openai

from oneapi.net.base import Call, Carrier, Origin, Reply, Timeouts


class Bridge(httpx.AsyncBaseTransport):
    """An httpx transport over a carrier."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = [(n.lower(), v) for n, v in request.headers.raw]
        call = Call(request.method.encode(), request.url.raw_path, headers, await request.aread())
        reply = await self._carrier.send(Origin("http", "h", 80), call, Timeouts())
        return httpx.Response(reply.status, headers=list(reply.headers), stream=Body(reply))


class Body(httpx.AsyncByteStream):
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self._reply.chunk():
            yield chunk

    async def aclose(self) -> None:
        await self._reply.aclose()


def sdk(carrier: Carrier) -> openai.AsyncOpenAI:
    """OpenAI's own client over a carrier, without retries."""
    return openai.AsyncOpenAI(
        api_key="k",
        base_url="http://h/v1",
        max_retries=0,
        http_client=httpx.AsyncClient(transport=Bridge(carrier)),
    )
